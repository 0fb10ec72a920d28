use std::sync::Arc;

use super::*;
use crate::time::Timestamp;
use crate::vpa::Vpa;

fn owner(kind: &str, name: &str) -> OwnerRef {
    OwnerRef {
        api_version: "apps/v1".into(),
        kind: of_well_known(kind),
        name: name.into(),
    }
}

fn pod(kind: &str, name: &str) -> Pod {
    Pod {
        namespace: "ns".into(),
        owner: Some(owner(kind, name)),
        ..Pod::default()
    }
}

fn key(kind: &str, name: &str) -> ControllerKey {
    ControllerKey::new("ns", kind, name)
}

fn owners(pairs: &[(&str, &str, Option<(&str, &str)>)]) -> Owners {
    let mut owners = Owners::default();
    for (kind, name, parent) in pairs {
        let owner = parent.map(|(k, n)| self::owner(k, n));
        owners.apply(key(kind, name), Controller::owned_by(owner));
    }
    owners
}

fn vpa(name: &str, created: i64, target: Option<OwnerRef>) -> Vpa {
    Vpa {
        namespace: "ns".into(),
        name: name.into(),
        created: Timestamp::from_unix_seconds(created),
        target,
        ..Vpa::default()
    }
}

#[test]
fn chains_run_from_the_pod_upwards() {
    let known = owners(&[
        ("ReplicaSet", "web-1", Some(("Deployment", "web"))),
        ("Deployment", "web", Some(("Rollout", "web"))),
        ("Job", "night-1", Some(("CronJob", "night"))),
        ("Deployment", "loop", Some(("Deployment", "loop"))),
    ]);
    let cases = [
        (
            pod("ReplicaSet", "web-1"),
            vec![
                key("ReplicaSet", "web-1"),
                key("Deployment", "web"),
                key("Rollout", "web"),
            ],
        ),
        (
            pod("Job", "night-1"),
            vec![key("Job", "night-1"), key("CronJob", "night")],
        ),
        (pod("StatefulSet", "db"), vec![key("StatefulSet", "db")]),
        (pod("Deployment", "loop"), vec![key("Deployment", "loop")]),
        (pod("Node", "n1"), vec![]),
        (Pod::default(), vec![]),
    ];
    for (pod, chain) in cases {
        assert_eq!(known.chain(&pod), chain);
    }
}

#[test]
fn an_unknown_replica_set_still_names_its_deployment() {
    let cases = [
        ("web-5d4f", Some("5d4f"), Some("web")),
        ("web-5d4f", Some("other"), None),
        ("web-5d4f", None, None),
        ("5d4f", Some("5d4f"), None),
    ];
    for (name, hash, deployment) in cases {
        let mut pod = pod("ReplicaSet", name);
        pod.template_hash = hash.map(String::from);
        let chain = Owners::default().chain(&pod);
        assert_eq!(
            chain.get(1).map(|k| k.name.as_str()),
            deployment,
            "{name} {hash:?}"
        );
    }
}

#[test]
fn other_groups_have_controllers_of_the_same_kind() {
    let volcano = OwnerRef {
        api_version: "batch.volcano.sh/v1alpha1".into(),
        ..owner("Job", "train")
    };
    let key = ControllerKey::of("ns", &volcano);
    assert_eq!(key.kind, "Job.batch.volcano.sh");
    assert!(!is_well_known(&key.kind));
    for version in ["batch/v1", "batch/v1beta1", "v1", ""] {
        let own = OwnerRef {
            api_version: version.into(),
            ..owner("Job", "train")
        };
        assert_eq!(ControllerKey::of("ns", &own).kind, "Job");
    }
}

fn family(name: &str) -> OwnerRef {
    OwnerRef {
        api_version: "podfit.dev/v1".into(),
        ..owner("PodFamily", name)
    }
}

/// What pods say of themselves beats who made them, and needs no object.
#[test]
fn a_family_stands_above_whatever_made_its_pods() {
    let known = owners(&[("ReplicaSet", "web-1", Some(("Deployment", "web")))]);
    let of_family = |pod: Pod| Pod {
        family: Some("etl".into()),
        ..pod
    };
    let etl = ControllerKey::of("ns", &family("etl"));
    assert_eq!(etl.kind, POD_FAMILY);
    let bare = Pod {
        namespace: "ns".into(),
        ..Pod::default()
    };
    let cases = [
        (bare, vec![]),
        (pod("Node", "n1"), vec![]),
        (
            pod("ReplicaSet", "web-1"),
            vec![key("ReplicaSet", "web-1"), key("Deployment", "web")],
        ),
    ];
    for (pod, mut chain) in cases {
        assert_eq!(known.chain(&pod), chain);
        chain.push(etl.clone());
        assert_eq!(known.chain(&of_family(pod)), chain);
    }
    assert!(known.is_topmost(&etl));
    let vpa = vpa("v", 0, Some(family("etl")));
    assert_eq!(unsupported(&vpa, &known), None);
    assert!(vpa.is_of_runs());
}

/// Who fits both has the family's VPA, or none: never the other one while the family's is there.
#[test]
fn the_vpa_of_a_family_beats_that_of_an_owner_in_every_mode() {
    let known = owners(&[("StatefulSet", "db", None)]);
    let mut pod = pod("StatefulSet", "db");
    pod.family = Some("etl".into());
    let chain = known.chain(&pod);
    let of_owner = vpa("owners", 1, Some(owner("StatefulSet", "db")));
    let of_family = vpa("familys", 5, Some(family("etl")));
    let of_other = vpa("other", 0, Some(family("other")));
    let cases = [
        (vec![&of_owner, &of_other], "", "owners"),
        (vec![&of_family], "", "familys"),
        (vec![&of_owner, &of_family], "", "familys"),
        (vec![&of_owner, &of_family], "familys", ""),
        (vec![&of_owner, &of_family], "owners", "familys"),
    ];
    for (there, not_eligible, expected) in cases {
        let mut vpas = Vpas::default();
        for vpa in there {
            vpas.apply(vpa.clone());
        }
        let found = vpas.controlling(&chain, |vpa| vpa.name != not_eligible);
        assert_eq!(found.map_or("", |vpa| vpa.name.as_str()), expected);
    }
}

