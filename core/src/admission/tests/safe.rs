//! What podfit does better than upstream: limit policies, classes, LimitRanges, pods with resources of their own.

use super::*;
use crate::policy::LimitPolicies;

fn safe(pod: &Pod, vpa: &Vpa, ranges: &[LimitRangeItem]) -> Admission {
    super::super::admit(pod, vpa, ranges, &Settings::default(), NOW)
}

fn of_containers() -> LimitRangeItem {
    range(LimitRangeScope::Container)
}

/// The annotation, LimitRanges; requests, limits, removed limits, and the notes.
type LimitRow = (
    &'static str,
    Vec<LimitRangeItem>,
    Amounts,
    Amounts,
    &'static [Resource],
    &'static str,
);

fn limit_rows() -> Vec<LimitRow> {
    let default = LimitRangeItem {
        default: list((2000, 0)),
        ..of_containers()
    };
    let most = LimitRangeItem {
        max: list((1100, 420 * MI)),
        ..of_containers()
    };
    vec![
        (
            "ratio",
            vec![],
            (1000, 400 * MI),
            (2000, 800 * MI),
            &[],
            "cpu request, memory request, cpu limit, memory limit",
        ),
        (
            "keep",
            vec![],
            (1000, 200 * MI),
            NOTHING,
            &[],
            "memory capped to container limit, cpu request, memory request",
        ),
        (
            "none",
            vec![],
            (1000, 400 * MI),
            NOTHING,
            &Resource::ALL,
            "no cpu limit, no memory limit, cpu request, memory request",
        ),
        (
            "equal",
            vec![],
            (1000, 400 * MI),
            (1000, 400 * MI),
            &[],
            "cpu limit 1, as requested, memory limit 400Mi, as requested, cpu request, memory request",
        ),
        (
            "cpu=none,memory=headroom=56Mi",
            vec![],
            (1000, 400 * MI),
            (0, 456 * MI),
            &[Resource::Cpu],
            "no cpu limit, memory limit 456Mi, with headroom, cpu request, memory request",
        ),
        // The API server puts the default back in, and refuses a pod that requests more.
        (
            "cpu=none",
            vec![default],
            (1000, 400 * MI),
            (2000, 800 * MI),
            &[],
            "cpu limit stays: a LimitRange asks for one, cpu request, memory request, cpu limit, memory limit",
        ),
        (
            "equal",
            vec![most],
            (1000, 400 * MI),
            (1000, 400 * MI),
            &[],
            "cpu limit 1, as requested, memory limit 400Mi, as requested, cpu request, memory request",
        ),
        (
            "cpu=equal,memory=headroom=56Mi",
            vec![most],
            (1000, 364 * MI),
            (1000, 420 * MI),
            &[],
            "memory capped to fit Max in container LimitRange, cpu limit 1, as requested, memory limit 420Mi, with headroom, cpu request, memory request",
        ),
    ]
}

/// One container "a" of 500m and 100Mi, limited to twice that, recommended 1000m and 400Mi.
#[test]
fn limits_follow_the_vpas_annotation() {
    for (text, ranges, requests, limits, removed, notes) in limit_rows() {
        let vpa = Vpa {
            limits: LimitPolicies::parse(text).unwrap(),
            ..vpa(&[("a", (1000, 400 * MI))], free())
        };
        let pod = pod(vec![container("a", (500, 100 * MI), (1000, 200 * MI))]);
        let got = safe(&pod, &vpa, &ranges);
        let change = &got.containers[0];
        assert_eq!(
            (change.requests, change.limits),
            (list(requests), list(limits)),
            "{text}"
        );
        assert_eq!(change.removed_limits, removed, "{text}");
        assert_eq!(
            got.annotations[0].1,
            format!("Pod resources updated by name: container 0: {notes}")
        );
    }
}

#[test]
fn requests_only_wins_over_the_annotation() {
    let requests_only = ContainerPolicy {
        requests_only: true,
        ..free()
    };
    let vpa = Vpa {
        limits: LimitPolicies::parse("none").unwrap(),
        ..vpa(&[("a", (800, 150 * MI))], requests_only)
    };
    let got = safe(
        &pod(vec![container("a", (500, 100 * MI), (1000, 200 * MI))]),
        &vpa,
        &[],
    );
    assert_eq!(got.containers[0].requests, list((800, 150 * MI)));
    assert!(got.containers[0].limits.is_empty() && got.containers[0].removed_limits.is_empty());
}

