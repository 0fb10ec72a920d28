use std::sync::Arc;
use std::time::Duration;

use podfit_cluster::index::Index;
use podfit_core::backfill::{Backfill, BackfillRules};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::estimator::{EstimatorConfig, Method};
use podfit_core::ownership::Controller;
use podfit_core::pod::{Container, OwnerRef, Pod};
use podfit_core::quantity::{Bytes, Millicores};
use podfit_core::recommendation::recommend;
use podfit_core::vpa::{ContainerPolicy, HistoryPolicy, Vpa};

use super::*;
use crate::rows::rows;

const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

fn target() -> ControllerKey {
    ControllerKey::new("ns", "StatefulSet", "db")
}

fn pod(name: &str) -> Pod {
    let owner = OwnerRef {
        api_version: "apps/v1".into(),
        kind: "StatefulSet".into(),
        name: "db".into(),
    };
    let container = Container {
        name: "app".into(),
        ..Container::default()
    };
    Pod {
        namespace: "ns".into(),
        name: name.into(),
        uid: name.into(),
        owner: Some(owner),
        containers: vec![container],
        ..Pod::default()
    }
}

fn view(pods: &[&str]) -> View {
    view_of(&pods.iter().map(|name| pod(name)).collect::<Vec<_>>(), true)
}

fn view_with_policies(container_policies: Vec<ContainerPolicy>) -> View {
    let mut index = Index::default();
    index.owners.apply(target(), Controller::default());
    index.vpas.apply(Vpa {
        namespace: "ns".into(),
        name: "db".into(),
        target: pod("").owner,
        container_policies,
        ..Vpa::default()
    });
    View::of(&index, &"default".into())
}

/// With the pods, and with a VPA if `sized`.
fn view_of(pods: &[Pod], sized: bool) -> View {
    let mut index = Index::default();
    index.owners.apply(target(), Controller::default());
    if sized {
        index.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: "db".into(),
            target: pod("").owner,
            ..Vpa::default()
        });
    }
    for pod in pods {
        index
            .pods
            .insert(("ns".into(), pod.name.clone()), Arc::new(pod.clone()));
    }
    View::of(&index, &"default".into())
}

fn usage(pod: &str, container: &str, second: u64) -> PodUsage {
    PodUsage {
        namespace: "ns".into(),
        pod: pod.into(),
        at: T0 + Duration::from_secs(second),
        containers: vec![ContainerUsage {
            name: container.into(),
            cpu: Some(Millicores(100)),
            memory: Some(Bytes(1 << 30)),
        }],
    }
}

fn add(model: &mut Model, view: &View, usage: &PodUsage) {
    model.add_usage(view, usage, T0 + Duration::from_hours(1), |_, _, _| {});
}

fn samples(model: &Model) -> u64 {
    model
        .histories(&target())
        .iter()
        .map(|(_, h)| h.total_samples())
        .sum()
}

#[test]
fn only_usage_of_known_containers_of_pods_in_view_counts_and_once() {
    let (mut model, view) = (
        Model::new(HistoryConfig::default()),
        view(&["db-0", "db-1"]),
    );
    for row in rows(include_str!("../../testdata/usage.csv")) {
        let before = samples(&model);
        add(
            &mut model,
            &view,
            &usage(row[0], row[1], row[2].parse().unwrap()),
        );
        let counted = samples(&model) - before;
        assert_eq!(counted, u64::from(row[3] == "yes"), "{row:?}");
    }
    assert_eq!(model.len(), 1, "one history for both pods");
}

fn stored(model: &Model, now: Timestamp) -> StoredHistory {
    model.to_be_stored(&target(), "app", now).unwrap()
}

#[test]
fn what_changed_is_stored_once_and_open_windows_beside_it() {
    let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
    add(&mut model, &view, &usage("db-0", "app", 1));
    let stored = stored(&model, T0 + Duration::from_secs(2));
    assert!(stored.history.memory().is_empty() && !stored.history.cpu().is_empty());
    assert_eq!(stored.open["db-0"].memory_peak, Some(Bytes(1 << 30)));

    let urgent = |model: &Model| {
        model
            .unsaved(&target())
            .map(|u| u.urgent)
            .collect::<Vec<_>>()
    };
    assert_eq!(urgent(&model), [true], "the first peak is the highest");
    model.saved(&target(), "app");
    assert!(urgent(&model).is_empty());
    add(&mut model, &view, &usage("db-0", "app", 61));
    assert_eq!(urgent(&model), [false]);
    assert_eq!(
        model.unsaved(&target()).next().unwrap().covers,
        Duration::from_mins(1)
    );
    let mut more = usage("db-0", "app", 121);
    more.containers[0].memory = Some(Bytes(1 << 31));
    add(&mut model, &view, &more);
    assert_eq!(urgent(&model), [true]);
}

