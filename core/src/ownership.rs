//! Which VPA controls a pod: owner chains and an index of VPAs by target, so that one pod costs one look-up.

use std::collections::HashMap;
use std::sync::Arc;

use crate::pod::{OwnerRef, Pod};
use crate::vpa::Vpa;

/// A controller's identity. The API version is left out, so that a target written against an old version still matches.
/// The group stays in the kind where it is not Kubernetes' own (`Job.batch.volcano.sh`): other groups have Jobs, too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControllerKey {
    /// Its namespace.
    pub namespace: String,
    /// For example `Deployment`, or `Rollout.argoproj.io`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl ControllerKey {
    /// The controller that `owner` names, in `namespace`.
    pub fn of(namespace: &str, owner: &OwnerRef) -> Self {
        Self::new(namespace, &qualified_kind(owner), &owner.name)
    }

    /// From its parts.
    pub fn new(namespace: &str, kind: &str, name: &str) -> Self {
        Self {
            namespace: namespace.into(),
            kind: kind.into(),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for ControllerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The kinds whose objects podfit watches, with the API version they are read at.
pub const WELL_KNOWN_KINDS: [(&str, &str); 7] = [
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("v1", "ReplicationController"),
];

/// Groups in which Kubernetes' own workload controllers are, or once were.
const OWN_GROUPS: [&str; 4] = ["", "apps", "batch", "extensions"];

fn qualified_kind(owner: &OwnerRef) -> String {
    let group = owner
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    if OWN_GROUPS.contains(&group) {
        owner.kind.clone()
    } else {
        format!("{}.{group}", owner.kind)
    }
}

/// True for the kinds, as in [`ControllerKey::kind`], whose objects podfit watches.
pub fn is_well_known(kind: &str) -> bool {
    WELL_KNOWN_KINDS.iter().any(|(_, k)| *k == kind)
}

/// Longer chains than this do not exist; a cycle ends here.
const LONGEST_CHAIN: usize = 10;

/// What is kept of each watched controller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controller {
    /// Its own controlling owner.
    pub owner: Option<OwnerRef>,
    /// `spec.replicas`, or for a DaemonSet `status.numberReady`; `None` where the kind or the watch has none.
    pub replicas: Option<i64>,
}

/// All watched controllers and who owns them.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    controllers: HashMap<ControllerKey, Controller>,
}

impl Owners {
    /// Adds or replaces a controller.
    pub fn apply(&mut self, key: ControllerKey, controller: Controller) {
        self.controllers.insert(key, controller);
    }

    /// Forgets a controller.
    pub fn delete(&mut self, key: &ControllerKey) {
        self.controllers.remove(key);
    }

    /// Forgets every controller of `kind` for which `keep` is false: what a re-listed watch no longer has.
    pub fn retain(&mut self, kind: &str, mut keep: impl FnMut(&ControllerKey) -> bool) {
        self.controllers
            .retain(|key, _| key.kind != kind || keep(key));
    }

    /// What is known of a controller.
    pub fn get(&self, key: &ControllerKey) -> Option<&Controller> {
        self.controllers.get(key)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.controllers.len()
    }

    /// True when none is known.
    pub fn is_empty(&self) -> bool {
        self.controllers.is_empty()
    }

    /// The controllers above a pod, nearest first; empty for a pod without one, or one run by its node.
    ///
    /// A ReplicaSet that is not known yet (its watch event may come after the pod's admission) is resolved by name:
    /// a Deployment calls its ReplicaSets `<deployment>-<pod-template-hash>`.
    pub fn chain(&self, pod: &Pod) -> Vec<ControllerKey> {
        let mut chain = Vec::new();
        let mut next = pod.owner.clone();
        while let Some(owner) = next {
            let key = ControllerKey::of(&pod.namespace, &owner);
            if owner.kind == "Node" || chain.len() == LONGEST_CHAIN || chain.contains(&key) {
                break;
            }
            next = match self.controllers.get(&key) {
                Some(controller) => controller.owner.clone(),
                None => deployment_by_name(&owner, pod.template_hash.as_deref()),
            };
            chain.push(key);
        }
        chain
    }

