//! podfit as its chart installs it.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::chart::{NAMESPACE, values_file};
use crate::cluster::{Cluster, repository, run, script};
use crate::podfit::build_images;
use crate::process::resident_mib;

/// How often the recommender looks, in seconds.
pub const RECOMMENDER_INTERVAL: u64 = 5;

/// The real node's address, where its host-network pods serve metrics and health.
const NODE: &str = "198.51.100.1";

/// A release of the chart.
pub struct Installation {
    cluster: Arc<Cluster>,
}

impl Installation {
    /// Builds the images, gives them to the node, and installs or upgrades the chart.
    pub async fn new(cluster: &Arc<Cluster>) -> Result<Self> {
        let mut load = Command::new(script("load-images"));
        load.args(["--name", &cluster.name])
            .args(build_images().await?);
        run(&mut load, "").await?;

        let file = values_file(cluster, &values(cluster))?;
        let chart = repository().join("charts/podfit").display().to_string();
        cluster
            .helm(&[
                "upgrade",
                "--install",
                "podfit",
                &chart,
                "--namespace",
                NAMESPACE,
                "--create-namespace",
                "-f",
                &file,
                "--wait",
                "--timeout",
                "120s",
            ])
            .await?;
        Ok(Self {
            cluster: Arc::clone(cluster),
        })
    }

    /// The last lines of all three.
    pub async fn logs(&self) -> String {
        let mut text = String::new();
        for name in ["recommender", "updater", "webhook"] {
            let deployment = format!("deployment/podfit-{name}");
            let answer = self
                .cluster
                .kubectl(&["-n", NAMESPACE, "logs", &deployment, "--tail=40"], "")
                .await
                .unwrap_or_else(|error| format!("{error:#}"));
            let _ = writeln!(text, "--- {name}\n{answer}");
        }
        text
    }

    /// The resident memory of all three, as `name MiB, …`: the pods are processes of this machine.
    pub fn memory() -> Result<String> {
        let mut parts = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            let command = fs::read_to_string(folder.join("cmdline")).unwrap_or_default();
            let Some(name) = command
                .split('\0')
                .next()
                .and_then(|c| c.rsplit('/').next())
            else {
                continue;
            };
            let id = folder.file_name().and_then(|n| n.to_str()?.parse().ok());
            // The pods' arguments, unlike those of processes of other tests, name the node's address.
            if let Some(id) = id
                && name.starts_with("podfit-")
                && command.contains(NODE)
            {
                parts.push(format!("{name} {:.1} MiB", resident_mib(id)?));
            }
        }
        ensure!(parts.len() == 3, "not three programs run: {parts:?}");
        parts.sort();
        Ok(parts.join(", "))
    }
}

/// One replica of each in the node's network, which alone reaches the API server; the webhook on its Service's address.
fn values(cluster: &Cluster) -> Value {
    let webhook = cluster.address(12);
    // The tag stays while the image changes: only a changed pod template makes the node start the image just loaded.
    let fresh = json!({ "podfit.test/run": format!("{:?}", SystemTime::now()) });
    json!({
        "hostNetwork": true,
        "image": {"pullPolicy": "Never"},
        "nodeSelector": {"podfit.dev/node": "real"},
        "tolerations": [{"key": "podfit.dev/real-node"}],
        "recommender": {
            "replicas": 1,
            "podAnnotations": fresh,
            "metricsAddress": format!("{NODE}:8942"),
            "extraArgs": [format!("--recommender-interval={RECOMMENDER_INTERVAL}s")],
        },
        "updater": {
            "replicas": 1,
            "podAnnotations": fresh,
            "metricsAddress": format!("{NODE}:8943"),
            "extraArgs": ["--updater-interval=5s", "--resize-deferred-timeout=20s", "--warm-up=0s"],
        },
        "admissionController": {
            "replicas": 1,
            "podAnnotations": fresh,
            "metricsAddress": format!("{NODE}:8944"),
            "bindAddress": webhook,
            "port": 8443,
            "service": {"clusterIP": webhook, "port": 8443},
        },
    })
}
