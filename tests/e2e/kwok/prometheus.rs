//! Histories from a real Prometheus: one that comes late, and one that is there when a VPA is made.

mod past;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_core::time::Timestamp;
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::log_folder;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{CHECKPOINT, Namespace};
use podfit_tests::podfit::{Podfit, kubectl_podfit};
use podfit_tests::process::{Process, Program};
use podfit_tests::scrape::get;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use self::past::{MINUTES, Past};
use crate::doctor;

const METRIC: &str = "vpa_recommender_prometheus_client_api_requests_count";

/// Prometheus is down when the recommender starts, which says so and goes on with what it measures; once it is up, the past
/// of a Deployment, pods that are gone included, becomes its history. Then a VPA is made whose past is there at once, and one
/// that the estimator `adaptive` is to size, which needs a day to begin. After a restart nothing is asked again.
pub async fn history(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let mut past = Past::begin();
    for name in ["late", "prompt", "sized"] {
        let workload = workload(name);
        ns.create(workload.manifest()).await?;
        let pods = until("its pod runs", secs(60), async || {
            ns.available_pods(name, 1).await
        })
        .await?;
        past.add_workload(&ns.name, name, pods[0].name());
    }
    let server = past.server(&ns).await?;
    let mut recommender = podfit.own_recommender("prometheus", &ns.name)?;
    recommender.arguments.extend([
        "--prometheus-preset=kube-prometheus-stack".into(),
        format!("--prometheus-address=http://{}", server.address),
    ]);

    create_vpa(&ns, "late", "histogram").await?;
    let mut process = recommender.start()?;
    until(
        "a recommendation without Prometheus, which is told",
        secs(60),
        async || {
            process.ensure_alive()?;
            let target = ns.recommended("late", "target").await?;
            ensure!(target.cpu < 100, "{target:?} without any past");
            let told = recommender
                .log()
                .matches("no past from Prometheus yet")
                .count();
            ensure!(told == 1, "told {told} times");
            Ok(())
        },
    )
    .await?;

    let _prometheus = start(&server).await?;
    until("the past of the first", secs(90), async || {
        expected(&past, &ns, "late", &mut process).await
    })
    .await?;
    let made = Instant::now();
    create_vpa(&ns, "prompt", "histogram").await?;
    until("the past of the second", secs(60), async || {
        expected(&past, &ns, "prompt", &mut process).await
    })
    .await?;
    figure(format!(
        "a new VPA recommends from 3 days in Prometheus after {:.1} s",
        made.elapsed().as_secs_f64()
    ));
    create_vpa(&ns, "sized", "adaptive").await?;
    until("adaptive sizes by the past", secs(60), async || {
        process.ensure_alive()?;
        sized_by_adaptive(&ns, &recommender.address).await
    })
    .await?;
    seen_by_doctor(&ns, &server.address).await?;
    replayed(&ns, &past, &server.address).await?;
    is_stored_and_not_asked_again(&ns, process, &recommender).await
}

/// The past that was loaded is there; under another job's name nothing is, which is said.
async fn seen_by_doctor(ns: &Namespace, address: &str) -> Result<()> {
    for (job, verdict, words) in [
        ("kubelet", "OK", "has 1 CPU and 1 memory series of pod"),
        ("none", "WARN", "with 0 CPU and 0 memory series of pod"),
    ] {
        let flags = [
            "--prometheus-preset=kube-prometheus-stack".to_owned(),
            format!("--prometheus-address=http://{address}"),
            format!("--prometheus-cadvisor-job-name={job}"),
        ];
        let doctor = ["doctor", "-n", &ns.name, "-o", "json"];
        let flags = flags.iter().map(String::as_str);
        let arguments: Vec<_> = doctor.into_iter().chain(flags).collect();
        let (_, text) = kubectl_podfit(&ns.cluster, &arguments).await?;
        let said: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        let check = doctor::check(&said, "Prometheus")?;
        let finding = check["finding"].as_str().unwrap_or_default();
        ensure!(
            check["verdict"] == verdict && finding.contains(words),
            "{check}"
        );
    }
    Ok(())
}

/// A replay takes what each workload used, whoever its pods were, and comes out the same from the file that it kept.
async fn replayed(ns: &Namespace, past: &Past, address: &str) -> Result<()> {
    let kept = log_folder(&ns.cluster)?.join(format!("usage-{}.csv", ns.name));
    let kept = kept.to_str().context("no UTF-8")?;
    let results = async |flags: &[&str]| -> Result<BTreeMap<String, [Value; 2]>> {
        let arguments = [&["replay", "-n", &ns.name, "-o", "json"], flags].concat();
        let (status, text) = kubectl_podfit(&ns.cluster, &arguments).await?;
        ensure!(status.success(), "{text}");
        let said: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        let series = said["series"].as_array().context("no series")?;
        let name = |one: &Value| one["series"].as_str().unwrap_or_default().to_owned();
        Ok(series
            .iter()
            .map(|one| (name(one), [one["results"].clone(), one["request"].clone()]))
            .collect())
    };
    let asked = results(&[
        "--prometheus-preset=kube-prometheus-stack",
        &format!("--prometheus=http://{address}"),
        "--since=4d",
        &format!("--save-usage={kept}"),
    ])
    .await?;
    let names =
        ["another", "late", "prompt", "sized"].map(|name| format!("{}/{name}/app", ns.name));
    ensure!(asked.keys().eq(&names), "{:?}", asked.keys());
    let again = results(&["--usage", kept]).await?;
    ensure!(
        asked == again,
        "{asked:?} from Prometheus, {again:?} from {kept}"
    );
    let [judged, request] = &asked[&names[1]];
    ensure!(request["cpu"] == past::REQUESTED, "{request}");
    let fit = &judged[1]["cpu"];
    ensure!(
        judged[1]["estimator"] == "request" && fit["timeOver"].as_f64() > Some(0.1),
        "the busy hours need more than is requested: {judged}"
    );
    as_known(Path::new(kept), &names[1], past)
}