/// A restart in the middle of a memory window, before and after which the metrics API shows the same sample.
#[test]
fn a_restored_history_continues_as_if_there_had_been_no_restart() {
    let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
    add(&mut model, &view, &usage("db-0", "app", 1));
    let now = T0 + Duration::from_secs(2);
    let mut restarted = Model::new(HistoryConfig::default());
    let absorbed = restarted.absorb(&target(), "app", stored(&model, now), now);
    assert_eq!(absorbed, Absorbed::Added);
    for model in [&mut model, &mut restarted] {
        add(model, &view, &usage("db-0", "app", 1));
        let mut less = usage("db-0", "app", 11);
        less.containers[0].memory = Some(Bytes(1 << 20));
        add(model, &view, &less);
    }
    assert_eq!(restarted.histories(&target()), model.histories(&target()));
    assert_eq!(samples(&restarted), 2);
}

/// Seconds of the samples that are stored and known; what becomes of the stored ones, and how many there are then.
#[test]
fn what_is_stored_counts_when_it_says_more() {
    let cases: [(&[u64], &[u64], Absorbed, u64); 5] = [
        (&[1, 2], &[], Absorbed::Added, 2),
        (&[1, 2], &[3, 4, 5], Absorbed::Added, 5),
        (&[1, 2, 3], &[2, 3], Absorbed::Replaced, 3),
        (&[2, 3], &[1, 2, 3], Absorbed::Left, 3),
        (&[1, 2], &[1, 2], Absorbed::Left, 2),
    ];
    let view = view(&["db-0"]);
    let of = |seconds: &[u64]| {
        let mut model = Model::new(HistoryConfig::default());
        for second in seconds {
            add(&mut model, &view, &usage("db-0", "app", *second));
        }
        model
    };
    let now = T0 + Duration::from_secs(10);
    for (stored_seconds, known_seconds, expected, count) in cases {
        let mut model = of(known_seconds);
        let stored = stored(&of(stored_seconds), now);
        let absorbed = model.absorb(&target(), "app", stored, now);
        assert_eq!(
            (absorbed, samples(&model)),
            (expected, count),
            "{stored_seconds:?} {known_seconds:?}"
        );
        // The open window's peak counts once, whatever was merged.
        let peaks = model.histories(&target())[0].1.memory().total();
        let one = of(&[1]).histories(&target())[0].1.memory().total();
        assert!(
            (peaks - one).abs() < one * 0.01 || absorbed == Absorbed::Added,
            "{peaks} {one}"
        );
    }
}

#[test]
fn a_target_of_another_kind_goes_on_with_the_history() {
    let mut model = Model::new(HistoryConfig::default());
    add(&mut model, &view(&["db-0"]), &usage("db-0", "app", 1));
    let rollout = ControllerKey::new("ns", "Rollout.argoproj.io", "db");
    for _ in 0..2 {
        model.carry_over(&target(), &rollout, T0);
    }
    assert_eq!(model.histories(&rollout)[0].1.total_samples(), 1);
    assert_eq!(model.unsaved(&rollout).count(), 1);
}

/// Scaled to zero for a month: what is recommended for the first pod is what was for the last, a kill's evidence included,
/// although that lasts for eight days otherwise; and a restart in between changes nothing.
#[test]
fn a_month_at_zero_changes_no_number() {
    let config = HistoryConfig::default();
    let mut model = Model::new(config);
    let running = view(&["db-0"]);
    for second in 0..100 {
        add(&mut model, &running, &usage("db-0", "app", second));
    }
    let kill = Oom {
        pod: pod("db-0"),
        container: "app".into(),
        at: T0 + Duration::from_secs(100),
        memory: Bytes(4 << 30),
    };
    assert!(model.record_oom(&running, &target(), &kill, T0 + Duration::from_secs(100)));
    let numbers = |model: &Model, now: Timestamp| {
        let vpa = Vpa::default();
        recommend(
            &model.histories(&target()),
            &vpa,
            &EstimatorConfig::default(),
            now,
        )
        .recommendations
    };
    let stopped = T0 + Duration::from_secs(100);
    let last = numbers(&model, stopped);
    assert!(last[0].target.memory > Some(Bytes(5 << 30)));

    let empty = view(&[]);
    let month = T0 + Duration::from_hours(24 * 30);
    for day in 1..=30 {
        let now = T0 + Duration::from_hours(24 * day);
        model.wake(&empty);
        model.keep_pods(&empty);
        model.end_runs(&empty, &[], now);
        model.collect(&empty, now);
    }
    let since = model.last_known(&target()).unwrap();
    assert_eq!(numbers(&model, since), last);
    assert_ne!(
        numbers(&model, month),
        last,
        "the kill would count no more by the clock"
    );

    let mut restarted = Model::new(config);
    let stored = Checkpoint::encode(
        &model.to_be_stored(&target(), "app", month).unwrap().history,
        stopped,
    );
    let history = stored.decode(&config, month).unwrap();
    let stored = StoredHistory {
        history,
        open: BTreeMap::new(),
    };
    restarted.absorb(&target(), "app", stored, month);
    for mut model in [model, restarted] {
        let first = Pod {
            created: Some(month),
            ..pod("db-1")
        };
        model.wake(&view_of(&[first], true));
        assert_eq!(
            numbers(&model, month)[0].target.memory,
            last[0].target.memory
        );
    }
}

