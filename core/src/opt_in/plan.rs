//! What is to be made, changed and removed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::wanted::fnv;
use super::{By, Labelled, Wanted, Wish, wanted};
use crate::ownership::{ControllerKey, ForeignKind, Owners, Vpas, is_well_known};
use crate::vpa::Vpa;

/// What a plan is made from.
pub struct Scene<'a> {
    /// All workloads.
    pub owners: &'a Owners,
    /// All VPAs.
    pub vpas: &'a Vpas,
    /// What asks for one.
    pub labelled: &'a Labelled,
    /// True where the update mode `InPlace` can be had.
    pub in_place: bool,
    /// True for the namespaces that podfit looks at.
    pub covers: &'a dyn Fn(&str) -> bool,
}

/// What to do, in an order that is always the same, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Removals first.
    pub steps: Vec<Step>,
    /// What somebody has to put right.
    pub refusals: Vec<Refusal>,
    /// How many VPAs podfit has made, before the steps.
    pub managed: usize,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make or change a VPA.
    Apply(Apply),
    /// Remove one.
    Remove(Remove),
}

/// A VPA to be made or changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Apply {
    /// Of which workload.
    pub workload: ControllerKey,
    /// The VPA's name.
    pub vpa: String,
    /// What is to stand in it.
    pub wanted: Wanted,
    /// True when it is not there yet.
    pub is_new: bool,
}

/// A VPA to be removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Remove {
    /// Which one.
    pub vpa: Arc<Vpa>,
    /// Why.
    pub why: Why,
}

/// Why a VPA is removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Nothing asks for it any more.
    #[error("no label asks for it any more")]
    NotAsked,
    /// Its workload declines.
    #[error("the workload's label podfit.dev/autosize is none")]
    Declined,
    /// Somebody made one.
    #[error("VPA {0}, which podfit did not make, is for the same workload")]
    Explicit(String),
    /// There are two of podfit's.
    #[error("podfit's VPA {0} is for the same workload")]
    Twice(String),
}

/// What cannot be done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// About which workload; `None`: about the namespace.
    pub workload: Option<ControllerKey>,
    /// In which namespace.
    pub namespace: String,
    /// A sentence for people.
    pub message: String,
}

/// Plans what brings the VPAs that podfit makes to what labels ask for.
///
/// A VPA that somebody else made for the same workload wins. Nothing is removed on a guess: not while the workload, or what
/// its namespace asks for, is not known, nor because of a label that is not understood.
pub fn plan(scene: &Scene<'_>) -> Plan {
    let mut plan = Plan::default();
    remove(scene, &mut plan);
    let mut asked = Vec::new();
    for key in candidates(scene) {
        match scene.labelled.wish(key) {
            Wish::Nothing | Wish::Declined => {}
            Wish::NotUnderstood(complaint) => {
                let own = (complaint.by == By::Workload).then(|| key.clone());
                plan.refuse(own, &key.namespace, complaint.to_string());
            }
            Wish::Asked(of) => match standing(scene.owners, key) {
                Standing::Free => asked.push((key, wanted(of, scene.in_place))),
                Standing::Cannot(why) if of.by == By::Workload && !is_made_by_others(key) => {
                    let message = format!("no VPA is made: {why}");
                    plan.refuse(Some(key.clone()), &key.namespace, message);
                }
                Standing::Cannot(_) | Standing::NotKnownYet => {}
            },
        }
    }
    apply(scene, &asked, &mut plan);
    plan
}

impl Plan {
    /// Of a namespace's label that is not understood each workload in it would tell.
    fn refuse(&mut self, workload: Option<ControllerKey>, namespace: &str, message: String) {
        let refusal = Refusal {
            workload,
            namespace: namespace.into(),
            message,
        };
        if self.refusals.last() != Some(&refusal) && !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }
}

/// Workloads that something may ask for, in order.
fn candidates<'a>(scene: &Scene<'a>) -> Vec<&'a ControllerKey> {
    let labelled = scene.labelled;
    let mut found: Vec<_> = if labelled.namespaces.is_empty() {
        let keys = labelled.workloads.keys();
        keys.filter(|key| scene.owners.get(key).is_some()).collect()
    } else {
        let asks = |key: &&ControllerKey| {
            labelled.names_namespace(&key.namespace) || labelled.workloads.contains_key(*key)
        };
        scene.owners.keys().filter(asks).collect()
    };
    found.retain(|key| (scene.covers)(&key.namespace));
    found.sort_by_key(|key| (&key.namespace, &key.name, &key.kind));
    found
}

/// True for kinds whose objects carry the labels of the template of what made them.
fn is_made_by_others(key: &ControllerKey) -> bool {
    matches!(&*key.kind, "ReplicaSet" | "Job")
}

/// Whether a workload can have a VPA of its own.
enum Standing {
    Free,
    Cannot(String),
    NotKnownYet,
}

