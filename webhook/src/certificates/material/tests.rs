use std::time::Duration;

use rustls::crypto::ring;

use super::*;
use crate::certificates::authority::{KeyedCertificate, new_authority, new_server_certificate};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_hours(24);

fn server(authority: &KeyedCertificate, made: Timestamp) -> PemTriple {
    let leaf = new_server_certificate(authority, &["hook".into()], made, DAY).unwrap();
    PemTriple {
        ca_bundle: authority.certificate.clone(),
        certificate: leaf.certificate,
        key: leaf.key,
    }
}

fn refused(triple: PemTriple) -> String {
    Material::check(triple, &Arc::new(ring::default_provider()), NOW)
        .unwrap_err()
        .to_string()
}

#[test]
fn what_fits_together_is_taken() {
    let authority = new_authority(NOW, DAY).unwrap();
    let triple = server(&authority, NOW);
    let material =
        Material::check(triple.clone(), &Arc::new(ring::default_provider()), NOW).unwrap();
    assert_eq!(material.source, triple);
    assert_eq!(material.facts.not_after, NOW + DAY);
}

#[test]
fn each_defect_is_named() {
    let authority = new_authority(NOW - DAY * 9, DAY * 90).unwrap();
    let other = new_authority(NOW - DAY * 9, DAY * 90).unwrap();
    let good = server(&authority, NOW);
    let with = |change: &dyn Fn(&mut PemTriple)| {
        let mut triple = good.clone();
        change(&mut triple);
        triple
    };
    let cases = [
        (
            "does not fit",
            with(&|t| t.key = server(&authority, NOW).key),
        ),
        (
            "private key is not complete PEM",
            with(&|t| t.key.truncate(80)),
        ),
        ("private key is not complete PEM", with(&|t| t.key.clear())),
        (
            "certificate holds no certificate",
            with(&|t| t.certificate.clear()),
        ),
        (
            "certificate is not complete PEM",
            with(&|t| t.certificate.truncate(200)),
        ),
        (
            "CA bundle holds no certificate",
            with(&|t| t.ca_bundle = "hello".into()),
        ),
        (
            "does not verify",
            with(&|t| t.ca_bundle = other.certificate.clone()),
        ),
        ("expired", server(&authority, NOW - DAY * 2)),
        ("not valid yet", server(&authority, NOW + DAY * 2)),
    ];
    for (part, triple) in cases {
        let error = refused(triple);
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// The API server refuses a CA outside its dates, so a certificate under nothing but such must not come into force.
#[test]
fn a_ca_counts_only_within_its_own_dates() {
    let provider = Arc::new(ring::default_provider());
    for made in [NOW - DAY * 3, NOW + DAY * 3] {
        let authority = new_authority(made, DAY).unwrap();
        let mut triple = server(&authority, NOW);
        assert!(refused(triple.clone()).contains("CA bundle has expired or is not valid yet"));
        let other = new_authority(NOW, DAY).unwrap();
        triple.ca_bundle += &other.certificate;
        assert!(
            Material::check(triple, &provider, NOW).is_err(),
            "the valid CA has not signed it"
        );
    }
}

#[test]
fn either_of_two_cas_in_the_bundle_will_do() {
    let old = new_authority(NOW, DAY).unwrap();
    let new = new_authority(NOW, DAY).unwrap();
    for signer in [&old, &new] {
        let mut triple = server(signer, NOW);
        triple.ca_bundle = format!("{}{}", new.certificate, old.certificate);
        Material::check(triple, &Arc::new(ring::default_provider()), NOW).unwrap();
    }
}
