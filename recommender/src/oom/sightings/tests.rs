use std::collections::HashSet;

use podfit_core::ownership::{Controller, of_well_known};
use podfit_core::pod::{Container, ContainerStatus, OwnerRef, Termination};
use podfit_core::quantity::{Bytes, ResourceList};
use podfit_core::vpa::Vpa;
use serde_json::json;

use super::*;

/// 2026-11-26T09:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_683_600);

fn owner(kind: &str, name: &str) -> OwnerRef {
    OwnerRef {
        api_version: "batch/v1".into(),
        kind: of_well_known(kind),
        name: name.into(),
    }
}

/// A pod of the Job `night-1`, whose container `app` was killed at these seconds: the earlier time is of the run before.
fn pod(uid: &str, kills: &[i64]) -> Pod {
    let mut kills = kills.iter().rev().map(|second| {
        Box::new(Termination {
            reason: "OOMKilled".into(),
            started: None,
            finished: Some(Timestamp::from_unix_seconds(*second)),
        })
    });
    let status = ContainerStatus {
        terminated: kills.next(),
        last_terminated: kills.next(),
        ..ContainerStatus::default()
    };
    let container = Container {
        name: "app".into(),
        limits: ResourceList {
            cpu: None,
            memory: Some(Bytes(1000)),
        },
        status: Some(status),
        ..Container::default()
    };
    Pod {
        namespace: "ns".into(),
        name: format!("night-1-{uid}"),
        uid: uid.into(),
        owner: Some(owner("Job", "night-1")),
        containers: vec![container],
        ..Pod::default()
    }
}

/// A VPA on the CronJob `night`, which owns the Job `night-1`, which runs `pods`.
fn index(pods: &[&Pod]) -> Index {
    let mut index = Index::default();
    for (kind, name, owner) in [
        ("CronJob", "night", None),
        ("Job", "night-1", Some(owner("CronJob", "night"))),
    ] {
        let controller = Controller::owned_by(owner);
        index
            .owners
            .apply(ControllerKey::new("ns", kind, name), controller);
    }
    index.vpas.apply(Vpa {
        namespace: "ns".into(),
        name: "night".into(),
        target: Some(owner("CronJob", "night")),
        ..Vpa::default()
    });
    for pod in pods {
        let key = (pod.namespace.clone(), pod.name.clone());
        index.pods.insert(key, Arc::new((*pod).clone()));
    }
    index
}

fn event(uid: &str, containers: &str, usages: &str, time: &str) -> EventObject {
    serde_json::from_value(json!({
        "metadata": {
            "creationTimestamp": time,
            "annotations": {
                "offending_containers": containers,
                "offending_containers_usage": usages,
                "starved_resource": "memory",
            },
        },
        "reason": "Evicted",
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": format!("night-1-{uid}"), "uid": uid},
    }))
    .unwrap()
}

/// Kills found, as target, pod, second (of events: since nine o'clock) and bytes.
fn told(sightings: &Sightings, index: &Index) -> Vec<String> {
    let view = View::of(index, &"default".into());
    let kills = sightings.kills(&view, &mut Observer::default());
    let text = |(target, oom): &(Arc<ControllerKey>, Oom)| {
        let second = oom.at.unix_seconds();
        let second = if second > 1000 {
            second - NOW.unix_seconds()
        } else {
            second
        };
        format!(
            "{} {} {} {second} {}",
            target.name, oom.pod.uid, oom.container, oom.memory.0
        )
    };
    kills.iter().map(text).collect()
}

#[test]
fn kills_of_pods_that_are_gone_count() {
    let sightings = Sightings::default();
    let before = index(&[]);
    sightings.pods(&Change::Delete(pod("a", &[5])), &before);
    let mut failed = pod("b", &[6]);
    failed.phase = Phase::Failed;
    sightings.pods(&Change::Apply(failed.clone()), &before);
    sightings.pods(&Change::Apply(failed), &before);
    sightings.pods(&Change::Delete(pod("c", &[])), &before);
    let mut after = index(&[]);
    let job = ControllerKey::new("ns", "Job", "night-1");
    after.owners.delete(&job);
    assert_eq!(
        told(&sightings, &after),
        ["night a app 5 1000", "night b app 6 1000"]
    );
    assert_eq!(told(&sightings, &after), [""; 0]);
}

