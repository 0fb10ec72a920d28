//! The walk-through's samples, brought to the cluster by its own scripts.

use std::sync::Arc;

use anyhow::{Context, Result};
use podfit_tests::cluster::{Cluster, program, repository, run};
use podfit_tests::installation::Installation;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::programs;
use tokio::process::Command;

/// podfit, and a platform of workloads beside it.
pub struct Platform {
    podfit: Installation,
    /// Where the samples are. Scenarios share them, each its own.
    pub samples: Namespace,
}

impl Platform {
    /// Installs podfit by its chart, and the samples as a reader would. What an earlier run left of them is removed first.
    pub async fn new(cluster: &Arc<Cluster>) -> Result<Self> {
        let platform = Self {
            podfit: Installation::new(cluster).await?,
            samples: Namespace {
                name: "ml-platform".into(),
                cluster: Arc::clone(cluster),
            },
        };
        let name = &platform.samples.name;
        let delete = ["delete", "namespace", name, "--ignore-not-found"];
        cluster.kubectl(&delete, "").await?;
        let prometheus = format!("http://{}:9090", cluster.address(11));
        let overlay = repository().join("tests/e2e/platform/samples");
        let overlay = overlay.to_str().context("no UTF-8")?;
        let arguments = [
            "--prometheus",
            &prometheus,
            // KEDA asks Prometheus itself.
            "--skip",
            "prometheus-adapter",
            "--samples",
            overlay,
        ];
        let said = platform.script("setup_environment.sh", &arguments).await?;
        println!("{said}");
        Ok(platform)
    }

    /// Runs a script of the walk-through as its reader would; what it said. An error when it fails.
    pub async fn script(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let kubectl = program("kubectl");
        let tools = kubectl.parent().context("no folder")?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut script = Command::new(repository().join("examples/ml-platform/scripts").join(name));
        script
            .args(arguments)
            .env("KUBECONFIG", self.samples.cluster.kubeconfig())
            .env(
                "PATH",
                format!("{}:{}:{path}", tools.display(), programs().await?.display()),
            );
        run(&mut script, "").await
    }

    /// Runs checks of `test_autoscaling.sh`, shows a line for each, and fails when one does or when one was skipped.
    pub async fn check(&self, words: &[&str]) -> Result<()> {
        let flags = ["--load-from", "here", "--patience", "150"];
        let said = self
            .script("test_autoscaling.sh", &[&flags, words].concat())
            .await?;
        print!("{said}");
        let skipped = said.lines().any(|line| line.starts_with("skipped "));
        anyhow::ensure!(!skipped, "{said}");
        Ok(())
    }

    /// Of podfit, and what there is of the samples.
    pub async fn logs(&self) -> String {
        self.podfit.logs().await + &self.samples.dump().await
    }
}
