//! The updater's loop: look, plan, act, remember.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use podfit_cluster::admin::Health;
use podfit_cluster::calls::Calls;
use podfit_cluster::index::SharedIndex;
use podfit_cluster::lease::{Leadership, StatusLease};
use podfit_cluster::metrics::StepTimer;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_cluster::process::{Shutdown, stopped};
use podfit_cluster::snapshot::snapshot;
use podfit_cluster::{api::time::now, writes};
use podfit_core::disruption::{
    Action, Config, Decision, Memory, Snapshot, capped_by_limit, capped_by_node, plan,
};
use podfit_core::policy::ContainerChange;
use podfit_core::time::{SteadyClock, Timestamp};
use tokio::time::{Duration, Instant, MissedTickBehavior, interval};

use crate::act::{Actor, Outcome};
use crate::conditions::{Blocked, Findings, has_ours, merge};
use crate::metrics::{Metrics, Sizes, is_infeasible_skip};
use crate::probe::Probe;
use crate::realign::Realigner;
use crate::refusal::budget_name;
use crate::waiting::Waiting;

/// From here on a difference between the machine's clock and ours is worth a word.
const CLOCK_JUMP: Duration = Duration::from_mins(1);

/// The loop with all it needs.
pub struct Updater {
    /// The watched objects.
    pub index: SharedIndex,
    /// For requests.
    pub calls: Calls,
    /// Whether this replica acts.
    pub leadership: Leadership,
    /// Whether another VPA acts; meanwhile this one does not.
    pub other_vpa: OtherVpa,
    /// Where the webhook shows that it lives; `None` when that is not asked.
    pub webhook: Option<StatusLease>,
    /// Shows whether new pods are sized, while that is in doubt.
    pub probe: Probe,
    /// When and how much may be disrupted.
    pub config: Config,
    /// Carries plans out.
    pub actor: Actor,
    /// Moves the targets of HPAs.
    pub realigner: Realigner,
    /// What is measured.
    pub metrics: Metrics,
    /// Told after each loop.
    pub health: Health,
    /// Plans are shown, and not carried out.
    pub shadow: bool,
}

