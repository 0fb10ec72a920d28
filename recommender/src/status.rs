//! A VPA's status: what is to be written of a loop's findings, and writing it.

use std::sync::Arc;

use podfit_cluster::calls::Calls;
use podfit_cluster::writes;
use podfit_core::history::ContainerHistory;
use podfit_core::horizontal::{Bearing, Told};
use podfit_core::pod::Pod;
use podfit_core::profile::Profile;
use podfit_core::recommendation::recommend;
use podfit_core::time::Timestamp;
use podfit_core::vpa::{Condition, ContainerRecommendation, Vpa};

use crate::conditions::{Findings, differ, merge};
use crate::hold::{Evidence, hold};
use crate::metrics::{Metrics, WriteOutcome};
use crate::publish::combine;
use crate::run::Recommender;
use crate::summary;
use crate::view::{ServedVpa, View};

/// In so many loops after a start or a change of leader no recommendation drops far.
const LOOPS_TO_SETTLE: u32 = 3;

/// A status to be written.
pub struct Publication {
    vpa: Arc<Vpa>,
    /// `None` when the published one stays.
    recommendation: Option<Vec<ContainerRecommendation>>,
    conditions: Vec<Condition>,
}

impl Recommender {
    /// What is to be written for one VPA; `None` when that stands there already.
    pub fn consider(&self, view: &View, served: &ServedVpa, now: Timestamp) -> Option<Publication> {
        let ServedVpa {
            vpa,
            target,
            unsupported,
            ..
        } = served;
        let published = vpa.recommendation.as_deref();
        let mut findings = Findings {
            unsupported: unsupported.clone(),
            ..Findings::default()
        };
        let recommendation = match target {
            Some(target) if self.store.has_continued(vpa) => {
                let histories = self.model.histories(target);
                let live = view.containers_of(target);
                let nobody = self.safe && live.is_empty();
                let idle_since = self.model.last_known(target).filter(|_| nobody);
                let as_of = idle_since.map_or(now, |since| since.min(now));
                let mut fresh = recommend(&histories, vpa, &self.estimator, as_of);
                if self.safe {
                    hold(vpa, &mut fresh, &self.evidence(&histories), &self.estimator);
                }
                for reason in &fresh.reasons {
                    tracing::debug!(vpa = vpa.key(), %reason, "recommendation");
                }
                if self.safe {
                    let of_live: Vec<_> = fresh
                        .explanations
                        .iter()
                        .filter(|e| live.is_empty() || live.contains(e.container.as_str()))
                        .collect();
                    findings.summary = summary::of_targets(&of_live);
                    findings.low_confidence = summary::of_confidence(&of_live);
                }
                combine(published, fresh, Some(&live).filter(|_| !nobody))
            }
            _ => {
                findings.keep(vpa);
                published.map(<[_]>::to_vec).unwrap_or_default()
            }
        };
        if let Some(shadow) = &self.shadow {
            shadow.compare(vpa, &recommendation);
        }
        let pods = target.as_ref().map_or(&[][..], |t| view.pods_of(t));
        findings.horizontal = self.horizontal(served, pods);
        let pods = pods.len();
        let provided = !recommendation.is_empty();
        // That no run is under way is no news, and would be a write at its end and at the next one's start.
        let between_runs = provided && vpa.is_of_runs();
        findings.pods = if between_runs { pods.max(1) } else { pods };
        findings.provided = provided;
        findings.waits = self.safe && provided && target.is_some();
        self.metrics
            .count_vpa(vpa, provided, pods, unsupported.is_none());
        let conditions = merge(vpa, &findings, now);
        let changed = self.threshold.differs(published, &recommendation);
        self.observe_changes(vpa, &recommendation, (changed, pods));
        if !changed && !differ(&vpa.conditions, &conditions) {
            return None;
        }
        let recommendation = changed.then_some(recommendation);
        Some(Publication {
            vpa: Arc::clone(vpa),
            recommendation,
            conditions,
        })
    }

    /// What there is to say of HPAs beside a VPA.
    fn horizontal(&self, served: &ServedVpa, pods: &[Arc<Pod>]) -> Option<Told> {
        let profile = if self.safe {
            Profile::Safe
        } else {
            Profile::Upstream
        };
        let bearing = Bearing {
            vpa: &served.vpa,
            stance: served.vpa.horizontal_in(profile),
            hpas: &served.hpas,
            scaled_objects: &served.scaled_objects,
            pods,
        };
        bearing.told()
    }

    /// What can be said for a drop.
    fn evidence<'a>(&self, histories: &'a [(&'a str, &'a ContainerHistory)]) -> Evidence<'a> {
        Evidence {
            settled: self.loops_led > LOOPS_TO_SETTLE,
            histories,
        }
    }

    /// What stays published did not change.
    fn observe_changes(
        &self,
        vpa: &Vpa,
        new: &[ContainerRecommendation],
        (changed, pods): (bool, usize),
    ) {
        for old in vpa.recommendation.iter().flatten() {
            let name = &old.container_name;
            let new = new.iter().find(|r| r.container_name == *name);
            if let Some(new) = new {
                let to = if changed { new } else { old };
                let of = (vpa.update_mode, pods);
                self.metrics.quality.observe_change(old, to, of);
            }
        }
    }
}

impl Publication {
    /// Writes it.
    pub async fn write(self, calls: &Calls, metrics: &Metrics, now: Timestamp) {
        let vpa = &self.vpa;
        let recommendation = self.recommendation.as_deref();
        match writes::vpa_status(calls, vpa, recommendation, &self.conditions).await {
            Ok(()) => {
                metrics.count_status_write(WriteOutcome::Written);
                if vpa.recommendation.is_none() && recommendation.is_some() {
                    metrics
                        .recommendation_latency
                        .observe(now.since(vpa.created).as_secs_f64());
                    tracing::info!(vpa = vpa.key(), "first recommendation");
                }
            }
            // The updater or the user wrote meanwhile, or the VPA is gone: the next loop sees what.
            Err(error) if error.is_conflict() || error.is_not_found() => {
                metrics.count_status_write(WriteOutcome::Outdated);
                tracing::debug!(vpa = vpa.key(), %error, "status not written");
            }
            Err(error) => {
                metrics.count_status_write(WriteOutcome::Failed);
                tracing::warn!(vpa = vpa.key(), %error, "status not written; trying again");
            }
        }
    }
}
