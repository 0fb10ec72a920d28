//! What is told of a metric whose target is to move with the requests.

use std::sync::Arc;

use super::{Aligned, Anchor, Covers, NotAligned, Requested, ScalePoint, out_of_reach, request_of};
use crate::horizontal::Claim;
use crate::pod::Pod;
use crate::vpa::Vpa;

/// A part of a sentence on one metric of an HPA: that its target moves, or why not, and what could be done by hand.
pub fn told(claim: &Claim, aligned: &[Aligned], vpa: &Vpa, pods: &[Arc<Pod>]) -> String {
    let covers = claim.covers();
    let resource = covers.resource;
    let name = resource.name();
    if let Some(metric) = aligned.iter().find(|metric| metric.covers == covers) {
        let (target, request) = (metric.point.target(), metric.point.request());
        let but = out_of_reach(metric.point, &covers, vpa, pods)
            .map(|why| format!("; {}", why.told(metric.point, resource)));
        return format!(
            "{name} is sized, and that target moves with it, from {target} % of {} as its owner chose{}",
            resource.show(request),
            but.unwrap_or_default()
        );
    }
    let live = || pods.iter().filter(|pod| !pod.terminating);
    let requested = Requested::of(live().map(|pod| request_of(pod, &covers)));
    match &claim.stays {
        None | Some(NotAligned::NoScalePoint) => {
            match Anchor::find(None, claim.utilization, requested) {
                Ok(_) => format!("{name} waits for podfit-updater to take note of that target"),
                Err(why) => format!("{name} waits: {why}"),
            }
        }
        Some(why @ NotAligned::Managed(_)) => {
            let point = match (claim.hpa.kept.anchor(&covers), requested) {
                (Some(anchor), _) => Some(anchor.point),
                (None, Requested::Alike(request)) => ScalePoint::new(claim.utilization, request),
                (None, _) => None,
            };
            let first = live().next();
            let advice = point
                .zip(first.and_then(|pod| recommended(pod, &covers, vpa)))
                .map(|(point, sum)| point.wanted(sum))
                .map(|pair| {
                    let request = resource.show(pair.request);
                    format!(
                        "; a target of {} % and a request of {request} together, in that manifest, would do as well",
                        pair.target
                    )
                });
            format!(
                "{name} is recommended and not applied: {why}{}",
                advice.unwrap_or_default()
            )
        }
        Some(why) => format!("{name} is recommended and not applied: {why}"),
    }
}

/// What is recommended for a pod in the containers that a metric covers; what they request where nothing is.
fn recommended(pod: &Pod, covers: &Covers, vpa: &Vpa) -> Option<i64> {
    let covered = pod.containers.iter().filter(|c| covers.covers(&c.name));
    let amounts = covered.map(|container| {
        let of = vpa.recommendation_for(&container.name);
        let target = of.and_then(|r| r.target.get(covers.resource));
        target.or(container.requests.get(covers.resource))
    });
    amounts.sum()
}
