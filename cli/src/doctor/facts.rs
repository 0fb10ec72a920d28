//! What is known of a cluster and of podfit in it, before it is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use podfit_cluster::index::Index;
use podfit_core::time::Timestamp;

use super::prometheus::Asked;
use super::rights::Missing;
use crate::installation::Installation;
use crate::objects::Answer;

/// All of it.
pub struct Facts {
    /// When that was.
    pub at: Timestamp,
    /// `/version`.
    pub version: Answer,
    /// The resources of the core API.
    pub core: Answer,
    /// The definitions of VPAs and of checkpoints.
    pub crds: [(&'static str, Answer); 2],
    /// The resources of VPAs' API, for who may not read definitions.
    pub vpa_api: Answer,
    /// What pods use.
    pub metrics: Answer,
    /// What Prometheus has; `None` when the recommender asks none.
    pub prometheus: Option<Asked>,
    /// podfit itself.
    pub installation: Installation,
    /// All Deployments.
    pub deployments: Answer,
    /// All leases.
    pub leases: Answer,
    /// All configurations of mutating webhooks.
    pub webhooks: Answer,
    /// The addresses of the webhook's Service; `None` when the configuration names none.
    pub endpoints: Option<Answer>,
    /// Whether a new pod gets what the webhook answers.
    pub chain: Result<(), Chain>,
    /// How long the webhook's certificate is good.
    pub certificate: Result<Duration, String>,
    /// The rights that each component lacks; `Err` when that cannot be told.
    pub rights: BTreeMap<&'static str, Result<Vec<Missing>, String>>,
    /// VPAs, pods and controllers.
    pub index: Index,
    /// What of these could not be read, and why.
    pub not_read: Vec<String>,
    /// Pods without a controller that have the labels of a VPA's target, or why they are not known.
    pub bare_pods: Result<Vec<String>, String>,
    /// All HorizontalPodAutoscalers.
    pub hpas: Answer,
    /// All ScaledObjects of KEDA.
    pub scaled_objects: Answer,
}

/// Why a new pod is not known to get what the webhook answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Chain {
    /// It does not.
    Broken(String),
    /// It could not be tried.
    NotTried(String),
}
