//! What the updater measures of itself, under upstream's names.

mod guards;

use std::collections::HashMap;

use podfit_cluster::metrics::{Counters, EXECUTION_BUCKETS, histogram, register, size_label};
use podfit_core::disruption::{Action, Decision, Snapshot, UpdateReason};
use podfit_core::vpa::{UpdateMode, Vpa};
use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::act::Outcome;

pub use guards::Guards;

/// All metrics of the updater.
#[derive(Clone)]
pub struct Metrics {
    /// Seconds per step of a loop.
    pub execution_latency: HistogramVec,
    /// What keeps pods from being updated.
    pub guards: Guards,
    controlled_pods: IntGaugeVec,
    evictable_pods: IntGaugeVec,
    evicted_pods: Counters,
    vpas_with_evictable_pods: IntGaugeVec,
    vpas_with_evicted_pods: IntGaugeVec,
    failed_evictions: Counters,
    in_place_updatable_pods: IntGaugeVec,
    in_place_updated_pods: Counters,
    vpas_with_in_place_updatable_pods: IntGaugeVec,
    vpas_with_in_place_updated_pods: IntGaugeVec,
    failed_in_place_updates: Counters,
    in_place_infeasible_skips: Counters,
    evictions_stopped: IntGauge,
    /// Changes to targets of HPAs, by outcome.
    pub target_changes: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let opts = Opts::new(format!("vpa_updater_{name}"), help);
            register(registry, IntGaugeVec::new(opts, labels)?)
        };
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let name = format!("vpa_updater_{name}");
            register(registry, Counters::new(&name, help, labels)?)
        };
        let execution_latency = histogram(
            "vpa_updater_execution_latency_seconds",
            "Time spent in a step of the loop.",
            &["step"],
            &EXECUTION_BUCKETS,
        )?;
        let size: &[&str] = &["vpa_size_log2"];
        let size_mode: &[&str] = &["vpa_size_log2", "update_mode"];
        let vpa: &[&str] = &["vpa_size_log2", "vpa_name", "vpa_namespace"];
        let vpa_mode = &["vpa_size_log2", "update_mode", "vpa_name", "vpa_namespace"];
        let failure = &["vpa_size_log2", "reason", "vpa_name", "vpa_namespace"];
        let failure_mode = &[
            "vpa_size_log2",
            "update_mode",
            "reason",
            "vpa_name",
            "vpa_namespace",
        ];
        Ok(Self {
            execution_latency: register(registry, execution_latency)?,
            guards: Guards::new(registry)?,
            controlled_pods: gauge("controlled_pods_total", "Live pods under a VPA.", size_mode)?,
            evictable_pods: gauge(
                "evictable_pods_total",
                "Pods that the last plan evicts.",
                size_mode,
            )?,
            evicted_pods: counter("evicted_pods_total", "Pods evicted.", vpa_mode)?,
            vpas_with_evictable_pods: gauge(
                "vpas_with_evictable_pods_total",
                "VPAs of which the last plan evicts pods.",
                size_mode,
            )?,
            vpas_with_evicted_pods: gauge(
                "vpas_with_evicted_pods_total",
                "VPAs of which pods were evicted in the last loop.",
                size_mode,
            )?,
            failed_evictions: counter(
                "failed_eviction_attempts_total",
                "Evictions refused.",
                failure_mode,
            )?,
            in_place_updatable_pods: gauge(
                "in_place_updatable_pods_total",
                "Pods that the last plan resizes in place.",
                size,
            )?,
            in_place_updated_pods: counter(
                "in_place_updated_pods_total",
                "Pods resized in place.",
                vpa,
            )?,
            vpas_with_in_place_updatable_pods: gauge(
                "vpas_with_in_place_updatable_pods_total",
                "VPAs of which the last plan resizes pods in place.",
                size,
            )?,
            vpas_with_in_place_updated_pods: gauge(
                "vpas_with_in_place_updated_pods_total",
                "VPAs of which pods were resized in place in the last loop.",
                size,
            )?,
            failed_in_place_updates: counter(
                "failed_in_place_update_attempts_total",
                "Resizes refused.",
                failure,
            )?,
            in_place_infeasible_skips: counter(
                "in_place_infeasible_skip_pods_total",
                "Resizes not asked for again, since the node refused as much before.",
                vpa,
            )?,
            target_changes: register(
                registry,
                IntCounterVec::new(
                    Opts::new(
                        "podfit_updater_target_changes_total",
                        "Changes asked for to targets of HPAs that move with requests, by outcome: done, overtaken by another, failed.",
                    ),
                    &["outcome"],
                )?,
            )?,
            evictions_stopped: register(
                registry,
                IntGauge::new(
                    "podfit_updater_evictions_stopped",
                    "1 while nothing is evicted since evicted pods came back otherwise than asked.",
                )?,
            )?,
        })
    }

    /// Shows what the last plan found, and counts from zero what may come of it.
    pub fn plan(&self, snapshot: &Snapshot, decisions: &[Decision], sizes: &Sizes<'_>) {
        self.reset();
        for workload in &snapshot.workloads {
            let vpa = &workload.vpa;
            let (size, mode) = (sizes.of(vpa), vpa.update_mode.name());
            let live = workload.pods.iter().filter(|p| !p.terminating).count();
            let live = i64::try_from(live).unwrap_or(i64::MAX);
            self.controlled_pods
                .with_label_values(&[size, mode])
                .add(live);
            let (name, namespace) = (vpa.name.as_str(), vpa.namespace.as_str());
            // Of many VPAs series are many: only what may ever count gets one.
            if vpa.update_mode.evicts() {
                let labels = [size, mode, name, namespace];
                self.evicted_pods.add(&labels, 0);
            }
            if vpa.update_mode.is_in_place() {
                let labels = [size, name, namespace];
                self.in_place_updated_pods.add(&labels, 0);
            }
        }
        for of_vpa in of_one_vpa(decisions) {
            let vpa = &of_vpa[0].vpa;
            let (size, mode) = (sizes.of(vpa), vpa.update_mode.name());
            let number = |which: fn(&Decision) -> bool| {
                i64::try_from(of_vpa.iter().filter(|d| which(d)).count()).unwrap_or(i64::MAX)
            };
            let evicted = number(Decision::evicts);
            if evicted > 0 {
                self.evictable_pods
                    .with_label_values(&[size, mode])
                    .add(evicted);
                self.vpas_with_evictable_pods
                    .with_label_values(&[size, mode])
                    .inc();
            }
            let resized = number(Decision::resizes);
            if resized > 0 {
                self.in_place_updatable_pods
                    .with_label_values(&[size])
                    .add(resized);
                self.vpas_with_in_place_updatable_pods
                    .with_label_values(&[size])
                    .inc();
            }
            let skipped = number(is_infeasible_skip);
            if skipped > 0 {
                let labels = [size, vpa.name.as_str(), vpa.namespace.as_str()];
                self.in_place_infeasible_skips
                    .add(&labels, skipped.unsigned_abs());
            }
        }
    }

    fn reset(&self) {
        for gauge in [
            &self.controlled_pods,
            &self.evictable_pods,
            &self.vpas_with_evictable_pods,
            &self.vpas_with_evicted_pods,
            &self.in_place_updatable_pods,
            &self.vpas_with_in_place_updatable_pods,
            &self.vpas_with_in_place_updated_pods,
        ] {
            gauge.reset();
        }
    }

    /// Shows of how many VPAs pods were changed.
    pub fn done(&self, outcomes: &[(&Decision, Outcome)], sizes: &Sizes<'_>) {
        let mut changed: HashMap<(&str, &str), (&Vpa, bool, bool)> = HashMap::new();
        for (decision, _) in outcomes.iter().filter(|(_, o)| matches!(o, Outcome::Done)) {
            let vpa = &decision.vpa;
            let key = (vpa.namespace.as_str(), vpa.name.as_str());
            let (_, evicted, resized) = changed.entry(key).or_insert((vpa, false, false));
            *evicted |= decision.evicts();
            *resized |= decision.resizes();
        }
        for (vpa, evicted, resized) in changed.into_values() {
            let (size, mode) = (sizes.of(vpa), vpa.update_mode.name());
            self.vpas_with_evicted_pods
                .with_label_values(&[size, mode])
                .add(evicted.into());
            self.vpas_with_in_place_updated_pods
                .with_label_values(&[size])
                .add(resized.into());
        }
    }

    /// Shows whether nothing is evicted any more.
    pub fn stopped(&self, stopped: bool) {
        self.evictions_stopped.set(stopped.into());
    }

    /// Counts what became of one decision.
    pub fn outcome(&self, decision: &Decision, outcome: &Outcome, size: &str) {
        let Decision { vpa, action, .. } = decision;
        // Nothing new is in force where something was only taken back.
        if decision.takes_back() {
            return;
        }
        let mode = vpa.update_mode.name();
        let (name, namespace) = (vpa.name.as_str(), vpa.namespace.as_str());
        let evicts = matches!(action, Action::Evict(_));
        let reason = match outcome {
            Outcome::Gone => return,
            Outcome::Done if evicts => {
                let labels = [size, mode, name, namespace];
                return self.evicted_pods.add(&labels, 1);
            }
            Outcome::Done => {
                let labels = [size, name, namespace];
                return self.in_place_updated_pods.add(&labels, 1);
            }
            _ if evicts => "EvictionError",
            _ if matches!(action, Action::Unboost(_)) => "UnboostError",
            Outcome::Infeasible(_) => "InPlaceUpdateInfeasible",
            _ => "InPlaceUpdateError",
        };
        if evicts {
            let labels = [size, mode, reason, name, namespace];
            self.failed_evictions.add(&labels, 1);
        } else {
            let labels = [size, reason, name, namespace];
            self.failed_in_place_updates.add(&labels, 1);
        }
    }
}

