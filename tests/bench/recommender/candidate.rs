//! A recommender under test: how it is started, and what it costs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::Client;
use podfit_tests::bench::fixture::Size;
use podfit_tests::bench::plan::Candidate;
use podfit_tests::bench::process::{cpu_seconds, peak_mib};
use podfit_tests::cluster::{Cluster, log_folder, program};
use podfit_tests::process::{Process, Program};
use podfit_tests::scrape::Metrics;
use podfit_tests::wait::secs;
use serde::Serialize;

use crate::metrics_api::MetricsApi;
use crate::requests::Requests;

/// Both look so often, if they can.
const INTERVAL: u64 = 15;

/// Loops between the first and the measured ones.
const WARM_UP: u32 = 1;

/// Measured loops.
const LOOPS: u32 = 4;

/// How often a loop's end is looked for. Each look costs the program some of the CPU that is measured.
const LOOK: Duration = Duration::from_secs(5);

/// The longest that a loop of upstream's may take.
const PATIENCE: Duration = Duration::from_mins(5);

const LATENCY: &str = "vpa_recommender_execution_latency_seconds";

/// Which program, and how it is to make numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Runner {
    /// Whose.
    pub candidate: Candidate,
    /// True for podfit's with `--estimator=adaptive`.
    pub adaptive: bool,
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.adaptive {
            write!(f, "{} adaptive", self.candidate)
        } else {
            self.candidate.fmt(f)
        }
    }
}

impl Runner {
    /// Those of a plan: podfit's once with each of `estimators`, a list of names.
    pub fn all(candidates: &[Candidate], estimators: &str) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for candidate in candidates.iter().copied() {
            if candidate == Candidate::Upstream {
                let adaptive = false;
                all.push(Self {
                    candidate,
                    adaptive,
                });
                continue;
            }
            for estimator in estimators.split(',').map(str::trim) {
                let adaptive = estimator == "adaptive";
                ensure!(
                    adaptive || estimator == "histogram",
                    "ESTIMATORS: `{estimator}` is neither histogram nor adaptive"
                );
                all.push(Self {
                    candidate,
                    adaptive,
                });
            }
        }
        Ok(all)
    }
}

/// What one of them cost at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Which.
    pub runner: Runner,
    /// VPAs.
    pub vpas: usize,
    /// Pods.
    pub pods: usize,
    /// Seconds from the start to the end of the first loop, with all histories stored.
    pub start: f64,
    /// Seconds that a loop takes.
    pub wall: f64,
    /// Seconds of it by step.
    pub steps: BTreeMap<String, f64>,
    /// CPU seconds per loop, of the whole process: watches, too.
    pub cpu: f64,
    /// The most resident memory since its start, in MiB.
    pub peak: f64,
    /// API requests per loop, but for watches and leases.
    pub requests: f64,
    /// Written statuses per loop.
    pub statuses: f64,
    /// Written histories per loop.
    pub histories: f64,
}

/// What is read at the beginning and the end of the measured loops.
struct Reading {
    loops: f64,
    cpu: f64,
    metrics: Metrics,
    requests: Requests,
    lists: usize,
}

/// Where candidates run.
pub struct Track {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Its usage.
    pub usage: Arc<MetricsApi>,
    /// The folder with podfit's programs.
    pub programs: PathBuf,
}

impl Track {
    /// Runs a candidate until it is steady, and measures.
    pub async fn run(&self, runner: Runner, size: Size) -> Result<Figures> {
        let program = self.program(runner)?;
        let started = Instant::now();
        let mut process = program.start()?;
        self.wait_for_loops(&mut process, 1, secs(1)).await?;
        let start = started.elapsed().as_secs_f64();
        println!("  {}: first loop ended after {start:.1} s", program.name);
        self.wait_for_loops(&mut process, WARM_UP + 1, LOOK).await?;
        let before = self.read(&process).await?;
        let end = before.loops as u32 + LOOPS;
        self.wait_for_loops(&mut process, end, LOOK).await?;
        let after = self.read(&process).await?;
        let peak = peak_mib(process.id()?)?;
        process.kill().await?;
        Ok(figures(runner, size, (start, peak), (&before, &after)))
    }

    fn program(&self, runner: Runner) -> Result<Program> {
        let candidate = runner.candidate;
        let name = match candidate {
            Candidate::Podfit => "podfit-recommender",
            Candidate::Upstream => "vpa-recommender",
        };
        let address = format!("{}:8942", self.cluster.address(12));
        let mut arguments = vec![
            format!("--kubeconfig={}", self.cluster.kubeconfig().display()),
            format!("--address={address}"),
            format!("--recommender-interval={INTERVAL}s"),
            "--kube-api-qps=500".into(),
            "--kube-api-burst=1000".into(),
            // A lease that the run before left would be waited for, and the first statuses written in the loops that count.
            "--leader-elect=false".into(),
        ];
        if candidate == Candidate::Upstream {
            arguments.push("--memory-saver=true".into());
        }
        if runner.adaptive {
            arguments.push("--estimator=adaptive".into());
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

    async fn wait_for_loops(
        &self,
        process: &mut Process,
        count: u32,
        look: Duration,
    ) -> Result<()> {
        let started = Instant::now();
        loop {
            process.ensure_alive()?;
            // It need not serve yet.
            let done = Metrics::of(&process.program.address)
                .await
                .map_or(0.0, |m| loops(&m));
            if done >= f64::from(count) {
                return Ok(());
            }
            ensure!(
                started.elapsed() < PATIENCE * count,
                "{done} loops of {count} after {:.0?}",
                started.elapsed()
            );
            tokio::time::sleep(look).await;
        }
    }

    async fn read(&self, process: &Process) -> Result<Reading> {
        let client: &Client = &self.cluster.client;
        let metrics = process.metrics().await?;
        Ok(Reading {
            loops: loops(&metrics),
            cpu: cpu_seconds(process.id()?)?,
            metrics,
            requests: Requests::read(client).await?,
            lists: self.usage.lists(),
        })
    }
}

fn loops(metrics: &Metrics) -> f64 {
    metrics.sum(&format!("{LATENCY}_count"), &[("step", "total")])
}

fn figures(
    runner: Runner,
    size: Size,
    (start, peak): (f64, f64),
    (before, after): (&Reading, &Reading),
) -> Figures {
    let count = after.loops - before.loops;
    let per_loop = |before: f64, after: f64| (after - before) / count;
    let seconds = |step: &str| {
        let sum = |reading: &Reading| {
            reading
                .metrics
                .sum(&format!("{LATENCY}_sum"), &[("step", step)])
        };
        per_loop(sum(before), sum(after))
    };
    let requests =
        |select: fn(&Requests) -> f64| per_loop(select(&before.requests), select(&after.requests));
    let mut steps: BTreeMap<_, _> = after
        .metrics
        .values(&format!("{LATENCY}_sum"), "step")
        .into_iter()
        .map(|step| {
            let taken = seconds(&step);
            (step, taken)
        })
        .collect();
    let wall = steps.remove("total").unwrap_or_default();
    Figures {
        runner,
        vpas: size.vpas,
        pods: size.pods,
        start,
        wall,
        steps,
        cpu: per_loop(before.cpu, after.cpu),
        peak,
        requests: requests(Requests::all) + per_loop(before.lists as f64, after.lists as f64),
        statuses: requests(Requests::statuses),
        histories: requests(Requests::histories),
    }
}
