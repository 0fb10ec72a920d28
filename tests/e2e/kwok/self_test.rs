//! What the pod of `helm test` does, with the rights that the chart gives it, on a chain that is whole and on broken ones.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::cluster::{Cluster, repository, run};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::rights::idle;

/// The object that Kubernetes would make for a Service with pods; here the program itself listens.
const ENDPOINTS: &str = "podfit-webhook-process";

const CONFIGURATION: &str = "mutatingwebhookconfiguration/vpa-webhook-config";

/// It passes, leaves nothing behind, and names each link when it is broken.
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
        self.names("service without endpoints").await?;
        self.endpoints().await?;
        let passes = async || self.run().await.context("all is well, and it fails");
        until("the whole chain", secs(60), passes).await?;
        let objects = "replicasets,verticalpodautoscalers";
        let left = self
            .kubectl(&["-n", &self.ns.name, "get", objects, "-o", "name"])
            .await?;
        ensure!(left.is_empty(), "left behind: {left}");
        let idle = idle(&self.ns.cluster, "app.kubernetes.io/component=test").await?;
        ensure!(idle.is_empty(), "rights that it does not use: {idle:#?}");

        self.registration().await?;
        self.service().await?;
        self.podfit.stop("webhook").await?;
        self.vpa_not_seen().await?;
        self.names("webhook error").await?;
        self.patch(&json!({"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}))
            .await?;
        self.names("CA bundle empty").await
    }

    /// The API server asks about fewer pods, or has nobody to ask.
    async fn registration(&self) -> Result<()> {
        let whole = self.kubectl(&["get", CONFIGURATION, "-o", "json"]).await?;
        let mut whole: Value = serde_json::from_str(&whole)?;
        if let Some(metadata) = whole["metadata"].as_object_mut() {
            metadata.retain(|name, _| ["name", "labels", "annotations"].contains(&name.as_str()));
        }
        let elsewhere = json!({"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [self.ns.name]},
        ]});
        let never = json!({"name": "never", "expression": "false"});
        for (patch, link) in [
            (
                json!({"op": "replace", "path": "/webhooks/0/namespaceSelector", "value": elsewhere}),
                "namespace excluded",
            ),
            (
                json!({"op": "add", "path": "/webhooks/0/matchConditions/-", "value": never}),
                "webhook not reached",
            ),
        ] {
            self.patch(&patch).await?;
            self.names(link).await?;
        }
        self.kubectl(&["delete", CONFIGURATION]).await?;
        let absent = self.names("webhook configuration absent").await;
        let create = ["create", "-f", "-"];
        self.ns.cluster.kubectl(&create, &whole.to_string()).await?;
        absent
    }

    async fn service(&self) -> Result<()> {
        let service = [
            "-n",
            NAMESPACE,
            "get",
            "service",
            "podfit-webhook",
            "-o",
            "json",
        ];
        let mut service: Value = serde_json::from_str(&self.kubectl(&service).await?)?;
        service["metadata"]["resourceVersion"] = Value::Null;
        self.kubectl(&["-n", NAMESPACE, "delete", "service", "podfit-webhook"])
            .await?;
        let absent = self.names("service absent").await;
        let create = ["create", "-f", "-"];
        self.ns
            .cluster
            .kubectl(&create, &service.to_string())
            .await?;
        absent
    }

    /// A webhook that was told to leave the namespace alone, which the API server was not.
    async fn vpa_not_seen(&self) -> Result<()> {
        let mut blind = self.podfit.program("webhook")?.clone();
        let ignored = format!(
            "--ignored-vpa-object-namespaces={NAMESPACE},{}",
            self.ns.name
        );
        blind.arguments.push(ignored);
        let mut process = blind.start()?;
        process.ready().await?;
        let outcome = self.names("VPA not seen").await;
        process.stop().await?;
        outcome
    }

    /// It fails, and in the end with these words first: the API server takes a while to follow a change.
    async fn names(&self, link: &str) -> Result<()> {
        until(link, secs(60), async || {
            let failed = self.run().await.err().context("it passes")?;
            let failed = format!("{failed:#}");
            ensure!(
                failed.contains(&format!("podfit-webhook: {link}: ")),
                "it says: {failed}"
            );
            Ok(())
        })
        .await
    }

    async fn patch(&self, patch: &Value) -> Result<()> {
        let patch = json!([patch]).to_string();
        self.kubectl(&["patch", CONFIGURATION, "--type=json", "-p", &patch])
            .await
            .map(drop)
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.ns.cluster.kubectl(arguments, "").await
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
        self.ns
            .cluster
            .kubectl(&apply, &slice.to_string())
            .await
            .map(drop)
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
