//! What a pod that is about to be created is given: (pod, VPA, `LimitRanges`, HPAs) -> changes and annotations.
//!
//! JSON, patches and the text form of quantities belong to the webhook. An API server may ask about one pod several times,
//! when other webhooks change it in between: a pod that has what it is to have is not changed again.

mod boost;
mod next;

use std::fmt;
use std::fmt::Write as _;

use crate::pod::{Container, Pod};
use crate::policy::scale_down::keep_up;
use crate::policy::{Rules, ScaleDown, Surroundings, cap_for_pod, changes};
use crate::profile::Profile;
use crate::quantity::Millicores;
use crate::time::Timestamp;
use crate::vpa::{UpdateMode, Vpa};

pub use crate::policy::ContainerChange;
pub use boost::Boost;
pub use next::{LimitBy, Next, next_pod};

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
    /// In the order of the pod's containers. A container that gets nothing is not listed.
    pub containers: Vec<ContainerChange>,
    /// The containers among them that start with more CPU than they are to keep.
    pub boosts: Vec<Boost>,
    /// Annotations to set, in this order.
    pub annotations: Vec<(String, String)>,
    /// Why the pod is left alone, where that is not plain from its VPA.
    pub left_alone: Option<LeftAlone>,
}

/// Why a new pod under a VPA is not sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeftAlone {
    /// Containers share what the pod has, and the sum says nothing of each.
    #[error("the pod as a whole has resources (spec.resources), which are not sized")]
    PodLevelResources,
}

/// True when `vpa` has something to do with new pods: not in mode Off, unless it boosts their start.
pub fn sizes_new_pods(vpa: &Vpa, settings: &Settings) -> bool {
    vpa.update_mode != UpdateMode::Off || (settings.startup_boost && vpa.boosts())
}

/// What `vpa`, which controls `pod`, changes in it at creation. In mode Off only startup boosts.
///
/// A pod under a VPA without a recommendation still gets the observed containers written down.
pub fn admit<'a>(
    pod: &Pod,
    vpa: &'a Vpa,
    surroundings: impl Into<Surroundings<'a>>,
    settings: &Settings,
    now: Timestamp,
) -> Admission {
    if !sizes_new_pods(vpa, settings) {
        return Admission::default();
    }
    if pod.has_pod_resources && settings.profile.is_safe() {
        return Admission {
            left_alone: Some(LeftAlone::PodLevelResources),
            ..Admission::default()
        };
    }
    let boosts = settings.startup_boost && pod.containers.iter().any(|c| c.before_boost.is_some());
    let written = if boosts {
        &boost::without_boosts(pod)
    } else {
        pod
    };
    // What it was before its boost is partly sized already, and may look Guaranteed where the pod never was.
    let may_be_guaranteed = !boosts || pod.is_guaranteed();
    let surroundings = surroundings.into();
    let rules = |pod: &Pod| {
        Rules::new(pod, vpa, surroundings, settings.profile)
            .of_class(may_be_guaranteed)
            .of_new_pod()
    };
    let mut containers = match vpa.update_mode {
        UpdateMode::Off => Vec::new(),
        _ => settled(
            written,
            (vpa, scale_down(vpa, now)),
            rules,
            surroundings.limit_ranges.is_empty(),
        ),
    };
    let mut boosts = Vec::new();
    if settings.startup_boost && vpa.boosts() {
        boosts = boost::boost(written, vpa, &rules(written), settings, &mut containers);
    }
    for change in &mut containers {
        let limits = pod.containers[change.index].limits;
        change.removed_limits.retain(|r| limits.get(*r).is_some());
    }
    annotated(pod, vpa, containers, boosts)
}

