//! An updater under test: how it is started, and what its first loop does and costs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use podfit_tests::bench::fixture::{Fixture, Size};
use podfit_tests::bench::plan::Candidate;
use podfit_tests::bench::process::{cpu_seconds, peak_mib};
use podfit_tests::cluster::{Cluster, log_folder, program};
use podfit_tests::process::{Process, Program};
use podfit_tests::scrape::Metrics;
use podfit_tests::wait::{secs, until};
use serde::Serialize;

use crate::evictions::Evictions;
use crate::requests::{Requests, events};

/// Upstream's default. It is also what upstream's loop is cut off after.
const INTERVAL: u64 = 60;

/// The longest that the first loop may be waited for: upstream begins it an interval after its start.
const PATIENCE: Duration = Duration::from_mins(10);

/// What slows podfit down on purpose, and upstream does not have.
const NO_BUDGETS: [&str; 5] = [
    "--max-disruptions=none",
    "--max-disruptions-per-namespace=none",
    "--max-disruptions-per-workload=none",
    "--warm-up=0s",
    "--disruption-breaker=0",
];

const LATENCY: &str = "vpa_updater_execution_latency_seconds";

/// What one of them did in its first loop, and what that cost.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Which.
    pub candidate: Candidate,
    /// VPAs, each of a ReplicaSet of two pods.
    pub vpas: usize,
    /// Seconds that the loop took.
    pub wall: f64,
    /// Seconds of it by step.
    pub steps: BTreeMap<String, f64>,
    /// Pods evicted in it.
    pub evicted: usize,
    /// ReplicaSets with a pod that was due and could go, and did not.
    pub unvisited: usize,
    /// Evictions per second, from the first to the last of them.
    pub rate: f64,
    /// Requests up to the loop's end: evictions, for VPAs, events.
    pub requests: f64,
    /// Events told by then.
    pub events: usize,
    /// CPU seconds of the process since its start.
    pub cpu: f64,
    /// The most resident memory since its start, in MiB.
    pub peak: f64,
}

/// Where candidates run.
pub struct Track {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// The folder with podfit's programs.
    pub programs: PathBuf,
}

impl Track {
    /// Runs a candidate on new pods to the end of its first loop.
    pub async fn run(
        &self,
        candidate: Candidate,
        size: Size,
        fixture: &mut Fixture,
    ) -> Result<Figures> {
        fixture.renew_pods().await?;
        let controllers = self.replica_set_controller().await?;
        let client = &self.cluster.client;
        let evictions = Evictions::watch(client).await?;
        let before = Requests::read(client).await?;
        let mut process = self.program(candidate)?.start()?;
        let metrics = first_loop(&mut process).await?;
        let (cpu, peak) = (cpu_seconds(process.id()?)?, peak_mib(process.id()?)?);
        process.kill().await?;
        let (after, events) = (Requests::read(client).await?, events(client).await?);
        controllers.kill().await?;
        // The watch is told a moment later.
        until("all evicted pods were seen to go", secs(30), async || {
            let (seen, made) = (evictions.gone().pods, after.evicted - before.evicted);
            ensure!(seen as f64 >= made, "{seen} of {made}");
            Ok(())
        })
        .await?;
        let gone = evictions.gone();
        let seconds = |step: &str| metrics.sum(&format!("{LATENCY}_sum"), &[("step", step)]);
        let mut steps: BTreeMap<_, _> = metrics
            .values(&format!("{LATENCY}_sum"), "step")
            .into_iter()
            .map(|step| {
                let taken = seconds(&step);
                (step, taken)
            })
            .collect();
        let asked = after.evictions - before.evictions + after.vpas - before.vpas;
        Ok(Figures {
            candidate,
            vpas: size.vpas,
            wall: steps.remove("total").unwrap_or_default(),
            steps,
            evicted: gone.pods,
            unvisited: size.vpas - gone.groups,
            rate: (gone.pods as f64 - 1.0).max(0.0) / gone.within.as_secs_f64().max(0.001),
            requests: asked + events as f64,
            events,
            cpu,
            peak,
        })
    }

    /// It makes new pods for those that went, and does nothing else. Nobody binds them: one pod of each ReplicaSet can go.
    async fn replica_set_controller(&self) -> Result<Process> {
        let name = "kube-controller-manager";
        let address = self.cluster.address(3);
        let kubeconfig = self.cluster.kubeconfig();
        let kubeconfig = kubeconfig.with_file_name("controller-manager.kubeconfig");
        let program = Program {
            name: name.into(),
            executable: program(name),
            arguments: vec![
                format!("--kubeconfig={}", kubeconfig.display()),
                format!("--bind-address={address}"),
                "--controllers=replicaset-controller".into(),
                "--leader-elect=false".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
            environment: Vec::new(),
            address,
            log: log_folder(&self.cluster)?.join(format!("{name}.log")),
        };
        let mut process = program.start()?;
        let told = process.program.log().len();
        until("the ReplicaSet controller works", secs(60), async || {
            process.ensure_alive()?;
            let log = process.program.log();
            let synced = "Caches are synced";
            ensure!(
                log.get(told..).is_some_and(|new| new.contains(synced)),
                "its caches are not synced"
            );
            Ok(())
        })
        .await?;
        Ok(process)
    }

    fn program(&self, candidate: Candidate) -> Result<Program> {
        let name = match candidate {
            Candidate::Podfit => "podfit-updater",
            Candidate::Upstream => "vpa-updater",
        };
        let address = format!("{}:8943", self.cluster.address(12));
        let mut arguments = vec![
            format!("--kubeconfig={}", self.cluster.kubeconfig().display()),
            format!("--address={address}"),
            format!("--updater-interval={INTERVAL}s"),
            "--kube-api-qps=100".into(),
            "--kube-api-burst=200".into(),
            "--leader-elect=false".into(),
            // No webhook is there, and none is needed in one loop.
            "--use-admission-controller-status=false".into(),
        ];
        if candidate == Candidate::Podfit {
            arguments.extend(NO_BUDGETS.map(Into::into));
        }
        Ok(Program {
            name: name.into(),
            executable: match candidate {
                Candidate::Podfit => self.programs.join(name),
                Candidate::Upstream => program(name),
            },
            arguments,
            environment: vec![
                ("NAMESPACE".into(), "kube-system".into()),
                ("MALLOC_ARENA_MAX".into(), "1".into()), // as the chart has it; Go does not look at it
            ],
            log: log_folder(&self.cluster)?.join(format!("{name}.log")),
            address,
        })
    }
}

/// What the process measured of itself, once its first loop has ended.
async fn first_loop(process: &mut Process) -> Result<Metrics> {
    let started = Instant::now();
    loop {
        process.ensure_alive()?;
        // It need not serve yet.
        if let Ok(metrics) = process.metrics().await
            && metrics.sum(&format!("{LATENCY}_count"), &[("step", "total")]) >= 1.0
        {
            return Ok(metrics);
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "no loop ended within {PATIENCE:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
