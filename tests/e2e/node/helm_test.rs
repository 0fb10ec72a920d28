//! `helm test`, as an admin would run it.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::installation::Installation;
use podfit_tests::namespace::Namespace;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};

/// It passes, leaves nothing behind, and with no webhook pod running fails and says that.
pub async fn proves_the_chain(ns: Namespace, _: Arc<Installation>) -> Result<()> {
    let began = Instant::now();
    helm_test(&ns).await?;
    figure(format!("helm test: {:.1} s", began.elapsed().as_secs_f64()));
    let left = kubectl(
        &ns,
        &["get", "vpa,replicasets", "-n", "default", "-o", "name"],
    )
    .await?;
    ensure!(!left.contains("podfit-self-test"), "left behind: {left}");
    let left = [
        "get",
        "pods,serviceaccounts,roles",
        "-n",
        NAMESPACE,
        "-o",
        "name",
    ];
    let left = kubectl(&ns, &left).await?;
    ensure!(!left.contains("podfit-test"), "left behind: {left}");

    scale_webhook(&ns, "0").await?;
    let broken = broken(&ns).await;
    scale_webhook(&ns, "1").await?;
    broken?;
    kubectl(
        &ns,
        &[
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            "deployment/podfit-webhook",
            "--timeout=60s",
        ],
    )
    .await?;
    helm_test(&ns).await
}

async fn broken(ns: &Namespace) -> Result<()> {
    until("no webhook pod", secs(60), async || {
        let of_webhook = "app.kubernetes.io/component=webhook";
        let pods = [
            "-n", NAMESPACE, "get", "pods", "-l", of_webhook, "-o", "name",
        ];
        let pods = kubectl(ns, &pods).await?;
        ensure!(pods.trim().is_empty(), "{pods}");
        Ok(())
    })
    .await?;
    let failed = helm_test(ns).await;
    failed.err().context("the test passes without a webhook")?;
    let log = kubectl(ns, &["-n", NAMESPACE, "logs", "podfit-test"]).await?;
    ensure!(
        log.contains("service without endpoints") && log.contains("podfit/podfit-webhook"),
        "the broken link is not named: {log}"
    );
    Ok(())
}

async fn helm_test(ns: &Namespace) -> Result<()> {
    let test = [
        "test",
        "podfit",
        "--namespace",
        NAMESPACE,
        "--timeout",
        "120s",
    ];
    ns.cluster.helm(&test).await.map(drop)
}

async fn scale_webhook(ns: &Namespace, replicas: &str) -> Result<()> {
    let replicas = format!("--replicas={replicas}");
    let scale = [
        "-n",
        NAMESPACE,
        "scale",
        "deployment/podfit-webhook",
        &replicas,
    ];
    kubectl(ns, &scale).await.map(drop)
}

async fn kubectl(ns: &Namespace, arguments: &[&str]) -> Result<String> {
    ns.cluster.kubectl(arguments, "").await
}
