//! What an HPA is to have next: the targets that move, and what is to be kept of them.

use std::collections::BTreeSet;

use super::{Anchor, Covers, Live, Metric, movable};
use crate::horizontal::{self, HorizontalAutoscaler, Target};
use crate::pod::Pod;

/// One target that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The requests that it is for.
    pub covers: Covers,
    /// Percent, now.
    pub from: i64,
    /// Percent, then.
    pub to: i64,
}

/// A change to one HPA: nothing of it is done without the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retarget {
    /// The targets that move.
    pub moves: Vec<Move>,
    /// What is to be kept with the HPA afterwards; nothing takes the annotation away.
    pub keep: Vec<(Covers, Anchor)>,
}

/// What of an HPA's surroundings its targets depend on.
pub struct Situation<'a> {
    /// True while a VPA sizes the pods, and its stance is `realign`.
    pub realigns: bool,
    /// The live pods of the HPA's target.
    pub pods: &'a [SizedPod<'a>],
    /// The targets that pods wait for, to get less.
    pub waits: &'a [(Covers, i64)],
}

/// A pod, and what its recommendation makes of it.
pub struct SizedPod<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// The targets that its recommendation is for, as far as they are known: [`wanted_targets`].
    ///
    /// [`wanted_targets`]: crate::policy::wanted_targets
    pub wanted: Vec<(Covers, Option<i64>)>,
}

/// The metrics of an HPA whose targets are percents of requests, with those targets.
pub fn targets(hpa: &HorizontalAutoscaler) -> Vec<(Covers, i64)> {
    let of = |metric: &horizontal::Metric| match metric {
        horizontal::Metric::Resource {
            resource,
            container,
            target: Target::Utilization(percent),
        } => Some((
            Covers {
                resource: *resource,
                container: container.clone(),
            },
            *percent,
        )),
        _ => None,
    };
    hpa.metrics.iter().filter_map(of).collect()
}

/// What a pod requests in the containers that a metric covers; `None` when one of them requests nothing, or there is none.
pub fn request_of(pod: &Pod, covers: &Covers) -> Option<i64> {
    let mut covered = pod.containers.iter().filter(|c| covers.covers(&c.name));
    let first = covered.next()?.requests.get(covers.resource)?;
    covered.try_fold(first, |sum, c| Some(sum + c.requests.get(covers.resource)?))
}

/// The change that an HPA is to get; `None` when it is to stay as it is, or cannot be changed ([`movable`]).
///
/// A metric whose pair of target and request cannot be told yet is left alone, and so are two metrics for the same requests.
pub fn retarget(hpa: &HorizontalAutoscaler, situation: &Situation<'_>) -> Option<Retarget> {
    movable(hpa).ok()?;
    let all = targets(hpa);
    let mut next = Retarget::default();
    for (place, (covers, in_force)) in all.iter().enumerate() {
        let mut others = all.iter().enumerate().filter(|(at, _)| *at != place);
        let alone = !others.any(|(_, (other, _))| other.overlaps(covers));
        let pods: Vec<_> = situation.pods.iter().map(|pod| live(pod, covers)).collect();
        let stored = hpa.kept.anchor(covers);
        let metric = Metric {
            in_force: *in_force,
            stored,
            pods: &pods,
            waits_for: situation
                .waits
                .iter()
                .filter(|(of, _)| of == covers)
                .map(|(_, wanted)| *wanted)
                .max(),
            realigns: situation.realigns && alone,
        };
        let Ok(found) = metric.next() else {
            next.keep
                .extend(stored.map(|anchor| (covers.clone(), anchor)));
            continue;
        };
        next.keep
            .extend(found.anchor.map(|anchor| (covers.clone(), anchor)));
        if found.target != *in_force {
            next.moves.push(Move {
                covers: covers.clone(),
                from: *in_force,
                to: found.target,
            });
        }
    }
    let set = |anchors: &[(Covers, Anchor)]| {
        let texts = anchors.iter().map(|(covers, anchor)| {
            let Anchor { point, set } = anchor;
            (covers.clone(), point.target(), point.request(), *set)
        });
        texts.collect::<BTreeSet<_>>()
    };
    let same = next.moves.is_empty() && set(&next.keep) == set(&hpa.kept.anchors);
    (!same).then_some(next)
}

fn live(SizedPod { pod, wanted }: &SizedPod<'_>, covers: &Covers) -> Live {
    let of = |(of, wanted): &(Covers, Option<i64>)| wanted.filter(|_| of == covers);
    Live {
        request: request_of(pod, covers),
        wanted: wanted.iter().find_map(of),
    }
}
