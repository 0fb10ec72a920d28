//! Pods by the clock.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use jiff::{Timestamp, ToSpan, Zoned};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::suite::figure;
use podfit_tests::wait::{holds, secs, until};
use serde_json::json;

use crate::samples::Platform;
use crate::scaled_objects;

/// As in the sample `scheduled-training-scaler`.
const ZONE: &str = "America/New_York";
const REPLICAS: u64 = 3;

/// No pod before the window, three in it, none after it, whatever the time of day: the window is the next whole minute.
pub async fn on_and_off(ns: Namespace, _: Arc<Platform>) -> Result<()> {
    ns.create(Workload::deployment("nightly").replicas(0).manifest())
        .await?;
    let start = next_minute()?;
    let end = start.checked_add(1.minute())?;
    // The sample polls every 30 s and waits 300 s before it goes to zero; a test has no such time.
    scaled_objects::create(
        &ns,
        json!({
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": {"name": "nightly"},
            "spec": {
                "scaleTargetRef": {"name": "nightly"},
                "minReplicaCount": 0,
                "maxReplicaCount": REPLICAS,
                "pollingInterval": 2,
                "cooldownPeriod": 2,
                "triggers": [{"type": "cron", "metadata": {
                    "timezone": ZONE,
                    "start": schedule(&start),
                    "end": schedule(&end),
                    "desiredReplicas": REPLICAS.to_string(),
                }}],
            },
        }),
    )
    .await?;
    until("KEDA takes it", secs(20), async || {
        let object = ns.get("ScaledObject", "nightly").await?;
        let hpa = &object["status"]["hpaName"];
        ensure!(hpa == "keda-hpa-nightly", "{}", object["status"]);
        Ok(())
    })
    .await?;
    let before = replicas(&ns).await?;
    ensure!(
        Timestamp::now() < start.timestamp(),
        "the window is open already"
    );
    ensure!(before == 0, "{before} replicas before the window");

    until("the window", secs(61), async || {
        ensure!(Timestamp::now() >= start.timestamp(), "not yet");
        Ok(())
    })
    .await?;
    let on = reach(&ns, REPLICAS, 40).await?;
    let left = Timestamp::now().duration_until(end.timestamp());
    ensure!(left.is_positive(), "only after the window");
    holds("in the window", left.try_into()?, async || {
        let now = replicas(&ns).await?;
        ensure!(now == REPLICAS, "{now} replicas");
        Ok(())
    })
    .await?;
    let off = reach(&ns, 0, 40).await?;
    figure(format!(
        "cron: {REPLICAS} replicas {on:.1} s after the window's start, none {off:.1} s after its end"
    ));
    Ok(())
}

/// At least ten seconds from now, for KEDA to see it come.
fn next_minute() -> Result<Zoned> {
    let soon = Timestamp::now().in_tz(ZONE)?.checked_add(10.seconds())?;
    let whole = soon.with().second(0).subsec_nanosecond(0).build()?;
    Ok(whole.checked_add(1.minute())?)
}

/// As cron writes a minute of every day.
fn schedule(at: &Zoned) -> String {
    format!("{} {} * * *", at.minute(), at.hour())
}

/// Waits for a number of replicas; the seconds that took.
async fn reach(ns: &Namespace, wanted: u64, within: u64) -> Result<f64> {
    let began = Instant::now();
    until(&format!("{wanted} replicas"), secs(within), async || {
        let now = replicas(ns).await?;
        ensure!(now == wanted, "{now} replicas");
        Ok(())
    })
    .await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn replicas(ns: &Namespace) -> Result<u64> {
    let deployment = ns.get("Deployment", "nightly").await?;
    Ok(deployment["spec"]["replicas"].as_u64().unwrap_or_default())
}