    /// The highest controller above `key` that podfit watches; `key` itself when it has no watched parent.
    pub fn topmost(&self, key: &ControllerKey) -> Result<ControllerKey, Cycle> {
        let mut seen = vec![key.clone()];
        let mut top = key.clone();
        while let Some(owner) = self.controllers.get(&top).and_then(|c| c.owner.as_ref()) {
            let parent = ControllerKey::of(&key.namespace, owner);
            if seen.contains(&parent) {
                return Err(Cycle);
            }
            if !is_well_known(&parent.kind) {
                break;
            }
            seen.push(parent.clone());
            top = parent;
        }
        Ok(top)
    }
}

/// Owner references that lead back to their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cycle detected in ownership chain")]
pub struct Cycle;

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

/// All VPAs, by name and by target.
#[derive(Clone, Debug, Default)]
pub struct Vpas {
    by_name: HashMap<(String, String), Arc<Vpa>>,
    by_target: HashMap<ControllerKey, Vec<Arc<Vpa>>>,
}

impl Vpas {
    /// Adds or replaces a VPA.
    pub fn apply(&mut self, vpa: Vpa) {
        self.delete(&vpa.namespace, &vpa.name);
        let vpa = Arc::new(vpa);
        if let Some(target) = &vpa.target {
            self.by_target
                .entry(ControllerKey::of(&vpa.namespace, target))
                .or_default()
                .push(vpa.clone());
        }
        self.by_name
            .insert((vpa.namespace.clone(), vpa.name.clone()), vpa);
    }

