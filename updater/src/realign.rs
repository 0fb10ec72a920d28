//! Moves the targets of HPAs with the requests of their pods, for VPAs that ask for it (`podfit.dev/horizontal: realign`),
//! and back where none does any more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use podfit_cluster::calls::Calls;
use podfit_cluster::events::{Events, Notice};
use podfit_cluster::index::{Index, SharedIndex};
use podfit_cluster::retarget::{Retargeted, retarget};
use podfit_core::disruption::{Decision, UpdateReason};
use podfit_core::horizontal::realign::{
    Anchor, Covers, Retarget, Situation, SizedPod, retarget as next_targets,
};
use podfit_core::horizontal::{Horizontal, HorizontalAutoscaler};
use podfit_core::ownership::ControllerKey;
use podfit_core::pod::Pod;
use podfit_core::policy::{Rules, Surroundings, cap_for_pod, wanted_targets};
use podfit_core::profile::Profile;
use podfit_core::vpa::{UpdateMode, Vpa};
use prometheus::IntCounterVec;

/// Writes the targets.
pub struct Realigner {
    /// For requests.
    pub calls: Calls,
    /// For what is told of each change.
    pub events: Events,
    /// Changes asked for, by outcome.
    pub changes: IntCounterVec,
    /// Whose rules win.
    pub profile: Profile,
}

/// An HPA that is to change, and how.
struct Change {
    hpa: Arc<HorizontalAutoscaler>,
    /// The VPA that moves its targets; `None` when they go back to what they were.
    vpa: Option<Arc<Vpa>>,
    next: Retarget,
}

/// The targets that pods of each VPA wait for, by the VPA's unique id.
type Waits = HashMap<String, Vec<(Covers, i64)>>;

impl Realigner {
    /// Looks at all HPAs whose targets are podfit's to move, and writes those that change.
    pub async fn run(&self, index: &SharedIndex, decisions: &[Decision]) {
        let waits = waits(decisions);
        let changes = changes(&index.read(), &waits, self.profile);
        for change in changes {
            let outcome = match retarget(&self.calls, &change.hpa, &change.next).await {
                Ok(Retargeted::Done(about)) => {
                    let message = told(&change);
                    tracing::info!(
                        hpa = change.hpa.key(),
                        message,
                        "moved the target of an HPA"
                    );
                    self.events.tell(Notice {
                        about: about.into(),
                        reason: "TargetRealigned",
                        message,
                        warning: false,
                    });
                    "done"
                }
                Ok(Retargeted::Overtaken) => "overtaken",
                Err(error) => {
                    tracing::warn!(hpa = change.hpa.key(), %error, "the target of an HPA was not moved; trying again");
                    "failed"
                }
            };
            self.changes.with_label_values(&[outcome]).inc();
        }
    }
}

fn waits(decisions: &[Decision]) -> Waits {
    let mut all = Waits::new();
    for decision in decisions {
        if let UpdateReason::WaitsForTarget(waits) = &decision.reason {
            let of = all.entry(decision.vpa.uid.clone()).or_default();
            of.push((waits.covers.clone(), waits.wanted));
        }
    }
    all
}

/// In order of namespaces and names.
fn changes(index: &Index, waits: &Waits, profile: Profile) -> Vec<Change> {
    let hpas = realigned(index, profile);
    if hpas.is_empty() {
        return Vec::new();
    }
    let pods = pods_of(index, &hpas);
    let none = Vec::new();
    let mut all: Vec<_> = hpas
        .into_iter()
        .filter_map(|(hpa, vpa)| {
            let target = key(&hpa)?;
            let pods = pods.get(&target).map_or(&none, |pods| pods);
            let wanted = vpa.as_ref().map(|vpa| Wanted::new(index, vpa, profile));
            let pods: Vec<_> = pods
                .iter()
                .map(|pod| SizedPod {
                    pod,
                    wanted: wanted.as_ref().map(|w| w.of(pod)).unwrap_or_default(),
                })
                .collect();
            let waits = vpa.as_ref().and_then(|vpa| waits.get(&vpa.uid));
            let situation = Situation {
                realigns: vpa.is_some(),
                pods: &pods,
                waits: waits.map_or(&[], Vec::as_slice),
            };
            let next = next_targets(&hpa, &situation)?;
            Some(Change { hpa, vpa, next })
        })
        .collect();
    all.sort_by_key(|change| change.hpa.key());
    all
}

