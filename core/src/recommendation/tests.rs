use super::*;
use crate::history::PodContainerWindow;
use crate::profile::Profile;
use crate::quantity::ResourceList;
use crate::rows::{number, rows};

const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);

fn history(millicores: i64, bytes: i64) -> ContainerHistory {
    let config = HistoryConfig::default();
    let mut history = ContainerHistory::new(&config, T0);
    let mut window = PodContainerWindow::default();
    window
        .add_cpu(&mut history, Millicores(millicores), (T0, T0))
        .unwrap();
    window
        .add_memory(&mut history, Bytes(bytes), (T0, T0), &config)
        .unwrap();
    history
}

fn list(cpu: i64, memory: i64) -> ResourceList {
    ResourceList {
        cpu: Some(Millicores(cpu)),
        memory: Some(Bytes(memory)),
    }
}

fn policy(name: &str) -> ContainerPolicy {
    ContainerPolicy {
        container_name: name.into(),
        ..ContainerPolicy::default()
    }
}

/// Upstream's rows: idle containers share the pod's minimum.
#[test]
fn idle_containers_share_the_minimum() {
    let idle = history(1, 1_000_000);
    let config = EstimatorConfig::default();
    for (names, target) in [
        (&["a"][..], list(25, 262_144_000)),
        (&["b", "a"], list(12, 131_072_000)),
    ] {
        let histories: Vec<_> = names.iter().map(|n| (*n, &idle)).collect();
        let result = recommend(&histories, &Vpa::default(), &config, T0);
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        assert_eq!(
            result
                .recommendations
                .iter()
                .map(|r| r.container_name.as_str())
                .collect::<Vec<_>>(),
            sorted
        );
        assert!(
            result
                .recommendations
                .iter()
                .all(|r| r.target == target && r.lower_bound == target)
        );
        assert!(result.reasons.iter().all(|r| r.code() == "Minimum"));
    }
}

#[test]
fn nothing_is_recommended_before_the_first_sample() {
    let empty = ContainerHistory::new(&HistoryConfig::default(), T0);
    let busy = history(400, 300 << 20);
    let result = recommend(
        &[("empty", &empty), ("busy", &busy)],
        &Vpa::default(),
        &EstimatorConfig::default(),
        T0,
    );
    assert_eq!(result.recommendations.len(), 1);
    assert_eq!(result.recommendations[0].target, list(476, 380_258_472));
    // A single sample bounds nothing from above.
    assert!(result.recommendations[0].upper_bound.is_empty());
    assert!(result.reasons.contains(&RecommendationReason::NoSamples {
        container: "empty".into(),
        resource: Resource::Cpu
    }));
}

#[test]
fn policies_drop_filter_and_cap() {
    let busy = history(400, 300 << 20);
    let histories = [("a", &busy), ("b", &busy), ("c", &busy)];
    let container_policies = vec![
        ContainerPolicy {
            off: true,
            ..policy("a")
        },
        ContainerPolicy {
            controlled_resources: Some(vec![Resource::Memory]),
            ..policy("b")
        },
        ContainerPolicy {
            max_allowed: list(100, 1 << 40),
            ..policy("*")
        },
    ];
    let vpa = Vpa {
        container_policies,
        ..Vpa::default()
    };
    let config = EstimatorConfig {
        round_memory: Bytes(1 << 20),
        ..EstimatorConfig::default()
    };
    let result = recommend(&histories, &vpa, &config, T0);
    let names: Vec<_> = result
        .recommendations
        .iter()
        .map(|r| r.container_name.as_str())
        .collect();
    assert_eq!(names, ["b", "c"]);
    let memory = 363 << 20; // 380258472 rounded up
    assert_eq!(
        result.recommendations[0].target,
        ResourceList {
            cpu: None,
            memory: Some(Bytes(memory))
        }
    );
    assert_eq!(result.recommendations[1].target, list(100, memory));
    assert_eq!(result.recommendations[1].uncapped_target, list(476, memory));
    let codes: Vec<_> = result
        .reasons
        .iter()
        .map(RecommendationReason::code)
        .collect();
    assert!(
        codes.contains(&"Capped") && codes.contains(&"PolicyOff"),
        "{codes:?}"
    );
}

