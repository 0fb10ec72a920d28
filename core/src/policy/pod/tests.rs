use super::super::{LimitRangeItem, LimitRangeScope, Ratios};
use super::*;
use crate::pod::{ContainerStatus, EffectiveResources};
use crate::profile::Profile;
use crate::quantity::{Bytes, Millicores};
use crate::vpa::ContainerPolicy;
use crate::vpa::Vpa;

const G: i64 = 1_000_000_000;
const NOTHING: (i64, i64) = (0, 0);

fn list((cpu, memory): (i64, i64)) -> ResourceList {
    let set = |amount: i64| (amount != 0).then_some(amount);
    ResourceList {
        cpu: set(cpu).map(Millicores),
        memory: set(memory).map(Bytes),
    }
}

fn pair(list: ResourceList) -> (i64, i64) {
    (
        list.get(Resource::Cpu).unwrap_or(0),
        list.get(Resource::Memory).unwrap_or(0),
    )
}

fn container(name: &str, requests: (i64, i64), limits: (i64, i64)) -> Container {
    Container {
        name: name.into(),
        requests: list(requests),
        limits: list(limits),
        ..Container::default()
    }
}

fn pod(containers: Vec<Container>) -> Pod {
    Pod {
        containers,
        ..Pod::default()
    }
}

fn recommendation(
    name: &str,
    target: (i64, i64),
    lower: (i64, i64),
    upper: (i64, i64),
) -> ContainerRecommendation {
    ContainerRecommendation {
        container_name: name.into(),
        target: list(target),
        lower_bound: list(lower),
        upper_bound: list(upper),
        uncapped_target: list(target),
    }
}

fn policy(min: (i64, i64), max: (i64, i64), requests_only: bool) -> ContainerPolicy {
    ContainerPolicy {
        container_name: "*".into(),
        min_allowed: list(min),
        max_allowed: list(max),
        requests_only,
        ..ContainerPolicy::default()
    }
}

/// In profile upstream, whose tables these are.
fn cap(
    pod: &Pod,
    recommended: &[ContainerRecommendation],
    policies: &[ContainerPolicy],
    ranges: &[LimitRangeItem],
) -> Vec<PodRecommendation> {
    let vpa = Vpa {
        container_policies: policies.to_vec(),
        ..Vpa::default()
    };
    let rules = Rules::new(pod, &vpa, ranges, Profile::Upstream);
    cap_for_pod(pod, recommended, &rules)
}

fn texts(notes: &[Note]) -> Vec<String> {
    notes.iter().map(ToString::to_string).collect()
}

/// Vectors 10.2; CPU in millicores, memory in bytes.
#[test]
fn one_container_is_capped() {
    struct Row {
        limits: (i64, i64),
        status_limits: Option<(i64, i64)>,
        policy: Option<ContainerPolicy>,
        recommended: [(i64, i64); 3],
        want: [(i64, i64); 3],
        notes: &'static [&'static str],
    }
    let limited = |status_limits, policy, want, notes| Row {
        limits: (30_000, 70_000),
        status_limits,
        policy,
        recommended: [(20_000, 80_000), NOTHING, (100_000, 90_000)],
        want,
        notes,
    };
    let unchanged = [(20_000, 80_000), NOTHING, (100_000, 90_000)];
    let free = [(50_000, 100), (500_000, 1000), (1_500_000, 2000)];
    let rows = [
        Row {
            limits: NOTHING,
            status_limits: None,
            policy: None,
            recommended: free,
            want: free,
            notes: &[],
        },
        limited(None, None, unchanged, &[]),
        limited(None, Some(policy(NOTHING, NOTHING, false)), unchanged, &[]),
        limited(
            None,
            Some(policy(NOTHING, NOTHING, true)),
            [(20_000, 70_000), NOTHING, (30_000, 70_000)],
            &["memory capped to container limit"],
        ),
        limited(
            Some((2500, 60_000)),
            Some(policy(NOTHING, NOTHING, true)),
            [(2500, 60_000), NOTHING, (2500, 60_000)],
            &[
                "cpu capped to container limit",
                "memory capped to container limit",
            ],
        ),
        Row {
            limits: NOTHING,
            status_limits: None,
            policy: Some(policy((400_000, 40_000), (450_000, 45_000), false)),
            recommended: [(300_000, 50_000), (200_000, 43_000), (500_000, 55_000)],
            want: [(400_000, 45_000), (400_000, 43_000), (450_000, 45_000)],
            notes: &["cpu capped to minAllowed", "memory capped to maxAllowed"],
        },
    ];
    for row in rows {
        let mut container = container("ctr", NOTHING, row.limits);
        container.status = row.status_limits.map(|limits| ContainerStatus {
            resources: Some(EffectiveResources {
                requests: list(NOTHING),
                limits: list(limits),
            }),
            ..ContainerStatus::default()
        });
        let [target, lower, upper] = row.recommended;
        let got = cap(
            &pod(vec![container]),
            &[recommendation("ctr", target, lower, upper)],
            row.policy.as_slice(),
            &[],
        );
        let r = &got[0].recommendation;
        assert_eq!(
            [r.target, r.lower_bound, r.upper_bound].map(pair),
            row.want,
            "{:?}",
            row.policy
        );
        assert_eq!(texts(&got[0].notes), row.notes, "{:?}", row.policy);
    }
}

