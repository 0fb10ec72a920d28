//! The recommender's loop: look, measure, recommend, write, store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use podfit_cluster::admin::Health;
use podfit_cluster::api::time::now;
use podfit_cluster::calls::Calls;
use podfit_cluster::index::SharedIndex;
use podfit_cluster::lease::Leadership;
use podfit_cluster::metrics::StepTimer;
use podfit_cluster::process::{Shutdown, stopped};
use podfit_cluster::{usage, writes};
use podfit_core::estimator::EstimatorConfig;
use podfit_core::history::ContainerHistory;
use podfit_core::pod::Pod;
use podfit_core::recommendation::recommend;
use podfit_core::time::Timestamp;
use podfit_core::vpa::{Condition, ContainerRecommendation, Vpa};
use tokio::time::{MissedTickBehavior, interval};

use crate::conditions::{Findings, merge};
use crate::hold::{Evidence, hold};
use crate::metrics::Metrics;
use crate::model::Model;
use crate::oom::Observer;
use crate::publish::{combine, differs};
use crate::store::Store;
use crate::view::{ServedVpa, View};

/// The loop with all it needs. It owns all histories; nothing else touches them.
pub struct Recommender {
    /// Which VPAs it serves.
    pub name: String,
    /// The watched objects.
    pub index: SharedIndex,
    /// The last states of pods that ended or went since the last loop.
    pub last_states: LastStates,
    /// Finds out-of-memory kills.
    pub observer: Observer,
    /// For requests.
    pub calls: Calls,
    /// Whether this replica writes. A standby measures all the same, so that it can take over warm.
    pub leadership: Leadership,
    /// The only namespace whose usage is read; empty for all.
    pub namespace: String,
    /// Large drops are held back while there is too little evidence for them: in profile safe.
    pub holds: bool,
    /// From histories to numbers.
    pub estimator: EstimatorConfig,
    /// The histories.
    pub model: Model,
    /// Stored histories.
    pub store: Store,
    /// How many writes are made at once.
    pub workers: usize,
    /// What is measured.
    pub metrics: Metrics,
    /// Told after each loop.
    pub health: Health,
    /// How many loops this replica has led without a break.
    pub loops_led: u32,
    /// It was not the leader in its last loop.
    pub stood_by: bool,
}

/// In so many loops after a start or a change of leader no recommendation drops far.
const LOOPS_TO_SETTLE: u32 = 3;

/// Last states of pods, from the watch to the loop.
pub type LastStates = Arc<Mutex<Vec<Pod>>>;

/// A status to be written.
struct Publication {
    vpa: Arc<Vpa>,
    recommendation: Option<Vec<ContainerRecommendation>>,
    conditions: Vec<Condition>,
}