#[test]
fn a_workload_at_zero_does_not_age() {
    let (mut model, day) = (
        Model::new(HistoryConfig::default()),
        Duration::from_hours(24),
    );
    let first = view(&["db-0"]);
    for second in 0..100 {
        add(&mut model, &first, &usage("db-0", "app", second));
    }
    let back = T0 + day * 100;
    let empty = view(&[]);
    model.keep_pods(&empty);
    model.collect(&empty, back);
    assert_eq!(samples(&model), 100, "kept for its return");

    let awake = view_of(
        &[Pod {
            created: Some(back),
            ..pod("db-1")
        }],
        true,
    );
    let before = model.histories(&target())[0].1.cpu().percentile(0.9);
    for _ in 0..2 {
        model.wake(&awake);
    }
    let mut busy = usage("db-1", "app", 0);
    busy.at = back + Duration::from_secs(1);
    busy.containers[0].cpu = Some(Millicores(5000));
    model.add_usage(&awake, &busy, busy.at, |_, _, _| {});
    let after = model.histories(&target())[0].1.cpu().percentile(0.9);
    assert!(
        (before - after).abs() < f64::EPSILON,
        "one sample among 101: {before} {after}"
    );
}

#[test]
fn histories_outlive_pods_and_their_vpa_and_end_with_their_lifetime() {
    for row in rows(include_str!("../../testdata/collected.csv")) {
        let config = HistoryConfig {
            memory_interval_count: row[0].parse().unwrap(),
            ..HistoryConfig::default()
        };
        let mut model = Model::new(config);
        if row[1] == "yes" {
            let usage = usage("db-0", "app", 0);
            model.add_usage(&view(&["db-0"]), &usage, T0, |_, _, _| {});
        } else {
            let history = ContainerHistory::new(&config, T0);
            let open = BTreeMap::new();
            model.absorb(&target(), "app", StoredHistory { history, open }, T0);
        }
        assert_eq!(model.len(), 1);
        let mut pod = pod("db-0");
        if row[2] == "without" {
            pod.containers[0].name = "renamed".into();
        }
        let pods = if row[2] == "none" { &[][..] } else { &[pod] };
        let view = view_of(pods, row[3] == "yes");
        model.keep_pods(&view);
        let later = Duration::from_mins(row[4].parse().unwrap());
        model.collect(&view, T0 + later);
        assert_eq!(model.len(), usize::from(row[5] == "yes"), "{row:?}");
    }
}

/// Killed under template `old`; then a pod of template `new` runs.
#[test]
fn a_new_template_that_runs_for_a_day_ends_the_floor() {
    let of_template = |template: &str| Pod {
        revision_hash: Some(template.into()),
        created: Some(T0),
        ..pod("db-0")
    };
    let day = Duration::from_hours(24);
    for (runs, hours, released) in [("old", 48, false), ("new", 23, false), ("new", 24, true)] {
        let mut model = Model::new(HistoryConfig::default());
        let oom = Oom {
            pod: of_template("old"),
            container: "app".into(),
            at: T0,
            memory: Bytes(1 << 30),
        };
        model.record_oom(&View::default(), &target(), &oom, T0);
        model.saved(&target(), "app");
        let view = view_of(&[of_template(runs)], true);
        model.release_oom_floors(&view, T0 + Duration::from_hours(hours));
        let (_, history) = model.histories(&target())[0];
        let config = HistoryConfig::default();
        assert_eq!(history.oom_floor(&config, T0 + day).is_none(), released);
        assert_eq!(model.unsaved(&target()).count(), usize::from(released));
    }
}

