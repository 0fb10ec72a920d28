//! Maintenance windows hold, and it can be read when they open.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::json;

use crate::modes::{ensure_as_written, uids, under_asked};

/// Outside of the window nothing is evicted, and the condition tells when it opens. Once it is open, the pods are replaced.
pub async fn held(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let web = under_asked();
    let mut vpa = web.vpa("Recreate");
    vpa["metadata"]["annotations"] = json!({"podfit.dev/window": in_half_a_day()?});
    ns.create(web.manifest()).await?;
    ns.create(vpa).await?;
    let before = until("two pods", secs(30), async || {
        ns.available_pods("web", 2).await
    })
    .await?;
    let blocked = until("the reason in a condition", secs(120), async || {
        ns.condition("web", "UpdateBlocked").await
    })
    .await?;
    let message = blocked["message"].as_str().unwrap_or_default();
    ensure!(
        blocked["reason"] == "OutsideWindow" && message.contains("opens at 20"),
        "{blocked}"
    );
    podfit.loops("updater", 3).await?;
    let after = ns.available_pods("web", 2).await?;
    ensure!(uids(&before) == uids(&after), "a pod was evicted");
    after.iter().try_for_each(ensure_as_written)?;

    let open = json!({"podfit.dev/window": "daily 00:00-24:00 Europe/Berlin"});
    ns.merge(VPA, "web", json!({"metadata": {"annotations": open}}))
        .await?;
    until("all pods replaced", secs(90), async || {
        let pods = ns.available_pods("web", 2).await?;
        let old = pods.iter().find(|pod| uids(&before).contains(&pod.uid()));
        ensure!(old.is_none(), "an old one is there");
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

/// A window that opens in about twelve hours.
fn in_half_a_day() -> Result<String> {
    let hours = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 3600;
    let hour = (hours + 12) % 24;
    Ok(format!("daily {hour:02}:00-{hour:02}:30"))
}
