use podfit_cluster::api::pod::PodObject;
use podfit_core::pod::{ContainerStatus, EffectiveResources, Termination};
use podfit_core::quantity::ResourceList;
use serde_json::{Value, json};

use super::*;

fn memory(bytes: i64) -> ResourceList {
    ResourceList {
        cpu: None,
        memory: Some(Bytes(bytes)),
    }
}

fn ended(reason: &str, second: i64) -> Termination {
    Termination {
        reason: reason.into(),
        started: None,
        finished: Some(Timestamp::from_unix_seconds(second)),
    }
}

fn pod(status: ContainerStatus) -> Pod {
    let container = Container {
        name: "app".into(),
        requests: memory(1024),
        status: Some(status),
        ..Container::default()
    };
    Pod {
        uid: "u".into(),
        containers: vec![container],
        ..Pod::default()
    }
}

#[test]
fn each_kill_is_told_once_with_what_the_container_was_allowed() {
    let mut observer = Observer::default();
    let mut told = |status| {
        observer
            .look(&pod(status), false)
            .into_iter()
            .map(|o| (o.at.unix_seconds(), o.memory.0))
            .collect::<Vec<_>>()
    };
    let running = || ContainerStatus {
        running: true,
        ..ContainerStatus::default()
    };
    assert_eq!(told(running()), []);
    assert_eq!(
        told(ContainerStatus {
            terminated: Some(ended("Error", 1).into()),
            ..ContainerStatus::default()
        }),
        []
    );
    assert_eq!(
        told(ContainerStatus {
            terminated: Some(ended("OOMKilled", 5).into()),
            ..ContainerStatus::default()
        }),
        [(5, 1024)]
    );
    assert_eq!(
        told(ContainerStatus {
            last_terminated: Some(ended("OOMKilled", 5).into()),
            ..running()
        }),
        []
    );
    let grown = EffectiveResources {
        requests: memory(1024),
        limits: memory(4096),
    };
    let again = ContainerStatus {
        last_terminated: Some(ended("OOMKilled", 9).into()),
        resources: Some(grown),
        ..running()
    };
    assert_eq!(told(again), [(9, 4096)]);
}

#[test]
fn a_forgotten_pod_starts_afresh() {
    let mut observer = Observer::default();
    let killed = pod(ContainerStatus {
        terminated: Some(ended("OOMKilled", 5).into()),
        ..ContainerStatus::default()
    });
    assert_eq!(
        (
            observer.look(&killed, true).len(),
            observer.look(&killed, true).len()
        ),
        (1, 0)
    );
    observer.retain(|_| false);
    assert_eq!(observer.look(&killed, true).len(), 1);
}

#[test]
fn a_limit_raised_in_place_is_no_evidence_until_the_pod_is_made_anew() {
    let with_limit = |limit: i64, killed_at: Option<i64>| {
        pod(ContainerStatus {
            running: true,
            resources: Some(EffectiveResources {
                requests: ResourceList::default(),
                limits: memory(limit),
            }),
            last_terminated: killed_at.map(|second| ended("OOMKilled", second).into()),
            ..ContainerStatus::default()
        })
    };
    for (replaceable, expected) in [(true, [300, 300]), (false, [300, 488])] {
        let mut observer = Observer::default();
        let mut evidence = |pod: Pod| observer.look(&pod, replaceable).first().map(|o| o.memory.0);
        assert_eq!(evidence(with_limit(300, None)), None);
        let seen = [
            evidence(with_limit(300, Some(1))),
            evidence(with_limit(488, Some(2))),
        ];
        assert_eq!(seen, expected.map(Some), "{replaceable}");
        let anew = Pod {
            uid: "new".into(),
            ..with_limit(488, Some(3))
        };
        assert_eq!(evidence(anew), Some(488));
    }
}

/// A container that requests 1024 and may use 4096.
#[test]
fn a_kill_counts_from_the_limit_and_in_profile_upstream_from_the_request() {
    let resources = EffectiveResources {
        requests: memory(1024),
        limits: memory(4096),
    };
    let killed = pod(ContainerStatus {
        terminated: Some(ended("OOMKilled", 5).into()),
        resources: Some(resources),
        ..ContainerStatus::default()
    });
    for (profile, expected) in [(Profile::Safe, 4096), (Profile::Upstream, 1024)] {
        let told = Observer::new(profile).look(&killed, true);
        assert_eq!(told[0].memory, Bytes(expected), "{profile:?}");
    }
}

/// Upstream's observer rows: the state before, the state after, and the memory of the kill told then.
#[test]
fn kills_are_told_as_upstream_tells_them() {
    let rows: Vec<Value> =
        serde_json::from_str(include_str!("../../testdata/oom_statuses.json")).unwrap();
    for row in rows {
        let state = |which: &str| {
            let mut status = row[which].clone();
            status["name"] = "app".into();
            for end in ["/state/terminated", "/lastState/terminated"] {
                if let Some(end) = status.pointer_mut(end) {
                    end["finishedAt"] = "2018-02-23T13:38:48Z".into();
                }
            }
            let request = row.get("request").cloned().unwrap_or_else(|| "1024".into());
            let requests = json!({"requests": {"memory": request}});
            let object: PodObject = serde_json::from_value(json!({
                "metadata": {"uid": "u"},
                "spec": {"containers": [{"name": "app", "resources": requests}]},
                "status": {"containerStatuses": [status]},
            }))
            .unwrap();
            Pod::from(&object)
        };
        let mut observer = Observer::default();
        observer.look(&state("old"), true);
        let told = observer.look(&state("new"), true);
        let told: Vec<_> = told
            .iter()
            .map(|o| (o.at.unix_seconds(), o.memory.0))
            .collect();
        let expected = row["memory"].as_i64().map(|m| (1_519_393_128, m));
        assert_eq!(told, Vec::from_iter(expected), "{}", row["case"]);
    }
}
