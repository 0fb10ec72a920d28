//! Which resources of a workload's containers its HPAs scale on by utilisation, so that they are not podfit's to change.

use std::sync::Arc;

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
}

/// What HPAs claim of one workload; by far most have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims(Vec<Claim>);

impl Claims {
    /// Of a workload without an HPA.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// What the HPAs of a workload claim, where its VPA's stance lets them.
    ///
    /// A target of `AverageValue`, and any metric that is none of CPU or memory, is met by as many pods whatever they request, so
    /// it claims nothing. With [`Horizontal::Realign`] the claim stands until the target moves with the request.
    pub fn new(hpas: &[Arc<HorizontalAutoscaler>], stance: Horizontal) -> Self {
        if stance == Horizontal::Ignore {
            return Self::default();
        }
        Self(hpas.iter().flat_map(by_utilization).collect())
    }

    /// The first claim to a resource of a container; `None` when it is podfit's to size.
    pub fn on(&self, container: &str, resource: Resource) -> Option<&Claim> {
        self.0.iter().find(|claim| {
            let named = claim.container.as_deref();
            claim.resource == resource && named.is_none_or(|named| named == container)
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Claim> {
        self.0.iter()
    }

    /// True when everything is podfit's to size.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        }),
        _ => None,
    })
}
