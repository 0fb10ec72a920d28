//! What keeps pods from being updated, in figures: podfit's own metrics.

use std::collections::HashMap;

use podfit_cluster::metrics::register;
use podfit_core::disruption::{Action, Decision, Judgement};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Figures on pods that are left alone, and on disruptions.
#[derive(Clone)]
pub struct Guards {
    skipped_pods: IntGaugeVec,
    skips: IntCounterVec,
    wanted: IntGauge,
    norm: IntGauge,
    ongoing: IntGauge,
    breaker_open: IntGauge,
}

impl Guards {
    /// Registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(format!("podfit_updater_{name}"), help)?;
            register(registry, gauge)
        };
        let by_reason = &["reason"];
        let skipped = Opts::new(
            "podfit_updater_skipped_pods",
            "Pods that the last plan leaves alone, by reason.",
        );
        let skips = Opts::new(
            "podfit_updater_skips_total",
            "Times that a plan left a pod alone, by reason.",
        );
        Ok(Self {
            skipped_pods: register(registry, IntGaugeVec::new(skipped, by_reason)?)?,
            skips: register(registry, IntCounterVec::new(skips, by_reason)?)?,
            wanted: gauge(
                "disruptions_wanted",
                "Pods that the last plan would disrupt, were it not for the limits of cluster and namespaces and the breaker.",
            )?,
            norm: gauge(
                "disruptions_norm",
                "How many plans want to disrupt as a rule: what an open breaker lets through.",
            )?,
            ongoing: gauge(
                "disruptions_ongoing",
                "Disruptions for which no pod is ready again.",
            )?,
            breaker_open: gauge(
                "breaker_open",
                "1 while plans want to disrupt far more pods than is the norm, and only the norm is let through.",
            )?,
        })
    }

    /// Shows the last plan. The reasons are a closed list, so there are never many labels.
    pub fn show(&self, decisions: &[Decision], judgement: Judgement, ongoing: usize) {
        let mut by_reason: HashMap<&str, u64> = HashMap::new();
        for decision in decisions.iter().filter(|d| d.action == Action::Skip) {
            *by_reason.entry(decision.reason.code()).or_default() += 1;
        }
        self.skipped_pods.reset();
        for (reason, pods) in by_reason {
            let gauge = self.skipped_pods.with_label_values(&[reason]);
            gauge.set(i64::try_from(pods).unwrap_or(i64::MAX));
            self.skips.with_label_values(&[reason]).inc_by(pods);
        }
        for (gauge, pods) in [
            (&self.wanted, judgement.wanted),
            (&self.norm, judgement.norm),
            (&self.ongoing, ongoing),
            (&self.breaker_open, usize::from(judgement.open)),
        ] {
            gauge.set(i64::try_from(pods).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podfit_core::disruption::UpdateReason;
    use podfit_core::pod::Pod;
    use podfit_core::vpa::Vpa;
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn every_skip_is_counted_by_its_reason() {
        let registry = Registry::new();
        let guards = Guards::new(&registry).unwrap();
        let skip = |reason| Decision {
            pod: Arc::new(Pod::default()),
            vpa: Arc::new(Vpa::default()),
            action: Action::Skip,
            reason,
        };
        let opened = Judgement {
            wanted: 40,
            norm: 10,
            open: true,
            ..Judgement::default()
        };
        let plan = [
            skip(UpdateReason::SingleReplica),
            skip(UpdateReason::UpToDate),
            skip(UpdateReason::UpToDate),
        ];
        guards.show(&plan, opened, 3);
        guards.show(&plan[..2], opened, 3);
        let text = TextEncoder::new().encode_to_string(&registry.gather());
        for line in [
            "podfit_updater_skipped_pods{reason=\"UpToDate\"} 1",
            "podfit_updater_skips_total{reason=\"UpToDate\"} 3",
            "podfit_updater_skips_total{reason=\"SingleReplica\"} 2",
            "podfit_updater_disruptions_wanted 40",
            "podfit_updater_disruptions_norm 10",
            "podfit_updater_disruptions_ongoing 3",
            "podfit_updater_breaker_open 1",
        ] {
            assert!(
                text.as_deref().is_ok_and(|t| t.contains(line)),
                "{line}: {text:?}"
            );
        }
    }
}
