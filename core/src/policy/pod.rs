//! Fits a published recommendation to one pod: its limits, its policies, its namespace's `LimitRanges`.

use super::limit::{proportional_limit, scale};
use super::limit_range::{LimitRangeItem, LimitRangeScope};
use super::note::Note;
use super::{boundary, bounds_mut, controls, for_container};
use crate::pod::{Container, Pod};
use crate::quantity::{Resource, ResourceList};
use crate::vpa::{ContainerPolicy, ContainerRecommendation};

/// What one container of a pod should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRecommendation {
    /// The container's position in the pod's spec.
    pub index: usize,
    /// The recommendation after all caps.
    pub recommendation: ContainerRecommendation,
    /// What was capped in the target, and why.
    pub notes: Vec<Note>,
}

/// The recommendations that apply to the containers of `pod`, in the order of its spec.
///
/// First the sums over the pod are brought into the `LimitRanges` for pods, then each container into those for
/// containers, then into the policy (which therefore wins), and with `controlledValues: RequestsOnly` below the limit it
/// has. Recommendations for containers that the pod lacks, and for what policies take out of control, are dropped.
pub fn cap_for_pod(
    pod: &Pod,
    recommendations: &[ContainerRecommendation],
    policies: &[ContainerPolicy],
    limit_ranges: &[LimitRangeItem],
) -> Vec<PodRecommendation> {
    let mut fitted: Vec<_> = pod
        .containers
        .iter()
        .enumerate()
        .filter_map(|(index, c)| controlled(index, c, recommendations, policies))
        .collect();
    let container_range = LimitRangeItem::merge(limit_ranges, LimitRangeScope::Container);
    if let Some(range) = LimitRangeItem::merge(limit_ranges, LimitRangeScope::Pod) {
        let default_limit = container_range.map(|r| r.default).unwrap_or_default();
        fit_sums(
            pod,
            &mut fitted,
            policies,
            &LimitRangeItem {
                default: default_limit,
                ..range
            },
        );
    }
    for one in &mut fitted {
        let container = &pod.containers[one.index];
        fit_container(
            one,
            container,
            for_container(policies, &container.name),
            container_range,
        );
    }
    fitted
}

/// The published recommendation of a container, without what its policy takes out of control.
fn controlled(
    index: usize,
    container: &Container,
    recommendations: &[ContainerRecommendation],
    policies: &[ContainerPolicy],
) -> Option<PodRecommendation> {
    let mut recommendation = recommendations
        .iter()
        .find(|r| r.container_name == container.name)?
        .clone();
    let policy = for_container(policies, &container.name);
    for resource in Resource::ALL.into_iter().filter(|r| !controls(policy, *r)) {
        for list in bounds_mut(&mut recommendation) {
            list.set(resource, None);
        }
    }
    (!recommendation.target.is_empty()).then_some(PodRecommendation {
        index,
        recommendation,
        notes: Vec::new(),
    })
}

/// Scales each bound of all containers so that the pod's sums fit the `LimitRange` for pods.
fn fit_sums(
    pod: &Pod,
    fitted: &mut [PodRecommendation],
    policies: &[ContainerPolicy],
    range: &LimitRangeItem,
) {
    for bound in 0..3 {
        let sums = sums(pod, fitted, policies, range.default, bound);
        for (resource, sum) in Resource::ALL.into_iter().zip(sums) {
            let Some(factor) =
                sum.factor(boundary(range.min, resource), boundary(range.max, resource))
            else {
                continue;
            };
            for one in &mut *fitted {
                let list = &mut *bounds_mut(&mut one.recommendation)[bound];
                if let Some(amount) = list.get(resource) {
                    list.set(resource, Some(factor.apply(resource, amount)));
                }
            }
        }
    }
}

/// What the containers of a pod would request, and be limited to, of one resource together.
#[derive(Clone, Copy, Default)]
struct Sum {
    requests: i128,
    limits: i128,
}

