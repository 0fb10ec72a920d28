//! The recommender's loop: look, measure, recommend, write, store.

use std::collections::HashSet;
use std::time::Duration;

use futures::StreamExt;
use podfit_cluster::admin::Health;
use podfit_cluster::api::time::now;
use podfit_cluster::calls::Calls;
use podfit_cluster::index::SharedIndex;
use podfit_cluster::lease::Leadership;
use podfit_cluster::metrics::StepTimer;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_cluster::process::{Shutdown, stopped};
use podfit_cluster::usage;
use podfit_core::estimator::EstimatorConfig;
use tokio::time::{MissedTickBehavior, interval};

use crate::backfill::Backfills;
use crate::explain::Explainer;
use crate::external::External;
use crate::judge::Judge;
use crate::metrics::{Metrics, Used};
use crate::model::Model;
use crate::oom::{Observer, Sightings};
use crate::publish::WriteThreshold;
use crate::shadow::Shadow;
use crate::store::Store;
use crate::view::{Serves, View};

/// The loop with all it needs. It owns all histories; nothing else touches them.
pub struct Recommender {
    /// Which VPAs it computes for.
    pub serves: Serves,
    /// Where it shows what it would write, when it writes nothing.
    pub shadow: Option<Shadow>,
    /// The watched objects.
    pub index: SharedIndex,
    /// What was seen of out-of-memory kills since the last loop.
    pub sightings: Sightings,
    /// Finds out-of-memory kills.
    pub observer: Observer,
    /// For requests.
    pub calls: Calls,
    /// Whether this replica writes. A standby measures all the same, so that it can take over warm.
    pub leadership: Leadership,
    /// Whether another VPA acts. Meanwhile this one measures, and writes nothing.
    pub other_vpa: OtherVpa,
    /// The only namespace whose usage is read; empty for all.
    pub namespace: String,
    /// Profile safe: large drops are held back while there is too little evidence for them, and conditions say more than
    /// upstream's.
    pub safe: bool,
    /// From histories to numbers.
    pub estimator: EstimatorConfig,
    /// The histories.
    pub model: Model,
    /// Tells why numbers are what they are.
    pub explainer: Explainer,
    /// Stored histories.
    pub store: Store,
    /// Where usage is read, if not from metrics.k8s.io.
    pub external: Option<External>,
    /// What Prometheus knows of the time before.
    pub backfills: Backfills,
    /// How many writes are made at once.
    pub workers: usize,
    /// What is worth a write.
    pub threshold: WriteThreshold,
    /// What is measured.
    pub metrics: Metrics,
    /// Told after each loop.
    pub health: Health,
    /// How many loops this replica has led without a break.
    pub loops_led: u32,
    /// It was not the leader in its last loop.
    pub stood_by: bool,
}

