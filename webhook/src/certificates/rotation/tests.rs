use rustls::crypto::ring;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn rotation(names: &[&str]) -> Rotation {
    Rotation {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        schedule: Schedule::default(),
        provider: Arc::new(ring::default_provider()),
    }
}

fn renewed(rotation: &Rotation, stored: &Stored, now: Timestamp) -> Stored {
    rotation
        .due(stored, "", now)
        .unwrap()
        .expect("a renewal is due")
        .stored
}

fn authorities(stored: &Stored) -> usize {
    stored.triple.ca_bundle.matches("END CERTIFICATE").count()
}

/// That a server with the certificate of one content is trusted by a caller that has the bundle of another.
fn trusts(caller: &Stored, server: &Stored, now: Timestamp) -> bool {
    let chain = material::certificates(&server.triple.certificate, "certificate").unwrap();
    material::verify(
        &caller.triple.ca_bundle,
        &chain,
        &ring::default_provider().into(),
        now,
    )
    .is_ok()
}

#[test]
fn a_fresh_content_is_good_for_all_names_and_kept() {
    let rotation = rotation(&["hook", "hook.podfit.svc", "127.66.0.20", "fd00::1"]);
    let stored = renewed(&rotation, &Stored::default(), START);
    let material =
        material::Material::check(stored.triple.clone(), &rotation.provider, START).unwrap();
    assert_eq!(
        Facts::of(&material.certified.cert[0], "certificate")
            .unwrap()
            .names,
        rotation.names
    );
    assert!((89.9..=90.0).contains(&material.days_left(START)));
    assert_eq!(rotation.due(&stored, "", START).unwrap(), None);
    assert_eq!(rotation.due(&stored, "", START + DAY * 59).unwrap(), None);
}

#[test]
fn an_ageing_certificate_is_replaced_under_the_same_ca() {
    let rotation = rotation(&["hook"]);
    let old = renewed(&rotation, &Stored::default(), START);
    let later = START + DAY * 61;
    let new = renewed(&rotation, &old, later);
    assert_eq!(new.triple.ca_bundle, old.triple.ca_bundle);
    assert_ne!(new.triple.certificate, old.triple.certificate);
    assert!(trusts(&old, &new, later) && trusts(&new, &old, later));
}

/// From one CA to the next over more than two years: at every write a caller that still has the bundle from before trusts
/// the new certificate, and one with the new bundle trusts a server that still shows the old certificate.
#[test]
fn callers_and_servers_one_write_apart_always_trust_each_other() {
    let rotation = rotation(&["hook"]);
    let mut stored = renewed(&rotation, &Stored::default(), START);
    let (mut most, mut writes) = (0, 0);
    for step in 1..=4 * 1000 {
        let now = START + Duration::from_hours(6) * step;
        let before = stored.clone();
        if let Some(renewal) = rotation.due(&stored, "", now).unwrap() {
            stored = renewal.stored;
            writes += 1;
            assert!(
                trusts(&before, &stored, now),
                "an old bundle must know the new certificate ({})",
                renewal.reason
            );
            assert!(
                trusts(&stored, &before, now),
                "the new bundle must know the old certificate ({})",
                renewal.reason
            );
        }
        most = most.max(authorities(&stored));
    }
    assert_eq!(most, 2, "old and new CA overlap in the bundle");
    assert_eq!(
        authorities(&stored),
        1,
        "the first CA has left when it expired"
    );
    assert!(writes < 25, "{writes} writes in a thousand days");
}

#[test]
fn a_new_ca_waits_before_it_signs() {
    let rotation = rotation(&["hook"]);
    let first = renewed(&rotation, &Stored::default(), START);
    // Close to the end of the first CA, with a certificate made in time.
    let now = START + DAY * 551;
    let first = renewed(&rotation, &first, now);
    let staged = renewed(&rotation, &first, now);
    assert_eq!((authorities(&first), authorities(&staged)), (1, 2));
    assert_eq!(staged.triple.certificate, first.triple.certificate);
    assert_eq!(
        rotation
            .due(&staged, "", now + Duration::from_secs(3599))
            .unwrap(),
        None
    );
    let signed = renewed(&rotation, &staged, now + Duration::from_secs(3601));
    assert_ne!(signed.triple.certificate, first.triple.certificate);
    assert_eq!(signed.triple.ca_bundle, staged.triple.ca_bundle);
}