/// The sums of CPU and of memory. A container without a recommendation counts with what it has.
fn sums(
    pod: &Pod,
    fitted: &[PodRecommendation],
    policies: &[ContainerPolicy],
    default_limit: ResourceList,
    bound: usize,
) -> [Sum; 2] {
    let mut sums = [Sum::default(); 2];
    for (index, container) in pod.containers.iter().enumerate() {
        let own = container.effective();
        let mut requests = own.requests;
        if let Some(one) = fitted.iter().find(|f| f.index == index) {
            let r = &one.recommendation;
            let recommended = [r.target, r.lower_bound, r.upper_bound][bound];
            requests = ResourceList {
                cpu: recommended.cpu.or(requests.cpu),
                memory: recommended.memory.or(requests.memory),
            };
        }
        let requests_only =
            for_container(policies, &container.name).is_some_and(|p| p.requests_only);
        let limits = if requests_only {
            own.limits
        } else {
            proportional_limit(own, requests, default_limit).0
        };
        for (resource, sum) in Resource::ALL.into_iter().zip(&mut sums) {
            sum.requests += i128::from(requests.get(resource).unwrap_or(0));
            sum.limits += i128::from(limits.get(resource).unwrap_or(0));
        }
    }
    sums
}

/// By how much every amount is multiplied, and whether a fraction of a millicore is rounded up.
#[derive(Clone, Copy)]
struct Factor {
    numerator: i128,
    denominator: i128,
    round_up: bool,
}

impl Sum {
    /// What brings the sums into the boundaries; `None` when nothing needs to, or can, be done: without limits there
    /// is no proportion to keep.
    fn factor(self, min: Option<i64>, max: Option<i64>) -> Option<Factor> {
        let (min, max) = (min.map_or(0, i128::from), max.map_or(i128::MAX, i128::from));
        if (min <= self.limits && min <= self.requests && max >= self.limits) || self.limits <= 0 {
            return None;
        }
        if min > self.requests {
            let raised = Factor {
                numerator: min,
                denominator: self.requests,
                round_up: true,
            };
            return (self.requests > 0).then_some(raised);
        }
        let total = self.limits.max(min).min(max);
        Some(Factor {
            numerator: total,
            denominator: self.limits,
            round_up: false,
        })
    }
}

impl Factor {
    /// Upstream rounds CPU as asked, and memory always down.
    fn apply(self, resource: Resource, amount: i64) -> i64 {
        let up = if self.round_up && resource == Resource::Cpu {
            self.denominator - 1
        } else {
            0
        };
        // Amounts are 64-bit and factors at most sums of a few of them.
        let product = i128::from(amount)
            .saturating_mul(self.numerator)
            .saturating_add(up);
        i64::try_from(product.div_euclid(self.denominator)).unwrap_or(i64::MAX)
    }
}

/// One boundary that a container's amount is brought to.
#[derive(Clone, Copy)]
enum Step {
    AtLeast(i64, Note),
    AtMost(i64, Note),
}

fn fit_container(
    one: &mut PodRecommendation,
    container: &Container,
    policy: Option<&ContainerPolicy>,
    range: Option<LimitRangeItem>,
) {
    for resource in Resource::ALL {
        let steps = steps(container, policy, range, resource);
        for (bound, list) in bounds_mut(&mut one.recommendation).into_iter().enumerate() {
            let Some(mut amount) = list.get(resource) else {
                continue;
            };
            for step in steps.into_iter().flatten() {
                let (capped, note) = match step {
                    Step::AtLeast(min, note) => (amount.max(min), note),
                    Step::AtMost(max, note) => (amount.min(max), note),
                };
                // The target comes first, and only its notes are kept.
                if bound == 0 && capped != amount {
                    one.notes.push(note);
                }
                amount = capped;
            }
            list.set(resource, Some(amount));
        }
    }
}

