//! A plan added up: by reason, by workload, and in all.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use podfit_core::disruption::{Action, Config, Decision, Snapshot, capped_by_node};
use podfit_core::policy::ContainerChange;
use podfit_core::quantity::Resource;

use crate::foresight::Foresight;

/// By how much requests change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Millicores.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
}

impl Amounts {
    /// In cores.
    pub fn cores(self) -> f64 {
        self.cpu as f64 / 1000.0
    }

    /// In GiB.
    pub fn gib(self) -> f64 {
        self.memory as f64 / f64::from(1 << 30)
    }

    /// By how much a decision changes what its pod requests.
    pub fn of(decision: &Decision) -> Self {
        let mut amounts = Self::default();
        for change in changes(&decision.action) {
            let Some(container) = decision.pod.containers.get(change.index) else {
                continue;
            };
            let by = |resource| {
                let before = container.requests.get(resource).unwrap_or(0);
                change.requests.get(resource).map_or(0, |new| new - before)
            };
            amounts += Self {
                cpu: by(Resource::Cpu),
                memory: by(Resource::Memory),
            };
        }
        amounts
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.memory += other.memory;
    }
}

/// What a decision changes.
pub fn changes(action: &Action) -> &[ContainerChange] {
    match action {
        Action::Resize(changes) | Action::Evict(changes) | Action::Unboost(changes) => changes,
        Action::Skip => &[],
    }
}

/// A word for what is done with a pod.
pub fn word(action: &Action) -> &'static str {
    match action {
        Action::Evict(_) => "evict",
        Action::Resize(_) | Action::Unboost(_) => "resize",
        Action::Skip => "skip",
    }
}

/// What is done under one VPA.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// The VPA.
    pub vpa: String,
    /// Its update mode.
    pub mode: &'static str,
    /// How many pods it has.
    pub pods: usize,
    /// How many are evicted now.
    pub evicted: usize,
    /// How many are resized now.
    pub resized: usize,
    /// The reason why most of the others are left alone, and how many those are.
    pub left: Option<(&'static str, usize)>,
    /// By how much requests change now.
    pub now: Amounts,
    /// By how much once limits on what is done at one time were waited for.
    pub in_the_end: Amounts,
}

/// Why pods are left alone, and how many.
type Reasons = BTreeMap<&'static str, usize>;

/// A plan added up.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// By VPA, in order of their names.
    pub workloads: Vec<Workload>,
    /// What is done how often for which reason: action and reason, pods, and one such pod's words.
    pub reasons: BTreeMap<(&'static str, &'static str), (usize, String)>,
    /// In all, now.
    pub now: Amounts,
    /// In all, in the end.
    pub in_the_end: Amounts,
    /// What is recommended to more pods than any node could hold.
    pub too_large: Vec<String>,
    /// What was not considered.
    pub remarks: Vec<String>,
    /// Each pod's decision.
    pub decisions: Vec<Decision>,
}

impl Summary {
    /// Adds up.
    pub fn of(foresight: &Foresight) -> Self {
        let mut summary = Self::added_up(&foresight.now, &foresight.in_the_end);
        summary.too_large = too_large(&foresight.snapshot, &foresight.config);
        summary.remarks.clone_from(&foresight.remarks);
        summary
    }

    /// From what is done now, and in the end.
    pub fn added_up(now: &[Decision], in_the_end: &[Decision]) -> Self {
        let mut summary = Self::default();
        let mut workloads: BTreeMap<(&str, &str), (Workload, Reasons)> = BTreeMap::new();
        for decision in now {
            let (action, reason) = (word(&decision.action), decision.reason.code());
            let words = || (0, decision.reason.to_string());
            let count = summary
                .reasons
                .entry((action, reason))
                .or_insert_with(words);
            count.0 += 1;
            let vpa = &decision.vpa;
            let (workload, left) = workloads.entry((&vpa.namespace, &vpa.name)).or_default();
            workload.mode = vpa.update_mode.name();
            workload.pods += 1;
            workload.now += Amounts::of(decision);
            match action {
                "evict" => workload.evicted += 1,
                "resize" => workload.resized += 1,
                _ => *left.entry(reason).or_default() += 1,
            }
        }
        for decision in in_the_end {
            let vpa = &decision.vpa;
            let (workload, _) = workloads.entry((&vpa.namespace, &vpa.name)).or_default();
            workload.in_the_end += Amounts::of(decision);
        }
        for ((namespace, vpa), (mut workload, left)) in workloads {
            workload.namespace = namespace.into();
            workload.vpa = vpa.into();
            workload.left = left.into_iter().max_by_key(|(_, pods)| *pods);
            summary.now += workload.now;
            summary.in_the_end += workload.in_the_end;
            summary.workloads.push(workload);
        }
        summary.decisions = now.to_vec();
        summary
    }

    /// How many pods it is about.
    pub fn pods(&self) -> usize {
        self.workloads.iter().map(|w| w.pods).sum()
    }

    /// How many pods are evicted now, how many resized, and how many left alone.
    pub fn counts(&self) -> [usize; 3] {
        let sum = |of: fn(&Workload) -> usize| self.workloads.iter().map(of).sum();
        let (evicted, resized): (usize, usize) = (sum(|w| w.evicted), sum(|w| w.resized));
        [evicted, resized, self.pods() - evicted - resized]
    }
}

/// The VPAs that recommend more than any node holds.
fn too_large(snapshot: &Snapshot, config: &Config) -> Vec<String> {
    let capped = capped_by_node(snapshot, config);
    let workloads = snapshot.workloads.iter().zip(capped);
    let told = workloads.flat_map(|(workload, capped)| {
        let key = workload.vpa.key();
        capped
            .into_iter()
            .map(move |capped| format!("{key}: {capped}"))
    });
    told.collect()
}