    /// Forgets a VPA.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        let Some(old) = self.by_name.remove(&(namespace.into(), name.into())) else {
            return;
        };
        let Some(target) = &old.target else { return };
        let key = ControllerKey::of(namespace, target);
        if let Some(vpas) = self.by_target.get_mut(&key) {
            vpas.retain(|v| v.name != name);
            if vpas.is_empty() {
                self.by_target.remove(&key);
            }
        }
    }

    /// A VPA by name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Vpa>> {
        self.by_name.get(&(namespace.into(), name.into()))
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vpa>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The VPA that controls pods under `chain`, among those for which `eligible` holds.
    ///
    /// The highest controller with an eligible VPA decides. Of several VPAs for it the oldest wins, then the one whose
    /// name sorts first: upstream's rule.
    pub fn controlling(
        &self,
        chain: &[ControllerKey],
        eligible: impl Fn(&Vpa) -> bool,
    ) -> Option<&Arc<Vpa>> {
        chain.iter().rev().find_map(|key| {
            self.by_target
                .get(key)?
                .iter()
                .filter(|v| eligible(v))
                .min_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn owner(kind: &str, name: &str) -> OwnerRef {
        OwnerRef {
            api_version: "apps/v1".into(),
            kind: kind.into(),
            name: name.into(),
        }
    }

    fn pod(kind: &str, name: &str) -> Pod {
        Pod {
            namespace: "ns".into(),
            owner: Some(owner(kind, name)),
            ..Pod::default()
        }
    }

    fn key(kind: &str, name: &str) -> ControllerKey {
        ControllerKey::new("ns", kind, name)
    }

    fn owners(pairs: &[(&str, &str, Option<(&str, &str)>)]) -> Owners {
        let mut owners = Owners::default();
        for (kind, name, parent) in pairs {
            let owner = parent.map(|(k, n)| self::owner(k, n));
            owners.apply(
                key(kind, name),
                Controller {
                    owner,
                    replicas: None,
                },
            );
        }
        owners
    }

    fn vpa(name: &str, created: i64, target: Option<OwnerRef>) -> Vpa {
        Vpa {
            namespace: "ns".into(),
            name: name.into(),
            created: Timestamp::from_unix_seconds(created),
            target,
            ..Vpa::default()
        }
    }

    #[test]
    fn chains_run_from_the_pod_upwards() {
        let known = owners(&[
            ("ReplicaSet", "web-1", Some(("Deployment", "web"))),
            ("Deployment", "web", Some(("Rollout", "web"))),
            ("Job", "night-1", Some(("CronJob", "night"))),
            ("Deployment", "loop", Some(("Deployment", "loop"))),
        ]);
        let cases = [
            (
                pod("ReplicaSet", "web-1"),
                vec![
                    key("ReplicaSet", "web-1"),
                    key("Deployment", "web"),
                    key("Rollout", "web"),
                ],
            ),
            (
                pod("Job", "night-1"),
                vec![key("Job", "night-1"), key("CronJob", "night")],
            ),
            (pod("StatefulSet", "db"), vec![key("StatefulSet", "db")]),
            (pod("Deployment", "loop"), vec![key("Deployment", "loop")]),
            (pod("Node", "n1"), vec![]),
            (Pod::default(), vec![]),
        ];
        for (pod, chain) in cases {
            assert_eq!(known.chain(&pod), chain);
        }
    }

    #[test]
    fn an_unknown_replica_set_still_names_its_deployment() {
        let cases = [
            ("web-5d4f", Some("5d4f"), Some("web")),
            ("web-5d4f", Some("other"), None),
            ("web-5d4f", None, None),
            ("5d4f", Some("5d4f"), None),
        ];
        for (name, hash, deployment) in cases {
            let mut pod = pod("ReplicaSet", name);
            pod.template_hash = hash.map(String::from);
            let chain = Owners::default().chain(&pod);
            assert_eq!(
                chain.get(1).map(|k| k.name.as_str()),
                deployment,
                "{name} {hash:?}"
            );
        }
    }

    #[test]
    fn other_groups_have_controllers_of_the_same_kind() {
        let volcano = OwnerRef {
            api_version: "batch.volcano.sh/v1alpha1".into(),
            ..owner("Job", "train")
        };
        let key = ControllerKey::of("ns", &volcano);
        assert_eq!(key.kind, "Job.batch.volcano.sh");
        assert!(!is_well_known(&key.kind));
        for version in ["batch/v1", "batch/v1beta1", "v1", ""] {
            let own = OwnerRef {
                api_version: version.into(),
                ..owner("Job", "train")
            };
            assert_eq!(ControllerKey::of("ns", &own).kind, "Job");
        }
    }

    #[test]
    fn topmost_stops_at_kinds_nobody_watches() {
        let known = owners(&[
            ("ReplicaSet", "web-1", Some(("Deployment", "web"))),
            ("Deployment", "web", Some(("Rollout", "web"))),
            ("Deployment", "a", Some(("Deployment", "b"))),
            ("Deployment", "b", Some(("Deployment", "a"))),
        ]);
        assert_eq!(
            known.topmost(&key("ReplicaSet", "web-1")),
            Ok(key("Deployment", "web"))
        );
        assert_eq!(known.topmost(&key("Foo", "x")), Ok(key("Foo", "x")));
        assert_eq!(known.topmost(&key("Deployment", "a")), Err(Cycle));
    }

    /// Upstream's matcher rows: the oldest VPA of the target wins, others and orphans match nothing.
    #[test]
    fn the_oldest_vpa_of_the_target_controls() {
        let mut vpas = Vpas::default();
        vpas.apply(vpa("a", 5, Some(owner("StatefulSet", "sts"))));
        vpas.apply(vpa("b", 10, None));
        vpas.apply(vpa("c", 2, Some(owner("StatefulSet", "other"))));
        vpas.apply(vpa("d", 5, Some(owner("StatefulSet", "sts"))));
        let chain = Owners::default().chain(&pod("StatefulSet", "sts"));
        let name = |v: Option<&Arc<Vpa>>| v.map(|v| v.name.clone());
        assert_eq!(name(vpas.controlling(&chain, |_| true)), Some("a".into()));
        assert_eq!(
            name(vpas.controlling(&chain, |v| v.name != "a")),
            Some("d".into())
        );
        assert_eq!(name(vpas.controlling(&[], |_| true)), None);

        vpas.apply(vpa("a", 5, Some(owner("StatefulSet", "moved"))));
        vpas.delete("ns", "d");
        assert_eq!(name(vpas.controlling(&chain, |_| true)), None);
        assert_eq!(vpas.len(), 3);
    }
}
