//! Makes certificates: a CA of our own, and server certificates signed by it. All keys are P-256.

use std::net::IpAddr;
use std::time::Duration;

use podfit_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// Certificates are valid from this long before they are made, for clocks that lag behind ours.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Makes a self-signed CA that ends `life` after `now`.
pub fn new_authority(now: Timestamp, life: Duration) -> Result<KeyedCertificate, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // The date keeps the names of two overlapping CAs apart, so that a verifier finds the right one at once.
    params.distinguished_name = common_name(&format!("podfit webhook CA {}", now.unix_seconds()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    set_validity(&mut params, now, life);
    Ok(KeyedCertificate {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a server certificate for `names` (DNS names or IP addresses), signed by `authority`, that ends `life` after `now`.
pub fn new_server_certificate(
    authority: &KeyedCertificate,
    names: &[String],
    now: Timestamp,
    life: Duration,
) -> Result<KeyedCertificate, rcgen::Error> {
    let issuer =
        Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("podfit-webhook");
    params.subject_alt_names = names
        .iter()
        .map(|name| alternative_name(name))
        .collect::<Result<_, _>>()?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    set_validity(&mut params, now, life);
    Ok(KeyedCertificate {
        certificate: params.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    })
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn alternative_name(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

/// Valid from one [`CLOCK_SKEW`] before `now` until `life` after it.
fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    // Counted from the epoch, because rcgen takes a type of the `time` crate and does not re-export it.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + (now - CLOCK_SKEW).since(Timestamp::default());
    params.not_after = epoch + (now + life).since(Timestamp::default());
}
