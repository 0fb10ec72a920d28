//! Requests that an HPA divides by, where its target moves with them (`podfit.dev/horizontal: realign`).

use super::pod::finish;
use super::{Note, PodRecommendation, Rules, bounds_mut};
use crate::horizontal::realign::{Aligned, Covers, share_out};
use crate::pod::Pod;
use crate::quantity::Resource;

/// A difference of so many tenths of a target is no reason to update a pod: targets of HPAs are whole percents.
const NO_REASON: i64 = 1;

/// A change that waits until an HPA's target has moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitsForTarget {
    /// The metric.
    pub covers: Covers,
    /// The target that the change is for, percent.
    pub wanted: i64,
}

/// The recommendations that a metric bears on, and what the pod requests besides.
struct Covered {
    places: Vec<usize>,
    fixed: i64,
}

impl Covered {
    /// `None` where some container requests nothing and is to get nothing: then the HPA cannot work.
    fn find(covers: &Covers, pod: &Pod, recommended: &[PodRecommendation]) -> Option<Self> {
        let resource = covers.resource;
        let mut covered = Self {
            places: Vec::new(),
            fixed: 0,
        };
        let all = pod.containers.iter().enumerate();
        for (index, container) in all.filter(|(_, c)| covers.covers(&c.name)) {
            let sized = |one: &PodRecommendation| {
                one.index == index && one.recommendation.target.get(resource).is_some()
            };
            match recommended.iter().position(sized) {
                Some(place) => covered.places.push(place),
                None => covered.fixed += container.requests.get(resource)?,
            }
        }
        Some(covered)
    }

    fn targets(&self, recommended: &[PodRecommendation], resource: Resource) -> Vec<i64> {
        let target = |place: &usize| recommended[*place].recommendation.target.get(resource);
        self.places.iter().filter_map(target).collect()
    }

    fn set(&self, recommended: &mut [PodRecommendation], resource: Resource, amounts: &[i64]) {
        for (place, amount) in self.places.iter().zip(amounts) {
            let target = &mut recommended[*place].recommendation.target;
            target.set(resource, Some(*amount));
        }
    }
}

/// Brings the sums that HPAs divide by to where their targets can follow: for a new pod also not below what the target in
/// force asks for. Containers keep their proportions. Bounds give way, so that what comes of it is no reason for an update.
pub(super) fn to_scale_points(
    pod: &Pod,
    recommended: &mut Vec<PodRecommendation>,
    aligned: &[Aligned],
    is_new: bool,
) {
    for metric in aligned {
        let resource = metric.covers.resource;
        let Some(covered) = Covered::find(&metric.covers, pod, recommended) else {
            leave(pod, recommended, &metric.covers);
            continue;
        };
        if covered.places.is_empty() {
            continue;
        }
        let targets = covered.targets(recommended, resource);
        let mut goal = metric.goal(targets.iter().sum::<i64>() + covered.fixed);
        if is_new {
            goal = goal.max(metric.point.request_at(metric.in_force));
        }
        let shares = share_out(goal, covered.fixed, &targets);
        covered.set(recommended, resource, &shares);
        for ((place, share), target) in covered.places.iter().zip(&shares).zip(&targets) {
            let one = &mut recommended[*place];
            if share != target {
                one.notes.push(Note::Realigned(resource));
            }
            let slack = share / 10 * NO_REASON;
            let [_, lower, upper] = bounds_mut(&mut one.recommendation);
            let least = lower.get(resource).map(|l| l.min(share - slack));
            lower.set(resource, least);
            let most = upper.get(resource).map(|u| u.max(share + slack));
            upper.set(resource, most);
        }
    }
    recommended.retain(|one| !one.recommendation.target.is_empty());
}

