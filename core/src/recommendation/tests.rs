use super::*;
use crate::adaptive::Class;
use crate::history::PodContainerWindow;
use crate::profile::Profile;
use crate::quantity::{MAX_AMOUNT, ResourceList};
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

fn upstream() -> EstimatorConfig {
    EstimatorConfig {
        history: HistoryConfig {
            profile: Profile::Upstream,
            ..HistoryConfig::default()
        },
        ..EstimatorConfig::default()
    }
}

fn resources(cell: &str) -> Vec<Resource> {
    let words = cell.split_whitespace();
    words
        .map(|word| match word {
            "cpu" => Resource::Cpu,
            _ => Resource::Memory,
        })
        .collect()
}

/// Without policy, or with one that says which resources are sized. Upstream's upper bound is unbounded after one sample.
#[test]
fn idle_containers_share_the_minimum() {
    let idle = history(1, 1_000_000);
    for row in rows(include_str!("../../testdata/idle_containers.csv")) {
        let histories: Vec<_> = row[0].split(' ').map(|name| (name, &idle)).collect();
        let vpa = Vpa {
            container_policies: vec![ContainerPolicy {
                controlled_resources: Some(resources(row[1])).filter(|list| !list.is_empty()),
                ..policy("*")
            }],
            ..Vpa::default()
        };
        let target = ResourceList {
            cpu: number(row[2]).map(Millicores),
            memory: number(row[3]).map(Bytes),
        };
        let unbounded = ResourceList {
            cpu: target.cpu.map(|_| Millicores(MAX_AMOUNT)),
            memory: target.memory.map(|_| Bytes(MAX_AMOUNT)),
        };
        for (config, upper) in [
            (EstimatorConfig::default(), ResourceList::default()),
            (upstream(), unbounded),
        ] {
            let result = recommend(&histories, &vpa, &config, T0);
            assert_eq!(result.recommendations.len(), histories.len());
            for got in &result.recommendations {
                let lists = [got.target, got.lower_bound, got.upper_bound];
                assert_eq!(lists, [target, target, upper], "{row:?}");
            }
            assert!(result.reasons.iter().all(|r| r.code() == "Minimum"));
        }
    }
}

