//! Upstream's three programs, 1.8.1, as its own manifests run them, in kube-system. They get all rights: they are not what is
//! tested.

use std::sync::Arc;

use anyhow::{Context, Result};
use podfit_tests::cluster::{Cluster, log_folder, program};
use podfit_tests::process::{Process, Program};
use podfit_tests::wait::{secs, until};
use serde_json::json;

/// The last number of the address that they listen on.
const ADDRESS: u8 = 13;

/// What the updater holds.
pub const UPDATERS_LEASE: &str = "vpa-updater-lease";

/// Upstream, running.
pub struct Upstream {
    recommender: Option<Process>,
    updater: Option<Process>,
    webhook: Option<Process>,
    updater_address: String,
}

impl Upstream {
    /// Makes the Deployments of its manifests; their pods are simulated, and the programs are started beside them.
    pub async fn deploy(cluster: &Cluster) -> Result<()> {
        let deployment = |name: &str| {
            let labels = json!({"app": name});
            let image = format!("registry.k8s.io/autoscaling/{name}:1.8.1");
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "kube-system"},
                "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels}, "spec": {"containers": [{"name": "vpa", "image": image}]},
                }},
            })
        };
        let names = ["vpa-recommender", "vpa-updater", "vpa-admission-controller"];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": names.map(deployment)});
        let create = ["create", "-f", "-"];
        cluster.kubectl(&create, &list.to_string()).await.map(drop)
    }

    /// How many pods its Deployments ask for, one a Deployment.
    pub async fn replicas(cluster: &Cluster) -> Result<String> {
        let names = ["vpa-recommender", "vpa-updater", "vpa-admission-controller"];
        let get = ["-n", "kube-system", "get", "deployment"];
        let output = ["-o", "jsonpath={.items[*].spec.replicas}"];
        cluster
            .kubectl(&[&get[..], &names, &output].concat(), "")
            .await
    }

    /// Starts all three, and waits until the webhook is registered: it takes its time. The updater has the lease that upstream's
    /// chart gives it.
    pub async fn start(cluster: &Arc<Cluster>) -> Result<Self> {
        let address = cluster.address(ADDRESS);
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "vpa-webhook", "namespace": "kube-system"},
            "spec": {"clusterIP": address, "ports": [{"port": 443}]},
        });
        let apply = ["apply", "--server-side", "-f", "-"];
        cluster.kubectl(&apply, &service.to_string()).await?;
        let file = |name: &str| cluster.pki().join(name).display().to_string();
        let start = |name: &str, port: u16, more: Vec<String>| {
            let metrics = format!("{address}:{port}");
            let mut arguments = vec![
                format!("--kubeconfig={}", cluster.kubeconfig().display()),
                format!("--address={metrics}"),
            ];
            arguments.extend(more);
            let program = Program {
                name: format!("upstream's {name}"),
                executable: program(name),
                arguments,
                // LISTEN_HOST: see tests/local-cluster/build.
                environment: vec![
                    ("NAMESPACE".into(), "kube-system".into()),
                    ("LISTEN_HOST".into(), address.clone()),
                ],
                log: log_folder(cluster)?.join(format!("{name}.log")),
                address: metrics,
            };
            program.start()
        };
        let webhook = vec![
            "--port=443".into(),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--tls-cert-file={}", file("serving.crt")),
            format!("--tls-private-key={}", file("serving.key")),
        ];
        let mut upstream = Self {
            recommender: Some(start(
                "vpa-recommender",
                8942,
                vec!["--recommender-interval=5s".into()],
            )?),
            updater: Some(start(
                "vpa-updater",
                8943,
                vec![
                    "--updater-interval=5s".into(),
                    "--leader-elect=true".into(),
                    format!("--leader-elect-resource-name={UPDATERS_LEASE}"),
                    "--leader-elect-resource-namespace=kube-system".into(),
                ],
            )?),
            webhook: Some(start("vpa-admission-controller", 8944, webhook)?),
            updater_address: format!("{address}:8943"),
        };
        until("upstream registers its webhook", secs(90), async || {
            upstream.ensure_alive()?;
            let get = ["get", "mutatingwebhookconfiguration", "vpa-webhook-config"];
            cluster.kubectl(&get, "").await
        })
        .await?;
        Ok(upstream)
    }

    /// An error when one of those that should run ended.
    pub fn ensure_alive(&mut self) -> Result<()> {
        let all = [&mut self.recommender, &mut self.updater, &mut self.webhook];
        all.into_iter()
            .flatten()
            .try_for_each(Process::ensure_alive)
    }

    /// Where the updater tells of its loops.
    pub fn updater(&self) -> &str {
        &self.updater_address
    }

    /// Ends the one that writes statuses.
    pub async fn kill_recommender(&mut self) -> Result<()> {
        kill(&mut self.recommender).await
    }

    /// Ends the one that evicts.
    pub async fn kill_updater(&mut self) -> Result<()> {
        kill(&mut self.updater).await
    }

    /// Ends the webhook.
    pub async fn kill_webhook(&mut self) -> Result<()> {
        kill(&mut self.webhook).await
    }

    /// Ends all three.
    pub async fn kill(mut self) -> Result<()> {
        self.kill_recommender().await?;
        self.kill_updater().await?;
        self.kill_webhook().await
    }
}

async fn kill(process: &mut Option<Process>) -> Result<()> {
    process.take().context("it does not run")?.kill().await
}