fn standing(owners: &Owners, key: &ControllerKey) -> Standing {
    if !is_well_known(&key.kind) {
        return match owners.kind(&key.kind) {
            Some(ForeignKind::Watched { scalable: true, .. }) => Standing::Free,
            Some(ForeignKind::Watched { .. }) => {
                Standing::Cannot(format!("{} has no scale subresource", key.kind))
            }
            _ => Standing::NotKnownYet,
        };
    }
    let Some(owner) = owners.get(key).and_then(|c| c.owner.as_deref()) else {
        return Standing::Free;
    };
    let kind = owner.qualified_kind();
    // Whatever makes Jobs and ReplicaSets makes the next ones, too.
    if is_made_by_others(key) || !owners.is_topmost(key) {
        let name = &owner.name;
        return Standing::Cannot(format!("it belongs to {kind} {name}; put the label there"));
    }
    let looked_up =
        owner.is_well_known() || !matches!(owners.kind(&kind), None | Some(ForeignKind::Pending));
    if looked_up {
        Standing::Free
    } else {
        Standing::NotKnownYet
    }
}

fn remove(scene: &Scene<'_>, plan: &mut Plan) {
    let mut managed: Vec<_> = scene.vpas.iter().filter(|v| v.managed.is_some()).collect();
    managed.sort_by_key(|vpa| (&vpa.namespace, &vpa.name));
    plan.managed = managed.len();
    for vpa in managed {
        if let Some(why) = why_removed(scene, vpa) {
            let vpa = Arc::clone(vpa);
            plan.steps.push(Step::Remove(Remove { vpa, why }));
        }
    }
}

fn why_removed(scene: &Scene<'_>, vpa: &Vpa) -> Option<Why> {
    let key = ControllerKey::of(&vpa.namespace, vpa.target.as_ref()?);
    let others = scene.vpas.of_target(&key);
    if let Some(explicit) = others.iter().find(|v| v.managed.is_none()) {
        return Some(Why::Explicit(explicit.name.clone()));
    }
    let first = others.iter().min_by_key(|v| (v.created, &v.name));
    if let Some(first) = first.filter(|first| first.name != vpa.name) {
        return Some(Why::Twice(first.name.clone()));
    }
    // Kubernetes removes it with its workload.
    scene.owners.get(&key)?;
    match scene.labelled.wish(&key) {
        Wish::Nothing if scene.labelled.namespaces_known => Some(Why::NotAsked),
        Wish::Declined => Some(Why::Declined),
        _ => None,
    }
}

fn apply(scene: &Scene<'_>, asked: &[(&ControllerKey, Wanted)], plan: &mut Plan) {
    let mut namesakes: HashMap<_, usize> = HashMap::new();
    for (key, _) in asked {
        *namesakes.entry((&key.namespace, &key.name)).or_default() += 1;
    }
    let mut given = HashSet::new();
    for (key, wanted) in asked {
        let there = scene.vpas.of_target(key);
        if there.iter().any(|vpa| vpa.managed.is_none()) {
            continue;
        }
        let own = there.iter().min_by_key(|v| (v.created, &v.name));
        let vpa = match own {
            Some(own) if own.managed.as_ref().is_some_and(|m| m.mark == wanted.mark) => continue,
            Some(own) => own.name.clone(),
            None => {
                let free = |name: &str| {
                    let of = (key.namespace.as_str(), name);
                    scene.vpas.get(of.0, of.1).is_none()
                        && !given.contains(&(of.0.to_owned(), of.1.to_owned()))
                };
                let alone = namesakes.get(&(&key.namespace, &key.name)) == Some(&1);
                let Some(name) = names(key, alone).into_iter().find(|name| free(name)) else {
                    let message = format!("no VPA is made: there are others called {}", key.name);
                    plan.refuse(Some((*key).clone()), &key.namespace, message);
                    continue;
                };
                name
            }
        };
        given.insert((key.namespace.clone(), vpa.clone()));
        plan.steps.push(Step::Apply(Apply {
            workload: (*key).clone(),
            vpa,
            wanted: wanted.clone(),
            is_new: own.is_none(),
        }));
    }
}

/// What a VPA may be called, best first: as the workload where no other has that name, else with the kind.
fn names(key: &ControllerKey, alone: bool) -> Vec<String> {
    /// The API server takes no longer ones.
    const LONGEST: usize = 253;
    let kind = key.kind.to_lowercase();
    let (bare, _) = kind.split_once('.').unwrap_or((&kind, ""));
    let suffixed = |suffix: &str| {
        let room = LONGEST - suffix.len().min(100) - 1;
        let start: String = key.name.chars().take(room).collect();
        format!("{}-{suffix}", start.trim_end_matches(['.', '-']))
    };
    let mut names = vec![
        suffixed(bare),
        suffixed(&format!(
            "{bare}-{:08x}",
            fnv(&format!("{}/{kind}", key.name))
        )),
    ];
    if alone {
        names.insert(0, key.name.clone());
    }
    names
}