impl Recommender {
    /// Runs a loop per `period` until shutdown, then stores what is not stored yet.
    pub async fn run(mut self, period: Duration, shutdown: Shutdown) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = String::new();
        let (mut led, mut stood_aside) = (false, false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // Publish at once what was computed while waiting for the lease.
                () = self.leadership.gained(), if !led => {}
                () = self.other_vpa.none(), if stood_aside => {}
                () = self.backfills.complete() => {}
                () = stopped(&shutdown) => break,
                never = self.explainer.answer(&self.model) => match never {},
            }
            led = self.leadership.is_leader();
            stood_aside = self.other_vpa.is_active();
            tokio::select! {
                () = self.one_loop(&mut trouble) => {}
                () = stopped(&shutdown) => break,
            }
            self.health.active();
        }
        if self.writes() {
            let view = View::of(&self.index.read(), &self.serves);
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

    /// True when this replica is the one whose numbers count.
    fn leads(&self) -> bool {
        self.leadership.is_leader() && !self.other_vpa.is_active()
    }

    /// True when what is computed is written by this replica.
    fn writes(&self) -> bool {
        self.leads() && self.shadow.is_none()
    }

    async fn one_loop(&mut self, trouble: &mut String) {
        let mut timer = StepTimer::start(&self.metrics.execution_latency);
        let view = self.look(&mut timer);
        self.store
            .continue_new(&self.calls, &view, &mut self.model, now())
            .await;
        if self.leads() {
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
        self.backfills.add(&view, &mut self.model, now());
        self.measure(&view, trouble).await;
        timer.step("LoadMetrics");
        self.record_ooms(&view);
        self.model.release_oom_floors(&view, now());
        let ended = self.sightings.ended(&view);
        self.model.end_runs(&view, &ended, now());
        self.model.keep_pods(&view);
        timer.step("DeleteRemovedPods");
        self.publish(&view).await;
        timer.step("UpdateVPAs");
        if self.writes() {
            self.store_histories(&view).await;
            self.store.collect(&self.calls, &self.index).await;
        }
        timer.step("MaintainCheckpoints");
        let continued = view
            .targets()
            .filter(|(vpa, _)| self.store.has_continued(vpa));
        self.backfills.ask(&view, continued, &self.model, now());
        self.model.collect(&view, now());
        self.metrics
            .histories
            .set(i64::try_from(self.model.len()).unwrap_or(i64::MAX));
        self.metrics
            .kept
            .show(self.model.promises(), self.model.all());
        timer.step("GarbageCollect");
        timer.total();
    }

    /// Stores the histories that are due.
    async fn store_histories(&mut self, view: &View) {
        let now = now();
        let sent = self
            .store
            .send(&self.calls, view, &self.model, (now, false));
        let must_stop = must_stop(&self.leadership, &self.other_vpa);
        let sent = async {
            tokio::select! {
                sent = sent => sent,
                () = must_stop => Vec::new(),
            }
        };
        let sent = self.explainer.meanwhile(&self.model, sent).await;
        self.store.settle(sent, &mut self.model, now);
    }

    fn look(&self, timer: &mut StepTimer) -> View {
        let index = self.index.read();
        let mut view = View::of_vpas(&index, &self.serves);
        timer.step("LoadVPAs");
        view.add_pods(&index);
        timer.step("LoadPods");
        view
    }

    /// Adds the out-of-memory kills of pods under a target: of those that live, and of those that ended since the last loop.
    fn record_ooms(&mut self, view: &View) {
        let kills = self.sightings.kills(view, &mut self.observer);
        let mut judge = Judge::new(view, &self.metrics.quality);
        for (target, oom) in kills {
            if let Some(container) = oom.pod.container(&oom.container) {
                self.metrics.count_resources_of(container);
            }
            if self.model.record_oom(view, &target, &oom, now()) {
                self.metrics.totals.kill(&target.namespace);
                judge.kill(&target, &oom);
            }
        }
        let uids: HashSet<_> = view.pods.values().map(|(pod, _)| &*pod.uid).collect();
        self.observer.retain(|uid| uids.contains(uid));
    }

    /// Adds one reading of the metrics API to the histories. On an error the loop goes on with what it has.
    async fn measure(&mut self, view: &View, trouble: &mut String) {
        let (external, calls, namespace) = (&mut self.external, &self.calls, &self.namespace);
        let usage = async {
            match external {
                Some(external) => external.usage(calls, view).await,
                None => usage::from_metrics_api(calls, namespace).await,
            }
        };
        let usage = self.explainer.meanwhile(&self.model, usage).await;
        self.metrics.count_usage_response(usage.is_err());
        match usage {
            Ok(pods) => {
                if !trouble.is_empty() {
                    tracing::info!("the metrics API answers again");
                    trouble.clear();
                }
                let now = now();
                let mut judge = Judge::new(view, &self.metrics.quality);
                let mut used = Used::default();
                for pod in &pods {
                    self.model
                        .add_usage(view, pod, now, |target, usage, resource| {
                            used.add(resource, judge.usage(target, usage, resource));
                        });
                }
                self.metrics.totals.used(used);
            }
            Err(error) => {
                let text = error.to_string();
                if *trouble != text {
                    let todo = match &self.external {
                        Some(_) => {
                            "is the APIService available? (kubectl get apiservice v1beta1.external.metrics.k8s.io)"
                        }
                        None => {
                            "is metrics-server installed and its APIService available? (kubectl get apiservice v1beta1.metrics.k8s.io)"
                        }
                    };
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
    async fn publish(&mut self, view: &View) {
        let now = now();
        self.metrics.clear_vpas();
        self.metrics.totals.show(view);
        self.metrics.loop_status_writes.set(0);
        if let Some(shadow) = &self.shadow {
            shadow.clear();
        }
        let publications: Vec<_> = view
            .vpas
            .iter()
            .filter_map(|served| self.consider(view, served, now))
            .collect();
        if !self.writes() {
            return;
        }
        let (calls, metrics, health) = (&self.calls, &self.metrics, &self.health);
        let writes = futures::stream::iter(publications).for_each_concurrent(
            self.workers,
            async |publication| {
                publication.write(calls, metrics, now).await;
                health.active();
            },
        );
        let must_stop = must_stop(&self.leadership, &self.other_vpa);
        let writes = async {
            tokio::select! {
                () = writes => {}
                () = must_stop => {}
            }
        };
        self.explainer.meanwhile(&self.model, writes).await;
    }
}

/// Resolves once this replica must write no more.
pub async fn must_stop(leadership: &Leadership, other_vpa: &OtherVpa) {
    tokio::select! {
        () = leadership.lost() => {}
        () = other_vpa.active() => {}
    }
}