#[test]
fn what_has_no_place_in_the_pod_is_dropped() {
    let pod = pod(vec![container("ctr", NOTHING, NOTHING)]);
    let other = recommendation("ctr-name-other", (100_000, 50_000), NOTHING, NOTHING);
    let own = recommendation("ctr", (100, 200), (50, 100), (200, 400));
    let off = ContainerPolicy {
        container_name: "ctr".into(),
        off: true,
        ..ContainerPolicy::default()
    };
    let memory = ContainerPolicy {
        off: false,
        controlled_resources: Some(vec![Resource::Memory]),
        ..off.clone()
    };
    assert_eq!(cap(&pod, &[other], &[], &[]), []);
    assert_eq!(cap(&pod, &[], &[], &[]), []);
    assert_eq!(cap(&pod, std::slice::from_ref(&own), &[off], &[]), []);
    let only_memory = cap(&pod, std::slice::from_ref(&own), &[memory], &[]);
    let r = &only_memory[0].recommendation;
    assert_eq!(
        [r.target, r.lower_bound, r.upper_bound].map(pair),
        [(0, 200), (0, 100), (0, 400)]
    );
}

fn range(
    scope: LimitRangeScope,
    min: (i64, i64),
    max: (i64, i64),
    default: (i64, i64),
) -> LimitRangeItem {
    LimitRangeItem {
        scope,
        min: list(min),
        max: list(max),
        default: list(default),
        max_ratio: Ratios::default(),
    }
}

type Pair = (i64, i64);
/// (requests, limits), target, range, `RequestsOnly`, minAllowed, wanted target, notes.
type RangeRow = (
    (Pair, Pair),
    Pair,
    LimitRangeItem,
    bool,
    Pair,
    Pair,
    &'static [&'static str],
);
const TO_MAX: &str = "cpu capped to fit Max in container LimitRange";
const TO_MIN: &str = "memory capped to fit Min in container LimitRange";

/// Vectors 10.2, last row, and cases of our own.
#[test]
fn a_container_fits_its_limit_range() {
    const M: i64 = 1_000_000;
    let c = LimitRangeScope::Container;
    let upstream = range(c, (0, 500 * M), (1000, 0), NOTHING);
    let rows: [RangeRow; 7] = [
        (
            ((1000, G), (1000, G)),
            (2000, 200 * M),
            upstream,
            false,
            NOTHING,
            (1000, 500 * M),
            &[TO_MAX, TO_MIN],
        ),
        // The limit is twice the request, so the request may be half the maximum.
        (
            ((1000, 0), (2000, 0)),
            (2000, 0),
            upstream,
            false,
            NOTHING,
            (500, 0),
            &[TO_MAX],
        ),
        // The same with a limit that only the default gives, and without a request.
        (
            ((1000, 0), NOTHING),
            (2000, 0),
            range(c, NOTHING, (1000, 0), (2000, 0)),
            false,
            NOTHING,
            (500, 0),
            &[TO_MAX],
        ),
        (
            (NOTHING, (500, 0)),
            (2000, 0),
            upstream,
            false,
            NOTHING,
            (1000, 0),
            &[TO_MAX],
        ),
        // Without any limit only the minimum binds.
        (
            (NOTHING, NOTHING),
            (2000, 200 * M),
            upstream,
            false,
            NOTHING,
            (2000, 500 * M),
            &[TO_MIN],
        ),
        // A limit that stays does not pin the request.
        (
            ((100, 0), (1000, 0)),
            (700, 0),
            upstream,
            true,
            NOTHING,
            (700, 0),
            &[],
        ),
        // Policy wins.
        (
            ((1000, 0), (1000, 0)),
            (2000, 0),
            upstream,
            false,
            (3000, 0),
            (3000, 0),
            &[TO_MAX, "cpu capped to minAllowed"],
        ),
    ];
    for ((requests, limits), target, range, requests_only, min, want, notes) in rows {
        let pod = pod(vec![container("ctr", requests, limits)]);
        let got = cap(
            &pod,
            &[recommendation("ctr", target, NOTHING, NOTHING)],
            &[policy(min, NOTHING, requests_only)],
            &[range],
        );
        assert_eq!(
            pair(got[0].recommendation.target),
            want,
            "{requests:?} {limits:?} {target:?}"
        );
        assert_eq!(
            texts(&got[0].notes),
            notes,
            "{requests:?} {limits:?} {target:?}"
        );
    }
}