#[test]
fn recommendations_come_in_order_of_their_names() {
    let busy = history(400, 300 << 20);
    for row in rows(include_str!("../../testdata/container_order.csv")) {
        let histories: Vec<_> = row[0].split(' ').map(|name| (name, &busy)).collect();
        let result = recommend(&histories, &Vpa::default(), &EstimatorConfig::default(), T0);
        let names = result.recommendations.iter().map(|r| &*r.container_name);
        assert_eq!(names.collect::<Vec<_>>().join(" "), row[1]);
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
fn containers_are_sized_unless_their_policy_is_off() {
    let busy = history(400, 300 << 20);
    for row in rows(include_str!("../../testdata/sized_containers.csv")) {
        let policies = row[0].split_whitespace().map(|word| {
            let (name, mode) = word.split_once(':').unwrap();
            ContainerPolicy {
                off: mode == "Off",
                ..policy(name)
            }
        });
        let vpa = Vpa {
            container_policies: policies.collect(),
            ..Vpa::default()
        };
        let result = recommend(&[(row[1], &busy)], &vpa, &EstimatorConfig::default(), T0);
        let sized = !result.recommendations.is_empty();
        assert_eq!(sized, row[2] == "yes", "{row:?}");
    }
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
        for (config, target) in [(EstimatorConfig::default(), safe), (upstream(), theirs)] {
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

#[test]
fn an_annotation_names_the_container_with_whole_cores() {
    for row in rows(include_str!("../../testdata/integer_cpu.csv")) {
        let vpa = Vpa {
            post_processors: vec![(row[0].to_owned(), row[1].to_owned())],
            ..Vpa::default()
        };
        assert_eq!(vpa.wants_integer_cpu(row[2]), row[3] == "yes", "{row:?}");
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
    vpa.post_processors.push((key, "true".into()));
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

/// A history of so many hours, kept for `adaptive` or not; a sample a minute of 400m, of which each twentieth is 800m.
fn hours(count: u32, adaptive: bool) -> ContainerHistory {
    let config = HistoryConfig {
        adaptive,
        ..HistoryConfig::default()
    };
    let mut history = ContainerHistory::new(&config, T0);
    let mut window = PodContainerWindow::default();
    for minute in 0..=count * 60 {
        let at = T0 + Duration::from_mins(1) * minute;
        let cpu = Millicores(if minute % 20 == 0 { 800 } else { 400 });
        window.add_cpu(&mut history, cpu, (at, at)).unwrap();
        let memory = Bytes(300 << 20);
        window
            .add_memory(&mut history, memory, (at, at), &config)
            .unwrap();
    }
    history
}

#[test]
fn adaptive_sizes_where_flag_or_vpa_ask_for_it() {
    use crate::estimator::Method::{Adaptive, Histogram};
    let now = T0 + Duration::from_hours(48);
    let reason = |flag, annotation, history: &ContainerHistory| {
        let vpa = Vpa {
            method: annotation,
            ..Vpa::default()
        };
        let config = EstimatorConfig {
            method: flag,
            ..EstimatorConfig::default()
        };
        let result = recommend(&[("app", history)], &vpa, &config, now);
        let codes: Vec<_> = result
            .reasons
            .iter()
            .map(RecommendationReason::code)
            .collect();
        (codes, result.recommendations[0].clone())
    };
    let (old, young, plain) = (hours(48, true), hours(23, true), hours(48, false));
    for (flag, annotation, history, why) in [
        (Adaptive, None, &old, "Adaptive"),
        (Histogram, Some(Adaptive), &old, "Adaptive"),
        (Adaptive, Some(Histogram), &old, "Percentile"),
        (Histogram, None, &old, "Percentile"),
        // Before its first day, and where nothing was kept for it.
        (Adaptive, None, &young, "Percentile"),
        (Adaptive, None, &plain, "Percentile"),
    ] {
        let (codes, _) = reason(flag, annotation, history);
        assert_eq!(codes, [why, why], "{flag:?} {annotation:?}");
    }
    let (_, recommended) = reason(Adaptive, None, &old);
    let cpu = |list: ResourceList| list.cpu.unwrap().0;
    let (lower, target, upper) = (
        cpu(recommended.lower_bound),
        cpu(recommended.target),
        cpu(recommended.upper_bound),
    );
    // A twentieth of the time is more than may be over.
    assert!((800..900).contains(&target), "{target}");
    assert!(
        lower <= target && target <= upper && upper < 1000,
        "{lower} {target} {upper}"
    );
}

#[test]
fn a_kill_wins_over_what_adaptive_says() {
    use crate::history::Kill;
    let config = EstimatorConfig {
        method: crate::estimator::Method::Adaptive,
        ..EstimatorConfig::default()
    };
    let now = T0 + Duration::from_hours(48);
    let mut history = hours(48, true);
    let memory = |history: &ContainerHistory| {
        let result = recommend(&[("app", history)], &Vpa::default(), &config, now);
        result.recommendations[0].target.memory.unwrap().0 >> 20
    };
    assert!(
        (300..320).contains(&memory(&history)),
        "{}",
        memory(&history)
    );
    let kill = Kill {
        at: now,
        allowed: Bytes(400 << 20),
        template: None,
    };
    let kept = HistoryConfig::default();
    PodContainerWindow::default()
        .record_oom(&mut history, &kill, now, &kept)
        .unwrap();
    assert!(memory(&history) > 480, "{}", memory(&history));
}

#[test]
fn adaptive_says_why() {
    let config = EstimatorConfig {
        method: crate::estimator::Method::Adaptive,
        ..EstimatorConfig::default()
    };
    let old = hours(48, true);
    let result = recommend(&[("app", &old)], &Vpa::default(), &config, T0);
    let told = result.reasons[0].to_string();
    let begin = "app: cpu 8";
    assert!(told.starts_with(begin), "{told}");
    assert!(
        told.contains("cheapest of all that was tried on its own past"),
        "{told}"
    );
    let target = result.explanations[0].resources[0].target.as_ref().unwrap();
    assert_eq!(target.steps[0].cause.code(), "Adaptive");
    let told = result.reasons[1].to_string();
    assert!(
        told.contains("% above the highest of 2 daily peaks"),
        "{told}"
    );
    assert!(told.ends_with("; class: unknown yet"), "{told}");
    let class = |history: &ContainerHistory| {
        let result = recommend(&[("app", history)], &Vpa::default(), &config, T0);
        let told = result.explanations[0].resources[0].class;
        (told, result.reasons[0].to_string())
    };
    assert_eq!(class(&hours(24 * 7, false)).0, None, "nobody keeps it");
    let (told, reason) = class(&hours(24 * 7, true));
    assert_eq!(told.unwrap().class, Class::Bursty);
    assert!(reason.ends_with("; class: bursty, 89 % sure"), "{reason}");
}
