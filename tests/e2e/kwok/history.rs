//! Histories outlive the recommender, and move between podfit's and upstream's.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::{log_folder, program};
use podfit_tests::namespace::{CHECKPOINT, Namespace, VPA};
use podfit_tests::podfit::Podfit;
use podfit_tests::process::{Process, Program};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{under_asked, usage};

/// What is published and stored of `web`'s one container at one moment.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    samples: i64,
    first_sample: String,
    target: Amounts,
    lower: Amounts,
    upper: Amounts,
}

/// Killed without warning and started again: sample count and first-sample time go on from the checkpoint, and at no
/// moment does a published number fall back.
pub async fn restarted(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let recommender = podfit.own_recommender("restarted", &ns.name)?;
    create_web(&ns, "restarted").await?;
    let mut process = recommender.start()?;
    let before = until("some samples stored", secs(150), async || {
        process.ensure_alive()?;
        samples(&ns, 4).await
    })
    .await?;
    process.kill().await?;
    let before = Known {
        samples: known(&ns).await?.samples,
        ..before
    };

    let mut process = recommender.start()?;
    let after = follow(&ns, &before, &mut process).await?;
    ensure!(
        after.first_sample == before.first_sample,
        "the first sample moved from {} to {}",
        before.first_sample,
        after.first_sample
    );
    process.stop().await
}

/// Upstream's recommender 1.8.1 begins a history, podfit's goes on with it, and upstream's takes podfit's back.
pub async fn upstream_and_back(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let upstream = upstream_recommender(&ns, &podfit)?;
    let ours = podfit.own_recommender("handover", &ns.name)?;
    create_web(&ns, "handover").await?;

    let mut process = upstream.start()?;
    let theirs = until("samples stored by upstream", secs(150), async || {
        process.ensure_alive()?;
        samples(&ns, 3).await
    })
    .await?;
    process.kill().await?;
    let theirs = Known {
        samples: known(&ns).await?.samples,
        ..theirs
    };

    let mut process = ours.start()?;
    let taken_over = follow(&ns, &theirs, &mut process)
        .await
        .context("podfit after upstream")?;
    process.stop().await?;
    let taken_over = Known {
        samples: known(&ns).await?.samples,
        ..taken_over
    };

    let mut process = upstream.start()?;
    let back = until("samples added by upstream", secs(90), async || {
        process.ensure_alive()?;
        samples(&ns, taken_over.samples + 1).await
    })
    .await?;
    process.kill().await?;
    for known in [&taken_over, &back] {
        ensure!(
            known.first_sample == theirs.first_sample,
            "{known:?} after {theirs:?}"
        );
        known.target.ensure_between(0.9, 1.1, theirs.target)?;
    }
    let complaints: Vec<_> = upstream
        .log()
        .lines()
        .filter(|l| l.starts_with('E') && l.to_lowercase().contains("checkpoint"))
        .map(str::to_owned)
        .collect();
    ensure!(complaints.is_empty(), "upstream says {complaints:?}");
    Ok(())
}

/// A VPA made anew under another name, one that changes its recommender, and somebody who stored more: the history goes on.
pub async fn kept(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let [one, other] = ["kept", "kept-too"].map(|name| podfit.own_recommender(name, &ns.name));
    let (one, other) = (one?, other?);
    create_web(&ns, "kept").await?;
    let mut process = one.start()?;
    until("some samples stored", secs(150), async || {
        process.ensure_alive()?;
        samples(&ns, 3).await
    })
    .await?;
    process.stop().await?;
    let before = known_of(&ns, "web").await?;

    ns.delete(VPA, "web").await?;
    ns.create(vpa_called("shop", "kept")).await?;
    let mut process = one.start()?;
    let anew = continued(&ns, &before, &mut process)
        .await
        .context("a VPA of another name")?;

    // It has been there all along, and loaded what was stored before that.
    let mut second = other.start()?;
    second.ready().await?;
    let to_other = json!({"spec": {"recommenders": [{"name": "kept-too"}]}});
    ns.merge(VPA, "shop", to_other).await?;
    let handed_over = continued(&ns, &anew, &mut second)
        .await
        .context("another recommender")?;

    let richer = json!({"status": {"totalSamplesCount": 1_000_000}});
    ns.merge(CHECKPOINT, "shop-app", richer).await?;
    let rich = Known {
        samples: 1_000_000,
        ..handed_over
    };
    continued(&ns, &rich, &mut second)
        .await
        .context("somebody stored more")?;
    ns.get(CHECKPOINT, "web-app")
        .await
        .context("what the deleted VPA left")?;
    process.stop().await?;
    second.stop().await?;
    forgotten(&ns, other).await
}

/// What a deleted VPA left goes when its time is over, and nothing else.
async fn forgotten(ns: &Namespace, mut recommender: Program) -> Result<()> {
    recommender
        .arguments
        .extend(["--checkpoint-retention=1s", "--checkpoints-gc-interval=1s"].map(String::from));
    let mut process = recommender.start()?;
    until("the history of no VPA is deleted", secs(60), async || {
        process.ensure_alive()?;
        let left = ns.get(CHECKPOINT, "web-app").await;
        ensure!(left.is_err(), "it is still there");
        Ok(())
    })
    .await?;
    ns.get(CHECKPOINT, "shop-app").await?;
    process.stop().await
}