/// Vectors 10.3: containers with (request, limit); recommendations by name; minimum, maximum; targets by name.
#[test]
fn the_pod_fits_its_limit_range() {
    type Amounts = &'static [(&'static str, (i64, i64))];
    type Containers = &'static [(&'static str, (i64, i64), (i64, i64))];
    type Row = (Containers, Amounts, (i64, i64), (i64, i64), Amounts);
    const CPU: Containers = &[("c1", (1, 0), (1, 0)), ("c2", (1, 0), (1, 0))];
    let rows: [Row; 9] = [
        (
            &[("c1", (1000, 0), (1000, 0)), ("c2", (1000, 0), (1000, 0))],
            &[("c1", (1000, 0)), ("c2", (1000, 0))],
            NOTHING,
            (1000, 0),
            &[("c1", (500, 0)), ("c2", (500, 0))],
        ),
        (
            &[("c1", (0, 1), (0, 1)), ("c2", (0, 1), (0, 1))],
            &[("c1", (0, G)), ("c2", (0, G))],
            (0, 4 * G),
            NOTHING,
            &[("c1", (0, 2 * G)), ("c2", (0, 2 * G))],
        ),
        (
            &[("c1", (0, 1), (0, 2)), ("c2", (0, 1), (0, 2))],
            &[("c1", (0, G)), ("c2", (0, G))],
            (0, 4 * G),
            (0, 10 * G),
            &[("c1", (0, 2 * G)), ("c2", (0, 2 * G))],
        ),
        (
            &[("c1", (0, G), (0, 2 * G)), ("c2", (0, G), (0, 2 * G))],
            &[("c1", (0, G))],
            (0, 4 * G),
            (0, 10 * G),
            &[("c1", (0, 2 * G))],
        ),
        (
            &[("c2", (0, 1), (0, 2))],
            &[("c1", (0, G)), ("c2", (0, G))],
            (0, 4 * G),
            (0, 10 * G),
            &[("c2", (0, 4 * G))],
        ),
        (
            CPU,
            &[("c1", (15, 0)), ("c2", (100, 0))],
            (150, 0),
            NOTHING,
            &[("c1", (20, 0)), ("c2", (131, 0))],
        ),
        (
            CPU,
            &[("c1", (15, 0)), ("c2", (100, 0))],
            NOTHING,
            (90, 0),
            &[("c1", (11, 0)), ("c2", (78, 0))],
        ),
        // Not upstream's rows: without limits, or without any amount, there is nothing to scale; and no panic.
        (
            &[("c1", (1, 0), NOTHING)],
            &[("c1", (15, 0))],
            (150, 0),
            (5, 0),
            &[("c1", (15, 0))],
        ),
        (
            &[("c1", NOTHING, (1, 1)), ("c2", NOTHING, NOTHING)],
            &[("c1", (5, 0))],
            (0, 10),
            (0, 1),
            &[("c1", (5, 0))],
        ),
    ];
    for (containers, recommended, min, max, want) in rows {
        let pod = pod(containers
            .iter()
            .map(|(name, requests, limits)| container(name, *requests, *limits))
            .collect());
        let recommended: Vec<_> = recommended
            .iter()
            .map(|(name, target)| recommendation(name, *target, *target, *target))
            .collect();
        let got = cap(
            &pod,
            &recommended,
            &[],
            &[range(LimitRangeScope::Pod, min, max, NOTHING)],
        );
        for bound in 0..3 {
            let targets: Vec<_> = got
                .iter()
                .map(|f| {
                    let r = &f.recommendation;
                    (
                        r.container_name.as_str(),
                        pair([r.target, r.lower_bound, r.upper_bound][bound]),
                    )
                })
                .collect();
            assert_eq!(targets, want, "{containers:?} bound {bound}");
        }
    }
}

/// Vectors 10.8: the status wins as a whole, zero included.
#[test]
fn effective_resources() {
    const MI: i64 = 1 << 20;
    let both = |cpu, memory| ResourceList {
        cpu: Some(Millicores(cpu)),
        memory: Some(Bytes(memory)),
    };
    let spec = EffectiveResources {
        requests: both(1000, 10 * MI),
        limits: both(2000, 20 * MI),
    };
    let status = EffectiveResources {
        requests: both(0, 30 * MI),
        limits: both(4000, 40 * MI),
    };
    let nothing = EffectiveResources::default();
    let rows = [
        (spec, Some(status), status),
        (spec, None, spec),
        (nothing, Some(status), status),
        (nothing, None, nothing),
    ];
    for (spec, status, want) in rows {
        let container = Container {
            requests: spec.requests,
            limits: spec.limits,
            status: status.map(|resources| ContainerStatus {
                resources: Some(resources),
                ..ContainerStatus::default()
            }),
            ..Container::default()
        };
        assert_eq!(container.effective(), want);
    }
}
