//! An updater whose API server makes trouble: it goes on, and finishes what it planned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use http::Method;
use podfit_tests::cluster::log_folder;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::proxy::{Fault, Proxy};
use podfit_tests::wait::{secs, until};

use crate::fleet::Fleet;

const WORKLOADS: usize = 8;
const TARGET: (&str, &str) = ("100m", "128Mi");

/// Every write is answered 500 or 429, watches are cut, or too old, lists fail half of the time; then all is well again.
pub async fn requests_fail(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let fleet = Fleet::create(&ns, WORKLOADS, TARGET).await?;
    let mut program = podfit.own_updater("troubled", &ns.name)?;
    let folder = log_folder(&ns.cluster)?;
    let proxy = Proxy::before(&mut program, podfit.free_address(), &folder).await?;

    let (turn, refused) = (AtomicU64::new(0), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&refused);
    proxy.fails(move |method, uri| {
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        let watch = uri.query().is_some_and(|q| q.contains("watch=true"));
        match (method, turn % 3) {
            (_, 0) if watch => Some(Fault::gone_in_watch()),
            (_, _) if watch => Some(Fault::BrokenOff(4096)),
            (&Method::GET, 0) => Some(Fault::status(503, "ServiceUnavailable")),
            (&Method::GET, _) => None,
            (_, kind) => {
                counted.fetch_add(
                    u64::from(uri.path().ends_with("/eviction")),
                    Ordering::Relaxed,
                );
                Some(if kind == 0 {
                    Fault::status(429, "TooManyRequests")
                } else {
                    Fault::status(500, "InternalError")
                })
            }
        }
    });
    let mut process = program.start()?;
    until("evictions refused", secs(90), async || {
        process.ensure_alive()?;
        let refused = refused.load(Ordering::Relaxed);
        ensure!(refused >= 2 * WORKLOADS as u64, "{refused}");
        Ok(())
    })
    .await?;
    ensure!(fleet.evictions() == 0, "a refused eviction was made");

    proxy.fails(|_, _| None);
    fleet.all_at(TARGET, 150).await?;
    fleet.ensure_within_budget()?;
    fleet.ensure_replaced(1)?;
    process.stop().await
}

/// The API server ends in the middle of the evictions, and comes back.
pub async fn api_server_restarted(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let fleet = Fleet::create(&ns, WORKLOADS, TARGET).await?;
    let mut program = podfit.own_updater("cut-off", &ns.name)?;
    program.arguments.push("--eviction-rate-limit=4".into());
    let mut process = program.start()?;
    fleet.evictions_reach(3).await?;
    ns.cluster.kill("kube-apiserver").await?;
    until("the API server is gone", secs(60), async || {
        let answer = ns.cluster.client.apiserver_version().await;
        ensure!(answer.is_err(), "it answers");
        Ok(())
    })
    .await?;
    ns.cluster.start_again().await?;
    fleet.all_at(TARGET, 150).await?;
    process.ensure_alive()?;
    fleet.ensure_within_budget()?;
    fleet.ensure_replaced(1)?;
    process.stop().await
}