/// What a later version stored, and what cannot be: neither is taken for a history, and the former is not written over.
pub async fn unreadable(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let recommender = podfit.own_recommender("unreadable", &ns.name)?;
    let checkpoint = |version: &str, bucket: &str| {
        json!({
            "apiVersion": "autoscaling.k8s.io/v1", "kind": CHECKPOINT, "metadata": {"name": "web-app"},
            "spec": {"vpaObjectName": "web", "containerName": "app"},
            "status": {
                "version": version, "lastUpdateTime": k8s_now(), "totalSamplesCount": 1_000_000,
                "cpuHistogram": {"referenceTimestamp": k8s_now(), "bucketWeights": {bucket: 10000}, "totalWeight": 5.0},
            },
        })
    };
    ns.create(checkpoint("v4", "3")).await?;
    create_web(&ns, "unreadable").await?;
    let mut process = recommender.start()?;
    until("a recommendation of fresh samples", secs(120), async || {
        process.ensure_alive()?;
        let target = ns.recommended("web", "target").await?;
        target.ensure_between(1.0, 1.5, usage()?)
    })
    .await?;
    process.stop().await?;
    let there = ns.get(CHECKPOINT, "web-app").await?;
    ensure!(there["status"]["version"] == "v4", "{there}");
    let log = recommender.log();
    ensure!(
        log.contains("stored history cannot be used"),
        "nothing said"
    );

    ns.delete(CHECKPOINT, "web-app").await?;
    ns.create(checkpoint("v3", "100000")).await?;
    let mut process = recommender.start()?;
    until("a sound history stored", secs(120), async || {
        process.ensure_alive()?;
        let samples = known_of(&ns, "web").await?.samples;
        ensure!((1..1000).contains(&samples), "{samples} samples");
        Ok(())
    })
    .await?;
    process.stop().await
}

/// Waits until samples were added to `before` under the VPA `shop`, whose history began when `before`'s did.
async fn continued(ns: &Namespace, before: &Known, process: &mut Process) -> Result<Known> {
    until("a history that goes on", secs(90), async || {
        process.ensure_alive()?;
        let now = known_of(ns, "shop").await?;
        ensure!(
            now.samples > before.samples && now.first_sample == before.first_sample,
            "{now:?} after {before:?}"
        );
        now.target.ensure_between(0.9, 1.1, before.target)?;
        Ok(now)
    })
    .await
}

/// The workload, and a VPA for that recommender alone.
async fn create_web(ns: &Namespace, recommender: &str) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    ns.create(vpa_called("web", recommender)).await.map(drop)
}

fn vpa_called(name: &str, recommender: &str) -> Value {
    let mut vpa = under_asked().vpa("Off");
    vpa["metadata"]["name"] = name.into();
    vpa["spec"]["recommenders"] = json!([{ "name": recommender }]);
    vpa
}

/// Upstream's program. It gets all rights: it is not what is tested.
fn upstream_recommender(ns: &Namespace, podfit: &Podfit) -> Result<Program> {
    let address = podfit.free_address();
    Ok(Program {
        name: "upstream's recommender".into(),
        executable: program("vpa-recommender"),
        arguments: vec![
            format!("--kubeconfig={}", ns.cluster.kubeconfig().display()),
            "--recommender-name=handover".into(),
            format!("--vpa-object-namespace={}", ns.name),
            "--recommender-interval=5s".into(),
            format!("--address={address}"),
        ],
        environment: vec![("NAMESPACE".into(), ns.name.clone())],
        address,
        log: log_folder(&ns.cluster)?.join(format!("upstream-{}.log", ns.name)),
    })
}

/// Waits until a sample was added to `before`, and meanwhile looks all the time whether a published number falls back.
/// Constant usage and a growing history let the lower bound rise and the upper bound fall, never the other way round.
async fn follow(ns: &Namespace, before: &Known, process: &mut Process) -> Result<Known> {
    until("samples added to the stored ones", secs(90), async || {
        process.ensure_alive()?;
        let now = known(ns).await?;
        if let Err(fallen_back) = ensure_no_step_back(before, &now) {
            return Ok(Err(fallen_back.context(format!("{now:?} after {before:?}"))));
        }
        ensure!(
            now.samples > before.samples,
            "{} samples, as before",
            now.samples
        );
        Ok(Ok(now))
    })
    .await?
}

fn ensure_no_step_back(before: &Known, now: &Known) -> Result<()> {
    ensure!(now.samples >= before.samples, "samples were lost");
    now.target
        .ensure_between(0.9, 1.1, before.target)
        .context("target")?;
    now.lower
        .ensure_between(0.95, f64::INFINITY, before.lower)
        .context("lower bound")?;
    now.upper
        .ensure_between(0.0, 1.05, before.upper)
        .context("upper bound")
}

/// What is known, once at least so many samples are stored and a right recommendation is published.
async fn samples(ns: &Namespace, least: i64) -> Result<Known> {
    let known = known(ns).await?;
    known.target.ensure_between(1.0, 1.5, usage()?)?;
    ensure!(known.samples >= least, "{} samples", known.samples);
    Ok(known)
}

/// The time as the API server writes it.
fn k8s_now() -> String {
    k8s_openapi::jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

async fn known(ns: &Namespace) -> Result<Known> {
    known_of(ns, "web").await
}

async fn known_of(ns: &Namespace, vpa: &str) -> Result<Known> {
    let checkpoint = ns.get(CHECKPOINT, &format!("{vpa}-app")).await?;
    let status = checkpoint["status"].clone();
    let vpa: Value = ns.get(VPA, vpa).await?;
    let first = &vpa["status"]["recommendation"]["containerRecommendations"][0];
    Ok(Known {
        samples: status["totalSamplesCount"]
            .as_i64()
            .context("no totalSamplesCount")?,
        first_sample: status["firstSampleStart"]
            .as_str()
            .context("no firstSampleStart")?
            .into(),
        target: Amounts::from_list(&first["target"])?,
        lower: Amounts::from_list(&first["lowerBound"])?,
        upper: Amounts::from_list(&first["upperBound"])?,
    })
}