/// The changes by recommendation, such that making them again changes nothing. Limits are rounded, so their proportions
/// change by a trace when they are set; where a LimitRange binds, a second look would then allow a trace more.
fn settled<'a>(
    pod: &Pod,
    (vpa, scale_down): (&Vpa, Option<ScaleDown>),
    rules: impl Fn(&Pod) -> Rules<'a>,
    without_limit_ranges: bool,
) -> Vec<ContainerChange> {
    /// Traces get smaller from look to look.
    const MOST_LOOKS: usize = 8;
    let sized_before = Some(pod)
        .filter(|pod| says_so(pod, vpa))
        .and_then(observed_containers)
        .unwrap_or_default();
    let look = |pod: &Pod, is_first: bool| {
        let rules = rules(pod);
        let recommended = vpa.recommendation.as_deref().unwrap_or_default();
        let mut recommended = cap_for_pod(pod, recommended, &rules);
        if let Some(scale_down) = scale_down {
            // What was boosted is written down as it was.
            let is_template = |c: &Container| {
                is_first && (c.before_boost.is_some() || !sized_before.contains(&c.name.as_str()))
            };
            keep_up(pod, &mut recommended, &rules, (scale_down, is_template));
        }
        changes(pod, &recommended, &rules)
    };
    let mut settled = look(pod, true);
    // Without LimitRanges nothing binds by a proportion.
    if without_limit_ranges {
        return settled;
    }
    let mut sized = pod.clone();
    for _ in 0..MOST_LOOKS {
        for change in &settled {
            change.apply(&mut sized.containers[change.index]);
        }
        let again = look(&sized, false);
        let mut same = true;
        for (first, again) in settled.iter_mut().zip(again) {
            same &= (first.requests, first.limits) == (again.requests, again.limits);
            (first.requests, first.limits) = (again.requests, again.limits);
        }
        if same {
            break;
        }
    }
    settled
}

/// How new pods of a VPA may be smaller than they ask to be. A slow step is for pods that are resized in place from there
/// on; where pods are made anew for each step, each would begin with the first.
fn scale_down(vpa: &Vpa, now: Timestamp) -> Option<ScaleDown> {
    match vpa.scale_down {
        ScaleDown::Free => None,
        ScaleDown::Window if vpa.maintenance.is_within(now) => None,
        ScaleDown::Slow if !vpa.update_mode.is_in_place() => None,
        scale_down => Some(scale_down),
    }
}

/// What the annotation [`UPDATES_ANNOTATION`] begins with.
fn updated_by(vpa: &Vpa) -> String {
    format!("Pod resources updated by {}: ", vpa.name)
}

/// True for a pod that was here before.
fn says_so(pod: &Pod, vpa: &Vpa) -> bool {
    let text = pod.annotation(UPDATES_ANNOTATION);
    text.is_some_and(|text| text.starts_with(&updated_by(vpa)))
}

/// The whole admission, or nothing when the pod is as it should be and says so.
fn annotated(
    pod: &Pod,
    vpa: &Vpa,
    containers: Vec<ContainerChange>,
    boosts: Vec<Boost>,
) -> Admission {
    let prefix = updated_by(vpa);
    let names: Vec<_> = pod.containers.iter().map(|c| c.name.as_str()).collect();
    let observed = names.join(", ");
    let done = (containers.is_empty() || says_so(pod, vpa))
        && pod.annotation(OBSERVED_CONTAINERS_ANNOTATION) == Some(&observed)
        && containers
            .iter()
            .all(|change| !change.alters_spec(&pod.containers[change.index]));
    if done {
        return Admission::default();
    }
    let mut annotations = Vec::new();
    if !containers.is_empty() {
        let text = format!("{prefix}{}", updates_text(&containers));
        annotations.push((UPDATES_ANNOTATION.to_owned(), text));
    }
    annotations.push((OBSERVED_CONTAINERS_ANNOTATION.to_owned(), observed));
    Admission {
        containers,
        boosts,
        annotations,
        left_alone: None,
    }
}

/// Upstream's text: `container 0: <note>, <note>; container 1: <note>`.
fn updates_text(containers: &[ContainerChange]) -> String {
    let mut text = String::with_capacity(128);
    let mut add = |part: fmt::Arguments<'_>| {
        // Into a text nothing fails to be written.
        let _ = text.write_fmt(part);
    };
    for (nth, change) in containers.iter().enumerate() {
        add(format_args!("{}", if nth == 0 { "" } else { "; " }));
        match change.sidecar {
            Some(index) => add(format_args!("init container {index}: ")),
            None => add(format_args!("container {}: ", change.index)),
        }
        for (nth, note) in change.notes.iter().enumerate() {
            add(format_args!("{}{note}", if nth == 0 { "" } else { ", " }));
        }
    }
    text
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
