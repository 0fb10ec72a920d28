//! What the next pod would be given: requests, and the limits beside them.

use std::sync::Arc;

use podfit_cluster::api::time::now;
use podfit_cluster::explanation::horizontal::Beside;
use podfit_core::admission::{LeftAlone, Next, next_pod};
use podfit_core::pod::Pod;
use podfit_core::policy::Surroundings;
use podfit_core::quantity::Resource;
use podfit_core::vpa::{UpdateMode, Vpa};
use serde_json::{Value, json};

use super::Explained;
use crate::foresight::Foresight;

/// By what the newest of `pods` has, as its limits tell those of the template; nothing when none runs.
pub fn of(
    pods: &[Arc<Pod>],
    vpa: &Vpa,
    beside: &Beside,
    foresight: &Foresight,
) -> Result<Vec<Next>, LeftAlone> {
    let live = pods
        .iter()
        .filter(|pod| !pod.terminating && !pod.is_finished());
    let Some(newest) = live.max_by_key(|pod| pod.created) else {
        return Ok(Vec::new());
    };
    let limit_ranges = foresight.index.limit_ranges(&vpa.namespace);
    let surroundings = Surroundings {
        limit_ranges: &limit_ranges,
        claims: &beside.claims,
    };
    next_pod(newest, vpa, surroundings, foresight.config.profile, now())
}

/// The line of one resource of a container.
pub fn text(explained: &Explained, (container, resource): (&str, Resource)) -> String {
    let mut all = explained.next_pod.iter().flatten();
    let Some(next) = all.find(|n| n.container == container && n.resource == resource) else {
        return String::new();
    };
    let which = match explained.vpa.update_mode {
        UpdateMode::Off => "next pod, in a mode other than Off",
        _ => "next pod",
    };
    format!("    {which}: {next}\n")
}

/// All of it, or why new pods are left alone.
pub fn to_json(next_pod: &Result<Vec<Next>, LeftAlone>) -> Value {
    let all = match next_pod {
        Ok(all) => all,
        Err(why) => return json!({"leftAlone": why.to_string()}),
    };
    let one = |next: &Next| {
        let show = |amount| next.resource.show(amount);
        json!({
            "container": next.container, "resource": next.resource.name(),
            "request": show(next.request), "limit": next.limit.map(show),
            "limitBy": next.limit_by.word(),
            "boundBy": next.bound_by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "message": next.to_string(),
        })
    };
    all.iter().map(one).collect()
}
