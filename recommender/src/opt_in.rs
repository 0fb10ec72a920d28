//! Makes, changes and removes the VPAs that labels ask for: beside the loop, which never waits for it, at a rate of its own,
//! and after all other requests.

mod pace;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use podfit_cluster::calls::{Calls, RateLimiter};
use podfit_cluster::events::{Events, Notice, reference, vpa_reference};
use podfit_cluster::index::SharedIndex;
use podfit_cluster::lease::Leadership;
use podfit_cluster::metrics::register;
use podfit_cluster::opt_in::{OptInError, apply, remove, resource_of, uid_of};
use podfit_cluster::options::ClusterOptions;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_cluster::process::{Shutdown, stopped};
use podfit_core::opt_in::{Plan, Refusal, Scene, Step, plan};
use podfit_core::ownership::ControllerKey;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use tokio::sync::Notify;

use self::pace::Pace;
use crate::options::Options;
use crate::run::must_stop;

/// How often it is looked whether all is as it should be, when nothing is told.
const PERIOD: Duration = Duration::from_mins(1);
/// Between two plans: what was written comes back from the watch meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// As many steps are taken before there is a new plan: labels may have changed.
const STEPS: usize = 50;
/// As many at once.
const AT_ONCE: usize = 4;

/// What is measured.
#[derive(Clone)]
pub struct OptInMetrics {
    managed: IntGauge,
    left: IntGauge,
    steps: IntCounterVec,
}

impl OptInMetrics {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name, help| register(registry, IntGauge::new(name, help)?);
        let steps = Opts::new(
            "podfit_recommender_opt_in_steps_total",
            "VPAs that labels ask for, or no longer: made, changed, removed, failed.",
        );
        Ok(Self {
            managed: gauge(
                "podfit_recommender_opted_in_vpas",
                "VPAs that podfit made because a label asks for them.",
            )?,
            left: gauge(
                "podfit_recommender_opt_in_steps_left",
                "VPAs that are to be made, changed or removed yet.",
            )?,
            steps: register(registry, IntCounterVec::new(steps, &["step"])?)?,
        })
    }
}

/// Follows labels.
pub struct OptIn {
    index: SharedIndex,
    changed: Arc<Notify>,
    calls: Calls,
    events: Events,
    cluster: ClusterOptions,
    limiter: RateLimiter,
    metrics: OptInMetrics,
    pace: Pace,
    /// What was told of a workload, or of the namespace alone.
    told: HashMap<(String, Option<ControllerKey>), String>,
}

/// What became of a step.
struct Outcome {
    step: Step,
    result: Result<Vec<String>, OptInError>,
}

impl OptIn {
    /// Nothing is done yet.
    pub fn new(
        options: &Options,
        calls: &Calls,
        (index, changed): (SharedIndex, Arc<Notify>),
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let rate = options.opt_in.opt_in_rate_limit;
        Ok(Self {
            index,
            changed,
            calls: calls.yielding(),
            events: Events::start(calls, "vpa-recommender"),
            cluster: options.cluster.clone(),
            // A burst of two seconds.
            limiter: RateLimiter::new(rate, rate * 2.0),
            metrics: OptInMetrics::new(registry)?,
            pace: Pace::default(),
            told: HashMap::new(),
        })
    }