/// The rows of a series are what its pods used.
fn as_known(kept: &Path, series: &str, past: &Past) -> Result<()> {
    let known = past.points();
    let last = known.keys().next_back();
    let text = std::fs::read_to_string(kept)?;
    let rows = text.lines().filter_map(|row| row.strip_prefix(series));
    let mut cpu = Vec::new();
    for row in rows.map(|row| row.trim_start_matches(',')) {
        let [at, cores, bytes, ..] = row.split(',').collect::<Vec<_>>()[..] else {
            anyhow::bail!("{row}");
        };
        let at = Timestamp::from_unix_seconds(at.parse()?);
        // A point that fell due meanwhile stands for the last minutes of the past once more.
        if Some(&at) > last {
            continue;
        }
        // A pod's first point has no rate yet when the step falls on it.
        if !cores.is_empty() {
            cpu.push(cores.parse::<f64>().with_context(|| row.to_owned())?);
        }
        let known = known.get(&at);
        let (_, most) = known.with_context(|| format!("{row} at an unknown time"))?;
        let bytes: f64 = bytes.parse()?;
        ensure!(
            (bytes - most).abs() < 1.0,
            "{row}, and {most} bytes are known"
        );
    }
    let mean =
        |cores: &mut dyn Iterator<Item = f64>, count: usize| cores.sum::<f64>() / count as f64;
    let rows = mean(&mut cpu.iter().copied(), cpu.len());
    let used = mean(&mut known.values().map(|(cores, _)| *cores), known.len());
    ensure!(
        cpu.len().abs_diff(known.len()) <= 2 && (rows / used - 1.0).abs() < 0.01,
        "{} rows of {rows} cores, {} of {used} are known",
        cpu.len(),
        known.len()
    );
    Ok(())
}

/// The target is what adaptive makes of the past: every sixth hour needs 700m, and every day a minute of 900 MB, so that less
/// would be over more often than is promised. The reason says so.
async fn sized_by_adaptive(ns: &Namespace, address: &str) -> Result<()> {
    let target = ns.recommended("sized", "target").await?;
    target.ensure_between(
        1.0,
        1.4,
        Amounts {
            cpu: 700,
            memory: 900_000_000,
        },
    )?;
    let path = format!("/explain/{}/sized", ns.name);
    let explained = get(address, &path).await?;
    for part in [
        "cheapest of all that was tried on its own past",
        "daily peaks",
    ] {
        ensure!(explained.contains(part), "{explained}");
    }
    Ok(())
}

async fn is_stored_and_not_asked_again(
    ns: &Namespace,
    process: Process,
    recommender: &Program,
) -> Result<()> {
    let stored = until("both pasts are stored", secs(60), async || {
        let mut samples = Vec::new();
        for name in ["late-app", "prompt-app", "sized-app"] {
            let checkpoint = ns.get(CHECKPOINT, name).await?;
            let kept = &checkpoint["metadata"]["annotations"]["podfit.dev/history"];
            let kept = kept.as_str().unwrap_or_default();
            ensure!(
                kept.contains("\"adaptive\":") == (name == "sized-app"),
                "{name}: {kept}"
            );
            samples.push(
                checkpoint["status"]["totalSamplesCount"]
                    .as_i64()
                    .context("no count")?,
            );
        }
        // Two pods, and a sample a minute.
        ensure!(
            samples.iter().all(|s| *s > 2 * MINUTES * 9 / 10),
            "{samples:?} samples"
        );
        Ok(samples)
    })
    .await?;
    process.stop().await?;
    let mut process = recommender.start()?;
    until("it goes on from the checkpoints", secs(60), async || {
        process.ensure_alive()?;
        let metrics = process.metrics().await?;
        let loops = metrics.sum(
            "vpa_recommender_execution_latency_seconds_count",
            &[("step", "total")],
        );
        ensure!(loops >= 3.0, "{loops} loops");
        let asked = metrics.sum(METRIC, &[]);
        ensure!(
            asked == 0.0,
            "asked Prometheus {asked} times after a restart, with {stored:?} samples stored"
        );
        Ok(())
    })
    .await?;
    sized_by_adaptive(ns, &recommender.address)
        .await
        .context("after a restart")?;
    process.stop().await
}

/// What is recommended is what core makes of the same past.
async fn expected(past: &Past, ns: &Namespace, name: &str, process: &mut Process) -> Result<()> {
    process.ensure_alive()?;
    let target = ns.recommended(name, "target").await?;
    // Live samples come on top, and a bucket is 5 % wide.
    target.ensure_between(0.94, 1.06, past.target()?)
}

/// Hardly used, but for its past.
fn workload(name: &str) -> Workload {
    Workload::deployment(name)
        .requests("100m", "100Mi")
        .simulated_usage("10m", "50Mi")
}

async fn create_vpa(ns: &Namespace, name: &str, estimator: &str) -> Result<()> {
    let mut vpa = workload(name).vpa("Off");
    vpa["metadata"]["annotations"] = json!({ "podfit.dev/estimator": estimator });
    vpa["spec"]["recommenders"] = json!([{ "name": "prometheus" }]);
    ns.create(vpa).await.map(drop)
}

async fn start(server: &Program) -> Result<Process> {
    let mut process = server.start()?;
    until("Prometheus is ready", secs(60), async || {
        process.ensure_alive()?;
        get(&server.address, "/-/ready").await
    })
    .await?;
    Ok(process)
}
