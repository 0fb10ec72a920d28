//! HorizontalPodAutoscalers beside VPAs: which resources they scale on, and which are therefore left to them.
//!
//! An HPA with a target of `Utilization` divides what is used by what is requested. Whoever changes the request changes the
//! number of pods, each pod's usage moves with it, and so does the next recommendation.

mod by_target;
mod claims;
pub mod realign;
mod stance;
mod told;

pub use self::by_target::Horizontals;
pub use self::claims::{Claim, Claims};
pub use self::stance::{HORIZONTAL_ANNOTATION, Horizontal, HorizontalError};
pub use self::told::{Bearing, Told};

use std::time::Duration;

use crate::pod::OwnerRef;
use crate::quantity::Resource;

/// A HorizontalPodAutoscaler as podfit sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HorizontalAutoscaler {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it scales; `None` when its reference names no kind or nothing.
    pub target: Option<OwnerRef>,
    /// The ScaledObject of KEDA that it is made from, which would overwrite any change to it.
    pub scaled_object: Option<String>,
    /// What it scales on.
    pub metrics: Vec<Metric>,
    /// The least number of pods.
    pub min_replicas: i64,
    /// The most pods.
    pub max_replicas: i64,
    /// For how long the highest answer counts before there are fewer pods. `None` takes the controller's flag, by default 5
    /// minutes.
    pub down_stabilization: Option<Duration>,
    /// Why it does not scale now, as one word of its controller's (`ScalingDisabled`, `FailedGetResourceMetric`); `None` while it
    /// does.
    pub inactive: Option<String>,
    /// What it carries of podfit's.
    pub kept: realign::Kept,
}

impl HorizontalAutoscaler {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// A ScaledObject of KEDA, which makes an HPA of it, as podfit sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScaledObject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it scales; `None` when its reference names nothing.
    pub target: Option<OwnerRef>,
    /// True while KEDA is told not to scale: it has no HPA then.
    pub paused: bool,
    /// What it scales on, in the order of its spec: CPU and memory become metrics of the HPA, all else external ones.
    pub triggers: Vec<Metric>,
}

/// One metric that an HPA scales on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// What pods use of CPU or memory.
    Resource {
        /// Of what.
        resource: Resource,
        /// The container that is looked at; `None`: the sum over each pod's containers.
        container: Option<String>,
        /// How much it should be.
        target: Target,
    },
    /// One that no request is in: of pods, of an object, external, or of another resource.
    Other,
}

/// How much a metric of a resource should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// So many percent of what the pods request.
    Utilization(i64),
    /// So much for each pod, in millicores or bytes, whatever it requests.
    AverageValue(i64),
    /// One that cannot be read, or does not go with a resource.
    Unknown,
}

#[cfg(test)]
mod tests;