    /// Follows them until shutdown, while this replica leads and no other VPA acts.
    pub async fn run(mut self, (leads, other_vpa): (Leadership, OtherVpa), shutdown: Shutdown) {
        let changed = Arc::clone(&self.changed);
        let work = async {
            loop {
                leads.gained().await;
                other_vpa.none().await;
                tokio::select! {
                    () = self.once() => {}
                    () = must_stop(&leads, &other_vpa) => continue,
                }
                tokio::time::sleep(PAUSE).await;
                // Without an answer in time all is looked at, too.
                let _ = tokio::time::timeout(PERIOD, changed.notified()).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stopped(&shutdown) => {}
        }
    }

    async fn once(&mut self) {
        let plan = self.plan();
        self.metrics.managed.set(count(plan.managed));
        self.metrics.left.set(count(plan.steps.len()));
        self.pace.keep(&plan.steps);
        self.tell(&plan.refusals).await;
        let now = Instant::now();
        let mut due = plan.steps;
        due.retain(|step| self.pace.is_due(step, now));
        if due.len() > STEPS {
            due.truncate(STEPS);
            self.changed.notify_one();
        }
        let (calls, limiter, index) = (&self.calls, &self.limiter, &self.index);
        let outcomes: Vec<_> = futures::stream::iter(due)
            .map(async |step| {
                limiter.acquire().await;
                let result = take(calls, index, &step).await;
                Outcome { step, result }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for outcome in outcomes {
            self.settle(&outcome).await;
        }
    }

    fn plan(&self) -> Plan {
        let index = self.index.read();
        plan(&Scene {
            owners: &index.owners,
            vpas: &index.vpas,
            labelled: &index.labelled,
            in_place: self.cluster.gates().in_place,
            covers: &|namespace| self.cluster.covers(namespace),
        })
    }

    async fn settle(&mut self, outcome: &Outcome) {
        let Outcome { step, result } = outcome;
        self.pace.taken(step, result.is_ok(), Instant::now());
        let (name, namespace, vpa) = match step {
            Step::Apply(apply) => {
                let name = if apply.is_new { "made" } else { "changed" };
                (name, &apply.workload.namespace, &apply.vpa)
            }
            Step::Remove(remove) => ("removed", &remove.vpa.namespace, &remove.vpa.name),
        };
        let counted = if result.is_ok() { name } else { "failed" };
        self.metrics.steps.with_label_values(&[counted]).inc();
        match (step, result) {
            (_, Err(error)) => {
                // What was in the way may be gone by the next plan: told if it is not.
                tracing::warn!(vpa = format!("{namespace}/{vpa}"), %error, "a VPA that follows labels could not be {name}");
                if let (Step::Apply(apply), false) = (step, is_passing(error)) {
                    let message = format!("VPA {vpa} could not be {name}: {error}");
                    let workload = Some(apply.workload.clone());
                    self.tell_once((namespace.clone(), workload), message).await;
                }
            }
            (Step::Remove(remove), Ok(_)) => {
                tracing::info!(vpa = remove.vpa.key(), why = %remove.why, "VPA removed");
            }
            (Step::Apply(apply), Ok(kept)) => {
                let (workload, asked) = (apply.workload.to_string(), &apply.wanted.mark);
                tracing::info!(vpa, workload, asked, "VPA {name}, as a label asks for it");
                if !kept.is_empty() {
                    self.tell_kept(namespace, vpa, kept);
                }
            }
        }
    }

    fn tell_kept(&self, namespace: &str, vpa: &str, kept: &[String]) {
        let uid = self
            .index
            .read()
            .vpas
            .get(namespace, vpa)
            .map(|v| v.uid.clone());
        self.events.tell(Notice {
            about: vpa_reference(namespace, vpa, &uid.unwrap_or_default()).into(),
            reason: "FieldsKept",
            message: format!(
                "changed as its labels ask, but for {}, which somebody else has set; delete the VPA to have all as the labels ask",
                kept.join(", ")
            ),
            warning: false,
        });
    }

    /// Tells what is news, of a workload for as long as it is there.
    async fn tell(&mut self, refusals: &[Refusal]) {
        {
            let index = self.index.read();
            let is_there = |key: &ControllerKey| index.owners.get(key).is_some();
            self.told
                .retain(|(_, workload), _| workload.as_ref().is_none_or(is_there));
        }
        for refusal in refusals {
            let about = (refusal.namespace.clone(), refusal.workload.clone());
            self.tell_once(about, refusal.message.clone()).await;
        }
    }

    async fn tell_once(&mut self, about: (String, Option<ControllerKey>), message: String) {
        if self.told.get(&about) == Some(&message) {
            return;
        }
        let (namespace, workload) = &about;
        tracing::warn!(
            namespace,
            workload = workload.as_ref().map(ToString::to_string),
            message,
            "a label cannot be followed"
        );
        let object = match workload {
            None => reference("v1", "Namespace", (namespace, namespace, "")),
            Some(key) => {
                let resource = resource_of(&self.index.read().owners, key);
                let Some(resource) = resource else { return };
                let uid = uid_of(&self.calls, key, &resource)
                    .await
                    .unwrap_or_default();
                reference(
                    &resource.api_version,
                    &resource.kind,
                    (namespace, &key.name, &uid),
                )
            }
        };
        self.events.tell(Notice {
            about: object.into(),
            reason: "LabelNotFollowed",
            message: message.clone(),
            warning: true,
        });
        self.told.insert(about, message);
    }
}

async fn take(calls: &Calls, index: &SharedIndex, step: &Step) -> Result<Vec<String>, OptInError> {
    match step {
        Step::Remove(one) => remove(calls, &one.vpa).await.map(|()| Vec::new()),
        Step::Apply(one) => {
            let resource = resource_of(&index.read().owners, &one.workload);
            let gone = || OptInError::NoWorkload(one.workload.clone());
            apply(calls, one, &resource.ok_or_else(gone)?).await
        }
    }
}

/// True for what is over soon, and is nobody's fault.
fn is_passing(error: &OptInError) -> bool {
    match error {
        OptInError::Call(error) => !error.is_forbidden() && error.status() != Some(422),
        OptInError::NoWorkload(_) | OptInError::Taken(_) => true,
        OptInError::NotOurs { .. } => false,
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
