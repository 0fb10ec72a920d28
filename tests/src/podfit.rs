//! podfit's three programs as processes, with the flags and the rights that the chart gives them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

use crate::chart::{self, Component, NAMESPACE};
use crate::cluster::{Cluster, log_folder, program, repository, script};
use crate::process::{Process, Program};

/// How often the recommender of the tests looks, in seconds.
pub const RECOMMENDER_INTERVAL: u64 = 5;

/// The API group of kinds that a scenario defines. podfit may read two of them.
pub const FOREIGN_GROUP: &str = "podfit.test";

/// The last number of the address on which the programs listen; free for this in `tests/local-cluster`'s plan.
const ADDRESS: u8 = 12;

/// podfit on one cluster.
pub struct Podfit {
    /// Where.
    pub cluster: Arc<Cluster>,
    programs: BTreeMap<String, Program>,
    running: Mutex<BTreeMap<String, Process>>,
    next_port: AtomicU16,
}

impl Podfit {
    /// Applies the chart and prepares the programs, without starting them.
    pub async fn prepare(cluster: &Arc<Cluster>, with_crds: bool) -> Result<Self> {
        Self::prepare_with(cluster, with_crds, &json!({})).await
    }

    /// The same with more top-level values of the chart.
    pub async fn prepare_with(
        cluster: &Arc<Cluster>,
        with_crds: bool,
        more: &Value,
    ) -> Result<Self> {
        let mut values = values(cluster);
        for (name, value) in more.as_object().into_iter().flatten() {
            values[name] = value.clone();
        }
        let components = chart::apply_without_pods(cluster, &values, with_crds).await?;
        Self::of(cluster, components).await
    }

    /// Prepares the programs of the release that Helm has installed with [`values`], whose own pods are simulated.
    pub async fn installed(cluster: &Arc<Cluster>) -> Result<Self> {
        Self::of(cluster, chart::installed(cluster).await?).await
    }

    async fn of(cluster: &Arc<Cluster>, components: BTreeMap<String, Component>) -> Result<Self> {
        let logs = log_folder(cluster)?;
        let folder = programs().await?;
        let mut programs = BTreeMap::new();
        for (name, component) in components {
            let account = &component.service_account;
            let kubeconfig = cluster.service_account(NAMESPACE, account).await?;
            let mut arguments = component.arguments;
            arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
            let address = arguments
                .iter()
                .find_map(|a| a.strip_prefix("--address="))
                .context("the chart gives no --address")?
                .to_owned();
            let log = logs.join(format!("{name}.log"));
            fs::write(&log, "")?;
            let environment = vec![
                ("NAMESPACE".into(), NAMESPACE.into()),
                ("POD_NAME".into(), format!("podfit-{name}-process")),
            ];
            let executable = folder.join(format!("podfit-{name}"));
            programs.insert(
                name.clone(),
                Program {
                    name: format!("podfit-{name}"),
                    executable,
                    arguments,
                    environment,
                    address,
                    log,
                },
            );
        }
        Ok(Self {
            cluster: Arc::clone(cluster),
            programs,
            running: Mutex::default(),
            next_port: AtomicU16::new(9000),
        })
    }

    /// Adds flags to those that the chart gives, which then win: such as for files that a pod would have mounted.
    pub fn with_flags(mut self, name: &str, flags: [String; 3]) -> Result<Self> {
        let program = self.programs.get_mut(name);
        let program = program.with_context(|| format!("the chart has no {name}"))?;
        program.arguments.extend(flags);
        Ok(self)
    }

    /// Starts all three and waits until they are ready.
    pub async fn start_all(&self) -> Result<()> {
        for name in self.programs.keys() {
            self.start(name).await?;
        }
        for process in self.running.lock().await.values_mut() {
            process.ready().await?;
        }
        Ok(())
    }

    /// Starts one: `recommender`, `updater` or `webhook`.
    pub async fn start(&self, name: &str) -> Result<()> {
        let process = self.program(name)?.start()?;
        self.running.lock().await.insert(name.into(), process);
        Ok(())
    }

    /// Waits until one that was started is ready.
    pub async fn ready(&self, name: &str) -> Result<()> {
        let mut running = self.running.lock().await;
        running
            .get_mut(name)
            .context("it does not run")?
            .ready()
            .await
    }

