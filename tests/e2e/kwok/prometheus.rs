//! Histories from a real Prometheus: one that comes late, and one that is there when a VPA is made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use podfit_core::backfill::{Backfill, BackfillRules, live_samples};
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::{ContainerHistory, HistoryConfig};
use podfit_core::recommendation::recommend;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::{log_folder, program, run};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{CHECKPOINT, Namespace};
use podfit_tests::podfit::{Podfit, kubectl_podfit};
use podfit_tests::process::{Process, Program};
use podfit_tests::scrape::get;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::doctor;

/// How much Prometheus knows, in minutes.
const MINUTES: i64 = 3 * 24 * 60;

/// The distance of the points that podfit asks for, in minutes: the preset's.
const RESOLUTION: i64 = 5;

/// Container and memory usage of a minute, counted back from now.
#[derive(Clone, Copy)]
struct Usage {
    cores: fn(i64) -> f64,
    bytes: fn(i64) -> f64,
}

/// Every sixth hour is busy; one minute a day needs much memory.
const OURS: Usage = Usage {
    cores: |minute| if minute / 60 % 6 == 0 { 0.7 } else { 0.1 },
    bytes: |minute| if minute % 1440 == 700 { 9e8 } else { 4e8 },
};

/// What would show if it were counted.
const OTHERS: Usage = Usage {
    cores: |_| 4.0,
    bytes: |_| 8e9,
};

const METRIC: &str = "vpa_recommender_prometheus_client_api_requests_count";

