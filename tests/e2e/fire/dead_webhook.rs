//! A webhook that shows life and sizes nothing: whatever is evicted comes back as it was.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use podfit_tests::cluster::{log_folder, program};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::process::Program;
use podfit_tests::scrape::loops;
use podfit_tests::suite::{figure, number_from};

use crate::fleet::{Fleet, REPLICAS};

/// Workloads that want a change.
const WORKLOADS: usize = 50;

/// Whole loops that are watched, unless `$PODFIT_DEAD_WEBHOOK_LOOPS` says otherwise. A loop is begun every two seconds instead of every minute: an hour of loops in a few
/// minutes. Pauses are as long as ever, so what comes after them is for the tests of the plan, which have a clock.
const LOOPS: u64 = 30;

/// True when upstream's updater is to be watched, too.
pub fn beside_upstream() -> bool {
    std::env::var("PODFIT_BESIDE_UPSTREAM").is_ok_and(|v| v == "1")
}

/// At most one eviction per workload, however many loops follow; and the VPAs' conditions say why.
pub async fn few_evictions(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    podfit.kill("webhook").await?;
    let outcome = without_webhook(&ns, &podfit).await;
    podfit.start("webhook").await?;
    podfit.ready("webhook").await?;
    outcome
}

async fn without_webhook(ns: &Namespace, podfit: &Podfit) -> Result<()> {
    let fleet = Fleet::create(ns, WORKLOADS, ("100m", "128Mi")).await?;
    let (ours, stopped) = watched(
        &fleet,
        with_own_flags(podfit.own_updater("unsized", &ns.name)?),
    )
    .await?;
    let evicted = fleet.evicted();
    ensure!(ours > 0, "nothing was evicted: this proves nothing");
    let twice: Vec<_> = evicted.iter().filter(|(_, n)| **n > 1).collect();
    ensure!(twice.is_empty(), "evicted more than once: {twice:?}");
    let blocked = ns.condition("w-00", "UpdateBlocked").await;
    ensure!(blocked.is_ok(), "the VPA does not say why: {blocked:?}");
    ensure!(
        stopped,
        "it does not say that it stopped evicting cluster-wide"
    );
    if beside_upstream() {
        let (upstream, _) = watched(&fleet, upstreams(ns, podfit)?).await?;
        println!("dead webhook: podfit {ours} evictions, upstream {upstream}");
    }
    Ok(())
}

/// Whether the webhook renews its lease is not asked: this one would, and is out of the API server's reach.
fn with_own_flags(mut program: Program) -> Program {
    program.arguments.extend([
        "--use-admission-controller-status=false".into(),
        "--updater-interval=2s".into(),
    ]);
    program
}

fn upstreams(ns: &Namespace, podfit: &Podfit) -> Result<Program> {
    let address = podfit.free_address();
    Ok(with_own_flags(Program {
        name: "vpa-updater".into(),
        executable: program("vpa-updater"),
        arguments: vec![
            format!("--kubeconfig={}", ns.cluster.kubeconfig().display()),
            format!("--vpa-object-namespace={}", ns.name),
            format!("--address={address}"),
        ],
        environment: vec![("NAMESPACE".into(), "kube-system".into())],
        address,
        log: log_folder(&ns.cluster)?.join("vpa-updater.log"),
    }))
}

/// Lets an updater run, and says how often it evicted, and whether it says that it stopped.
async fn watched(fleet: &Fleet, program: Program) -> Result<(usize, bool)> {
    let (before, started) = (fleet.evictions(), Instant::now());
    let mut process = program.start()?;
    let count = number_from("PODFIT_DEAD_WEBHOOK_LOOPS").unwrap_or(LOOPS);
    for _ in 0..count {
        loops(&process.program.address, "updater", 1).await?;
    }
    process.ensure_alive()?;
    let stopped = process
        .metrics()
        .await?
        .sum("podfit_updater_evictions_stopped", &[]);
    process.kill().await?;
    let evictions = fleet.evictions() - before;
    figure(format!(
        "dead webhook, {WORKLOADS} workloads of {REPLICAS} pods: {} evicted {evictions} times in {count} loops, {:.0} s",
        program.name,
        started.elapsed().as_secs_f64()
    ));
    Ok((evictions, stopped > 0.0))
}
