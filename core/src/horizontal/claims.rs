//! Which resources of a workload's containers its HPAs scale on by utilisation, so that they are not podfit's to change.

use std::sync::Arc;

use super::realign::{Aligned, Covers, NotAligned, aligned};
use super::{Horizontal, HorizontalAutoscaler, Metric, Target};
use crate::quantity::Resource;

/// One resource that is left to an HPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The HPA.
    pub hpa: Arc<HorizontalAutoscaler>,
    /// The resource.
    pub resource: Resource,
    /// The container; `None`: all of the pod.
    pub container: Option<String>,
    /// The HPA's target, in percent of what is requested.
    pub utilization: i64,
    /// With [`Horizontal::Realign`]: why its target does not move with the requests.
    pub stays: Option<NotAligned>,
}

impl Claim {
    /// The requests that it is about.
    pub fn covers(&self) -> Covers {
        Covers {
            resource: self.resource,
            container: self.container.clone(),
        }
    }
}

/// What HPAs claim of one workload; by far most have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    left: Vec<Claim>,
    aligned: Vec<Aligned>,
}

impl Claims {
    /// Of a workload without an HPA.
    pub const NONE: &'static Self = &Self {
        left: Vec::new(),
        aligned: Vec::new(),
    };

    /// What the HPAs of a workload claim, where its VPA's stance lets them.
    ///
    /// A target of `AverageValue`, and any metric that is none of CPU or memory, is met by as many pods whatever they request, so
    /// it claims nothing. With [`Horizontal::Realign`] a claim stands as long as its target cannot move with the request.
    pub fn new(hpas: &[Arc<HorizontalAutoscaler>], stance: Horizontal) -> Self {
        let mut claims = Self::default();
        if stance == Horizontal::Ignore || hpas.is_empty() {
            return claims;
        }
        let all: Vec<_> = hpas.iter().flat_map(by_utilization).collect();
        if stance == Horizontal::Yield {
            claims.left = all;
            return claims;
        }
        for (place, claim) in all.iter().enumerate() {
            let covers = claim.covers();
            let other =
                |(at, other): (usize, &Claim)| at != place && other.covers().overlaps(&covers);
            let aligned = if all.iter().enumerate().any(other) {
                Err(NotAligned::SeveralTargets)
            } else {
                aligned(&claim.hpa, covers, claim.utilization)
            };
            match aligned {
                Ok(aligned) => claims.aligned.push(aligned),
                Err(why) => claims.left.push(Claim {
                    stays: Some(why),
                    ..claim.clone()
                }),
            }
        }
        claims
    }

    /// The claims of one HPA to these resources.
    #[cfg(test)]
    pub(crate) fn of_test(claimed: &[(Resource, Option<&str>)]) -> Self {
        let metric = |(resource, container): &(Resource, Option<&str>)| Metric::Resource {
            resource: *resource,
            container: container.map(String::from),
            target: Target::Utilization(70),
        };
        let hpa = HorizontalAutoscaler {
            name: "web".into(),
            metrics: claimed.iter().map(metric).collect(),
            ..HorizontalAutoscaler::default()
        };
        Self::new(&[Arc::new(hpa)], Horizontal::Yield)
    }

    /// One metric whose target moves: (target, request) as found, and the target in force.
    #[cfg(test)]
    pub(crate) fn aligned_test(covers: &str, (target, request): (i64, i64), in_force: i64) -> Self {
        let point = super::realign::ScalePoint::new(target, request);
        let covers = Covers::parse(covers);
        let aligned = point.zip(covers).map(|(point, covers)| Aligned {
            covers,
            point,
            in_force,
        });
        Self {
            left: Vec::new(),
            aligned: aligned.into_iter().collect(),
        }
    }

    /// The first claim to a resource of a container; `None` when it is podfit's to size.
    pub fn on(&self, container: &str, resource: Resource) -> Option<&Claim> {
        self.left.iter().find(|claim| {
            let named = claim.container.as_deref();
            claim.resource == resource && named.is_none_or(|named| named == container)
        })
    }

    /// All that is left to HPAs.
    pub fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.left.iter()
    }

    /// Metrics whose targets move with the requests: these are podfit's to size, within what the targets can follow.
    pub fn aligned(&self) -> &[Aligned] {
        &self.aligned
    }

    /// True when everything is podfit's to size, as it likes.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty() && self.aligned.is_empty()
    }
}

/// What an HPA scales on by utilisation.
pub(super) fn by_utilization(hpa: &Arc<HorizontalAutoscaler>) -> impl Iterator<Item = Claim> {
    hpa.metrics.iter().filter_map(|metric| match metric {
        Metric::Resource {
            resource,
            container,
            target: Target::Utilization(percent),
        } => Some(Claim {
            hpa: Arc::clone(hpa),
            resource: *resource,
            container: container.clone(),
            utilization: *percent,
            stays: None,
        }),
        _ => None,
    })
}
