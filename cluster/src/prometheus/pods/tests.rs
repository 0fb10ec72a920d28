use podfit_core::time::Timestamp;
use regex::Regex;

use super::*;
use crate::prometheus::fake::{Answer, Asked, Fake, answer};

fn key(kind: &str, name: &str) -> ControllerKey {
    ControllerKey::new("shop", kind, name)
}

#[test]
fn names_tell_whose_a_pod_is() {
    let cases = [
        ("Deployment", "web", "web-7d4b9c6f5d-x2x4z", true),
        ("Deployment", "web", "web-7d4b9c6f5d", false),
        ("Deployment", "web", "web-api-7d4b9c6f5d-x2x4z", false),
        ("Deployment", "web", "web-api-x2x4z", false),
        ("Deployment", "web", "website-7d4b9c6f5d-x2x4z", false),
        ("Deployment", "web.eu", "web.eu-7d4b9c6f5d-x2x4z", true),
        ("Deployment", "web.eu", "webxeu-7d4b9c6f5d-x2x4z", false),
        ("Rollout.argoproj.io", "web", "web-7d4b9c6f5d-x2x4z", true),
        ("StatefulSet", "db", "db-0", true),
        ("StatefulSet", "db", "db-12", true),
        ("StatefulSet", "db", "db-x2x4z", false),
        ("StatefulSet", "db", "db-eu-0", false),
        ("DaemonSet", "agent", "agent-x2x4z", true),
        ("DaemonSet", "agent", "agent-0", false),
        ("ReplicaSet", "web-7d4b9c6f5d", "web-7d4b9c6f5d-x2x4z", true),
        ("ReplicationController", "old", "old-x2x4z", true),
        ("Job", "load", "load-x2x4z", true),
        ("Job", "load", "load-11-x2x4z", true),
        ("CronJob", "tidy", "tidy-29385120-x2x4z", true),
        ("CronJob", "tidy", "tidy-29385120-3-x2x4z", true),
        ("CronJob", "tidy", "tidy-by-hand-x2x4z", false),
    ];
    for (kind, name, pod, expected) in cases {
        let pattern = pattern(&key(kind, name)).unwrap();
        let whole = Regex::new(&format!("^(?:{pattern})$")).unwrap();
        assert_eq!(whole.is_match(pod), expected, "{kind} {name}: {pod}");
    }
}

#[test]
fn kinds_without_rules_and_names_that_were_cut_have_no_pattern() {
    assert_eq!(pattern(&key("Job.batch.volcano.sh", "x")), None);
    let long = "x".repeat(60);
    assert_eq!(pattern(&key("Deployment", &long)), None);
    assert_eq!(pattern(&key("DaemonSet", &long)), None);
    assert!(pattern(&key("StatefulSet", &long)).is_some());
}

#[test]
fn many_names_are_asked_for_in_several_questions() {
    let names: BTreeSet<_> = (0..300).map(|n| format!("pod.{n:0>40}")).collect();
    let patterns = alternatives(&names);
    assert!(patterns.len() > 1 && patterns.iter().all(|p| p.len() <= LONGEST_NAMES));
    let found = patterns.iter().flat_map(|p| p.split('|')).count();
    assert_eq!((found, patterns[0].contains(r"pod\.0")), (300, true));
}

/// What kube-state-metrics recorded: metric, object, kind and name of its owner.
const RECORDED: [(&str, &str, &str, &str); 9] = [
    ("kube_replicaset_owner", "web-7d4b9c", "Deployment", "web"),
    ("kube_replicaset_owner", "web-bbbbb", "Rollout", "web"),
    (
        "kube_pod_owner",
        "web-7d4b9c-x2x4z",
        "ReplicaSet",
        "web-7d4b9c",
    ),
    (
        "kube_pod_owner",
        "web-bbbbb-x2x4z",
        "ReplicaSet",
        "web-bbbbb",
    ),
    ("kube_pod_owner", "web-ccccc-x2x4z", "Job", "web-ccccc"),
    ("kube_pod_owner", "db-0", "StatefulSet", "db"),
    ("kube_pod_owner", "db-1", "StatefulSet", "other"),
    ("kube_pod_owner", "x-1", "Job", "x"),
    ("kube_pod_owner", "x-2", "Other", "x"),
];