#[test]
fn no_kill_of_a_live_pod_is_missed_between_two_looks() {
    let sightings = Sightings::default();
    let states = [pod("a", &[5]), pod("a", &[5, 7]), pod("a", &[])];
    for state in &states {
        sightings.pods(&Change::Apply(state.clone()), &index(&[]));
    }
    let seen = told(&sightings, &index(&[&states[2]]));
    assert_eq!(seen, ["night a app 5 1000", "night a app 7 1000"]);
    assert_eq!(
        told(&sightings, &index(&[&states[1]])),
        ["night a app 7 1000"]
    );
}

#[test]
fn an_eviction_counts_for_live_and_for_gone_pods_with_what_was_used() {
    let sightings = Sightings::default();
    let live = pod("a", &[]);
    let with_pods = index(&[&live, &pod("c", &[])]);
    sightings.pods(&Change::Delete(pod("b", &[])), &with_pods);
    sightings.pods(&Change::Delete(pod("old", &[])), &with_pods);
    let listed = HashSet::from([(live.namespace.clone(), live.name.clone())]);
    sightings.pods(&Change::Listed(listed), &with_pods);
    let now = "2026-11-26T08:59:59Z";
    for event in [
        event("a", "app", "2Ki", now),
        event("b", "app,stranger", "3Ki,1", now),
        event("c", "app", "4Ki", now),
        event("stranger", "app", "5Ki", now),
        event("a", "app", "lots", now),
        event("old", "app", "6Ki", "2026-11-26T07:59:59Z"),
    ] {
        sightings.event(&event, Profile::Safe, NOW);
    }
    let again = event("c", "app", "4Ki", now);
    sightings.event(&again, Profile::Safe, NOW);
    let expected = [
        "night a app -1 2048",
        "night b app -1 3072",
        "night c app -1 4096",
    ];
    assert_eq!(told(&sightings, &index(&[&live])), expected);
    sightings.event(&again, Profile::Safe, NOW);
    assert_eq!(told(&sightings, &index(&[&live])), [""; 0]);
}

#[test]
fn the_queue_is_bounded() {
    let sightings = Sightings::default();
    let index = index(&[]);
    for n in 0..=MOST {
        let uid = n.to_string();
        sightings.pods(&Change::Delete(pod(&uid, &[5])), &index);
        let event = event(&uid, "app", "1Ki", "2026-11-26T08:59:59Z");
        sightings.event(&event, Profile::Safe, NOW);
    }
    let seen = sightings.lock();
    assert_eq!(
        (seen.killed.len(), seen.evictions.len(), seen.dropped),
        (MOST, MOST, 2)
    );
}

/// However often an ended pod is told, its run ended once, and when its last container did. Pods that are no runs are none.
#[test]
fn a_run_ends_once() {
    let ended_at = Timestamp::from_unix_seconds(900);
    let ended = |uid: &str, reason: &str, phase: Phase| {
        let mut pod = pod(uid, &[]);
        pod.family = Some("etl".into());
        pod.phase = phase;
        if let Some(status) = &mut pod.containers[0].status {
            status.terminated = Some(Box::new(Termination {
                reason: reason.into(),
                started: None,
                finished: Some(ended_at),
            }));
        }
        pod
    };
    let mut index = index(&[]);
    index.vpas.apply(Vpa {
        namespace: "ns".into(),
        name: "etl".into(),
        target: Some(OwnerRef {
            api_version: "podfit.dev/v1".into(),
            kind: "PodFamily".into(),
            name: "etl".into(),
        }),
        ..Vpa::default()
    });
    let sightings = Sightings::default();
    let (good, bad) = (
        ended("good", "Completed", Phase::Succeeded),
        ended("bad", "Error", Phase::Failed),
    );
    let other = Pod {
        family: None,
        ..ended("other", "Completed", Phase::Succeeded)
    };
    for change in [
        Change::Apply(good.clone()),
        Change::Apply(good.clone()),
        Change::Delete(good),
        Change::Apply(bad),
        Change::Apply(other),
    ] {
        sightings.pods(&change, &index);
    }
    let view = View::of(&index, &"default".into());
    let told = |ended: &EndedRun| (ended.pod.uid.to_string(), ended.how, ended.at);
    let ended: Vec<_> = sightings.ended(&view).iter().map(told).collect();
    assert_eq!(
        ended,
        [
            ("good".to_owned(), End::Whole, ended_at),
            ("bad".to_owned(), End::Failed, ended_at)
        ]
    );
    assert!(sightings.ended(&view).is_empty());
}
