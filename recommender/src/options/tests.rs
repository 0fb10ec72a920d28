//! Defaults, and what is told of wrong values.

use clap::CommandFactory;
use podfit_cluster::options::upstream::differences;

use super::*;
use crate::rows::rows;

fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
    Options::try_parse_from([&["podfit-recommender"], arguments].concat())
}

#[test]
fn ignored_namespaces_are_not_looked_at() {
    for row in rows(include_str!("../../testdata/namespaces.csv")) {
        let ignored = row[0].split_whitespace().collect::<Vec<_>>().join(",");
        let mut flags = Vec::new();
        if !ignored.is_empty() {
            flags.push(format!("--ignored-vpa-object-namespaces={ignored}"));
        }
        if !row[1].is_empty() {
            flags.push(format!("--vpa-object-namespace={}", row[1]));
        }
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let covered = parse(&flags).unwrap().cluster.covers(row[2]);
        assert_eq!(covered, row[3] == "yes", "{row:?}");
    }
}

#[test]
fn defaults_are_upstreams() {
    let components = ["common", "leader-election", "recommender"];
    assert_eq!(
        differences(&Options::command(), &components),
        [] as [String; 0]
    );
    let options = parse(&[]).unwrap();
    assert_eq!(options.recommender_interval.0.as_secs(), 60);
    assert_eq!(options.address.port(), 8942);
    assert!((options.estimate.recommendation_margin_fraction - 0.15).abs() < f64::EPSILON);
    assert_eq!(options.history.memory_aggregation_interval_count, 8);
    assert!(options.leader_election.leader_elect);
    assert_eq!(options.history(), HistoryConfig::default());
    assert_eq!(options.estimator(), EstimatorConfig::default());
}

#[test]
fn wrong_values_are_refused_with_what_is_wrong() {
    let cases = [
        ("--recommender-interval=10", "write it like"),
        ("--target-cpu-percentile=90", "between 0 and 1"),
        (
            "--recommendation-margin-fraction=-1",
            "must not be negative",
        ),
        ("--oom-bump-up-ratio=0.5", "1 or more"),
        ("--cpu-histogram-decay-half-life=0", "longer than nothing"),
        ("--container-recommendation-max-allowed-cpu=lots", "lots"),
        ("--round-cpu-millicores=0", "0"),
        ("--no-such-flag", "--no-such-flag"),
    ];
    for (argument, told) in cases {
        let error = parse(&[argument]).unwrap_err().to_string();
        assert!(error.contains(told), "{argument}: {error}");
    }
}

#[test]
fn the_last_of_repeated_flags_wins() {
    let options = parse(&[
        "--recommender-interval=1s",
        "--v=4",
        "--v=6",
        "--recommender-interval=5s",
    ])
    .unwrap();
    assert_eq!(options.recommender_interval.0.as_secs(), 5);
    assert_eq!(options.logs.verbosity, 6);
}

#[test]
fn feature_gates_add_up_over_repeated_flags() {
    let gates = |arguments: &[&str]| {
        let gates = parse(arguments).unwrap().cluster.gates();
        (
            gates.in_place,
            gates.per_vpa_config,
            gates.cpu_startup_boost,
        )
    };
    assert_eq!(gates(&[]), (true, false, false));
    assert_eq!(gates(&["--profile=upstream"]), (false, false, false));
    let repeated = [
        "--feature-gates=InPlace=false,PerVPAConfig=true",
        "--feature-gates=CPUStartupBoost=true",
    ];
    assert_eq!(gates(&repeated), (false, true, true));
    let error = parse(&["--feature-gates=NativeSidecar=true"]).unwrap_err();
    assert!(
        error.to_string().contains("no gate `NativeSidecar`"),
        "{error}"
    );
}

#[test]
fn storage_is_named_as_in_upstreams_docs() {
    for (given, expected) in [
        ("--storage=", Storage::Checkpoint),
        ("--storage=checkpoint", Storage::Checkpoint),
        ("--storage=prometheus", Storage::Prometheus),
    ] {
        assert_eq!(parse(&[given]).unwrap().storage, expected);
    }
    let error = parse(&["--storage=promethius"]).unwrap_err().to_string();
    assert!(error.contains("write checkpoint or prometheus"), "{error}");
}