    /// Ends one as Kubernetes would.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let process = self.running.lock().await.remove(name);
        process.context("it does not run")?.stop().await
    }

    /// Ends one as a lost node would.
    pub async fn kill(&self, name: &str) -> Result<()> {
        let process = self.running.lock().await.remove(name);
        process.context("it does not run")?.kill().await
    }

    /// Sends one a signal.
    pub async fn signal(&self, name: &str, signal: &str) -> Result<()> {
        let running = self.running.lock().await;
        running
            .get(name)
            .context("it does not run")?
            .signal(signal)
            .await
    }

    /// An error when one of them ended by itself.
    pub async fn ensure_alive(&self) -> Result<()> {
        for process in self.running.lock().await.values_mut() {
            process.ensure_alive()?;
        }
        Ok(())
    }

    /// One program's description.
    pub fn program(&self, name: &str) -> Result<&Program> {
        self.programs
            .get(name)
            .with_context(|| format!("the chart has no {name}"))
    }

    /// A recommender besides the common one: it serves only that namespace and VPAs that name it `name`.
    pub fn own_recommender(&self, name: &str, namespace: &str) -> Result<Program> {
        let mut program = self.own("recommender", name, namespace)?;
        program.arguments.push(format!("--recommender-name={name}"));
        Ok(program)
    }

    /// An updater that serves only that namespace. Nothing keeps the common one from serving it, too: these are for
    /// suites that start none.
    pub fn own_updater(&self, name: &str, namespace: &str) -> Result<Program> {
        self.own("updater", name, namespace)
    }

    fn own(&self, component: &str, name: &str, namespace: &str) -> Result<Program> {
        let mut program = self.program(component)?.clone();
        program.name = name.into();
        program.log = program
            .log
            .with_file_name(format!("{name}-{namespace}.log"));
        program.address = self.free_address();
        program
            .arguments
            .retain(|a| !a.starts_with("--ignored-vpa-object-namespaces="));
        program.arguments.extend([
            format!("--vpa-object-namespace={namespace}"),
            format!("--address={}", program.address),
            "--leader-elect=false".into(),
        ]);
        Ok(program)
    }

    /// An address that nothing listens on.
    pub fn free_address(&self) -> String {
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        format!("{}:{port}", self.cluster.address(ADDRESS))
    }

    /// Waits until the program has gone through `count` more whole loops.
    pub async fn loops(&self, name: &str, count: u32) -> Result<()> {
        crate::scrape::loops(&self.program(name)?.address, name, count).await
    }

    /// The last lines of all logs.
    pub fn logs(&self) -> String {
        let parts = self.programs.values().map(|program| {
            let log = program.log();
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            format!(
                "--- {}, end of {}\n{last}\n",
                program.name,
                program.log.display()
            )
        });
        parts.collect()
    }

    /// The resident memory of all that run, as `name MiB, …`.
    pub async fn memory(&self) -> String {
        let running = self.running.lock().await;
        let parts = running.iter().map(|(name, process)| {
            let used = process.resident_mib().unwrap_or_default();
            format!("{name} {used:.1} MiB")
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Runs `kubectl podfit` as an operator would, with all rights: whether it succeeded, and what it wrote.
    pub async fn kubectl_podfit(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let (status, text) = kubectl_podfit(&self.cluster, arguments).await?;
        Ok((status.success(), text))
    }

    /// Ends all that run.
    pub async fn stop_all(&self) -> Result<()> {
        let all = std::mem::take(&mut *self.running.lock().await);
        for process in all.into_values() {
            process.stop().await?;
        }
        Ok(())
    }
}

/// Runs `kubectl podfit` on a cluster as its admin: how it ended, and what it wrote.
pub async fn kubectl_podfit(cluster: &Cluster, arguments: &[&str]) -> Result<(ExitStatus, String)> {
    let folder = programs().await?;
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program("kubectl"))
        .arg("podfit")
        .args(arguments)
        .env("PATH", format!("{}:{path}", folder.display()))
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .await?;
    let mut text = String::from_utf8(output.stdout)?;
    text += &String::from_utf8(output.stderr)?;
    Ok((output.status, text))
}

/// Quick loops, and addresses of the cluster's network. The webhook listens on its Service's own address and port: on
/// a loopback Service network, that is what makes it the Service.
pub fn values(cluster: &Cluster) -> Value {
    let address = cluster.address(ADDRESS);
    let at = |port: u16| format!("{address}:{port}");
    json!({
        "optIn": {"goldilocksLabels": true},
        "rbac": {"scalableKinds": [
            {"apiGroup": FOREIGN_GROUP, "resources": ["fleets", "armadas"]},
            {"apiGroup": "keda.sh", "resources": ["scaledjobs"]},
            {"apiGroup": "argoproj.io", "resources": ["rollouts", "workflows"]},
        ]},
        "recommender": {
            "replicas": 1,
            "metricsAddress": at(8942),
            "extraArgs": [format!("--recommender-interval={RECOMMENDER_INTERVAL}s")],
        },
        "updater": {
            "replicas": 1,
            "metricsAddress": at(8943),
            "extraArgs": [
                "--updater-interval=2s",
                // The scenarios go on at the same time, and are in a hurry.
                "--warm-up=0s",
                "--max-disruptions=none",
                "--disruption-breaker=0",
                "--in-recommendation-bounds-eviction-lifetime-threshold=15s",
                "--admission-controller-status-lease-timeout=10s",
                "--feature-gates=CPUStartupBoost=true",
            ],
        },
        "admissionController": {
            "replicas": 1,
            "metricsAddress": at(8944),
            "extraArgs": ["--feature-gates=CPUStartupBoost=true"],
            "bindAddress": address,
            "port": 443,
            "service": {"clusterIP": address, "port": 443},
            "statusLease": {"updateInterval": "2s"},
        },
    })
}

/// The images' archives: those in `$PODFIT_IMAGES`, else they are built, and on the way podfit's programs.
pub async fn build_images() -> Result<Vec<PathBuf>> {
    if let Ok(folder) = std::env::var("PODFIT_IMAGES") {
        let entries = fs::read_dir(&folder).with_context(|| folder.clone())?;
        return entries.map(|entry| Ok(entry?.path())).collect();
    }
    let output = Command::new(script("images"))
        .args(["--profile", "quick"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "podfit could not be built");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(PathBuf::from).collect())
}

/// The folder with podfit's programs: `$PODFIT_PROGRAMS`, else they are built, once.
pub async fn programs() -> Result<&'static Path> {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    let find = async || {
        if let Ok(folder) = std::env::var("PODFIT_PROGRAMS") {
            return Ok(folder.into());
        }
        build_images().await?;
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        Ok(repository().join("target").join(triple).join("quick"))
    };
    FOLDER.get_or_try_init(find).await.map(PathBuf::as_path)
}