/// The boundaries of one resource of a container, in the order in which they apply: later ones win.
fn steps(
    container: &Container,
    policy: Option<&ContainerPolicy>,
    range: Option<LimitRangeItem>,
    resource: Resource,
) -> [Option<Step>; 5] {
    let own = container.effective();
    let requests_only = policy.is_some_and(|p| p.requests_only);
    let range = |side: fn(&LimitRangeItem) -> ResourceList| {
        range.and_then(|r| boundary(side(&r), resource))
    };
    let limit = boundary(own.limits, resource).or_else(|| range(|r| r.default));
    // The request at which a limit that keeps its proportion meets the boundary. A limit that stays does not bind the
    // request; upstream scales here as well, and so pins a request under a LimitRange that its limit just fits.
    let request_at = |limit_boundary: i64| match (
        limit.filter(|_| !requests_only)?,
        boundary(own.requests, resource),
    ) {
        (_, None) => Some(limit_boundary),
        (limit, Some(request)) => Some(scale(limit_boundary, request, limit).unwrap_or(i64::MAX)),
    };
    let least = range(|r| r.min).map(|min| request_at(min).map_or(min, |at| at.max(min)));
    let most = range(|r| r.max).and_then(request_at);
    let allowed = |side: fn(&ContainerPolicy) -> ResourceList| {
        policy.and_then(|p| boundary(side(p), resource))
    };
    [
        least.map(|a| Step::AtLeast(a, Note::CappedToLimitRangeMin(resource))),
        most.map(|a| Step::AtMost(a, Note::CappedToLimitRangeMax(resource))),
        allowed(|p| p.min_allowed).map(|a| Step::AtLeast(a, Note::CappedToMinAllowed(resource))),
        allowed(|p| p.max_allowed).map(|a| Step::AtMost(a, Note::CappedToMaxAllowed(resource))),
        boundary(own.limits, resource)
            .filter(|_| requests_only)
            .map(|a| Step::AtMost(a, Note::CappedToContainerLimit(resource))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::{ContainerStatus, EffectiveResources};
    use crate::quantity::{Bytes, Millicores};

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
            let got = cap_for_pod(
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
        assert_eq!(cap_for_pod(&pod, &[other], &[], &[]), []);
        assert_eq!(cap_for_pod(&pod, &[], &[], &[]), []);
        assert_eq!(
            cap_for_pod(&pod, std::slice::from_ref(&own), &[off], &[]),
            []
        );
        let only_memory = cap_for_pod(&pod, std::slice::from_ref(&own), &[memory], &[]);
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
        }
    }

    /// Vectors 10.2, last row, and cases of our own.
    #[test]
    fn a_container_fits_its_limit_range() {
        const M: i64 = 1_000_000;
        let c = LimitRangeScope::Container;
        let upstream = range(c, (0, 500 * M), (1000, 0), NOTHING);
        let rows: [(_, _, _, _, _, _, &[&str]); 7] = [
            (
                ((1000, G), (1000, G)),
                (2000, 200 * M),
                upstream,
                false,
                NOTHING,
                (1000, 500 * M),
                &[
                    "cpu capped to fit Max in container LimitRange",
                    "memory capped to fit Min in container LimitRange",
                ],
            ),
            // The limit is twice the request, so the request may be half the maximum.
            (
                ((1000, 0), (2000, 0)),
                (2000, 0),
                upstream,
                false,
                NOTHING,
                (500, 0),
                &["cpu capped to fit Max in container LimitRange"],
            ),
            // The same with a limit that only the default gives, and without a request.
            (
                ((1000, 0), NOTHING),
                (2000, 0),
                range(c, NOTHING, (1000, 0), (2000, 0)),
                false,
                NOTHING,
                (500, 0),
                &["cpu capped to fit Max in container LimitRange"],
            ),
            (
                (NOTHING, (500, 0)),
                (2000, 0),
                upstream,
                false,
                NOTHING,
                (1000, 0),
                &["cpu capped to fit Max in container LimitRange"],
            ),
            // Without any limit only the minimum binds.
            (
                (NOTHING, NOTHING),
                (2000, 200 * M),
                upstream,
                false,
                NOTHING,
                (2000, 500 * M),
                &["memory capped to fit Min in container LimitRange"],
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
                &[
                    "cpu capped to fit Max in container LimitRange",
                    "cpu capped to minAllowed",
                ],
            ),
        ];
        for ((requests, limits), target, range, requests_only, min, want, notes) in rows {
            let pod = pod(vec![container("ctr", requests, limits)]);
            let got = cap_for_pod(
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
        const CPU: Containers = &[("c1", (1, 0), (1, 0)), ("c2", (1, 0), (1, 0))];
        let rows: [(Containers, Amounts, (i64, i64), (i64, i64), Amounts); 9] = [
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
            let got = cap_for_pod(
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
}