/// A pod may be admitted before its Job is known.
#[test]
fn an_unknown_job_still_names_who_made_it() {
    let scaled = OwnerRef {
        api_version: "keda.sh/v1alpha1".into(),
        ..owner("ScaledJob", "consumer")
    };
    let mut known = owners(&[("CronJob", "night", None), ("Job", "consumer-old", None)]);
    known.apply(ControllerKey::of("ns", &scaled), Controller::default());
    let cases = [
        ("consumer-x7k2p", Some(SCALED_JOB)),
        ("night-29000000", Some("CronJob")),
        ("consumer-old", None), // known, and nobody's
        ("other-x7k2p", None),
        ("consumer", None),
    ];
    for (job, expected) in cases {
        let chain = known.chain(&pod("Job", job));
        assert_eq!(chain.get(1).map(|key| &*key.kind), expected, "{job}");
    }
    assert!(vpa("v", 0, Some(scaled)).is_of_runs());
}

/// `apiVersion Kind name`.
fn reference(text: &str) -> Option<OwnerRef> {
    let mut words = text.split_whitespace().map(String::from);
    Some(OwnerRef {
        api_version: words.next()?.into(),
        kind: words.next()?.into(),
        name: words.next()?,
    })
}

/// What stands in the first column of `targets.csv`.
fn known(text: &str) -> Owners {
    let mut owners = Owners::default();
    for item in text.split(';').filter(|item| !item.trim().is_empty()) {
        if let Some(kind) = item.trim().strip_prefix("kind ") {
            let (kind, state) = kind.split_once(' ').unwrap();
            let watched = |scalable| ForeignKind::Watched {
                resource: "foos.example.org".into(),
                version: "v1".into(),
                scalable,
            };
            let state = match state {
                "pending" => ForeignKind::Pending,
                "absent" => ForeignKind::Absent,
                "unreadable" => ForeignKind::Unreadable {
                    why: "the API server said no".into(),
                },
                "plain" => watched(false),
                "scalable" => watched(true),
                _ => unreachable!("{state}"),
            };
            owners.set_kind(kind, state);
            continue;
        }
        let (object, owner) = item.split_once('<').unwrap_or((item, ""));
        let controller = Controller::owned_by(reference(owner));
        owners.apply(
            ControllerKey::of("ns", &reference(object).unwrap()),
            controller,
        );
    }
    owners
}

#[test]
fn targets_that_cannot_be_sized_are_told_in_upstreams_words() {
    let table = include_str!("../../testdata/targets.csv");
    for row in table.lines().skip(1) {
        let mut columns = row.splitn(3, ',');
        let mut column = || columns.next().unwrap();
        let (owners, target, message) = (known(column()), reference(column()), column());
        let vpa = vpa("v", 0, target);
        assert_eq!(
            unsupported(&vpa, &owners).unwrap_or_default(),
            message,
            "{row}"
        );
        let Some(target) = &vpa.target else { continue };
        let topmost = owners.is_topmost(&ControllerKey::of("ns", target));
        let refused = !message.is_empty() && !message.starts_with("Cannot read");
        assert_eq!(topmost, !refused, "{row}");
    }
}

#[test]
fn who_owned_a_controller_is_known_for_a_while_after_it_went() {
    let mut owners =
        known("batch/v1 CronJob nightly; batch/v1 Job night-1 < batch/v1 CronJob nightly");
    let pod = pod("Job", "night-1");
    let chain = [key("Job", "night-1"), key("CronJob", "nightly")];
    owners.delete(&chain[0]);
    assert!(owners.get(&chain[0]).is_none());
    assert_eq!(owners.chain(&pod), chain);
    for n in 0..1000 {
        let key = key("Job", &format!("other-{n}"));
        owners.apply(key, Controller::default());
    }
    owners.retain("Job", |_| false);
    assert_eq!(owners.chain(&pod), chain[..1]);
    assert_eq!(owners.len(), 1);
}

/// Upstream's matcher rows: the oldest VPA of the target wins, others and orphans match nothing.
#[test]
fn the_oldest_vpa_of_the_target_controls() {
    let mut vpas = Vpas::default();
    vpas.apply(vpa("a", 5, Some(owner("StatefulSet", "sts"))));
    vpas.apply(vpa("b", 10, None));
    vpas.apply(vpa("c", 2, Some(owner("StatefulSet", "other"))));
    vpas.apply(vpa("d", 5, Some(owner("StatefulSet", "sts"))));
    let chain = Owners::default().chain(&pod("StatefulSet", "sts"));
    let name = |v: Option<&Arc<Vpa>>| v.map(|v| v.name.clone());
    assert_eq!(name(vpas.controlling(&chain, |_| true)), Some("a".into()));
    assert_eq!(
        name(vpas.controlling(&chain, |v| v.name != "a")),
        Some("d".into())
    );
    assert_eq!(name(vpas.controlling(&[], |_| true)), None);

    vpas.apply(vpa("a", 5, Some(owner("StatefulSet", "moved"))));
    vpas.delete("ns", "d");
    assert_eq!(name(vpas.controlling(&chain, |_| true)), None);
    assert_eq!(vpas.len(), 3);
}
