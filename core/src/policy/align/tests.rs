use super::*;
use crate::horizontal::Claims;
use crate::pod::Container;
use crate::policy::{LimitRangeItem, Surroundings, cap_for_pod};
use crate::profile::Profile;
use crate::quantity::{Millicores, ResourceList};
use crate::vpa::{ContainerRecommendation, Vpa};

const GI: i64 = 1 << 30;

fn cpu(amount: i64) -> ResourceList {
    ResourceList {
        cpu: (amount > 0).then_some(Millicores(amount)),
        memory: None,
    }
}

/// A pod whose containers request so many millicores; zero for none.
fn pod(requests: &[(&str, i64)]) -> Pod {
    let container = |(name, amount): &(&str, i64)| Container {
        name: (*name).into(),
        requests: cpu(*amount),
        ..Container::default()
    };
    Pod {
        containers: requests.iter().map(container).collect(),
        ..Pod::default()
    }
}

fn vpa(targets: &[(&str, i64)]) -> Vpa {
    let recommended = |(name, amount): &(&str, i64)| ContainerRecommendation {
        container_name: (*name).into(),
        target: cpu(*amount),
        lower_bound: cpu(amount / 2),
        upper_bound: cpu(amount * 2),
        uncapped_target: cpu(*amount),
    };
    Vpa {
        recommendation: Some(targets.iter().map(recommended).collect()),
        ..Vpa::default()
    }
}

/// What containers are recommended: target, lower and upper bound.
fn fitted(pod: &Pod, vpa: &Vpa, claims: &Claims, is_new: bool) -> Vec<[i64; 3]> {
    let around = Surroundings {
        limit_ranges: &[],
        claims,
    };
    let mut rules = Rules::new(pod, vpa, around, Profile::Safe);
    if is_new {
        rules = rules.of_new_pod();
    }
    let published = vpa.recommendation.as_deref().unwrap();
    let fitted = cap_for_pod(pod, published, &rules).into_iter();
    let amounts = fitted.map(|one| {
        let r = one.recommendation;
        [r.target, r.lower_bound, r.upper_bound].map(|list| list.get(Resource::Cpu).unwrap_or(0))
    });
    amounts.collect()
}

#[test]
fn requests_stay_where_a_target_can_follow() {
    // The metric; what the target in force is; what is recommended of "app"; what a running pod and a new one are to have.
    let rows = [
        // 70 % of 1000m: 778m at 90 %, 1400m at 50 %.
        (70, 300, 778, 1000),
        (70, 900, 910, 1000),
        (80, 300, 778, 875),
        (90, 300, 778, 778),
        // Up at once, the target follows.
        (70, 1200, 1207, 1207),
        (70, 5000, 1400, 1400),
    ];
    let own = pod(&[("app", 1000)]);
    for (in_force, recommended, running, new) in rows {
        let claims = Claims::aligned_test("cpu", (70, 1000), in_force);
        let vpa = vpa(&[("app", recommended)]);
        let of = |is_new| fitted(&own, &vpa, &claims, is_new)[0][0];
        assert_eq!(
            (of(false), of(true)),
            (running, new),
            "{in_force} {recommended}"
        );
    }
}

#[test]
fn bounds_give_way_to_what_a_target_can_follow() {
    let own = pod(&[("app", 1000)]);
    // Recommended, between the half and the double; bounds of what is asked for.
    let rows = [
        (300, [778, 150, 855]),
        (900, [910, 450, 1800]),
        (5000, [1400, 1260, 10000]),
    ];
    for (recommended, want) in rows {
        let claims = Claims::aligned_test("cpu", (70, 1000), 70);
        let vpa = vpa(&[("app", recommended)]);
        assert_eq!(fitted(&own, &vpa, &claims, false)[0], want, "{recommended}");
    }
}

