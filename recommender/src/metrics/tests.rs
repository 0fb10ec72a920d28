//! Names, labels and buckets are upstream's; numbers go where they belong.

use podfit_core::quantity::{Millicores, Resource, ResourceList};
use podfit_core::vpa::ContainerRecommendation;
use prometheus::proto::{Bucket, LabelPair, MetricFamily, MetricType};

use super::*;

const UPSTREAM: &str = include_str!("upstream-metrics.csv");

/// Metrics of which each was counted at least once.
fn counted() -> (Metrics, Registry) {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    metrics.clear_vpas();
    metrics.count_vpa(&Vpa::default(), true, 0, true);
    metrics.count_usage_response(true);
    metrics.count_resources_of(&Container::default());
    metrics.count_status_write(WriteOutcome::Written);
    metrics
        .execution_latency
        .with_label_values(&["total"])
        .observe(1.0);
    let mut samples = metrics.quality.samples();
    for resource in Resource::ALL {
        let key = Key {
            mode: UpdateMode::Recreate,
            resource,
            is_oom: false,
        };
        samples.observe(key, 250, Some(500));
        samples.observe(key, 750, Some(500));
        samples.observe(key, 250, None);
    }
    drop(samples);
    let recommended = |cpu| ContainerRecommendation {
        uncapped_target: ResourceList {
            cpu: Some(Millicores(cpu)),
            memory: None,
        },
        ..ContainerRecommendation::default()
    };
    metrics
        .quality
        .observe_change(&recommended(100), &recommended(150), (UpdateMode::Off, 5));
    (metrics, registry)
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
    let (_, registry) = counted();
    for expected in UPSTREAM.lines().skip(1) {
        let name = expected.split(',').next().unwrap_or_default();
        assert_eq!(row(&registry, name), expected);
    }
}

#[test]
fn every_combination_of_labels_is_counted_from_zero() {
    let (metrics, registry) = counted();
    let of = |registry: &Registry| {
        let family = family(registry, "vpa_recommender_vpa_objects_count").unwrap();
        let metrics = family.get_metric();
        let sum: f64 = metrics.iter().map(|m| m.get_gauge().get_value()).sum();
        (metrics.len(), sum)
    };
    assert_eq!(of(&registry), (144, 1.0));
    metrics.clear_vpas();
    assert_eq!(of(&registry), (144, 0.0));
}

/// Of three samples one lies below, one above, and one met no recommendation.
#[test]
fn samples_count_on_their_side() {
    let (_, registry) = counted();
    let counts = |name: &str| {
        let family = family(&registry, name).unwrap();
        let mut counts: Vec<_> = family
            .get_metric()
            .iter()
            .map(|m| {
                let missing = m.get_label().iter().find(|l| l.name().ends_with("missing"));
                (
                    missing.map(|l| l.value().to_owned()),
                    m.get_histogram().get_sample_count(),
                    m.get_histogram().get_sample_sum(),
                )
            })
            .collect();
        counts.sort_by(|a, b| a.0.cmp(&b.0));
        counts
    };
    let [no, yes] = ["false", "true"].map(|text| Some(text.to_owned()));
    assert_eq!(
        counts("vpa_quality_cpu_recommendation_over_usage_diffs_cores"),
        [(no.clone(), 1, 0.25)]
    );
    assert_eq!(
        counts("vpa_quality_mem_recommendation_lower_equal_usage_diffs_bytes"),
        [(no, 1, 250.0), (yes, 1, 250.0)]
    );
    assert_eq!(
        counts("vpa_quality_cpu_recommendations_cores"),
        [(None, 2, 1.0)]
    );
    assert_eq!(
        counts("vpa_quality_relative_recommendation_changes"),
        [(None, 1, 0.5)]
    );
    let missing = family(
        &registry,
        "vpa_quality_usage_sample_missing_recommendation_count",
    )
    .unwrap();
    let missing: f64 = missing
        .get_metric()
        .iter()
        .map(|m| m.get_counter().get_value())
        .sum();
    assert!((missing - 2.0).abs() < f64::EPSILON);
}