/// Prometheus is down when the recommender starts, which says so and goes on with what it measures; once it is up, the past
/// of a Deployment, pods that are gone included, becomes its history. Then a VPA is made whose past is there at once. After
/// a restart nothing is asked again.
pub async fn history(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let mut past = Past::begin();
    for name in ["late", "prompt"] {
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

    create_vpa(&ns, "late").await?;
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
    create_vpa(&ns, "prompt").await?;
    until("the past of the second", secs(60), async || {
        expected(&past, &ns, "prompt", &mut process).await
    })
    .await?;
    figure(format!(
        "a new VPA recommends from 3 days in Prometheus after {:.1} s",
        made.elapsed().as_secs_f64()
    ));
    seen_by_doctor(&ns, &server.address).await?;
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

async fn is_stored_and_not_asked_again(
    ns: &Namespace,
    process: Process,
    recommender: &Program,
) -> Result<()> {
    let stored = until("both pasts are stored", secs(60), async || {
        let mut samples = Vec::new();
        for name in ["late-app", "prompt-app"] {
            let checkpoint = ns.get(CHECKPOINT, name).await?;
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

async fn create_vpa(ns: &Namespace, name: &str) -> Result<()> {
    let mut vpa = workload(name).vpa("Off");
    vpa["spec"]["recommenders"] = json!([{ "name": "prometheus" }]);
    ns.create(vpa).await.map(drop)
}

/// What a Prometheus has seen.
struct Past {
    /// Whole minutes.
    now: i64,
    /// By metric, in OpenMetrics' words.
    families: BTreeMap<&'static str, String>,
}

impl Past {
    fn begin() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            now: (now.as_secs() / 60).cast_signed(),
            families: BTreeMap::new(),
        }
    }

    /// A Deployment with the pod that lives, one that is gone, and a pod with such a name that is another's.
    fn add_workload(&mut self, namespace: &str, name: &str, live: &str) {
        let (gone, foreign) = (
            format!("{name}-2222222222-bbbbb"),
            format!("{name}-4444444444-bbbbb"),
        );
        for (pod, usage) in [(live, OURS), (&gone, OURS), (&foreign, OTHERS)] {
            self.add_pod(namespace, pod, usage);
        }
        let of = |set: &str, owner: &str| {
            format!(
                r#"namespace="{namespace}",replicaset="{name}-{set}",owner_kind="Deployment",owner_name="{owner}""#
            )
        };
        self.add_state("kube_replicaset_owner", &of("2222222222", name));
        self.add_state("kube_replicaset_owner", &of("4444444444", "another"));
        for (pod, set) in [(&gone, "2222222222"), (&foreign, "4444444444")] {
            let labels = format!(
                r#"namespace="{namespace}",pod="{pod}",owner_kind="ReplicaSet",owner_name="{name}-{set}""#
            );
            self.add_state("kube_pod_owner", &labels);
        }
    }

    fn add_pod(&mut self, namespace: &str, pod: &str, usage: Usage) {
        let labels = format!(
            r#"job="kubelet",metrics_path="/metrics/cadvisor",namespace="{namespace}",pod="{pod}",container="app""#
        );
        let (mut seconds, mut cpu, mut memory) = (1e6, String::new(), String::new());
        for ago in (0..MINUTES).rev() {
            let at = (self.now - ago) * 60;
            // A counter's rate up to a point of time is what was used in the minute before it.
            seconds += (usage.cores)(ago) * 60.0;
            let _ = writeln!(
                cpu,
                "container_cpu_usage_seconds_total{{{labels}}} {seconds} {at}"
            );
            let _ = writeln!(
                memory,
                "container_memory_working_set_bytes{{{labels}}} {} {at}",
                (usage.bytes)(ago)
            );
        }
        self.add("# TYPE container_cpu_usage_seconds counter\n", &cpu);
        self.add("# TYPE container_memory_working_set_bytes gauge\n", &memory);
    }

    fn add_state(&mut self, metric: &'static str, labels: &str) {
        let head = match metric {
            "kube_pod_owner" => "# TYPE kube_pod_owner gauge\n",
            _ => "# TYPE kube_replicaset_owner gauge\n",
        };
        let line = format!("{metric}{{{labels}}} 1 {}\n", self.now * 60);
        self.add(head, &line);
    }

    fn add(&mut self, head: &'static str, lines: &str) {
        self.families.entry(head).or_default().push_str(lines);
    }

    /// Writes all of it into a database of Prometheus', with Prometheus' own tool; the server to start on it.
    async fn server(&self, ns: &Namespace) -> Result<Program> {
        let folder = log_folder(&ns.cluster)?.join(format!("prometheus-{}", ns.name));
        std::fs::create_dir_all(&folder)?;
        let text: String = self
            .families
            .iter()
            .flat_map(|(head, lines)| [*head, lines.as_str()])
            .collect();
        let file = folder.join("past.txt");
        std::fs::write(&file, text + "# EOF\n")?;
        let data = folder.join("data");
        let mut promtool = Command::new(program("promtool"));
        promtool
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&file, &data]);
        run(&mut promtool, "").await?;
        server(&ns.cluster.address(13), &folder, &data)
    }

    /// What core recommends for it.
    fn target(&self) -> Result<Amounts> {
        let now = Timestamp::from_unix_seconds(self.now * 60);
        let mut backfill = Backfill::new(BackfillRules {
            history: HistoryConfig::default(),
            until: [("app".to_owned(), now)].into(),
            cpu_samples: live_samples(Duration::from_secs(RESOLUTION.unsigned_abs() * 60)),
        });
        for pod in ["live", "gone"] {
            for ago in (1..MINUTES)
                .rev()
                .filter(|ago| (self.now - ago) % RESOLUTION == 0)
            {
                let at = Timestamp::from_unix_seconds((self.now - ago) * 60);
                let within = || (ago..ago + RESOLUTION).filter(|ago| *ago < MINUTES);
                let cores = within().map(OURS.cores).sum::<f64>() / within().count() as f64;
                backfill.add_cpu((pod, "app"), at, cores);
                let bytes = within().map(OURS.bytes).fold(0.0, f64::max);
                backfill.add_memory((pod, "app"), at, bytes);
            }
        }
        let made = backfill.finish();
        let histories: Vec<(&str, &ContainerHistory)> = made
            .iter()
            .map(|(name, b)| (name.as_str(), &b.history))
            .collect();
        let recommended = recommend(
            &histories,
            &Vpa::default(),
            &EstimatorConfig::default(),
            now,
        );
        let target = recommended
            .recommendations
            .first()
            .context("nothing recommended")?
            .target;
        Ok(Amounts {
            cpu: target.cpu.context("no CPU")?.0,
            memory: target.memory.context("no memory")?.0,
        })
    }
}

fn server(address: &str, folder: &Path, data: &Path) -> Result<Program> {
    let config: PathBuf = folder.join("prometheus.yaml");
    std::fs::write(&config, "scrape_configs: []\n")?;
    let address = format!("{address}:9090");
    Ok(Program {
        name: "Prometheus".into(),
        executable: program("prometheus"),
        arguments: vec![
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", data.display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".into(),
        ],
        environment: Vec::new(),
        address,
        log: folder.join("log"),
    })
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
