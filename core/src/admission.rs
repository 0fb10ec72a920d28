//! What a pod that is about to be created is given: (pod, VPA, `LimitRanges`) -> changes and annotations.
//!
//! JSON, patches and the text form of quantities belong to the webhook.

use crate::pod::Pod;
use crate::policy::{LimitRangeItem, cap_for_pod, changes};
use crate::profile::Profile;
use crate::quantity::Millicores;
use crate::vpa::{UpdateMode, Vpa};

pub use crate::policy::ContainerChange;

/// The annotation that says what was changed in which container, and why.
pub const UPDATES_ANNOTATION: &str = "vpaUpdates";

/// The annotation with the containers the pod had at admission: later ones were injected, and the updater does not
/// judge the pod by them.
pub const OBSERVED_CONTAINERS_ANNOTATION: &str = "vpaObservedContainers";

/// Before a container's name: the annotation with what the container had before its startup boost.
pub const BOOST_ANNOTATION_PREFIX: &str = "vpaCpuStartupBoost/";

/// How new pods are sized, whatever their VPA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whose rules win.
    pub profile: Profile,
    /// True when startup boosts are applied (feature gate `CPUStartupBoost`).
    pub startup_boost: bool,
    /// The most CPU that a startup boost leads to; `None`: any.
    pub max_allowed_cpu_boost: Option<Millicores>,
}

/// The changes to one new pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// In the order of the pod's spec. A container that gets nothing is not listed.
    pub containers: Vec<ContainerChange>,
    /// Annotations to set, in this order.
    pub annotations: Vec<(String, String)>,
}

/// What `vpa`, which controls `pod`, changes in it at creation. Nothing at all in mode Off.
///
/// A pod under a VPA without a recommendation still gets the observed containers written down.
pub fn admit(pod: &Pod, vpa: &Vpa, limit_ranges: &[LimitRangeItem]) -> Admission {
    if vpa.update_mode == UpdateMode::Off {
        return Admission::default();
    }
    let policies = &vpa.container_policies;
    let recommended = vpa.recommendation.as_deref().unwrap_or_default();
    let fitted = cap_for_pod(pod, recommended, policies, limit_ranges);
    let containers = changes(pod, &fitted, policies, limit_ranges);
    let mut annotations = Vec::new();
    if !containers.is_empty() {
        annotations.push((
            UPDATES_ANNOTATION.to_owned(),
            updates_text(&vpa.name, &containers),
        ));
    }
    let names: Vec<_> = pod.containers.iter().map(|c| c.name.as_str()).collect();
    annotations.push((OBSERVED_CONTAINERS_ANNOTATION.to_owned(), names.join(", ")));
    Admission {
        containers,
        annotations,
    }
}

/// Upstream's text: `Pod resources updated by <vpa>: container 0: <note>, <note>; container 1: <note>`.
fn updates_text(vpa: &str, containers: &[ContainerChange]) -> String {
    let per_container: Vec<_> = containers
        .iter()
        .map(|change| {
            let notes: Vec<_> = change.notes.iter().map(ToString::to_string).collect();
            let place = match change.sidecar {
                Some(index) => format!("init container {index}"),
                None => format!("container {}", change.index),
            };
            format!("{place}: {}", notes.join(", "))
        })
        .collect();
    format!(
        "Pod resources updated by {vpa}: {}",
        per_container.join("; ")
    )
}

/// The containers that the pod had at admission, from its annotation. `None` when it has none, or one that podfit did
/// not write: each name must be a DNS label.
pub fn observed_containers(pod: &Pod) -> Option<Vec<&str>> {
    let text = pod.annotation(OBSERVED_CONTAINERS_ANNOTATION)?;
    if text.is_empty() {
        return Some(Vec::new());
    }
    let names: Vec<_> = text.split(',').map(str::trim).collect();
    names.iter().all(|name| is_dns_label(name)).then_some(names)
}

/// RFC 1123: up to 63 lower-case letters, digits and inner hyphens.
fn is_dns_label(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests;
