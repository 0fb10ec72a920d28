//! Two updaters of one installation.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::process::Process;

use crate::fleet::{Fleet, REPLICAS};

const WORKLOADS: usize = 8;

/// Started at once, one acts; killed, the other takes over and does the next change.
pub async fn two_at_once(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let (first, second) = (("100m", "128Mi"), ("200m", "256Mi"));
    let fleet = Fleet::create(&ns, WORKLOADS, first).await?;
    let start = |name: &str| -> Result<Process> {
        let mut program = podfit.own_updater(name, &ns.name)?;
        program.arguments.extend([
            "--leader-elect=true".into(),
            "--leader-elect-lease-duration=6s".into(),
            "--leader-elect-renew-deadline=4s".into(),
            "--leader-elect-retry-period=500ms".into(),
        ]);
        program.start()
    };
    let (mut one, mut two) = (start("one")?, start("two")?);
    fleet.all_at(first, 120).await?;
    let acted = [evicted(&one).await?, evicted(&two).await?];
    let all = WORKLOADS * REPLICAS;
    ensure!(
        acted == [all, 0] || acted == [0, all],
        "they evicted {acted:?}, not one of them {all}"
    );
    if acted[1] > 0 {
        std::mem::swap(&mut one, &mut two);
    }
    one.kill().await?;
    fleet.recommend(second).await?;
    fleet.all_at(second, 120).await?;
    let acted = evicted(&two).await?;
    ensure!(acted == all, "the other evicted {acted}, not {all}");
    fleet.ensure_within_budget()?;
    fleet.ensure_replaced(2)?;
    two.stop().await
}

async fn evicted(process: &Process) -> Result<usize> {
    let metrics = process.metrics().await?;
    Ok(metrics.sum("vpa_updater_evicted_pods_total", &[]) as usize)
}
