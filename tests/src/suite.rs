//! Runs scenarios side by side, and counts.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::future::LocalBoxFuture;
use futures::{FutureExt, StreamExt, stream};

use crate::cluster::{Cluster, log_folder};
use crate::namespace::Namespace;

/// How long one scenario may take, unless `$PODFIT_SCENARIO_MINUTES` says otherwise.
const DEADLINE: Duration = Duration::from_mins(7);

/// How many scenarios run at once.
const PARALLEL: usize = 8;

/// A line for the end of the run, such as a measured time.
pub fn figure(text: impl Into<String>) {
    FIGURES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(text.into());
}

/// The number in an environment variable, if it is there and is one.
pub fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

static FIGURES: Mutex<Vec<String>> = Mutex::new(Vec::new());

type Run<C> = Box<dyn Fn(Namespace, Arc<C>) -> LocalBoxFuture<'static, Result<()>>>;

/// Scenarios on one cluster. `C` is what they share besides it.
pub struct Suite<C> {
    cluster: Arc<Cluster>,
    shared: Arc<C>,
    logs: fn(&C) -> LocalBoxFuture<'_, String>,
    filters: Vec<String>,
    together: Vec<(&'static str, Run<C>)>,
    alone: Vec<(&'static str, Run<C>)>,
}

impl<C: 'static> Suite<C> {
    /// No scenarios yet. `logs` gives podfit's logs, shown when one fails. The command line's words select scenarios.
    pub fn new(
        cluster: Arc<Cluster>,
        shared: Arc<C>,
        logs: fn(&C) -> LocalBoxFuture<'_, String>,
    ) -> Self {
        let filters = std::env::args()
            .skip(1)
            .filter(|a| !a.starts_with('-'))
            .collect();
        Self {
            cluster,
            shared,
            logs,
            filters,
            together: Vec::new(),
            alone: Vec::new(),
        }
    }

    /// Adds a scenario that runs beside others.
    pub fn together<F>(mut self, name: &'static str, run: fn(Namespace, Arc<C>) -> F) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.together
            .push((name, Box::new(move |n, c| run(n, c).boxed_local())));
        self
    }

    /// Adds a scenario that disturbs what all share; it runs after the others.
    pub fn alone<F>(mut self, name: &'static str, run: fn(Namespace, Arc<C>) -> F) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.alone
            .push((name, Box::new(move |n, c| run(n, c).boxed_local())));
        self
    }

    /// Runs all that are selected; tells each outcome, then the figures and the count.
    pub async fn run(self) -> ExitCode {
        let selected = |name: &str| {
            self.filters.is_empty() || self.filters.iter().any(|f| name.contains(f.as_str()))
        };
        let together = self.together.iter().filter(|(name, _)| selected(name));
        let alone = self.alone.iter().filter(|(name, _)| selected(name));
        let mut outcomes: Vec<bool> = stream::iter(together)
            .map(|(name, run)| self.scenario(name, run))
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        for (name, run) in alone {
            outcomes.push(self.scenario(name, run).await);
        }
        for figure in &*FIGURES.lock().unwrap_or_else(PoisonError::into_inner) {
            println!("figure: {figure}");
        }
        let passed = outcomes.iter().filter(|ok| **ok).count();
        let failed = outcomes.len() - passed;
        println!("{passed} passed, {failed} failed");
        // A filter that matches nothing, or a suite without scenarios, proves nothing.
        if failed == 0 && passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    async fn scenario(&self, name: &str, run: &Run<C>) -> bool {
        let started = Instant::now();
        let namespace = match Namespace::create_new(&self.cluster, name).await {
            Ok(namespace) => namespace,
            Err(error) => {
                println!("FAILED {name}: no namespace for it: {error:#}");
                return false;
            }
        };
        let scenario = run(namespace.clone(), Arc::clone(&self.shared));
        let scenario = AssertUnwindSafe(scenario).catch_unwind();
        let deadline = number_from("PODFIT_SCENARIO_MINUTES").map_or(DEADLINE, Duration::from_mins);
        let outcome = match tokio::time::timeout(deadline, scenario).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow!("it panicked")),
            Err(_) => Err(anyhow!("not done within {deadline:.0?}")),
        };
        let took = started.elapsed().as_secs();
        match outcome {
            Ok(()) => {
                println!("ok {name} ({took} s)");
                if let Err(error) = namespace.delete_all().await {
                    println!("its namespace stays: {error:#}");
                }
                true
            }
            Err(error) => {
                println!("FAILED {name} ({took} s): {error:#}");
                self.explain(&namespace).await;
                false
            }
        }
    }

    /// Shows what was there when a scenario failed, and keeps all of it in a file.
    async fn explain(&self, namespace: &Namespace) {
        let dump = namespace.dump().await;
        let logs = (self.logs)(&self.shared).await;
        let shown: Vec<_> = dump.lines().take(150).collect();
        println!("{}\n{logs}", shown.join("\n"));
        let kept = log_folder(&self.cluster).and_then(|folder| {
            let file = folder.join(format!("{}.txt", namespace.name));
            std::fs::write(&file, dump + &logs).context("cannot keep it")?;
            Ok(file)
        });
        match kept {
            Ok(file) => println!("  all of it: {}", file.display()),
            Err(error) => println!("  {error:#}"),
        }
        println!(
            "  the namespace is kept: KUBECONFIG={} kubectl -n {} get all",
            self.cluster.kubeconfig().display(),
            namespace.name
        );
    }
}