impl Updater {
    /// Runs a loop per `period` until shutdown. A loop that takes longer delays the next: none are made up for.
    pub async fn run(self, period: Duration, shutdown: Shutdown) {
        // A first loop that only finds out that nothing is known yet would cost a whole period.
        tokio::select! {
            () = self.other_vpa.known() => {}
            () = stopped(&shutdown) => return,
        }
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut memory = Memory::default();
        let mut webhook_trouble = None;
        let mut waiting = Waiting::default();
        let mut leads = false;
        let (started, mut clock, mut jumped) = (Instant::now(), SteadyClock::default(), false);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stopped(&shutdown) => return,
            }
            let wall = now();
            let now = clock.read(wall, started.elapsed());
            let differs = wall.since(now).max(now.since(wall)) >= CLOCK_JUMP;
            if differs && !jumped {
                tracing::warn!(
                    "this machine's clock jumped; it is followed slowly, so that nothing falls due at once"
                );
            }
            jumped = differs;
            let may_act = self.leadership.is_leader() && !self.other_vpa.is_active();
            let led = std::mem::replace(&mut leads, may_act);
            if leads && !led {
                memory.lead(now);
            }
            if leads {
                let trouble = self.webhook_trouble().await;
                if trouble != webhook_trouble {
                    if let Some(why) = &trouble {
                        tracing::warn!(why, "not updating pods: they might come back unsized");
                    } else {
                        tracing::info!("the webhook is alive; updating pods");
                    }
                    webhook_trouble = trouble;
                }
                if webhook_trouble.is_none() {
                    // Another replica may act from the moment the lease is lost: what is not done yet is not ours to do.
                    tokio::select! {
                        () = self.one_loop(&mut memory, &mut waiting, (wall, now)) => {}
                        () = self.leadership.lost() => leads = false,
                        () = self.other_vpa.active() => leads = false,
                        () = stopped(&shutdown) => return,
                    }
                }
            }
            self.health.active();
        }
    }

    /// Why the webhook cannot be counted on; `None` when it can.
    async fn webhook_trouble(&self) -> Option<String> {
        let lease = self.webhook.as_ref()?;
        match lease.is_alive(&self.calls, now()).await {
            Ok(true) => None,
            Ok(false) => Some(format!(
                "the webhook's status lease {}/{} was not renewed within {:?}; is podfit-webhook running?",
                lease.namespace, lease.name, lease.timeout
            )),
            Err(error) => Some(format!(
                "the webhook's status lease cannot be read: {error}"
            )),
        }
    }

    async fn one_loop(
        &self,
        memory: &mut Memory,
        waiting: &mut Waiting,
        (wall, now): (Timestamp, Timestamp),
    ) {
        let mut timer = StepTimer::start(&self.metrics.execution_latency);
        let snapshot = {
            let index = self.index.read();
            timer.step("ListVPAs");
            snapshot(&index, &self.config, wall)
        };
        timer.step("ListPods");
        memory.observe(&snapshot, now);
        {
            let index = self.index.read();
            let budget = |namespace: &str, name: &str| index.budgets.get(namespace, name).copied();
            memory.refusals.observe(&snapshot, budget);
        }
        self.judge(memory, &snapshot, now).await;
        timer.step("AdmissionInit");
        let decisions = plan(&snapshot, memory, &self.config, now);
        let judgement = memory.planned(&snapshot, &decisions, &self.config);
        if judgement.changed {
            self.actor.tell_breaker(judgement);
        }
        let sizes = Sizes::new(&snapshot);
        self.metrics.plan(&snapshot, &decisions, &sizes);
        self.metrics
            .guards
            .show(&decisions, judgement, memory.disruptions());
        timer.step("FilterPods");
        let skipped = decisions.iter().filter(|d| is_infeasible_skip(d));
        skipped.for_each(|decision| self.actor.tell_skipped(decision));
        let outcomes = if self.shadow {
            self.actor.tell_planned(&decisions);
            Vec::new()
        } else {
            self.actor.carry_out(&decisions, &sizes).await
        };
        if !self.shadow {
            self.realigner.run(&self.index, &decisions).await;
        }
        self.metrics.done(&outcomes, &sizes);
        for (decision, outcome) in &outcomes {
            match outcome {
                Outcome::Done => memory.done(decision, &self.config, now),
                Outcome::Infeasible(why) => memory.resized(decision, Some(why), now),
                _ => {}
            }
        }
        self.remember_evictions(memory, &snapshot, &outcomes, now);
        remember_disruptions(memory, &snapshot, &outcomes);
        let uids: HashSet<_> = decisions.iter().map(|d| &*d.pod.uid).collect();
        self.actor.retain(|uid| uids.contains(uid));
        timer.step("EvictPods");
        if !self.shadow {
            let blocked = waiting.blocked(&decisions, &outcomes, now);
            self.write_conditions(&snapshot, blocked, memory, now).await;
        }
        timer.total();
    }

    /// Looks at what earlier evictions led to, and while nothing is evicted because of that, whether new pods are sized again.
    async fn judge(&self, memory: &mut Memory, snapshot: &Snapshot, now: Timestamp) {
        if !self.config.profile.is_safe() {
            return;
        }
        let was_stopped = memory.outcomes.is_stopped();
        for missed in memory.outcomes.judge(snapshot, &self.config, now) {
            self.actor.tell_not_applied(&missed);
        }
        if memory.outcomes.is_stopped() {
            match self.probe.check().await {
                Ok(()) => {
                    tracing::info!("new pods are sized: evicting again");
                    memory.outcomes.proven();
                }
                Err(why) if was_stopped => tracing::debug!(why, "still not evicting"),
                Err(why) => tracing::error!(
                    why,
                    "evicted pods came back otherwise than asked: evicting no more until a new pod is seen to be sized"
                ),
            }
        }
        self.metrics.stopped(memory.outcomes.is_stopped());
    }

    fn remember_evictions(
        &self,
        memory: &mut Memory,
        snapshot: &Snapshot,
        outcomes: &[(&Decision, Outcome)],
        now: Timestamp,
    ) {
        if !self.config.profile.is_safe() {
            return;
        }
        let mut evicted: HashMap<_, Vec<&[ContainerChange]>> = HashMap::new();
        for (decision, outcome) in outcomes {
            match (&decision.action, outcome) {
                (Action::Evict(asked), Outcome::Done) => {
                    let vpa = (&decision.vpa.namespace, &decision.vpa.name);
                    evicted.entry(vpa).or_default().push(asked);
                }
                (Action::Evict(_), Outcome::Budget(words)) => {
                    let namespace = &decision.pod.namespace;
                    let budget = budget_name(words).map(|name| {
                        let index = self.index.read();
                        (name.to_owned(), index.budgets.get(namespace, name).copied())
                    });
                    memory
                        .refusals
                        .refused(&decision.pod, words, budget, (snapshot, now));
                }
                _ => {}
            }
        }
        for workload in &snapshot.workloads {
            if let Some(asked) = evicted.get(&(&workload.vpa.namespace, &workload.vpa.name)) {
                memory.outcomes.evicted(workload, asked, now);
            }
        }
    }

    /// Writes our conditions where they changed, also of VPAs that have no pods to update any more.
    async fn write_conditions(
        &self,
        snapshot: &Snapshot,
        mut blocked: HashMap<(&str, &str), Blocked>,
        memory: &Memory,
        now: Timestamp,
    ) {
        let mut found: Vec<_> = Vec::with_capacity(snapshot.workloads.len());
        let by_node = capped_by_node(snapshot, &self.config);
        for (workload, capped_by_node) in snapshot.workloads.iter().zip(by_node) {
            let vpa = &workload.vpa;
            let surroundings = snapshot.surroundings(workload);
            let findings = Findings {
                blocked: blocked.remove(&(vpa.namespace.as_str(), vpa.name.as_str())),
                not_applied: memory.outcomes.missed(vpa).cloned(),
                capped: capped_by_limit(workload, surroundings, self.config.profile),
                capped_by_node,
            };
            found.push((Arc::clone(vpa), findings));
        }
        let served: HashSet<_> = found.iter().map(|(vpa, _)| vpa.key()).collect();
        let others = self
            .index
            .read()
            .vpas
            .iter()
            .filter(|vpa| has_ours(vpa))
            .cloned()
            .collect::<Vec<_>>();
        let others = others
            .into_iter()
            .filter(|vpa| !served.contains(&vpa.key()));
        found.extend(others.map(|vpa| (vpa, Findings::default())));
        for (vpa, findings) in &found {
            let Some(conditions) = merge(&vpa.conditions, findings, now) else {
                continue;
            };
            match writes::vpa_status(&self.calls, vpa, None, &conditions).await {
                Ok(()) => {}
                // The recommender wrote meanwhile; the next loop sees what, and writes then.
                Err(error) if error.is_conflict() || error.is_not_found() => {
                    tracing::debug!(vpa = vpa.key(), %error, "condition not written");
                }
                Err(error) => {
                    tracing::warn!(vpa = vpa.key(), %error, "condition not written; trying again");
                }
            }
        }
    }
}

/// Takes note of the disruptions that were made: they count until they are over.
fn remember_disruptions(
    memory: &mut Memory,
    snapshot: &Snapshot,
    outcomes: &[(&Decision, Outcome)],
) {
    let done = |(decision, outcome): &&(&Decision, Outcome)| {
        matches!(outcome, Outcome::Done) && decision.disrupts()
    };
    let mut by_vpa: HashMap<(&str, &str), Vec<&Decision>> = HashMap::new();
    for (decision, _) in outcomes.iter().filter(done) {
        let key = (decision.vpa.namespace.as_str(), decision.vpa.name.as_str());
        by_vpa.entry(key).or_default().push(decision);
    }
    if by_vpa.is_empty() {
        return;
    }
    for workload in &snapshot.workloads {
        let key = (workload.vpa.namespace.as_str(), workload.vpa.name.as_str());
        for decision in by_vpa.remove(&key).into_iter().flatten() {
            memory.disrupted(workload, decision);
        }
    }
}