#[test]
fn a_metric_of_a_whole_pod_counts_all_of_its_containers() {
    let own = pod(&[("app", 800), ("side", 200)]);
    let targets = |metric: &str, recommended: &[(&str, i64)]| {
        let claims = Claims::aligned_test(metric, (70, 1000), 70);
        let fitted = fitted(&own, &vpa(recommended), &claims, false);
        fitted.into_iter().map(|one| one[0]).collect::<Vec<_>>()
    };
    let both = [("app", 300), ("side", 100)];
    // 778m for the pod, three to one.
    assert_eq!(targets("cpu", &both), [583, 195]);
    // Of one container alone; the other is sized freely.
    assert_eq!(targets("cpu/app", &both), [778, 100]);
    assert_eq!(targets("cpu/side", &both), [300, 778]);
    assert_eq!(targets("cpu/other", &both), [300, 100]);
    assert_eq!(targets("memory", &both), [300, 100]);
    // The sidecar keeps its 200m.
    assert_eq!(targets("cpu", &both[..1]), [578]);
}

#[test]
fn nothing_is_asked_for_where_the_hpa_cannot_work() {
    let claims = Claims::aligned_test("cpu", (70, 1000), 70);
    let own = pod(&[("app", 800), ("side", 0)]);
    assert!(fitted(&own, &vpa(&[("app", 300)]), &claims, false).is_empty());
    // It gets a request now.
    let both = vpa(&[("app", 300), ("side", 100)]);
    assert_eq!(fitted(&own, &both, &claims, false).len(), 2);
}

#[test]
fn memory_that_is_needed_is_given_beyond_the_bounds() {
    let metric = |covers: &str| Claims::aligned_test(covers, (80, GI), 80).aligned()[0].clone();
    // 0.8 Gi of use: at most 1.6 Gi at 50 %.
    assert_eq!(metric("memory").goal(4 * GI), 4 * GI);
    assert_eq!(
        metric("cpu").goal(4 * GI),
        metric("cpu").point.request_at(50)
    );
    assert_eq!(
        metric("memory").goal(GI / 8),
        metric("memory").point.request_at(90)
    );
}

/// What is left of a change to a running pod, and what it waits for.
fn held(own: &Pod, recommended: i64, in_force: i64, in_place: bool) -> (i64, Option<i64>) {
    let claims = Claims::aligned_test("cpu", (70, 1000), in_force);
    let around = Surroundings {
        limit_ranges: &[] as &[LimitRangeItem],
        claims: &claims,
    };
    let vpa = vpa(&[("app", recommended)]);
    let rules = Rules::new(own, &vpa, around, Profile::Safe);
    let published = vpa.recommendation.as_deref().unwrap();
    let mut fitted = cap_for_pod(own, published, &rules);
    let behind = is_behind(own, &fitted, &rules).is_some();
    let waits = hold_to_targets(own, &mut fitted, &rules, in_place);
    let target = fitted[0].recommendation.target.get(Resource::Cpu).unwrap();
    assert_eq!(behind, target < own.containers[0].requests.cpu.unwrap().0);
    (target, waits.map(|w| w.wanted))
}

#[test]
fn running_pods_wait_for_the_target_and_follow_it() {
    // What the pod requests, what is recommended, the target in force; in place, and by eviction: what it is to have, and the
    // target that it waits for.
    let rows = [
        (1000, 300, 70, (1000, Some(90)), (1000, Some(90))),
        (1000, 900, 70, (1000, Some(77)), (1000, Some(77))),
        (1000, 300, 74, (946, None), (946, None)),
        (946, 300, 74, (946, Some(90)), (946, Some(90))),
        // Not in one step among smaller ones.
        (1400, 300, 70, (1309, None), (1000, None)),
        // Up.
        (1000, 1200, 70, (1207, None), (1207, None)),
        // No reason to wait.
        (778, 300, 90, (778, None), (778, None)),
    ];
    for (own, recommended, in_force, in_place, evicted) in rows {
        let own_pod = pod(&[("app", own)]);
        let row = (own, recommended, in_force);
        let got = [true, false].map(|in_place| {
            if recommended > 1000 || own == 778 {
                let claims = Claims::aligned_test("cpu", (70, 1000), in_force);
                return (
                    fitted(&own_pod, &vpa(&[("app", recommended)]), &claims, false)[0][0],
                    None,
                );
            }
            held(&own_pod, recommended, in_force, in_place)
        });
        assert_eq!(got, [in_place, evicted], "{row:?}");
    }
}
