//! Sizes pods at their creation.

use json_patch::Patch;
use podfit_cluster::api::pod::PodObject;
use podfit_cluster::api::time::now;
use podfit_cluster::probe::{self, PROBE};
use podfit_core::admission::sizes_new_pods;
use podfit_core::pod::Pod;
use podfit_core::policy::Surroundings;
use podfit_core::vpa::Vpa;

use crate::admission::Webhook;
use crate::metrics::Outcome;
use crate::patch;
use crate::review::{Request, Response};

/// Why a pod was let through without looking at it closer.
#[derive(Debug, thiserror::Error)]
enum Unsized {
    #[error("the request holds no object")]
    NoObject,
    #[error("the pod cannot be read: {0}")]
    Unreadable(serde_json::Error),
    #[error("the patch cannot be written: {0}")]
    Unwritable(serde_json::Error),
}

/// Sizes the pod of a CREATE request. Whatever goes wrong, the pod is let through and the log says why.
pub fn admit(webhook: &Webhook, request: Request<'_>) -> (Outcome, Response) {
    if request.operation != "CREATE" {
        return (Outcome::Skipped, Response::allow(request.uid));
    }
    let outcome = match sized(webhook, &request) {
        Ok(response) if response.is_patched() => (Outcome::Applied, response),
        Ok(response) => (Outcome::Skipped, response),
        Err(error) => {
            tracing::error!(
                error = %error,
                namespace = request.namespace,
                name = request.name,
                uid = request.uid,
                "let a pod through unsized"
            );
            (Outcome::Error, Response::allow(request.uid))
        }
    };
    if request.dry_run != Some(true) {
        webhook.metrics.pods(outcome.0 == Outcome::Applied).inc();
    }
    outcome
}

fn sized(webhook: &Webhook, request: &Request<'_>) -> Result<Response, Unsized> {
    let object = request.object.ok_or(Unsized::NoObject)?;
    let allowed = Response::allow(request.uid.clone());
    // Somebody wants to know whether our answers count: only a dry run can be that.
    if request.dry_run == Some(true)
        && object.get().contains(PROBE)
        && let Some(answer) = serde_json::from_str(object.get())
            .ok()
            .and_then(|pod| probe::answer(&pod))
    {
        return allowed.with_patch(&answer).map_err(Unsized::Unwritable);
    }
    let object: PodObject = serde_json::from_str(object.get()).map_err(Unsized::Unreadable)?;
    let mut pod = Pod::from(&object).seen_by(webhook.settings.profile);
    if pod.namespace.is_empty() {
        pod.namespace = request.namespace.clone().unwrap_or_default();
    }
    allowed
        .with_patch(&size(webhook, &pod))
        .map_err(Unsized::Unwritable)
}

/// The patch for `pod`: empty when no VPA controls it, or when its VPA only recommends.
pub fn size(webhook: &Webhook, pod: &Pod) -> Patch {
    let settings = &webhook.settings;
    let (vpa, limit_ranges, claims) = {
        let index = webhook.index.read();
        let eligible = |vpa: &Vpa| sizes_new_pods(vpa, settings);
        let Some(vpa) = index.controlling_vpa(pod, eligible) else {
            return Patch::default();
        };
        let claims = index.claims(vpa, Some(pod), settings.profile);
        (vpa.clone(), index.limit_ranges(&pod.namespace), claims)
    };
    let surroundings = Surroundings {
        limit_ranges: &limit_ranges,
        claims: &claims,
    };
    let admission = podfit_core::admission::admit(pod, &vpa, surroundings, settings, now());
    if let Some(why) = admission.left_alone {
        tracing::info!(namespace = pod.namespace, pod = pod.name, vpa = vpa.name, %why, "left a pod as it is");
    }
    tracing::debug!(namespace = pod.namespace, pod = pod.name, vpa = vpa.name, changes = ?admission, "sized a pod");
    patch::render(pod, &admission)
}

#[cfg(test)]
mod tests;