/// The HPAs whose targets are to move with requests, with the VPA that asks for it, and those that carry what was kept of
/// that and have no such VPA any more.
fn realigned(
    index: &Index,
    profile: Profile,
) -> Vec<(Arc<HorizontalAutoscaler>, Option<Arc<Vpa>>)> {
    let realigns = |vpa: &Vpa| {
        vpa.update_mode != UpdateMode::Off && vpa.horizontal_in(profile) == Horizontal::Realign
    };
    let of = |hpa: &Arc<HorizontalAutoscaler>| {
        let target = key(hpa)?;
        // Among all VPAs: one that is older than one that realigns decides.
        let sizes = |vpa: &Vpa| vpa.update_mode != UpdateMode::Off;
        let vpa = index.vpas.controlling(&[target], sizes);
        let vpa = vpa.filter(|vpa| realigns(vpa)).cloned();
        (vpa.is_some() || hpa.kept.is_annotated()).then(|| (Arc::clone(hpa), vpa))
    };
    index.horizontals.iter().filter_map(of).collect()
}

fn key(hpa: &HorizontalAutoscaler) -> Option<ControllerKey> {
    let target = hpa.target.as_ref()?;
    Some(ControllerKey::of(&hpa.namespace, target))
}

/// The live pods under the targets of some HPAs.
fn pods_of(
    index: &Index,
    hpas: &[(Arc<HorizontalAutoscaler>, Option<Arc<Vpa>>)],
) -> HashMap<ControllerKey, Vec<Arc<Pod>>> {
    let targets: HashSet<_> = hpas.iter().filter_map(|(hpa, _)| key(hpa)).collect();
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for pod in index.pods.values().filter(|pod| counts(pod)) {
        let chain = index.owners.chain(pod);
        if let Some(target) = chain.into_iter().find(|key| targets.contains(key)) {
            found.entry(target).or_default().push(Arc::clone(pod));
        }
    }
    found
}

/// True for the pods that an HPA looks at. It does not count the CPU of one that is not ready, which is when a pod has a
/// startup boost.
fn counts(pod: &Pod) -> bool {
    let boosted = || pod.containers.iter().any(|c| c.before_boost.is_some());
    !pod.terminating && !pod.is_finished() && (pod.ready_since.is_some() || !boosted())
}

/// What the recommendation of a VPA makes of its pods.
struct Wanted<'a> {
    index: &'a Index,
    vpa: &'a Vpa,
    limit_ranges: Vec<podfit_core::policy::LimitRangeItem>,
    profile: Profile,
}

impl<'a> Wanted<'a> {
    fn new(index: &'a Index, vpa: &'a Vpa, profile: Profile) -> Self {
        Self {
            index,
            vpa,
            limit_ranges: index.limit_ranges(&vpa.namespace),
            profile,
        }
    }

    /// The target that a pod's recommendation is for, by metric.
    fn of(&self, pod: &Pod) -> Vec<(Covers, Option<i64>)> {
        let claims = self.index.claims(self.vpa, Some(pod), self.profile);
        let surroundings = Surroundings {
            limit_ranges: &self.limit_ranges,
            claims: &claims,
        };
        let rules = Rules::new(pod, self.vpa, surroundings, self.profile);
        let published = self.vpa.recommendation.as_deref().unwrap_or_default();
        let recommended = cap_for_pod(pod, published, &rules);
        wanted_targets(pod, &recommended, claims.aligned())
    }
}

/// What is told of a change: the targets that move, or else what was found.
fn told(change: &Change) -> String {
    let why = match &change.vpa {
        Some(vpa) => format!("as VPA {} sizes its pods", vpa.name),
        None => "back to its owner's choice, as no VPA moves it any more".to_owned(),
    };
    let moves = change.next.moves.iter().map(|one| {
        format!(
            "the target for {} goes from {} % to {} %",
            one.covers, one.from, one.to
        )
    });
    let moves: Vec<_> = moves.collect();
    if !moves.is_empty() {
        return format!("{}, {why}", moves.join(", "));
    }
    let kept = change
        .next
        .keep
        .iter()
        .map(|(covers, Anchor { point, .. })| {
            format!(
                "{covers} {} % of {}",
                point.target(),
                covers.resource.show(point.request())
            )
        });
    let kept: Vec<_> = kept.collect();
    if kept.is_empty() {
        return "its targets are its owner's again, as no VPA moves them any more".to_owned();
    }
    format!("taken as what its owner chose: {}; {why}", kept.join(", "))
}