#[test]
fn a_new_name_needs_a_new_certificate() {
    let stored = renewed(&rotation(&["hook"]), &Stored::default(), START);
    let more = rotation(&["hook", "10.0.0.1"]);
    let new = renewed(&more, &stored, START);
    assert!(trusts(&stored, &new, START));
    assert_eq!(more.due(&new, "", START).unwrap(), None);
}

/// Whatever somebody did to the Secret, the next content is whole, and what it still had of good CAs stays trusted.
#[test]
fn a_damaged_content_is_mended() {
    let rotation = rotation(&["hook"]);
    let good = renewed(&rotation, &Stored::default(), START);
    let other = renewed(&rotation, &Stored::default(), START);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned();
    let cut = good.triple.certificate[..100].to_owned();
    // Which of the four parts is replaced, and by what.
    let damage = [
        ("CA key lost", 3, String::new()),
        ("CA key of another CA", 3, other.authority_key.clone()),
        ("bundle lost", 0, String::new()),
        ("bundle garbage", 0, garbage),
        (
            "certificate of another CA",
            1,
            other.triple.certificate.clone(),
        ),
        ("certificate cut short", 1, cut),
        ("key of another certificate", 2, other.triple.key.clone()),
    ];
    for (what, part, text) in damage {
        let mut stored = good.clone();
        let triple = &mut stored.triple;
        *[
            &mut triple.ca_bundle,
            &mut triple.certificate,
            &mut triple.key,
            &mut stored.authority_key,
        ][part] = text;
        let bundle_is_whole = stored.triple.ca_bundle == good.triple.ca_bundle;
        let mended = renewed(&rotation, &stored, START);
        assert_eq!(rotation.due(&mended, "", START).unwrap(), None, "{what}");
        assert_eq!(trusts(&mended, &good, START), bundle_is_whole, "{what}");
    }
}

/// Another replica still shows a certificate of the CA that was lost: whoever makes a new one keeps trusting it.
#[test]
fn a_ca_made_from_nothing_joins_those_in_force() {
    let rotation = rotation(&["hook"]);
    let lost = renewed(&rotation, &Stored::default(), START);
    let in_force = &lost.triple.ca_bundle;
    let emptied = Stored {
        triple: PemTriple {
            ca_bundle: String::new(),
            ..lost.triple.clone()
        },
        ..lost.clone()
    };
    let keyless = Stored {
        authority_key: String::new(),
        ..lost.clone()
    };
    for stored in [Stored::default(), emptied, keyless] {
        let made = rotation
            .due(&stored, in_force, START)
            .unwrap()
            .unwrap()
            .stored;
        assert!(trusts(&made, &lost, START) && trusts(&made, &made, START));
        assert_eq!(authorities(&made), 2);
    }
}

/// Two replicas that ask for different names settle on one certificate for all of them; a renewal drops what this one
/// does not ask for.
#[test]
fn replicas_with_different_names_do_not_write_against_each_other() {
    let (old, new) = (rotation(&["old", "both"]), rotation(&["new", "both"]));
    let of_old = renewed(&old, &Stored::default(), START);
    let of_both = renewed(&new, &of_old, START);
    assert_eq!(old.due(&of_both, "", START).unwrap(), None);
    assert_eq!(new.due(&of_both, "", START).unwrap(), None);
    let later = START + DAY * 61;
    let names = |stored: &Stored| {
        Material::check(stored.triple.clone(), &new.provider, later)
            .unwrap()
            .facts
            .names
    };
    assert_eq!(names(&renewed(&new, &of_both, later)), new.names);
}

#[test]
fn a_ca_of_a_clock_that_is_ahead_is_replaced() {
    let rotation = rotation(&["hook"]);
    let ahead = renewed(&rotation, &Stored::default(), START + DAY);
    let renewal = rotation.due(&ahead, "", START).unwrap().unwrap();
    assert!(renewal.reason.contains("clock"), "{}", renewal.reason);
    assert_eq!(
        rotation.due(&renewal.stored, "", START + DAY).unwrap(),
        None
    );
}
