use std::sync::Arc;

use podfit_core::disruption::Workload;
use podfit_core::pod::Pod;
use prometheus::proto::{Bucket, LabelPair, MetricFamily, MetricType};

use super::*;

const UPSTREAM: &str = include_str!("upstream-metrics.csv");

fn workload(name: &str, mode: UpdateMode, pods: usize) -> Workload {
    Workload {
        vpa: Arc::new(Vpa {
            namespace: "ns".into(),
            name: name.into(),
            update_mode: mode,
            ..Vpa::default()
        }),
        pods: vec![Arc::default(); pods],
        ..Workload::default()
    }
}

fn decision(workload: &Workload, action: Action, reason: UpdateReason) -> Decision {
    Decision {
        pod: Arc::new(Pod::default()),
        vpa: Arc::clone(&workload.vpa),
        action,
        reason,
    }
}

/// Metrics after a loop in which each was counted.
fn counted() -> Registry {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let snapshot = Snapshot {
        workloads: vec![
            workload("a", UpdateMode::Recreate, 5),
            workload("b", UpdateMode::InPlace, 1),
        ],
        ..Snapshot::default()
    };
    let [a, b] = &snapshot.workloads[..] else {
        panic!()
    };
    let none = UpdateReason::UpToDate;
    let decisions = [
        decision(a, Action::Evict(vec![]), none.clone()),
        decision(a, Action::Evict(vec![]), none.clone()),
        decision(b, Action::Resize(vec![]), none.clone()),
        decision(b, Action::Unboost(vec![]), none),
        decision(b, Action::Skip, UpdateReason::ResizeRefused),
    ];
    let sizes = Sizes::new(&snapshot);
    metrics.plan(&snapshot, &decisions, &sizes);
    let failed = || Outcome::Failed(String::new());
    let outcomes = [
        (&decisions[0], Outcome::Done),
        (&decisions[1], failed()),
        (&decisions[2], Outcome::Done),
        (&decisions[2], Outcome::Infeasible(String::new())),
        (&decisions[2], failed()),
        (&decisions[3], failed()),
    ];
    for (decision, outcome) in &outcomes {
        metrics.outcome(decision, outcome, sizes.of(&decision.vpa));
    }
    metrics.done(&outcomes, &sizes);
    metrics
        .execution_latency
        .with_label_values(&["total"])
        .observe(1.0);
    registry
}

fn family(registry: &Registry, name: &str) -> Option<MetricFamily> {
    registry.gather().into_iter().find(|f| f.name() == name)
}

/// A row of the table, of what is there.
fn row(registry: &Registry, name: &str) -> String {
    let Some(family) = family(registry, name) else {
        return format!("{name} is missing");
    };
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY | MetricType::UNTYPED => "another type",
    };
    let metric = &family.get_metric()[0];
    let mut labels: Vec<_> = metric.get_label().iter().map(LabelPair::name).collect();
    labels.sort_unstable();
    let bounds: Vec<_> = metric
        .get_histogram()
        .get_bucket()
        .iter()
        .map(Bucket::upper_bound)
        .collect();
    let buckets = match (bounds.first(), bounds.last()) {
        (Some(first), Some(last)) => format!("{first},{last},{}", bounds.len()),
        _ => ",,".into(),
    };
    format!("{name},{kind},{},{buckets}", labels.join(" "))
}

#[test]
fn names_labels_and_buckets_are_upstreams() {
    let registry = counted();
    for expected in UPSTREAM.lines().skip(1) {
        let name = expected.split(',').next().unwrap_or_default();
        assert_eq!(row(&registry, name), expected);
    }
}

/// The values of a metric, each after those of its labels.
fn values(registry: &Registry, name: &str) -> Vec<(String, i64)> {
    let family = family(registry, &format!("vpa_updater_{name}")).unwrap();
    let value = |m: &prometheus::proto::Metric| {
        let labels: Vec<_> = m.get_label().iter().map(LabelPair::value).collect();
        let value = m.get_gauge().get_value() + m.get_counter().get_value();
        (labels.join(" "), value as i64)
    };
    family.get_metric().iter().map(value).collect()
}

#[test]
fn a_loop_is_counted_by_vpa_and_by_size() {
    let registry = counted();
    let one = |label: &str, value| vec![(label.to_owned(), value)];
    for (name, want) in [
        (
            "controlled_pods_total",
            [one("InPlace 0", 1), one("Recreate 2", 5)].concat(),
        ),
        ("evictable_pods_total", one("Recreate 2", 2)),
        ("vpas_with_evictable_pods_total", one("Recreate 2", 1)),
        ("evicted_pods_total", one("Recreate a ns 2", 1)),
        ("in_place_updatable_pods_total", one("0", 2)),
        ("vpas_with_in_place_updatable_pods_total", one("0", 1)),
        (
            "failed_eviction_attempts_total",
            one("EvictionError Recreate a ns 2", 1),
        ),
        (
            "failed_in_place_update_attempts_total",
            [
                one("InPlaceUpdateError b ns 0", 1),
                one("InPlaceUpdateInfeasible b ns 0", 1),
                one("UnboostError b ns 0", 1),
            ]
            .concat(),
        ),
        ("in_place_updated_pods_total", one("b ns 0", 1)),
        ("in_place_infeasible_skip_pods_total", one("b ns 0", 1)),
    ] {
        assert_eq!(values(&registry, name), want, "{name}");
    }
}

/// Vectors 11.10: VPAs of one size and mode add up; and section 9, item 22: there is no size too large for a label.
#[test]
fn vpas_of_one_size_and_mode_add_up() {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let rows = include_str!("../../testdata/size_gauges.csv");
    let rows: Vec<Vec<&str>> = rows
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').collect())
        .collect();
    let mut snapshot = Snapshot::default();
    let mut decisions = Vec::new();
    for (i, row) in rows.iter().filter(|row| row[0] == "in").enumerate() {
        let mode = UpdateMode::from_name(row[2]).unwrap();
        let workload = workload(&format!("vpa-{i}"), mode, row[1].parse().unwrap());
        for _ in 0..row[3].parse().unwrap() {
            let action = Action::Evict(vec![]);
            decisions.push(decision(&workload, action, UpdateReason::UpToDate));
        }
        snapshot.workloads.push(workload);
    }
    metrics.plan(&snapshot, &decisions, &Sizes::new(&snapshot));
    let mut want: Vec<_> = rows
        .iter()
        .filter(|row| row[0] == "out")
        .map(|row| (format!("{} {}", row[2], row[1]), row[3].parse().unwrap()))
        .collect();
    want.sort();
    assert_eq!(values(&registry, "evictable_pods_total"), want);
}
