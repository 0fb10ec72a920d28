//! An updater whose machine's clock is set.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::clock::OwnClock;
use podfit_tests::cluster::log_folder;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::process::{Process, Program};
use podfit_tests::proxy::Proxy;
use podfit_tests::scrape::loops;
use podfit_tests::suite::figure;

use crate::fleet::{Bounds, Fleet, REPLICAS};

const WORKLOADS: usize = 20;
const HAD: (&str, &str) = ("50m", "64Mi");
const TARGET: (&str, &str) = ("100m", "128Mi");

/// A fifth more than the pods have, which lies well within the bounds: done once a pod is twelve hours old, and not before.
const DRIFTED: Bounds<'_> = Bounds {
    lower: ("10m", "16Mi"),
    target: ("60m", "77Mi"),
    upper: ("1", "1Gi"),
};

/// The same after [`TARGET`].
const DRIFTED_AGAIN: Bounds<'_> = Bounds {
    target: ("120m", "154Mi"),
    ..DRIFTED
};

/// Evictions per second, and so many more at once.
const RATE: f64 = 4.0;
const BURST: f64 = 1.0;

/// How often the clock is set while pods are evicted.
const SETTINGS: usize = 10;

/// How far it is off then, and before.
const JUMPS: [&str; 4] = ["+1d", "-1d", "+10y", "-10y"];

/// Pods that a clock set ahead would make old enough stay. What is due is done under a clock that jumps all the time, and
/// no faster than the rate allows. A new updater believes its clock, and so shows that all were due by it.
pub async fn no_burst(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let fleet = Fleet::create(&ns, WORKLOADS, HAD).await?;
    fleet.recommend_within(&DRIFTED).await?;
    let (mut program, _proxy) = updater(&ns, &podfit).await?;
    let clock = OwnClock::of(&mut program).await?;
    let mut process = program.start()?;
    loops(&program.address, "updater", 2).await?;
    for (seen, jump) in (1..).zip(JUMPS) {
        clock.set(jump)?;
        loops(&program.address, "updater", 3).await?;
        clock.set("+0")?;
        loops(&program.address, "updater", 2).await?;
        let evictions = fleet.evictions();
        ensure!(evictions == 0, "{evictions} evictions after {jump}");
        ensure!(jumps(&program) == seen, "it did not see {jump}");
    }
    process.ensure_alive()?;

    let began = Instant::now();
    fleet.recommend(TARGET).await?;
    let all = WORKLOADS * REPLICAS;
    let mut jump = JUMPS.into_iter().cycle();
    for setting in 1..=SETTINGS {
        fleet.evictions_reach(all * setting / SETTINGS).await?;
        let (evictions, seconds) = (fleet.evictions(), began.elapsed().as_secs_f64());
        ensure!(
            evictions as f64 <= BURST + RATE * seconds,
            "{evictions} evictions in {seconds:.1} s"
        );
        clock.set(jump.next().context("they do not end")?)?;
    }
    fleet.all_at(TARGET, 60).await?;
    fleet.ensure_within_budget()?;
    fleet.ensure_replaced(1)?;
    figure(format!(
        "clock-jumps: {all} evictions in {:.0} s at {RATE} a second, the clock set {SETTINGS} times meanwhile",
        began.elapsed().as_secs_f64()
    ));
    process.ensure_alive()?;
    process.stop().await?;

    fleet.recommend_within(&DRIFTED_AGAIN).await?;
    clock.set("+1d")?;
    let process: Process = program.start()?;
    fleet.evictions_reach(all + 1).await?;
    process.stop().await
}

/// An updater of the usual patience with pods. It reaches the API server over plain HTTP: by the times it is given, the
/// test cluster's certificates, made just now, are not valid.
async fn updater(ns: &Namespace, podfit: &Podfit) -> Result<(Program, Proxy)> {
    let mut program = podfit.own_updater("out-of-time", &ns.name)?;
    let proxy = Proxy::before(
        &mut program,
        podfit.free_address(),
        &log_folder(&ns.cluster)?,
    )
    .await?;
    program.arguments.extend([
        "--in-recommendation-bounds-eviction-lifetime-threshold=12h".into(),
        format!("--eviction-rate-limit={RATE}"),
        format!("--eviction-rate-burst={BURST}"),
        // By its clock the lease of the webhook would be long over, and nothing evicted for that.
        "--use-admission-controller-status=false".into(),
    ]);
    Ok((program, proxy))
}

/// How often it said that its clock jumped.
fn jumps(program: &Program) -> usize {
    program.log().matches("clock jumped").count()
}
