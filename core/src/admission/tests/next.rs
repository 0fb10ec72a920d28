//! What the next pod comes to, as an explanation tells it.

use super::*;
use crate::policy::LimitPolicies;

/// A running pod of 500m with a limit of 1, and 200Mi without one.
fn running() -> Pod {
    pod(vec![container("app", (500, 200 * MI), (1000, 0))])
}

/// Recommended 300m and 100Mi.
fn recommended(limits: &str, policy: ContainerPolicy) -> Vpa {
    Vpa {
        limits: LimitPolicies::parse(limits).unwrap(),
        ..vpa(&[("app", (300, 100 * MI))], policy)
    }
}

/// What is told of CPU and memory.
fn told(pod: &Pod, vpa: &Vpa, ranges: &[LimitRangeItem]) -> [String; 2] {
    let next = next_pod(pod, vpa, ranges, Profile::Safe, NOW).unwrap();
    let words: Vec<_> = next.iter().map(ToString::to_string).collect();
    words.try_into().unwrap()
}

#[test]
fn a_limit_is_told_with_the_policy_that_it_follows_from() {
    let requests_only = ContainerPolicy {
        requests_only: true,
        ..free()
    };
    let rows = [
        (
            "ratio",
            free(),
            "limit 600m, which keeps its proportion to the request (ratio)",
            "no limit, as now (ratio)",
        ),
        (
            "keep",
            free(),
            "limit 1, which stays (keep)",
            "no limit, as now (keep)",
        ),
        (
            "none",
            requests_only,
            "limit 1, which stays (RequestsOnly)",
            "no limit, as now (RequestsOnly)",
        ),
        ("none", free(), "no limit (none)", "no limit (none)"),
        (
            "equal",
            free(),
            "limit 300m, as requested (equal)",
            "limit 100Mi, as requested (equal)",
        ),
        (
            "cpu=headroom=100m,memory=headroom=28Mi",
            free(),
            "limit 400m, 100m above the request (headroom)",
            "limit 128Mi, 28Mi above the request (headroom)",
        ),
    ];
    for (limits, policy, cpu, memory) in rows {
        let vpa = recommended(limits, policy);
        let want = [
            format!("request 300m, {cpu}"),
            format!("request 100Mi, {memory}"),
        ];
        assert_eq!(told(&running(), &vpa, &[]), want, "{limits}");
        let off = Vpa {
            update_mode: UpdateMode::Off,
            ..vpa
        };
        assert_eq!(told(&running(), &off, &[]), want, "{limits}, mode Off");
    }
}

#[test]
fn a_policy_that_cannot_be_followed_says_why() {
    let guaranteed = pod(vec![container("app", (500, 200 * MI), (500, 200 * MI))]);
    for asked in ["none", "headroom"] {
        let limits = match asked {
            "none" => "none",
            _ => "cpu=headroom=1,memory=headroom=1Mi",
        };
        let [cpu, memory] = told(&guaranteed, &recommended(limits, free()), &[]);
        let why = format!("as requested: the pod is Guaranteed ({asked} is not)");
        assert_eq!(cpu, format!("request 300m, limit 300m, {why}"));
        assert_eq!(memory, format!("request 100Mi, limit 100Mi, {why}"));
    }
    let most = LimitRangeItem {
        max: list((4000, 0)),
        ..range(LimitRangeScope::Container)
    };
    let [cpu, memory] = told(&running(), &recommended("none", free()), &[most]);
    assert_eq!(
        cpu,
        "request 300m, limit 600m, which keeps its proportion to the request: a LimitRange asks for one (none is refused)"
    );
    assert_eq!(memory, "request 100Mi, no limit (none)");
}

#[test]
fn what_bound_a_number_is_told_with_it() {
    let container_max = LimitRangeItem {
        max: list((400, 0)),
        ..range(LimitRangeScope::Container)
    };
    let container_min = LimitRangeItem {
        min: list((0, 150 * MI)),
        ..range(LimitRangeScope::Container)
    };
    let of_pods = LimitRangeItem {
        max: list((500, 0)),
        ..range(LimitRangeScope::Pod)
    };
    let rows: [(_, &[LimitRangeItem], _, _); 5] = [
        (
            allowed((350, 0), (0, 80 * MI)),
            &[],
            "request 350m, limit 700m|; cpu capped to minAllowed",
            "request 80Mi, no limit|; memory capped to maxAllowed",
        ),
        (
            free(),
            &[container_max],
            "request 200m, limit 400m|; cpu capped to fit Max in container LimitRange",
            "request 100Mi, no limit|",
        ),
        (
            free(),
            &[container_min],
            "request 300m, limit 600m|",
            "request 150Mi, no limit|; memory capped to fit Min in container LimitRange",
        ),
        (
            free(),
            &[of_pods],
            "request 250m, limit 500m|; cpu scaled to fit pod LimitRange",
            "request 100Mi, no limit|",
        ),
        (
            allowed((350, 0), NOTHING),
            &[container_max],
            "request 200m, limit 400m|; cpu capped to minAllowed; cpu capped to fit Max in container LimitRange",
            "request 100Mi, no limit|",
        ),
    ];
    for (row, (policy, ranges, cpu, memory)) in rows.into_iter().enumerate() {
        let told = told(&running(), &recommended("ratio", policy), ranges);
        let why = [
            ", which keeps its proportion to the request (ratio)",
            ", as now (ratio)",
        ];
        let want = [cpu.replace('|', why[0]), memory.replace('|', why[1])];
        assert_eq!(told, want, "row {row}");
    }
}

/// An explanation is made of pods that run, most of which were sized before, and some are in their boost.
#[test]
fn a_pod_that_was_sized_or_is_boosted_tells_the_same() {
    let most = LimitRangeItem {
        max: list((400, 0)),
        ..range(LimitRangeScope::Container)
    };
    for limits in ["ratio", "keep", "equal", "cpu=headroom=100m"] {
        let vpa = recommended(limits, free());
        for ranges in [vec![], vec![most]] {
            let first = told(&running(), &vpa, &ranges);
            let admission =
                super::super::admit(&running(), &vpa, &ranges, &Settings::default(), NOW);
            let sized = admitted(&running(), &admission);
            assert_eq!(told(&sized, &vpa, &ranges), first, "{limits}");
            let mut boosted = running();
            let before = boosted.containers[0].effective();
            boosted.containers[0].before_boost = Some(Box::new(before));
            boosted.containers[0].requests = list((2000, 200 * MI));
            boosted.containers[0].limits = list((4000, 0));
            assert_eq!(told(&boosted, &vpa, &ranges), first, "{limits}, boosted");
        }
    }
}

#[test]
fn a_pod_that_is_left_alone_says_so() {
    let mut pod = running();
    pod.has_pod_resources = true;
    let vpa = recommended("ratio", free());
    let of = |profile| next_pod(&pod, &vpa, &[], profile, NOW);
    assert_eq!(of(Profile::Safe), Err(LeftAlone::PodLevelResources));
    assert_eq!(of(Profile::Upstream).unwrap().len(), 2);
}