/// Gate `PerVPAConfig`: the policy's own bump and interval, and the flags' again when the policy says no more.
#[test]
fn a_policy_says_how_a_history_is_kept() {
    let config = HistoryConfig {
        per_vpa: true,
        ..HistoryConfig::default()
    };
    let says = |oom_bump_up_ratio: Option<i64>| {
        view_with_policies(vec![ContainerPolicy {
            container_name: "*".into(),
            history: HistoryPolicy {
                oom_bump_up_ratio,
                ..HistoryPolicy::default()
            },
            ..ContainerPolicy::default()
        }])
    };
    for (ratio, expected) in [(Some(3000), 3 << 30), (None, (1 << 30) * 12 / 10)] {
        let mut model = Model::new(config);
        let oom = Oom {
            pod: pod("db-0"),
            container: "app".into(),
            at: T0,
            memory: Bytes(1 << 30),
        };
        model.record_oom(&says(ratio), &target(), &oom, T0);
        let (_, history) = model.histories(&target())[0];
        assert_eq!(history.stored_oom_floor().unwrap().bytes, Bytes(expected));
    }
}

/// The window that a pod's past ends with and the one that live samples opened are one, and have one peak.
#[test]
fn a_past_comes_before_what_is_known_of_the_same_pod() {
    let (mut model, view) = (Model::new(HistoryConfig::default()), view(&["db-0"]));
    add(&mut model, &view, &usage("db-0", "app", 60));
    let mut past = Backfill::new(BackfillRules {
        history: HistoryConfig::default(),
        until: [("app".to_owned(), T0 + Duration::from_mins(1))].into(),
        cpu_samples: 1,
    });
    past.add_cpu(("db-0", "app"), T0, 0.1);
    past.add_memory(("db-0", "app"), T0, 2e9);
    assert!(!model.has_past(&target(), T0 - Duration::from_secs(1)));
    model.add_past(&view, &target(), past.finish(), T0);

    assert_eq!(samples(&model), 2);
    assert!(model.has_past(&target(), T0 - Duration::from_secs(1)));
    let histories = model.histories(&target());
    let memory = histories[0].1.memory();
    let peaks = memory.weights().filter(|(_, weight)| *weight > 0.0);
    assert_eq!(peaks.count(), 1);
    assert!(memory.percentile(1.0) >= 2e9);
}

#[test]
fn a_kill_counts_without_any_usage() {
    let mut model = Model::new(HistoryConfig::default());
    let oom = Oom {
        pod: pod("db-0"),
        container: "app".into(),
        at: T0,
        memory: Bytes(1 << 30),
    };
    model.record_oom(&View::default(), &target(), &oom, T0);
    assert!(!model.histories(&target())[0].1.is_empty());
    model.saved(&target(), "app");
    model.record_oom(&View::default(), &target(), &oom, T0);
    assert!(
        model.unsaved(&target()).next().is_none(),
        "the same kill again changes nothing"
    );
}

#[test]
fn what_adaptive_needs_is_kept_where_a_vpa_asks_for_it() {
    let view_asking = |method| {
        let mut index = Index::default();
        index.owners.apply(target(), Controller::default());
        index.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: "db".into(),
            target: pod("").owner,
            method,
            ..Vpa::default()
        });
        let key = ("ns".into(), "db-0".into());
        index.pods.insert(key, Arc::new(pod("db-0")));
        View::of(&index, &"default".into())
    };
    let (asking, silent) = (view_asking(Some(Method::Adaptive)), view_asking(None));
    let mut model = Model::new(HistoryConfig::default());
    for (view, second, kept) in [
        (&silent, 0, false),
        (&asking, 60, true),
        (&silent, 120, false),
    ] {
        let now = T0 + Duration::from_secs(second);
        model.add_usage(view, &usage("db-0", "app", second), now, |_, _, _| {});
        let histories = model.histories(&target());
        assert_eq!(histories[0].1.adaptive().is_some(), kept, "at {second} s");
    }
}

#[test]
fn promises_are_told_beside_how_they_are_kept() {
    let registry = prometheus::Registry::new();
    let kept = crate::metrics::Kept::new(&registry).unwrap();
    let config = HistoryConfig {
        adaptive: true,
        ..HistoryConfig::default()
    };
    let mut model = Model::new(config);
    let view = view(&["db-0"]);
    let told = |model: &Model| {
        kept.show(model.promises(), model.all());
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather());
        text.unwrap()
    };
    for minute in 0..26 * 60 {
        let second = 60 * minute;
        let now = T0 + Duration::from_secs(second);
        model.add_usage(&view, &usage("db-0", "app", second), now, |_, _, _| {});
        if minute == 60 {
            assert!(!told(&model).contains("podfit_"), "{}", told(&model));
        }
    }
    let text = told(&model);
    let name = "podfit_recommender_over_target_ratio";
    for line in [
        "{resource=\"cpu\",which=\"promised\"} 0.01",
        "{resource=\"cpu\",which=\"achieved\"} 0",
        "{resource=\"memory\",which=\"promised\"} 0.02",
        "{resource=\"memory\",which=\"achieved\"} 0",
    ] {
        assert!(text.contains(&format!("{name}{line}\n")), "{text}");
    }
}
