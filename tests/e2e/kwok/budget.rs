//! PodDisruptionBudgets hold, and it can be read that they are in the way.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::json;

use crate::modes::{ensure_as_written, uids, under_asked};

/// With no disruption allowed nothing is evicted, and condition and event name the budget. Once one is allowed, the pods
/// are replaced: it was the budget that held them.
pub async fn nothing_evicted(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = under_asked().replicas(3);
    ns.create(web.budget(0)).await?;
    ns.create(web.manifest()).await?;
    ns.create(web.vpa("Recreate")).await?;
    let before = until("three pods", secs(30), async || {
        ns.available_pods("web", 3).await
    })
    .await?;

    let blocked = until("the reason in a condition", secs(120), async || {
        ns.condition("web", "UpdateBlocked").await
    })
    .await?;
    let message = blocked["message"].as_str().unwrap_or_default();
    ensure!(
        blocked["reason"] == "PodDisruptionBudget" && message.contains("disruption budget web"),
        "{blocked}"
    );
    until("the reason in an event", secs(30), async || {
        let events = ns.events("web-").await?;
        ensure!(
            events
                .iter()
                .any(|e| e.starts_with("EvictionBlocked: ") && e.contains("disruption budget")),
            "{events:?}"
        );
        Ok(())
    })
    .await?;
    podfit.loops("updater", 3).await?;
    let after = ns.available_pods("web", 3).await?;
    ensure!(uids(&before) == uids(&after), "a pod was evicted");
    after.iter().try_for_each(ensure_as_written)?;

    ns.merge(
        "PodDisruptionBudget",
        "web",
        json!({"spec": {"maxUnavailable": 1}}),
    )
    .await?;
    until("all pods replaced and sized", secs(90), async || {
        let pods = ns.available_pods("web", 3).await?;
        for pod in &pods {
            ensure!(
                !uids(&before).contains(&pod.uid()),
                "{} is an old one",
                pod.name()
            );
            ensure!(pod.annotation("vpaUpdates").is_some(), "not sized");
        }
        Ok(())
    })
    .await?;
    until("the condition is gone", secs(30), async || {
        let condition = ns.condition("web", "UpdateBlocked").await;
        ensure!(condition.is_err(), "{condition:?}");
        Ok(())
    })
    .await
}