/// Profile `safe`: a `minAllowed` below the pod's minimum is what somebody wants. Each row: minAllowed, then the targets
/// of an idle container with profile safe and upstream.
#[test]
fn a_minimum_of_the_policy_beats_that_of_the_pod() {
    let idle = history(1, 1_000_000);
    let upstream = EstimatorConfig {
        history: HistoryConfig {
            profile: Profile::Upstream,
            ..HistoryConfig::default()
        },
        ..EstimatorConfig::default()
    };
    let default = list(25, 250 << 20);
    for (min_allowed, safe, theirs) in [
        (list(0, 0), default, default),
        (list(5, 1 << 20), list(11, 11_500_000), default),
        (list(20, 100 << 20), list(20, 100 << 20), default),
        (
            list(50, 300 << 20),
            list(50, 300 << 20),
            list(50, 300 << 20),
        ),
    ] {
        let vpa = Vpa {
            container_policies: vec![ContainerPolicy {
                min_allowed,
                ..policy("*")
            }],
            ..Vpa::default()
        };
        for (config, target) in [
            (EstimatorConfig::default(), safe),
            (upstream.clone(), theirs),
        ] {
            let result = recommend(&[("a", &idle)], &vpa, &config, T0);
            assert_eq!(result.recommendations[0].target, target, "{min_allowed:?}");
        }
    }
}

#[test]
fn amounts_are_rounded_as_upstream_does() {
    let empty = ContainerHistory::new(&HistoryConfig::default(), T0);
    for row in rows(include_str!("../../testdata/post_processors.csv")) {
        let whole = |i: usize| number::<i64>(row[i]).unwrap();
        let config = EstimatorConfig {
            humanize_memory: row[2] == "yes",
            round_cpu: Millicores(whole(3)),
            round_memory: Bytes(whole(4)),
            ..EstimatorConfig::default()
        };
        let container = Container {
            name: "app",
            history: &empty,
            policy: None,
            integer_cpu: row[5] == "yes",
            config: &config,
        };
        let rounded = |resource, amount| {
            let mut derivation = Derivation::new(0.9, Some(amount));
            container.round(resource, &mut derivation);
            derivation.amount()
        };
        assert_eq!(rounded(Resource::Cpu, whole(0)), whole(6), "{row:?}");
        let memory = Bytes(rounded(Resource::Memory, whole(1)));
        assert_eq!(Ok(memory), Bytes::parse(row[7]), "{row:?}");
    }
}

/// Vectors 9: only the container that the annotation names, and only with `true`.
#[test]
fn an_annotation_names_the_container_with_whole_cores() {
    let with = |key: &str, value: &str| Vpa {
        annotations: [(key.to_owned(), value.to_owned())].into(),
        ..Vpa::default()
    };
    for (key, value, expected) in [
        (
            "vpa-post-processor.kubernetes.io/kafka_integerCPU",
            "true",
            true,
        ),
        (
            "vpa-post-processor.kubernetes.io/kafka_integerCPU",
            "yes",
            false,
        ),
        (
            "vpa-post-processor.kubernetes.io/zookeeper_integerCPU",
            "true",
            false,
        ),
        ("vpa-post-processor.kubernetes.io/kafka", "true", false),
        ("kafka_integerCPU", "true", false),
    ] {
        assert_eq!(
            with(key, value).wants_integer_cpu("kafka"),
            expected,
            "{key}: {value}"
        );
    }
}

/// Everything that can change a number, in its order, and the number after it.
#[test]
fn an_explanation_tells_every_step() {
    let busy = history(1400, 300 << 20);
    let mut vpa = Vpa {
        container_policies: vec![ContainerPolicy {
            max_allowed: list(1500, 1 << 40),
            ..policy("*")
        }],
        ..Vpa::default()
    };
    let key = "vpa-post-processor.kubernetes.io/a_integerCPU".to_owned();
    vpa.annotations.insert(key, "true".into());
    let config = EstimatorConfig {
        round_cpu: Millicores(50),
        humanize_memory: true,
        integer_cpu: true,
        ..EstimatorConfig::default()
    };
    let result = recommend(&[("a", &busy), ("b", &busy)], &vpa, &config, T0);
    let steps = |container: usize, resource: usize| {
        let explained = &result.explanations[container].resources[resource];
        let target = explained.target.as_ref().unwrap();
        let steps = target.steps.iter().map(|s| (s.cause.code(), s.to));
        (target.raw.unwrap(), steps.collect::<Vec<_>>())
    };
    let cpu = [
        ("Margin", 1643),
        ("Rounding", 1650),
        ("IntegerCpu", 2000),
        ("MaxAllowed", 1500),
    ];
    assert_eq!(steps(0, 0), (1429, cpu.to_vec()));
    let mut other = cpu.to_vec();
    other.remove(2);
    assert_eq!(steps(1, 0).1, other);
    assert_eq!(
        steps(0, 1),
        (
            330_659_541,
            vec![("Margin", 380_258_472), ("Humanized", 380_255_601)]
        )
    );
    let [a, b] = &result.recommendations[..] else {
        panic!("{result:?}")
    };
    assert_eq!(a.uncapped_target, list(2000, 380_255_601));
    assert_eq!(b.uncapped_target, list(1650, 380_255_601));
    assert_eq!(a.target, list(1500, 380_255_601));
    let confidence = result.explanations[0].resources[0].confidence;
    assert!(confidence.is_low() && confidence.samples == 1);
}