/// Answers a search for series as Prometheus would.
fn recorded(asked: &Asked) -> Answer {
    let selector = asked.parameter("match[]");
    assert!(asked.path.ends_with("/api/v1/series") && selector.contains(r#"namespace="shop""#));
    let like = Regex::new(r#"([a-z_]+)=~"([^"]*)""#).unwrap();
    let like = like.captures(selector).unwrap();
    let names = Regex::new(&format!("^(?:{})$", like[2].replace(r"\\", r"\"))).unwrap();
    let found: Vec<_> = RECORDED
        .iter()
        .filter(|(metric, object, _, owner)| {
            selector.starts_with(&format!("{metric}{{"))
                && names.is_match(if &like[1] == "owner_name" {
                    owner
                } else {
                    object
                })
        })
        .map(|(metric, object, kind, owner)| {
            let label = match *metric {
                "kube_replicaset_owner" => "replicaset",
                _ => "pod",
            };
            format!(r#"{{"{label}":"{object}","owner_kind":"{kind}","owner_name":"{owner}"}}"#)
        })
        .collect();
    let body = format!(r#"{{"status":"success","data":[{}]}}"#, found.join(","));
    answer("200 OK", &body)
}

async fn found(fake: &Fake, target: ControllerKey, live: &[&str]) -> Result<Pods, Error> {
    let settings = fake.settings(&["--prometheus-preset=kube-prometheus-stack"]);
    let live: Vec<_> = live.iter().map(ToString::to_string).collect();
    let range = Range {
        start: Timestamp::default(),
        end: Timestamp::from_unix_seconds(86_400),
        step: std::time::Duration::from_mins(5),
    };
    let target = (&target, live.as_slice());
    of(&fake.client(&[]), &settings.queries, target, range).await
}

#[tokio::test]
async fn recorded_owners_tell_strangers_with_like_names() {
    let fake = Fake::start(recorded).await;
    let cases = [
        (
            key("Deployment", "web"),
            &["web-bbbbb-x2x4z", "web-ccccc-x2x4z"][..],
        ),
        (key("StatefulSet", "db"), &["db-1"]),
        (key("DaemonSet", "web"), &[]),
    ];
    for (target, strangers) in cases {
        let pods = found(&fake, target.clone(), &[]).await.unwrap();
        assert_eq!(
            pods.strangers.iter().collect::<Vec<_>>(),
            strangers,
            "{target}"
        );
    }
    let live = found(&fake, key("StatefulSet", "db"), &["db-1"])
        .await
        .unwrap();
    assert_eq!(
        live.strangers.len(),
        0,
        "whose a live pod is, is known better"
    );
}

#[tokio::test]
async fn recorded_owners_stand_in_for_rules() {
    let fake = Fake::start(recorded).await;
    let patterns = async |kind, name, live: &[&str]| {
        found(&fake, key(kind, name), live).await.unwrap().patterns
    };
    assert_eq!(
        patterns("Other.example.com", "x", &["x-9"]).await,
        ["x-2|x-9"]
    );
    assert_eq!(
        patterns("Rollout.example.com", "web", &[]).await,
        ["web-bbbbb-x2x4z"]
    );
    assert_eq!(
        patterns("Other.example.com", "y", &[]).await,
        [] as [&str; 0]
    );
}

#[tokio::test]
async fn a_server_that_knows_no_series_is_no_obstacle_but_one_that_is_down_is() {
    let fake = Fake::start(|_| answer("404 Not Found", "")).await;
    let pods = found(&fake, key("Other.example.com", "x"), &["x-9"])
        .await
        .unwrap();
    assert_eq!(pods.patterns, ["x-9"]);
    let fake = Fake::start(|_| answer("503 Service Unavailable", "")).await;
    found(&fake, key("Other.example.com", "x"), &["x-9"])
        .await
        .unwrap_err();
}
