//! The past from Prometheus, beside checkpoints: asked for in the background, one workload after another, and put before
//! what is known of it. A workload whose past was added is not asked for again; its checkpoint says so after a restart.

mod asker;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use podfit_cluster::options::Profile;
use podfit_cluster::prometheus::history::Wanted;
use podfit_cluster::prometheus::{Prometheus, RequestMetrics};
use podfit_core::backfill::{BackfillRules, Backfilled, live_samples};
use podfit_core::history::HistoryConfig;
use podfit_core::ownership::{ControllerKey, is_of_runs};
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use self::asker::Asker;
use crate::model::Model;
use crate::options::{Options, Storage};
use crate::view::View;

/// The past of one workload's containers, by their names; `None` when it cannot be had.
pub struct Loaded {
    target: ControllerKey,
    past: Option<BTreeMap<String, Backfilled>>,
}

/// Asks for the past of workloads, or does nothing where no Prometheus was named.
pub struct Backfills {
    asking: Option<Asking>,
}

struct Asking {
    history: HistoryConfig,
    cpu_samples: u32,
    length: Duration,
    wanted: UnboundedSender<Wanted>,
    loaded: UnboundedReceiver<Loaded>,
    /// What came, and the next loop adds.
    arrived: Vec<Loaded>,
    /// Whose past was asked for, or need not be.
    seen: HashSet<ControllerKey>,
    /// How many were asked for and did not come yet.
    missing: usize,
}

impl Backfills {
    /// Starts the background task. In profile safe a point counts as the samples it stands for, and a peak of memory is
    /// what was used most; in profile upstream a point is one sample, and memory is what was in use then.
    pub fn start(options: &Options, registry: &prometheus::Registry) -> anyhow::Result<Self> {
        let metrics = RequestMetrics::new(registry)?;
        let safe = options.cluster.profile == Profile::Safe;
        let settings = options.backfill.prometheus.settings(safe)?;
        if options.storage != Storage::Prometheus && !options.backfill.prometheus.is_given() {
            return Ok(Self { asking: None });
        }
        let resolution = settings.queries.resolution.duration;
        let prometheus =
            Prometheus::new(&settings, metrics).context("see docs/prometheus.md for the flags")?;
        tracing::info!(
            address = %settings.address, length = ?settings.length, ?resolution,
            "histories are completed from Prometheus"
        );
        let (wanted, requests) = tokio::sync::mpsc::unbounded_channel();
        let (answers, loaded) = tokio::sync::mpsc::unbounded_channel();
        let asker = Asker::new(prometheus, settings.queries, answers);
        tokio::spawn(asker.run(requests, options.backfill.prometheus_concurrency.into()));
        Ok(Self {
            asking: Some(Asking {
                history: options.history(),
                cpu_samples: if safe { live_samples(resolution) } else { 1 },
                length: settings.length,
                wanted,
                loaded,
                arrived: Vec::new(),
                seen: HashSet::new(),
                missing: 0,
            }),
        })
    }

    /// Waits until all that was asked for came, so that a loop can add it at once. Without anything asked for: for ever.
    pub async fn complete(&mut self) {
        let Some(asking) = &mut self.asking else {
            return std::future::pending().await;
        };
        while asking.missing > 0
            && let Some(loaded) = asking.loaded.recv().await
        {
            asking.take(loaded);
        }
        if asking.arrived.is_empty() {
            std::future::pending::<()>().await;
        }
    }

    /// Adds what came since the last loop.
    pub fn add(&mut self, view: &View, model: &mut Model, now: Timestamp) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        while let Ok(loaded) = asking.loaded.try_recv() {
            asking.take(loaded);
        }
        let arrived = std::mem::take(&mut asking.arrived);
        if arrived.is_empty() {
            return;
        }
        let (workloads, left) = (arrived.len(), asking.missing);
        for Loaded { target, past } in arrived {
            let Some(past) = past else { continue };
            let samples: u64 = past.values().map(|p| p.history.total_samples()).sum();
            tracing::debug!(%target, containers = past.len(), samples, "past from Prometheus");
            model.add_past(view, &target, past, now);
        }
        tracing::info!(workloads, left, "histories completed from Prometheus");
    }

    /// Asks for the past of the targets of `vpas` that have pods and were not asked for yet.
    pub fn ask<'a>(
        &mut self,
        view: &View,
        vpas: impl Iterator<Item = (&'a Vpa, &'a ControllerKey)>,
        model: &Model,
        now: Timestamp,
    ) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        asking.seen.retain(|target| view.is_named(target));
        for (_, target) in vpas {
            let known = view.pods_of(target).is_empty() || asking.seen.contains(target);
            // What Prometheus has of runs that are over cannot be told apart by run.
            if known || is_of_runs(&target.kind) {
                continue;
            }
            asking.seen.insert(target.clone());
            if !model.has_past(target, now - asking.length) {
                asking.ask(view, target, model, now);
            }
        }
    }
}

impl Asking {
    fn take(&mut self, loaded: Loaded) {
        self.missing = self.missing.saturating_sub(1);
        self.arrived.push(loaded);
    }

    fn ask(&mut self, view: &View, target: &ControllerKey, model: &Model, now: Timestamp) {
        let known: BTreeMap<_, _> = model.histories(target).into_iter().collect();
        let until = |container: &str| known.get(container).and_then(|h| h.first_sample());
        let containers = view.containers_of(target).into_iter();
        let wanted = Wanted {
            target: target.clone(),
            pods: view
                .pods_of(target)
                .iter()
                .map(|pod| pod.name.clone())
                .collect(),
            rules: BackfillRules {
                history: view.history_of(target, &self.history),
                until: containers
                    .map(|name| (name.to_owned(), until(name).unwrap_or(now)))
                    .collect(),
                cpu_samples: self.cpu_samples,
            },
            length: self.length,
            now,
            partial: false,
        };
        if self.wanted.send(wanted).is_ok() {
            self.missing += 1;
        }
    }
}

#[cfg(test)]
mod tests;
