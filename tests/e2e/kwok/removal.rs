//! `helm install` into a namespace that allows restricted pods alone, and `helm uninstall`, on a control plane without nodes,
//! where no pod of podfit ever runs.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::cluster::{Cluster, log_folder, repository};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{CHECKPOINT, Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::process::{Process, Program};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

const CLUSTER: &str = "tests-removal";
const CONFIGURATION: &str = "mutatingwebhookconfiguration/vpa-webhook-config";

/// No object of the chart stays but the definitions, whose objects stay, too. Nor is there a webhook configuration that the
/// webhook made by itself.
pub async fn leaves_what_is_yours(_: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up(CLUSTER, &[]).await?);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }});
    cluster
        .kubectl(&["create", "-f", "-"], &namespace.to_string())
        .await?;
    helm_install(&cluster).await?;
    until("two pods of each pass the standard", secs(60), async || {
        let pods = ["-n", NAMESPACE, "get", "pods", "-o", "name"];
        let pods = cluster.kubectl(&pods, "").await?;
        ensure!(pods.lines().count() == 6, "{pods}");
        Ok(())
    })
    .await?;
    let ns = Namespace::create_new(&cluster, "team").await?;
    let yours = yours(&ns).await?;

    let webhook = registers_in_vain(&cluster, &podfit).await?;
    let uninstall = ["uninstall", "podfit", "-n", NAMESPACE, "--wait"];
    cluster.helm(&uninstall).await?;
    let left = left(&cluster).await?;
    webhook.kill().await?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    ensure!(
        yours
            == [
                ns.get(VPA, "web").await?,
                ns.get(CHECKPOINT, "web-app").await?
            ],
        "a VPA or a checkpoint changed"
    );

    helm_install(&cluster).await.context("once more")?;
    Cluster::down(CLUSTER).await
}

async fn helm_install(cluster: &Cluster) -> Result<()> {
    let chart = repository().join("charts/podfit").display().to_string();
    let install = ["install", "podfit", &chart, "-n", NAMESPACE];
    cluster.helm(&install).await.map(drop)
}

/// A VPA with a recommendation, and a checkpoint.
async fn yours(ns: &Namespace) -> Result<[Value; 2]> {
    let vpa = Workload::deployment("web").vpa("Off");
    until("the API server takes VPAs", secs(30), async || {
        ns.create(vpa.clone()).await
    })
    .await?;
    let target = json!({"containerName": "app", "target": {"cpu": "25m"}});
    let status = json!({"recommendation": {"containerRecommendations": [target]}});
    ns.merge_status(VPA, "web", status).await?;
    let checkpoint = json!({
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": CHECKPOINT,
        "metadata": {"name": "web-app"},
        "spec": {"vpaObjectName": "web", "containerName": "app"},
    });
    ns.create(checkpoint).await?;
    Ok([
        ns.get(VPA, "web").await?,
        ns.get(CHECKPOINT, "web-app").await?,
    ])
}

/// A webhook that runs with the chart's rights, and whose configuration somebody deletes: it may not make another.
async fn registers_in_vain(cluster: &Cluster, podfit: &Podfit) -> Result<Process> {
    let address = cluster.address(12);
    let rights = cluster.service_account(NAMESPACE, "podfit-webhook").await?;
    let webhook = Program {
        name: "podfit-webhook".into(),
        executable: podfit.program("webhook")?.executable.clone(),
        arguments: vec![
            format!("--kubeconfig={}", rights.display()),
            format!("--bind-address={address}"),
            format!("--address={address}:8944"),
            "--webhook-service=podfit-webhook".into(),
            "--certificate-secret=podfit-webhook-tls".into(),
        ],
        environment: vec![("NAMESPACE".into(), NAMESPACE.into())],
        address: format!("{address}:8944"),
        log: log_folder(cluster)?.join("webhook.log"),
    };
    fs::write(&webhook.log, "")?;
    cluster.kubectl(&["delete", CONFIGURATION], "").await?;
    let process = webhook.start()?;
    until("it says that it cannot register", secs(60), async || {
        let log = webhook.log();
        ensure!(
            log.contains("cannot register the webhook") && log.contains("cannot create resource"),
            "{log}"
        );
        Ok(())
    })
    .await?;
    Ok(process)
}

/// What is there of the chart's objects, and of any webhook's registration.
async fn left(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let of_cluster = "clusterroles,clusterrolebindings";
    let of_namespace =
        "deployments,services,serviceaccounts,roles,rolebindings,secrets,poddisruptionbudgets";
    let labelled = "app.kubernetes.io/instance=podfit";
    let mut left = BTreeSet::new();
    for (kinds, label) in [
        (
            "mutatingwebhookconfigurations,validatingwebhookconfigurations",
            "",
        ),
        (of_cluster, labelled),
        (of_namespace, labelled),
    ] {
        let get = ["-n", NAMESPACE, "get", kinds, "-l", label, "-o", "name"];
        left.extend(cluster.kubectl(&get, "").await?.lines().map(str::to_owned));
    }
    Ok(left)
}