fn leave(pod: &Pod, recommended: &mut [PodRecommendation], covers: &Covers) {
    let covered = |one: &&mut PodRecommendation| covers.covers(&pod.containers[one.index].name);
    for one in recommended.iter_mut().filter(covered) {
        for list in bounds_mut(&mut one.recommendation) {
            list.set(covers.resource, None);
        }
    }
}

/// What a running pod requests under one metric, and is to.
struct Sums {
    covered: Covered,
    /// Of each container that is sized.
    requests: Vec<i64>,
    targets: Vec<i64>,
    own: i64,
    total: i64,
}

impl Sums {
    /// `None` where some container requests nothing yet.
    fn of(metric: &Aligned, pod: &Pod, recommended: &[PodRecommendation]) -> Option<Self> {
        let resource = metric.covers.resource;
        let covered = Covered::find(&metric.covers, pod, recommended)?;
        let request = |place: &usize| {
            let container = &pod.containers[recommended[*place].index];
            container.requests.get(resource)
        };
        let requests: Vec<_> = covered.places.iter().map(request).collect::<Option<_>>()?;
        let targets = covered.targets(recommended, resource);
        Some(Self {
            own: requests.iter().sum::<i64>() + covered.fixed,
            total: targets.iter().sum::<i64>() + covered.fixed,
            covered,
            requests,
            targets,
        })
    }
}

/// Keeps what a running pod requests from falling below what its HPAs' targets in force allow, and below one step where it
/// is resized in place. What a new pod gets in its place is not for steps. Tells the first change for which a target must
/// move first.
pub(crate) fn hold_to_targets(
    pod: &Pod,
    recommended: &mut [PodRecommendation],
    rules: &Rules<'_>,
    in_place: bool,
) -> Option<WaitsForTarget> {
    let aligned = rules.claims.aligned();
    let mut waits = None;
    for metric in aligned {
        let resource = metric.covers.resource;
        let Some(sums) = Sums::of(metric, pod, recommended) else {
            continue;
        };
        let allowed = metric.point.request_at(metric.in_force);
        let least = if in_place {
            metric.point.least_request(sums.own, metric.in_force)
        } else {
            allowed
        };
        if sums.total >= least.min(sums.own) {
            continue;
        }
        if sums.own <= allowed {
            sums.covered.set(recommended, resource, &sums.requests);
            waits.get_or_insert(WaitsForTarget {
                covers: metric.covers.clone(),
                wanted: metric.point.target_of(sums.total),
            });
        } else {
            let shares = share_out(least, sums.covered.fixed, &sums.targets);
            sums.covered.set(recommended, resource, &shares);
        }
    }
    if !aligned.is_empty() && rules.profile.is_safe() {
        for one in recommended {
            finish(one, &pod.containers[one.index], rules);
        }
    }
    waits
}

/// The metric whose target went ahead of a running pod: the pod is to follow, or the target would stay ahead. By a whole
/// percent at least: the rest is rounding.
pub(crate) fn is_behind<'a>(
    pod: &Pod,
    recommended: &[PodRecommendation],
    rules: &Rules<'a>,
) -> Option<&'a Aligned> {
    rules.claims.aligned().iter().find(|metric| {
        let allowed = metric.point.request_at(metric.in_force);
        let reached = metric.point.request_at(metric.in_force - 1);
        let sums = Sums::of(metric, pod, recommended);
        sums.is_some_and(|sums| sums.own > reached && sums.total <= allowed)
    })
}

/// For each metric whose target moves: what a running pod requests, and the target that its recommendation is for, as far as
/// both are known.
pub fn wanted_targets(
    pod: &Pod,
    recommended: &[PodRecommendation],
    aligned: &[Aligned],
) -> Vec<(Covers, Option<i64>)> {
    let wanted = |metric: &Aligned| {
        let sums = Sums::of(metric, pod, recommended);
        let wanted = sums.map(|sums| metric.point.target_of(sums.total));
        (metric.covers.clone(), wanted)
    };
    aligned.iter().map(wanted).collect()
}

#[cfg(test)]
mod tests;
