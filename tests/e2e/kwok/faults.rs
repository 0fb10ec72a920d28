//! A recommender whose API server makes trouble: it goes on, serves what it can, and nothing stored gets worse.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use http::{Method, Uri};
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::log_folder;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{CHECKPOINT, Namespace};
use podfit_tests::podfit::Podfit;
use podfit_tests::process::{Process, Program};
use podfit_tests::proxy::{Fault, Proxy};
use podfit_tests::wait::{secs, until};
use serde_json::json;

use crate::modes::usage;

/// Every watch is told that its version is too old, lists fail half of the time, writes answer 500 and 429; and then all
/// is well again.
pub async fn api_server(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let (proxy, program) = behind_proxy("faults", &ns, &podfit).await?;
    create(&ns, "first", "faults").await?;
    let mut process = program.start()?;
    recommended(&ns, "first").await?;

    let turn = std::sync::atomic::AtomicU64::new(0);
    proxy.fails(move |method, uri| {
        let odd = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 == 1;
        match (method, is_watch(uri)) {
            (_, true) if odd => Some(Fault::gone_in_watch()),
            (_, true) => Some(Fault::status(410, "Expired")),
            (&Method::GET, false) if odd => Some(Fault::status(503, "ServiceUnavailable")),
            (&Method::GET, false) => None,
            _ if odd => Some(Fault::status(429, "TooManyRequests")),
            _ => Some(Fault::status(500, "InternalError")),
        }
    });
    create(&ns, "second", "faults").await?;
    goes_on(&proxy, &mut process).await?;
    recommended(&ns, "first").await.context("amid the faults")?;

    proxy.fails(|_, _| None);
    recommended(&ns, "second")
        .await
        .context("after the faults")?;
    let stored = samples(&ns, "first").await?;
    until("samples stored again", secs(60), async || {
        process.ensure_alive()?;
        let now = samples(&ns, "first").await?;
        ensure!(now > stored, "{now} samples");
        Ok(())
    })
    .await?;
    process.stop().await
}

/// The metrics API is away, answers a web page, breaks off, or answers nothing: recommendations stay, and the health check
/// does not blame the recommender.
pub async fn metrics_api(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let (proxy, program) = behind_proxy("metricless", &ns, &podfit).await?;
    create(&ns, "web", "metricless").await?;
    let mut process = program.start()?;
    recommended(&ns, "web").await?;
    let faults = [
        Fault::status(503, "ServiceUnavailable"),
        Fault::html(),
        Fault::BrokenOff(40),
        Fault::Answered(200, "application/json", String::new()),
        Fault::Answered(200, "application/json", "{\"items\": 7}".into()),
    ];
    for fault in faults {
        let told = format!("{fault:?}");
        proxy.fails(move |_, uri| {
            uri.path()
                .contains("/metrics.k8s.io/")
                .then(|| fault.clone())
        });
        goes_on(&proxy, &mut process)
            .await
            .with_context(|| told.clone())?;
        recommended(&ns, "web").await.context(told)?;
        podfit_tests::scrape::get(&program.address, "/healthz").await?;
    }
    let log = program.log();
    ensure!(
        log.contains("is metrics-server installed"),
        "the log does not say what to do"
    );
    proxy.fails(|_, _| None);
    let before = samples(&ns, "web").await?;
    until("samples come again", secs(60), async || {
        let now = samples(&ns, "web").await?;
        ensure!(now > before, "{now} samples");
        Ok(())
    })
    .await?;
    process.stop().await
}

/// A recommender for that namespace alone, and the proxy through which it sees the cluster.
async fn behind_proxy(name: &str, ns: &Namespace, podfit: &Podfit) -> Result<(Proxy, Program)> {
    let mut program = podfit.own_recommender(name, &ns.name)?;
    let direct = program
        .arguments
        .iter()
        .find_map(|a| a.strip_prefix("--kubeconfig="))
        .context("it has no kubeconfig")?;
    let proxy = Proxy::start(podfit.free_address(), direct.into()).await?;
    let file = log_folder(&ns.cluster)?.join(format!("{name}-proxy.kubeconfig"));
    let kubeconfig = proxy.kubeconfig(file)?;
    let given = format!("--kubeconfig={}", kubeconfig.display());
    program.arguments.push(given);
    Ok((proxy, program))
}

fn is_watch(uri: &Uri) -> bool {
    uri.query().is_some_and(|q| q.contains("watch=true"))
}

async fn create(ns: &Namespace, name: &str, recommender: &str) -> Result<()> {
    let workload = Workload::deployment(name)
        .replicas(2)
        .requests("50m", "64Mi")
        .simulated_usage("400m", "300Mi");
    ns.create(workload.manifest()).await?;
    let mut vpa = workload.vpa("Off");
    vpa["spec"]["recommenders"] = json!([{ "name": recommender }]);
    ns.create(vpa).await.map(drop)
}

/// Waits until several loops have met with faults, and lived.
async fn goes_on(proxy: &Proxy, process: &mut Process) -> Result<()> {
    let loops = async |process: &Process| {
        let metrics = process.metrics().await?;
        let name = "vpa_recommender_execution_latency_seconds_count";
        Ok::<_, anyhow::Error>(metrics.sum(name, &[("step", "total")]))
    };
    let before = loops(process).await?;
    until("loops amid faults", secs(90), async || {
        process.ensure_alive()?;
        let more = loops(process).await? - before;
        ensure!(more >= 2.0, "{more} loops");
        ensure!(proxy.faults() >= 2, "{} faults", proxy.faults());
        Ok(())
    })
    .await
}

async fn recommended(ns: &Namespace, vpa: &str) -> Result<Amounts> {
    let what = format!("a recommendation for {vpa}");
    let target = until(&what, secs(120), async || {
        ns.recommended(vpa, "target").await
    })
    .await?;
    target.ensure_between(1.0, 1.5, usage()?)?;
    Ok(target)
}

async fn samples(ns: &Namespace, vpa: &str) -> Result<i64> {
    let stored = ns.get(CHECKPOINT, &format!("{vpa}-app")).await?;
    stored["status"]["totalSamplesCount"]
        .as_i64()
        .context("no totalSamplesCount")
}