impl Recommender {
    /// Runs a loop per `period` until shutdown, then stores what is not stored yet.
    pub async fn run(mut self, period: Duration, shutdown: Shutdown) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = String::new();
        let mut led = false;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // Publish at once what was computed while waiting for the lease.
                () = self.leadership.gained(), if !led => {}
                () = stopped(&shutdown) => break,
            }
            led = self.leadership.is_leader();
            tokio::select! {
                () = self.one_loop(&mut trouble) => {}
                () = stopped(&shutdown) => break,
            }
            self.health.active();
        }
        if self.leadership.is_leader() {
            let view = View::of(&self.index.read(), &self.name);
            let last_chance = (now(), true);
            let stored = self
                .store
                .write(&self.calls, &view, &mut self.model, last_chance);
            if tokio::time::timeout(Duration::from_secs(5), stored)
                .await
                .is_err()
            {
                tracing::warn!(
                    "not all histories were stored before the exit; the last minutes of some are lost"
                );
            }
        }
    }

    async fn one_loop(&mut self, trouble: &mut String) {
        let mut timer = StepTimer::start(&self.metrics.execution_latency);
        let view = View::of(&self.index.read(), &self.name);
        self.store
            .continue_new(&self.calls, &view, &mut self.model, now())
            .await;
        if self.leadership.is_leader() {
            if std::mem::take(&mut self.stood_by) {
                self.store
                    .take_over(&self.calls, &view, &mut self.model, now())
                    .await;
            }
            self.loops_led = self.loops_led.saturating_add(1);
        } else {
            self.loops_led = 0;
            self.stood_by = true;
        }
        self.model.wake(&view);
        timer.step("LoadVPAs");
        self.measure(&view, trouble).await;
        timer.step("LoadMetrics");
        self.record_ooms(&view);
        self.model.release_oom_floors(&view, now());
        self.model.keep_pods(&view);
        timer.step("DeleteRemovedPods");
        self.publish(&view).await;
        timer.step("UpdateVPAs");
        if self.leadership.is_leader() {
            let what_is_due = (now(), false);
            let stored = self
                .store
                .write(&self.calls, &view, &mut self.model, what_is_due);
            tokio::select! {
                () = stored => {}
                () = self.leadership.lost() => {}
            }
            self.store.collect(&self.calls, &self.index).await;
        }
        timer.step("MaintainCheckpoints");
        self.model.collect(&view, now());
        self.metrics
            .histories
            .set(i64::try_from(self.model.len()).unwrap_or(i64::MAX));
        timer.step("GarbageCollect");
        timer.total();
    }

    /// Adds the out-of-memory kills of pods under a target: those that live, and those that ended since the last loop.
    /// A pod is looked at in every loop, so that a kill from before its VPA was made counts as well.
    fn record_ooms(&mut self, view: &View) {
        let ended = std::mem::take(
            &mut *self
                .last_states
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let index = self.index.read();
        let ended = ended
            .iter()
            .filter_map(|pod| Some((pod, view.target_of(pod, &index)?)));
        let live = view
            .pods
            .values()
            .map(|(pod, target)| (pod.as_ref(), target.clone()));
        for (pod, target) in live.chain(ended) {
            let replaceable = view.is_replaceable(pod, &target);
            for oom in self.observer.look(pod, replaceable) {
                self.model.record_oom(view, &target, &oom, now());
            }
        }
        let uids: HashSet<_> = view
            .pods
            .values()
            .map(|(pod, _)| pod.uid.as_str())
            .collect();
        self.observer.retain(|uid| uids.contains(uid));
    }

    /// Adds one reading of the metrics API to the histories. On an error the loop goes on with what it has.
    async fn measure(&mut self, view: &View, trouble: &mut String) {
        let usage = usage::from_metrics_api(&self.calls, &self.namespace).await;
        self.metrics.count_usage_response(usage.is_err());
        match usage {
            Ok(pods) => {
                if !trouble.is_empty() {
                    tracing::info!("the metrics API answers again");
                    trouble.clear();
                }
                let now = now();
                for pod in &pods {
                    self.model.add_usage(view, pod, now);
                }
            }
            Err(error) => {
                let text = error.to_string();
                if *trouble != text {
                    let todo = "is metrics-server installed and its APIService available? (kubectl get apiservice v1beta1.metrics.k8s.io)";
                    tracing::warn!(
                        error = text,
                        todo,
                        "no usage this time; recommendations stay as they are"
                    );
                    *trouble = text;
                }
            }
        }
    }

    /// Computes all recommendations and writes those that changed.
    async fn publish(&self, view: &View) {
        let now = now();
        self.metrics.vpa_objects.reset();
        let publications: Vec<_> = view
            .vpas
            .iter()
            .filter_map(|served| self.consider(view, served, now))
            .collect();
        if !self.leadership.is_leader() {
            return;
        }
        let (calls, metrics) = (&self.calls, &self.metrics);
        let writes = futures::stream::iter(publications).for_each_concurrent(
            self.workers,
            async |publication| {
                write(calls, metrics, publication, now).await;
                self.health.active();
            },
        );
        tokio::select! {
            () = writes => {}
            () = self.leadership.lost() => {}
        }
    }

    /// What is to be written for one VPA; `None` when that stands there already.
    fn consider(&self, view: &View, served: &ServedVpa, now: Timestamp) -> Option<Publication> {
        let ServedVpa {
            vpa,
            target,
            unsupported,
        } = served;
        let published = vpa.recommendation.as_deref();
        let (recommendation, pods) = match target {
            Some(target) if self.store.has_continued(vpa) => {
                let histories = self.model.histories(target);
                let mut fresh = recommend(&histories, vpa, &self.estimator, now);
                if self.holds {
                    hold(vpa, &mut fresh, &self.evidence(&histories), &self.estimator);
                }
                for reason in &fresh.reasons {
                    tracing::debug!(vpa = vpa.key(), %reason, "recommendation");
                }
                let live = view.containers_of(target);
                (combine(published, fresh, &live), view.pods_of(target).len())
            }
            target => {
                let pods = target.as_ref().map_or(0, |t| view.pods_of(t).len());
                (published.map(<[_]>::to_vec).unwrap_or_default(), pods)
            }
        };
        let provided = !recommendation.is_empty();
        self.metrics
            .count_vpa(vpa, provided, pods, unsupported.is_none());
        let conditions = merge(
            &vpa.conditions,
            &Findings {
                unsupported: unsupported.clone(),
                pods,
                provided,
            },
            now,
        );
        let changed = differs(published, &recommendation);
        if !changed && conditions == vpa.conditions {
            return None;
        }
        let recommendation = changed.then_some(recommendation);
        Some(Publication {
            vpa: Arc::clone(vpa),
            recommendation,
            conditions,
        })
    }

    /// What can be said for a drop.
    fn evidence<'a>(&self, histories: &'a [(&'a str, &'a ContainerHistory)]) -> Evidence<'a> {
        Evidence {
            settled: self.loops_led > LOOPS_TO_SETTLE,
            histories,
        }
    }
}

async fn write(calls: &Calls, metrics: &Metrics, publication: Publication, now: Timestamp) {
    let Publication {
        vpa,
        recommendation,
        conditions,
    } = publication;
    match writes::vpa_status(calls, &vpa, recommendation.as_deref(), &conditions).await {
        Ok(()) => {
            if vpa.recommendation.is_none() && recommendation.is_some() {
                metrics
                    .recommendation_latency
                    .observe(now.since(vpa.created).as_secs_f64());
                tracing::info!(vpa = vpa.key(), "first recommendation");
            }
        }
        // The updater or the user wrote meanwhile, or the VPA is gone: the next loop sees what.
        Err(error) if error.is_conflict() || error.is_not_found() => {
            tracing::debug!(vpa = vpa.key(), %error, "status not written");
        }
        Err(error) => tracing::warn!(vpa = vpa.key(), %error, "status not written; trying again"),
    }
}
