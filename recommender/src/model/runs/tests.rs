use std::sync::Arc;
use std::time::Duration;

use podfit_cluster::index::Index;
use podfit_cluster::usage::{ContainerUsage, PodUsage};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::HistoryConfig;
use podfit_core::ownership::POD_FAMILY;
use podfit_core::pod::{Container, OwnerRef};
use podfit_core::quantity::{Millicores, Resource};
use podfit_core::runs::{End, Runs};
use podfit_core::vpa::Vpa;

use super::*;
use crate::model::StoredHistory;
use crate::oom::Oom;

const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);
const DAY: Duration = Duration::from_hours(24);

fn target() -> ControllerKey {
    ControllerKey::new("ns", POD_FAMILY, "etl")
}

/// A bare pod of the family `etl`.
fn pod(name: &str, container: &str) -> Pod {
    Pod {
        namespace: "ns".into(),
        name: name.into(),
        uid: name.into(),
        family: Some("etl".into()),
        containers: vec![Container {
            name: container.into(),
            ..Container::default()
        }],
        ..Pod::default()
    }
}

fn view(pods: &[Pod]) -> View {
    let mut index = Index::default();
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
    for pod in pods {
        let key = (pod.namespace.clone(), pod.name.clone());
        index.pods.insert(key, Arc::new(pod.clone()));
    }
    View::of(&index, &"default".into())
}

/// One loop with these pods, of which all are measured.
fn measured(model: &mut Model, pods: &[Pod], at: Timestamp, memory: i64) {
    let view = view(pods);
    for pod in pods {
        let usage = PodUsage {
            namespace: "ns".into(),
            pod: pod.name.clone(),
            at,
            containers: vec![ContainerUsage {
                name: pod.containers[0].name.clone(),
                cpu: Some(Millicores(100)),
                memory: Some(Bytes(memory)),
            }],
        };
        model.add_usage(&view, &usage, at, |_, _, _| {});
    }
    model.end_runs(&view, &[], at);
    model.collect(&view, at);
}

fn runs_of<'a>(model: &'a Model, container: &str) -> &'a Runs {
    let histories = model.histories(&target());
    let (_, history) = histories
        .into_iter()
        .find(|(name, _)| *name == container)
        .unwrap();
    history.runs().unwrap()
}

/// Nightly, with nothing in between, for half a year: only the number of runs counts.
#[test]
fn a_family_is_kept_and_ages_by_runs() {
    let mut model = Model::new(HistoryConfig::default());
    for night in 0..180_i64 {
        let (name, at) = (night.to_string(), T0 + DAY * night as u32);
        measured(&mut model, &[pod(&name, "main")], at, 1000 + night);
        measured(&mut model, &[], at + DAY / 2, 0);
    }
    let figures = runs_of(&model, "main").figures(Resource::Memory);
    assert_eq!(figures, (1160..1180).collect::<Vec<_>>());
    let year = T0 + DAY * 600;
    measured(&mut model, &[], year, 0);
    assert_eq!(runs_of(&model, "main").ended().len(), 20);
    // Another container of the same family runs while this one does not, for weeks.
    for n in 0..5 {
        let name = format!("other-{n}");
        measured(
            &mut model,
            &[pod(&name, "other")],
            year + DAY * (10 * n),
            500,
        );
    }
    assert_eq!(runs_of(&model, "main").ended().len(), 20);
    assert_eq!(runs_of(&model, "other").ended().len(), 4);
    // Until it has run so often that nobody remembers the other.
    for n in 0..20 {
        let name = format!("another-{n}");
        measured(
            &mut model,
            &[pod(&name, "other")],
            year + DAY * (50 + n),
            500,
        );
    }
    assert_eq!(model.histories(&target()).len(), 1);
}

/// What the watch saw ends a run at its time; what was never measured is counted.
#[test]
fn ends_are_taken_from_the_watch() {
    let mut model = Model::new(HistoryConfig::default());
    measured(&mut model, &[pod("a", "main")], T0, 1000);
    let ended = |name: &str, how| EndedRun {
        target: Arc::new(target()),
        pod: Arc::new(pod(name, "main")),
        how,
        at: T0 + DAY,
    };
    let all = [
        ended("a", End::Whole),
        ended("short", End::Whole),
        ended("short", End::Whole),
    ];
    model.end_runs(&view(&[]), &all[..2], T0 + DAY);
    let runs = runs_of(&model, "main");
    assert_eq!((runs.ended().len(), runs.unmeasured()), (1, 1));
    assert_eq!(runs.ended().next().unwrap().until, T0 + DAY);
}

/// Killed without ever being measured, and a restart after it: the next run is given more all the same.
#[test]
fn a_kill_of_a_run_outlives_a_restart_and_counts_once() {
    let config = HistoryConfig::default();
    let mut model = Model::new(config);
    let killed = Oom {
        pod: pod("a", "main"),
        container: "main".into(),
        at: T0,
        memory: Bytes(1 << 30),
    };
    let empty = view(&[]);
    assert!(model.record_oom(&empty, &target(), &killed, T0));
    let ended = EndedRun {
        target: Arc::new(target()),
        pod: Arc::new(pod("a", "main")),
        how: End::Failed,
        at: T0,
    };
    model.end_runs(&empty, &[ended], T0);
    let stored = model.to_be_stored(&target(), "main", T0 + DAY).unwrap();
    let stored = Checkpoint::encode(&stored.history, T0 + DAY);
    let now = T0 + DAY * 100;
    let mut restarted = Model::new(config);
    let history = stored.decode(&config, now).unwrap();
    let open = std::collections::BTreeMap::new();
    restarted.absorb(&target(), "main", StoredHistory { history, open }, now);
    // The pod is still there, and listed again.
    assert!(!restarted.record_oom(&empty, &target(), &killed, now));
    restarted.end_runs(&empty, &[], now);
    for model in [&model, &restarted] {
        let histories = model.histories(&target());
        let floor = histories[0].1.oom_floor(&config, now).unwrap();
        assert_eq!((floor.bytes, floor.climbs), (Bytes(1_288_490_188), 0));
    }
}