/// The decisions of each VPA; those of one stand together.
fn of_one_vpa(decisions: &[Decision]) -> impl Iterator<Item = &[Decision]> {
    decisions.chunk_by(|a, b| (&a.vpa.namespace, &a.vpa.name) == (&b.vpa.namespace, &b.vpa.name))
}

/// True for a pod of mode `InPlace` whose node refused as much before.
pub fn is_infeasible_skip(decision: &Decision) -> bool {
    decision.vpa.update_mode == UpdateMode::InPlace
        && decision.action == Action::Skip
        && decision.reason == UpdateReason::ResizeRefused
}

/// The size label of each VPA of a snapshot, by its number of live pods.
#[derive(Debug, Default)]
pub struct Sizes<'a>(HashMap<(&'a str, &'a str), &'static str>);

impl<'a> Sizes<'a> {
    /// Counts the pods.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let size = |w: &'a podfit_core::disruption::Workload| {
            let live = w.pods.iter().filter(|p| !p.terminating).count();
            let key = (w.vpa.namespace.as_str(), w.vpa.name.as_str());
            (key, size_label(live))
        };
        Self(snapshot.workloads.iter().map(size).collect())
    }

    /// The label of a VPA.
    pub fn of(&self, vpa: &Vpa) -> &'static str {
        let key = (vpa.namespace.as_str(), vpa.name.as_str());
        self.0.get(&key).copied().unwrap_or("0")
    }
}

#[cfg(test)]
mod tests;
