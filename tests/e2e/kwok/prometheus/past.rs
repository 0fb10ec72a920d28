//! A past that is known, in a real Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use podfit_core::backfill::{Backfill, BackfillRules, live_samples};
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::{ContainerHistory, HistoryConfig};
use podfit_core::recommendation::recommend;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;
use podfit_tests::amounts::Amounts;
use podfit_tests::cluster::{log_folder, program, run};
use podfit_tests::namespace::Namespace;
use podfit_tests::process::Program;
use tokio::process::Command;

/// How much Prometheus knows, in minutes.
pub const MINUTES: i64 = 3 * 24 * 60;

/// The distance of the points that podfit asks for, in minutes: the preset's.
const RESOLUTION: i64 = 5;

/// What the pods that live request, in cores.
pub const REQUESTED: f64 = 0.1;

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

/// What a Prometheus has seen.
pub struct Past {
    /// Whole minutes.
    now: i64,
    /// By metric, in OpenMetrics' words.
    families: BTreeMap<&'static str, String>,
}

impl Past {
    /// Nothing yet.
    pub fn begin() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            now: (now.as_secs() / 60).cast_signed(),
            families: BTreeMap::new(),
        }
    }

    /// A Deployment with the pod that lives, one that is gone, and a pod with such a name that is another's.
    pub fn add_workload(&mut self, namespace: &str, name: &str, live: &str) {
        let (gone, foreign) = (
            format!("{name}-2222222222-bbbbb"),
            format!("{name}-4444444444-bbbbb"),
        );
        for (pod, usage) in [(live, OURS), (&gone, OURS), (&foreign, OTHERS)] {
            self.add_pod(namespace, pod, usage);
        }
        self.add_request(namespace, live);
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

    /// What kube-state-metrics tells of a pod that lives; it is asked for at the last multiple of the resolution.
    fn add_request(&mut self, namespace: &str, pod: &str) {
        let labels = format!(
            r#"namespace="{namespace}",pod="{pod}",container="app",resource="cpu",unit="core""#
        );
        let mut lines = String::new();
        for ago in (0..2 * RESOLUTION).rev() {
            let at = (self.now - ago) * 60;
            let _ = writeln!(
                lines,
                "kube_pod_container_resource_requests{{{labels}}} {REQUESTED} {at}"
            );
        }
        self.add(
            "# TYPE kube_pod_container_resource_requests gauge\n",
            &lines,
        );
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
    pub async fn server(&self, ns: &Namespace) -> Result<Program> {
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

    /// What one of our pods used, point by point: cores on average and bytes at the most.
    pub fn points(&self) -> BTreeMap<Timestamp, (f64, f64)> {
        let whole = (1..MINUTES).filter(|ago| (self.now - ago) % RESOLUTION == 0);
        whole
            .map(|ago| {
                let within = || (ago..ago + RESOLUTION).filter(|ago| *ago < MINUTES);
                let cores = within().map(OURS.cores).sum::<f64>() / within().count() as f64;
                let bytes = within().map(OURS.bytes).fold(0.0, f64::max);
                let at = Timestamp::from_unix_seconds((self.now - ago) * 60);
                (at, (cores, bytes))
            })
            .collect()
    }

    /// What core recommends for it.
    pub fn target(&self) -> Result<Amounts> {
        let now = Timestamp::from_unix_seconds(self.now * 60);
        let mut backfill = Backfill::new(BackfillRules {
            history: HistoryConfig::default(),
            until: [("app".to_owned(), now)].into(),
            cpu_samples: live_samples(Duration::from_secs(RESOLUTION.unsigned_abs() * 60)),
        });
        for pod in ["live", "gone"] {
            for (at, (cores, bytes)) in self.points() {
                backfill.add_cpu((pod, "app"), at, cores);
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
