//! What the pod of `helm test` does, with the rights that the chart gives it, on a chain that is whole and on broken ones.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::cluster::{Cluster, repository, run};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::json;
use tokio::process::Command;

/// The object that Kubernetes would make for a Service with pods; here the program itself listens.
const ENDPOINTS: &str = "podfit-webhook-process";

/// It passes, leaves nothing behind, and names four links when they are broken.
pub async fn names_the_broken_link(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let cluster = &ns.cluster;
    let rights = rights(cluster, &ns.name).await?;
    cluster.kubectl(&["apply", "-f", "-"], &rights).await?;
    let kubeconfig = cluster.service_account(NAMESPACE, "podfit-test").await?;
    let test = SelfTest {
        ns: &ns,
        podfit: &podfit,
        kubeconfig,
    };
    let outcome = test.all().await;
    podfit.start("webhook").await?;
    podfit.ready("webhook").await?;
    cluster.kubectl(&["delete", "-f", "-"], &rights).await?;
    let slice = ["-n", NAMESPACE, "delete", "endpointslice", ENDPOINTS];
    cluster.kubectl(&slice, "").await?;
    outcome
}

struct SelfTest<'a> {
    ns: &'a Namespace,
    podfit: &'a Podfit,
    kubeconfig: PathBuf,
}

impl SelfTest<'_> {
    async fn all(&self) -> Result<()> {
        let broken = self.fails().await?;
        let without = broken.contains("service without endpoints");
        self.endpoints().await?;
        let passes = async || self.run().await.context("all is well, and it fails");
        until("the whole chain", secs(60), passes).await?;
        let objects = "replicasets,verticalpodautoscalers";
        let left = ["-n", &self.ns.name, "get", objects, "-o", "name"];
        let left = self.ns.cluster.kubectl(&left, "").await?;
        self.podfit.stop("webhook").await?;
        ensure!(without, "without endpoints it says: {broken}");
        ensure!(left.is_empty(), "left behind: {left}");
        let broken = self.fails().await?;
        ensure!(
            broken.contains("webhook error"),
            "without an answer it says: {broken}"
        );
        let no_authority = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
        let patch = [
            "patch",
            "mutatingwebhookconfiguration",
            "vpa-webhook-config",
            "--type=json",
            "-p",
        ];
        let no_authority = no_authority.to_string();
        let patch = [&patch[..], &[no_authority.as_str()]].concat();
        self.ns.cluster.kubectl(&patch, "").await?;
        let broken = self.fails().await?;
        ensure!(
            broken.contains("CA bundle empty"),
            "without a CA it says: {broken}"
        );
        Ok(())
    }

    async fn fails(&self) -> Result<String> {
        let failed = self
            .run()
            .await
            .err()
            .context("it passes on a broken chain")?;
        Ok(format!("{failed:#}"))
    }

    async fn run(&self) -> Result<String> {
        let mut program = Command::new(&self.podfit.program("webhook")?.executable);
        program
            .arg(format!("--self-test={}", self.ns.name))
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .env("NAMESPACE", NAMESPACE);
        run(&mut program, "").await
    }

    async fn endpoints(&self) -> Result<()> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": ENDPOINTS,
                "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": "podfit-webhook"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["198.51.100.1"], "conditions": {"ready": true}}],
        });
        let apply = ["apply", "-f", "-"];
        self.ns.cluster.kubectl(&apply, &slice.to_string()).await?;
        Ok(())
    }
}

/// All of the chart's test but its pod.
async fn rights(cluster: &Cluster, namespace: &str) -> Result<String> {
    let chart = repository().join("charts/podfit").display().to_string();
    let namespace = format!("helmTest.namespace={namespace}");
    let template = [
        "template",
        "podfit",
        &chart,
        "--namespace",
        NAMESPACE,
        "--set",
        &namespace,
    ];
    let only = ["--show-only", "templates/tests/new-pods-are-sized.yaml"];
    let rendered = cluster.helm(&[&template[..], &only].concat()).await?;
    let rights = rendered
        .split("\n---\n")
        .filter(|object| !object.contains("\nkind: Pod\n"));
    Ok(rights.collect::<Vec<_>>().join("\n---\n"))
}