/// A Guaranteed pod of 2 cores and 1Gi: annotation, `RequestsOnly`, maxAllowed CPU, target; wanted.
#[test]
fn a_guaranteed_pod_stays_so_with_whole_cores() {
    let rows = [
        ("ratio", false, 0, (2100, 2 * GI), (3000, 2 * GI)),
        ("ratio", false, 2500, (2100, 2 * GI), (2000, 2 * GI)),
        ("ratio", false, 700, (2100, 2 * GI), (700, 2 * GI)),
        ("ratio", false, 0, (100, GI), (1000, GI)),
        ("none", false, 0, (2100, 2 * GI), (3000, 2 * GI)),
        (
            "cpu=headroom=1,memory=headroom=1Gi",
            false,
            0,
            (4000, 2 * GI),
            (4000, 2 * GI),
        ),
        // Nothing can change where limits are to stay.
        ("ratio", true, 0, (1000, MI), (2000, GI)),
        ("ratio", true, 0, (3000, 2 * GI), (2000, GI)),
    ];
    let own = (2000, GI);
    for (text, requests_only, most, target, want) in rows {
        let policy = ContainerPolicy {
            requests_only,
            ..allowed(NOTHING, (most, 0))
        };
        let vpa = Vpa {
            limits: LimitPolicies::parse(text).unwrap(),
            ..vpa(&[("a", target)], policy)
        };
        let pod = pod(vec![container("a", own, own)]);
        let got = safe(&pod, &vpa, &[]);
        assert_eq!(got.containers[0].requests, list(want), "{text} {target:?}");
        let limits = if requests_only { NOTHING } else { want };
        assert_eq!(got.containers[0].limits, list(limits), "{text} {target:?}");
        assert!(got.containers[0].removed_limits.is_empty());
        assert!(admitted(&pod, &got).is_guaranteed());
    }
    // An init container without limits makes the pod Burstable.
    let mut burstable = pod(vec![container("a", own, own)]);
    burstable.init_containers = vec![container("first", NOTHING, NOTHING)];
    let got = safe(&burstable, &vpa(&[("a", (2100, GI))], free()), &[]);
    assert_eq!(got.containers[0].requests, list((2100, GI)));
}

/// The API server refuses pods beyond a LimitRange: policy gives way to it, where upstream's pods are refused.
#[test]
fn limit_ranges_win_over_policy() {
    let ratio_of_four = Ratios {
        cpu: Some(4000),
        memory: None,
    };
    let requests_only = ContainerPolicy {
        requests_only: true,
        ..free()
    };
    let rows = [
        // Container of (1000m, 1Gi) with equal limits; minAllowed beyond the maximum.
        (
            LimitRangeItem {
                max: list((1500, 0)),
                ..of_containers()
            },
            allowed((3000, 0), NOTHING),
            ((1000, GI), (1000, 2 * GI)),
            (1200, GI),
            (1500, GI),
            "cpu capped to minAllowed, cpu capped to fit Max in container LimitRange",
        ),
        (
            LimitRangeItem {
                min: list((500, 0)),
                ..of_containers()
            },
            allowed(NOTHING, (300, 0)),
            ((1000, GI), (1000, 2 * GI)),
            (1200, GI),
            (500, GI),
            "cpu capped to maxAllowed, cpu capped to fit Min in container LimitRange",
        ),
        // A limit that stays may be four times its request, no more.
        (
            LimitRangeItem {
                max_ratio: ratio_of_four,
                ..of_containers()
            },
            requests_only.clone(),
            ((1000, GI), (1001, 2 * GI)),
            (100, GI),
            (251, GI),
            "cpu capped to fit MaxLimitRequestRatio in LimitRange",
        ),
        (
            LimitRangeItem {
                max: list((1500, 0)),
                ..range(LimitRangeScope::Pod)
            },
            free(),
            ((500, GI), (1000, 2 * GI)),
            (1000, GI),
            (750, GI),
            "cpu scaled to fit pod LimitRange",
        ),
    ];
    for (range, policy, own, target, want, note) in rows {
        let pod = pod(vec![container("a", own.0, own.1)]);
        let got = safe(&pod, &vpa(&[("a", target)], policy), &[range]);
        assert_eq!(got.containers[0].requests, list(want), "{note}");
        assert_eq!(remarks(&got.containers[0]).join(", "), note);
    }
    // With headroom a small request would have too great a limit beside it.
    let headroom = Vpa {
        limits: LimitPolicies::parse("cpu=headroom=1").unwrap(),
        ..vpa(&[("a", (100, GI))], free())
    };
    let range = LimitRangeItem {
        max_ratio: ratio_of_four,
        ..of_containers()
    };
    let pod = pod(vec![container("a", (500, GI), (1000, 2 * GI))]);
    let got = safe(&pod, &headroom, &[range]);
    assert_eq!(got.containers[0].limits.cpu, Some(Millicores(400)));
}

/// Of two containers only one has a recommendation: it gets what the sum leaves.
#[test]
fn sums_over_the_pod_count_what_does_not_change() {
    let two = pod(vec![
        container("a", (0, GI), (0, 2 * GI)),
        container("other", (0, GI), (0, 2 * GI)),
    ]);
    let least = LimitRangeItem {
        min: list((0, 4 * GI)),
        ..range(LimitRangeScope::Pod)
    };
    let most = LimitRangeItem {
        max: list((0, 5 * GI)),
        ..range(LimitRangeScope::Pod)
    };
    for (range, target, want) in [(least, GI, 3 * GI), (most, 2 * GI, 3 * GI / 2)] {
        let got = safe(&two, &vpa(&[("a", (0, target))], free()), &[range]);
        assert_eq!(got.containers[0].requests, list((0, want)));
    }
}

#[test]
fn a_pod_with_resources_of_its_own_is_left_alone() {
    let pod = Pod {
        has_pod_resources: true,
        ..pod(vec![container("a", NOTHING, NOTHING)])
    };
    let vpa = vpa(&[("a", (100, MI))], free());
    let got = safe(&pod, &vpa, &[]);
    assert_eq!(got.left_alone, Some(LeftAlone::PodLevelResources));
    assert!(got.containers.is_empty() && got.annotations.is_empty());
    let upstream = Settings {
        profile: Profile::Upstream,
        ..Settings::default()
    };
    assert_eq!(
        super::super::admit(&pod, &vpa, &[], &upstream, NOW)
            .containers
            .len(),
        1
    );
}
