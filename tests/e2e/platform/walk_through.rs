//! The walk-through's scripts, as a reader runs them.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::cluster::log_folder;
use podfit_tests::namespace::Namespace;
use podfit_tests::suite::figure;

use crate::samples::Platform;

/// Each update mode does what its row in `21-vpa-modes.yaml` says.
pub async fn modes(_: Namespace, platform: Arc<Platform>) -> Result<()> {
    platform.check(&["vpa-mode"]).await
}

/// The other checks, and what things cost before and after them.
pub async fn scripts(ns: Namespace, platform: Arc<Platform>) -> Result<()> {
    let prometheus = format!("http://{}:9090", ns.cluster.address(11));
    let check = ["--check", "--prometheus", &prometheus];
    let summary = platform.script("setup_environment.sh", &check).await?;
    for part in ["metrics-server", "prometheus", "keda", "podfit", "samples"] {
        let line = summary.lines().find(|l| l.starts_with(part));
        let line = line.with_context(|| format!("nothing about {part}: {summary}"))?;
        ensure!(line.contains(" present "), "{line}");
    }
    platform
        .check(&["prerequisites", "hpa-custom", "vpa-rec", "keda-cron", "pdb"])
        .await?;
    platform.check(&["efficiency"]).await?;

    let before = log_folder(&ns.cluster)?.join("cost");
    let before = before.to_str().context("no UTF-8")?;
    platform
        .script("cost_report.sh", &["--save", before])
        .await?;
    let report = platform
        .script("cost_report.sh", &["--before", before])
        .await?;
    println!("{report}");
    let last = report.lines().last().unwrap_or_default();
    ensure!(last.starts_with("requested before "), "{report}");
    figure(format!("walk-through: {last}"));
    Ok(())
}
