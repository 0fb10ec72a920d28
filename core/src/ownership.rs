//! Which VPA controls a pod: owner chains, and an index of VPAs by target.

mod kinds;
mod runs;
mod target;
mod vpas;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;

pub use self::kinds::{
    ForeignKind, GroupKind, WELL_KNOWN_KINDS, is_own_group, is_well_known, of_well_known,
};
pub use self::runs::{FAMILY_LABEL, POD_FAMILY, SCALED_JOB, is_of_runs};
pub use self::target::{NoTop, unsupported};
pub use self::vpas::Vpas;
use crate::pod::{OwnerRef, Pod};
use crate::recent::Recent;

/// A controller's identity. The API version is left out, so that a target written against an old version still matches.
/// The group stays in the kind where it is not Kubernetes' own (`Job.batch.volcano.sh`): other groups have Jobs, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControllerKey {
    /// Its namespace.
    pub namespace: String,
    /// For example `Deployment`, or `Rollout.argoproj.io`.
    pub kind: Cow<'static, str>,
    /// Its name.
    pub name: String,
}

impl ControllerKey {
    /// The controller that `owner` names, in `namespace`.
    pub fn of(namespace: &str, owner: &OwnerRef) -> Self {
        Self {
            namespace: namespace.into(),
            kind: owner.qualified_kind(),
            name: owner.name.clone(),
        }
    }

    /// From its parts.
    pub fn new(namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            kind: of_well_known(kind),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for ControllerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// Longer chains than this do not exist; a cycle ends here.
const LONGEST_CHAIN: usize = 10;

/// What is kept of each watched controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Its own controlling owner; boxed, as most that are kept have none and there are many.
    pub owner: Option<Box<OwnerRef>>,
    /// `spec.replicas`, or for a DaemonSet `status.numberReady`; `None` where the kind or the watch has none.
    pub replicas: Option<i64>,
}

impl Controller {
    /// One of which only the owner is known.
    pub fn owned_by(owner: Option<OwnerRef>) -> Self {
        Self {
            owner: owner.map(Box::new),
            replicas: None,
        }
    }
}

/// All watched controllers and who owns them.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    controllers: HashMap<ControllerKey, Controller>,
    kinds: HashMap<String, ForeignKind>,
    /// Who owned the controllers that went last: a Job, say, whose pods are told gone only after it.
    deleted: Recent<ControllerKey, Controller, 1000>,
}

impl Owners {
    /// Adds or replaces a controller.
    pub fn apply(&mut self, key: ControllerKey, controller: Controller) {
        self.controllers.insert(key, controller);
    }

    /// Forgets a controller, though not at once who owned it.
    pub fn delete(&mut self, key: &ControllerKey) {
        if let Some((key, controller)) = self.controllers.remove_entry(key) {
            self.deleted.insert(key, controller);
        }
    }

    /// Forgets every controller of `kind` for which `keep` is false: what a re-listed watch no longer has.
    pub fn retain(&mut self, kind: &str, mut keep: impl FnMut(&ControllerKey) -> bool) {
        let gone = self
            .controllers
            .extract_if(|key, _| key.kind == kind && !keep(key));
        for (key, controller) in gone {
            self.deleted.insert(key, controller);
        }
    }

    /// What is known of a controller.
    pub fn get(&self, key: &ControllerKey) -> Option<&Controller> {
        self.controllers.get(key)
    }

    /// All that are known, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &ControllerKey> {
        self.controllers.keys()
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.controllers.len()
    }

    /// True when none is known.
    pub fn is_empty(&self) -> bool {
        self.controllers.is_empty()
    }

    /// What is known of a kind that is not well known; `None` when nobody asked.
    pub fn kind(&self, kind: &str) -> Option<&ForeignKind> {
        self.kinds.get(kind)
    }

    /// Says what is known of a kind that is not well known.
    pub fn set_kind(&mut self, kind: &str, known: ForeignKind) {
        self.kinds.insert(kind.into(), known);
    }

    /// Forgets what is known of a kind that is not well known.
    pub fn forget_kind(&mut self, kind: &str) {
        self.kinds.remove(kind);
    }

    /// The controllers above a pod, nearest first, and after them its family; empty for a pod without any of them, or one run
    /// by its node.
    ///
    /// A ReplicaSet that is not known yet (its watch event may come after the pod's admission) is resolved by name:
    /// a Deployment calls its ReplicaSets `<deployment>-<pod-template-hash>`.
    pub fn chain(&self, pod: &Pod) -> Vec<ControllerKey> {
        let mut chain = Vec::new();
        let mut next = pod.owner.as_ref().map(Cow::Borrowed);
        while let Some(owner) = next {
            let key = ControllerKey::of(&pod.namespace, &owner);
            if owner.is_node() || chain.len() == LONGEST_CHAIN || chain.contains(&key) {
                break;
            }
            let known = self.controllers.get(&key);
            next = match known.or_else(|| self.deleted.get(&key)) {
                Some(controller) => controller.owner.as_deref().map(Cow::Borrowed),
                None => deployment_by_name(&owner, pod.template_hash.as_deref())
                    .or_else(|| self.maker_by_name(&pod.namespace, &owner))
                    .map(Cow::Owned),
            };
            chain.push(key);
        }
        chain.extend(pod.family_key());
        chain
    }

    /// The highest controller above `key` that is well known or can be scaled; `key` itself when there is none.
    pub fn topmost(&self, key: &ControllerKey) -> Result<ControllerKey, NoTop> {
        let mut seen = vec![];
        let mut top = key.clone();
        while let Some(parent) = self.parent(&top)? {
            seen.push(std::mem::replace(&mut top, parent));
            if seen.contains(&top) {
                return Err(NoTop::Cycle);
            }
            if is_well_known(&top.kind) && self.get(&top).is_none() {
                return Err(NoTop::Missing(top));
            }
        }
        Ok(top)
    }

    /// True when nothing stands above `key` that a VPA would have to name in its place.
    pub fn is_topmost(&self, key: &ControllerKey) -> bool {
        matches!(self.parent(key), Ok(None))
    }

    /// The controller right above `key`, where that is well known or can be scaled.
    ///
    /// What is above a kind that is not well known does not count. Upstream reads owners from the `scale` subresource
    /// there, which the API server gives none, so that such targets are sized whoever owns them.
    fn parent(&self, key: &ControllerKey) -> Result<Option<ControllerKey>, NoTop> {
        let owner = self.controllers.get(key).and_then(|c| c.owner.as_deref());
        let Some(owner) = owner.filter(|_| is_well_known(&key.kind)) else {
            return Ok(None);
        };
        if owner.is_node() {
            return Err(NoTop::Node(owner.clone()));
        }
        let parent = ControllerKey::of(&key.namespace, owner);
        let counts = is_well_known(&parent.kind) || self.is_scalable(&parent);
        Ok(counts.then_some(parent))
    }

    fn is_scalable(&self, key: &ControllerKey) -> bool {
        let kind = self.kinds.get(&*key.kind);
        let scalable = matches!(kind, Some(ForeignKind::Watched { scalable: true, .. }));
        scalable && self.controllers.contains_key(key)
    }
}

fn deployment_by_name(owner: &OwnerRef, template_hash: Option<&str>) -> Option<OwnerRef> {
    if owner.kind != "ReplicaSet" {
        return None;
    }
    let name = owner.name.strip_suffix(template_hash?)?.strip_suffix('-')?;
    Some(OwnerRef {
        api_version: owner.api_version.clone(),
        kind: "Deployment".into(),
        name: name.into(),
    })
}
