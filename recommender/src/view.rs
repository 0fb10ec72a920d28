//! What one loop looks at: the VPAs this recommender serves, and the pods under their targets.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use podfit_cluster::index::Index;
use podfit_core::estimator::Method;
use podfit_core::history::HistoryConfig;
use podfit_core::horizontal::{HorizontalAutoscaler, ScaledObject};
use podfit_core::ownership::{ControllerKey, is_of_runs, unsupported};
use podfit_core::pod::Pod;
use podfit_core::policy::for_container;
use podfit_core::vpa::{ContainerPolicy, HistoryPolicy, UpdateMode, Vpa};

/// The VPAs and pods of one loop.
#[derive(Debug, Default)]
pub struct View {
    /// In order of namespace and name.
    pub vpas: Vec<ServedVpa>,
    /// Live pods by namespace and name, with the target they belong to.
    pub pods: HashMap<(String, String), (Arc<Pod>, Arc<ControllerKey>)>,
    /// The same pods by target.
    by_target: HashMap<Arc<ControllerKey>, Vec<Arc<Pod>>>,
    /// All targets, shared with whatever names them: there are as many as VPAs, and each is named once a pod.
    targets: HashSet<Arc<ControllerKey>>,
    /// Those with a VPA whose mode evicts.
    evicting: HashSet<Arc<ControllerKey>>,
    /// Those with a VPA that wants the estimator `adaptive`.
    adaptive: HashSet<Arc<ControllerKey>>,
    /// Their oldest VPA that says how histories are kept.
    keeping: HashMap<Arc<ControllerKey>, Arc<Vpa>>,
}

/// Which VPAs a recommender computes for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serves {
    /// Those that name it; the recommender `default` also takes those that name none.
    Named(String),
    /// All, as a shadow does: those of other recommenders, too.
    All,
}

impl Serves {
    /// True when `vpa` is one of them.
    pub fn takes(&self, vpa: &Vpa) -> bool {
        match self {
            Self::Named(name) => {
                vpa.recommenders.contains(name)
                    || (vpa.recommenders.is_empty() && name == "default")
            }
            Self::All => true,
        }
    }
}

impl From<&str> for Serves {
    fn from(name: &str) -> Self {
        Self::Named(name.into())
    }
}

/// A VPA of this recommender.
#[derive(Debug)]
pub struct ServedVpa {
    /// The object.
    pub vpa: Arc<Vpa>,
    /// What it sizes; `None` when that cannot be sized.
    pub target: Option<Arc<ControllerKey>>,
    /// Why not, then.
    pub unsupported: Option<String>,
    /// The HPAs that scale its pods.
    pub hpas: Vec<Arc<HorizontalAutoscaler>>,
    /// The ScaledObjects of KEDA that name its target.
    pub scaled_objects: Vec<Arc<ScaledObject>>,
}

impl View {
    /// Looks at an index for the VPAs that are served.
    pub fn of(index: &Index, serves: &Serves) -> Self {
        let mut view = Self::of_vpas(index, serves);
        view.add_pods(index);
        view
    }

    /// The same without pods.
    pub fn of_vpas(index: &Index, serves: &Serves) -> Self {
        let mut view = Self::default();
        for vpa in index.vpas.iter().filter(|vpa| serves.takes(vpa)) {
            let unsupported = unsupported(vpa, &index.owners);
            let target = vpa
                .target
                .as_ref()
                .map(|t| ControllerKey::of(&vpa.namespace, t));
            let target = target.filter(|_| unsupported.is_none());
            let target = target.map(|t| view.share(t));
            if evicts(vpa.update_mode) {
                view.evicting.extend(target.clone());
            }
            if vpa.method == Some(Method::Adaptive) {
                view.adaptive.extend(target.clone());
            }
            if let Some(target) = &target {
                view.keep_as(target, vpa);
            }
            view.vpas.push(ServedVpa {
                vpa: Arc::clone(vpa),
                target,
                unsupported,
                hpas: Vec::new(),
                scaled_objects: index.scaled_objects_of(vpa),
            });
        }
        view.vpas
            .sort_by(|a, b| (&a.vpa.namespace, &a.vpa.name).cmp(&(&b.vpa.namespace, &b.vpa.name)));
        view
    }

    /// Adds the pods under the targets.
    pub fn add_pods(&mut self, index: &Index) {
        for pod in index.pods.values() {
            if let Some(target) = self.target_in(&index.owners.chain(pod)).cloned() {
                self.by_target
                    .entry(Arc::clone(&target))
                    .or_default()
                    .push(Arc::clone(pod));
                self.pods.insert(
                    (pod.namespace.clone(), pod.name.clone()),
                    (Arc::clone(pod), target),
                );
            }
        }
        for served in self
            .vpas
            .iter_mut()
            .filter(|served| served.target.is_some())
        {
            let pods = served.target.as_ref().and_then(|t| self.by_target.get(t));
            let pod = pods.and_then(|pods| pods.first()).map(AsRef::as_ref);
            served.hpas = index.horizontals_of(&served.vpa, pod);
        }
    }

    /// The one copy of a target's name.
    fn share(&mut self, target: ControllerKey) -> Arc<ControllerKey> {
        if let Some(known) = self.targets.get(&target) {
            return Arc::clone(known);
        }
        let new = Arc::new(target);
        self.targets.insert(Arc::clone(&new));
        new
    }

    fn keep_as(&mut self, target: &Arc<ControllerKey>, vpa: &Arc<Vpa>) {
        let says = |p: &ContainerPolicy| p.history != HistoryPolicy::default();
        let age = |vpa: &Vpa| (vpa.created, vpa.name.clone());
        let known = self.keeping.get(target);
        if vpa.container_policies.iter().any(says)
            && known.is_none_or(|known| age(vpa) < age(known))
        {
            self.keeping.insert(Arc::clone(target), Arc::clone(vpa));
        }
    }

    /// What a VPA says of how the history of a target's container is kept.
    pub fn policy_of_history(
        &self,
        target: &ControllerKey,
        container: &str,
    ) -> Option<&ContainerPolicy> {
        for_container(&self.keeping.get(target)?.container_policies, container)
    }

    /// How the histories of a target are kept, where `config` is how others are.
    pub fn history_of(&self, target: &ControllerKey, config: &HistoryConfig) -> HistoryConfig {
        HistoryConfig {
            adaptive: config.adaptive || self.adaptive.contains(target),
            by_runs: is_of_runs(&target.kind),
            ..*config
        }
    }

    /// The target of the pods under `chain`: the highest of those controllers that a served VPA sizes.
    pub fn target_in(&self, chain: &[ControllerKey]) -> Option<&Arc<ControllerKey>> {
        chain.iter().rev().find_map(|key| self.targets.get(key))
    }

    /// The VPAs whose target can be sized.
    pub fn targets(&self) -> impl Iterator<Item = (&Vpa, &ControllerKey)> {
        self.vpas
            .iter()
            .filter_map(|s| Some((s.vpa.as_ref(), s.target.as_deref()?)))
    }

    /// True when this VPA is served, and its target can be sized.
    pub fn has_target(&self, namespace: &str, name: &str) -> bool {
        let of =
            |s: &ServedVpa| (s.vpa.namespace.as_str(), s.vpa.name.as_str()).cmp(&(namespace, name));
        let found = self.vpas.binary_search_by(of);
        found.is_ok_and(|index| self.vpas[index].target.is_some())
    }

    /// True when a served VPA sizes this target.
    pub fn is_named(&self, target: &ControllerKey) -> bool {
        self.targets.contains(target)
    }

    /// The live pods of a target.
    pub fn pods_of(&self, target: &ControllerKey) -> &[Arc<Pod>] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// True when a pod of a target may be made anew to apply what is recommended: no run, not those of Jobs, and only in the
    /// modes that evict.
    pub fn is_replaceable(&self, pod: &Pod, target: &ControllerKey) -> bool {
        let of_job = pod.owner.as_ref().is_some_and(|owner| owner.kind == "Job");
        !of_job && !is_of_runs(&target.kind) && self.evicting.contains(target)
    }

    /// The names of all containers that live pods of a target have.
    pub fn containers_of(&self, target: &ControllerKey) -> BTreeSet<&str> {
        self.pods_of(target)
            .iter()
            .flat_map(|pod| &pod.containers)
            .map(|c| c.name.as_str())
            .collect()
    }
}

fn evicts(mode: UpdateMode) -> bool {
    matches!(
        mode,
        UpdateMode::Recreate | UpdateMode::Auto | UpdateMode::InPlaceOrRecreate
    )
}

#[cfg(test)]
mod tests {
    use podfit_cluster::api::vpa::VpaObject;
    use podfit_core::history::HistoryConfig;
    use podfit_core::ownership::Controller;
    use podfit_core::pod::{Container, OwnerRef};
    use podfit_core::policy::controls;
    use podfit_core::quantity::Resource;
    use serde_json::{Value, json};

    use podfit_core::ownership::of_well_known;

    use super::*;
    use crate::rows::rows;

    fn owner(kind: &str, name: &str) -> OwnerRef {
        OwnerRef {
            api_version: "apps/v1".into(),
            kind: of_well_known(kind),
            name: name.into(),
        }
    }

    #[test]
    fn a_recommender_takes_the_vpas_that_name_it() {
        for row in rows(include_str!("../testdata/served_vpas.csv")) {
            let vpa = Vpa {
                recommenders: row[1].split_whitespace().map(String::from).collect(),
                ..Vpa::default()
            };
            let serves = Serves::from(row[0]);
            assert_eq!(serves.takes(&vpa), row[2] == "yes", "{row:?}");
            assert!(Serves::All.takes(&vpa), "{row:?}");
        }
    }

    #[test]
    fn pods_are_counted_by_their_owner_and_namespace() {
        let target = ControllerKey::new("namespace-1", "StatefulSet", "web");
        for row in rows(include_str!("../testdata/pods_matched.csv")) {
            let mut index = Index::default();
            index.owners.apply(target.clone(), Controller::default());
            index.vpas.apply(Vpa {
                namespace: "namespace-1".into(),
                target: Some(owner("StatefulSet", "web")),
                ..Vpa::default()
            });
            for pod in row[0].split_whitespace() {
                let (key, of) = pod.split_once(':').unwrap();
                let (namespace, name) = key.split_once('/').unwrap();
                let pod = Pod {
                    namespace: namespace.into(),
                    name: name.into(),
                    owner: (!of.is_empty()).then(|| owner("StatefulSet", of)),
                    ..Pod::default()
                };
                index
                    .pods
                    .insert((namespace.into(), name.into()), Arc::new(pod));
            }
            let view = View::of(&index, &"default".into());
            assert_eq!(view.pods_of(&target).len().to_string(), row[1], "{row:?}");
        }
    }

    /// Upstream's rows (vectors 8), as the API server tells them: what of the container `app` is sized, and how its history
    /// is kept with feature gate `PerVPAConfig` and without it.
    #[test]
    fn policies_are_understood_as_upstream_does() {
        let table = include_str!("../testdata/container_policies.json");
        for row in serde_json::from_str::<Vec<Value>>(table).unwrap() {
            let object = json!({
                "metadata": {"namespace": "ns", "name": "web"},
                "spec": {"resourcePolicy": {"containerPolicies": row["policies"]}},
            });
            let vpa = Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap());
            let policy = for_container(&vpa.container_policies, "app");
            let sized = Resource::ALL.into_iter().filter(|r| controls(policy, *r));
            let sized: Vec<_> = sized.map(Resource::name).collect();
            assert_eq!(json!(sized), row["sized"], "{row}");
            for per_vpa in [true, false] {
                let config = HistoryConfig {
                    per_vpa,
                    ..HistoryConfig::default()
                };
                let kept = config.for_policy(policy);
                let says = |name: &str, default: u64| {
                    row[name].as_u64().filter(|_| per_vpa).unwrap_or(default)
                };
                let got = (
                    kept.memory_interval.as_secs(),
                    u64::from(kept.memory_interval_count),
                );
                assert_eq!(got, (says("seconds", 86_400), says("count", 8)), "{row}");
            }
        }
    }

    #[test]
    fn pods_are_found_under_the_targets_of_served_vpas() {
        let mut index = Index::default();
        index.owners.apply(
            ControllerKey::new("ns", "Deployment", "web"),
            Controller::owned_by(None),
        );
        index.owners.apply(
            ControllerKey::new("ns", "ReplicaSet", "web-1"),
            Controller::owned_by(Some(owner("Deployment", "web"))),
        );
        let vpa = |name: &str, target: &str, recommenders: &[&str]| Vpa {
            namespace: "ns".into(),
            name: name.into(),
            target: Some(owner("Deployment", target)),
            recommenders: recommenders.iter().map(ToString::to_string).collect(),
            ..Vpa::default()
        };
        index.vpas.apply(vpa("web", "web", &[]));
        index.vpas.apply(vpa("gone", "gone", &[]));
        index.vpas.apply(vpa("other", "web", &["other"]));
        let pod = |name: &str, owner: Option<OwnerRef>| {
            let containers = vec![Container {
                name: "app".into(),
                ..Container::default()
            }];
            Pod {
                namespace: "ns".into(),
                name: name.into(),
                owner,
                containers,
                ..Pod::default()
            }
        };
        let family = |pod: Pod| Pod {
            family: Some("etl".into()),
            ..pod
        };
        index.vpas.apply(Vpa {
            target: Some(OwnerRef {
                api_version: "podfit.dev/v1".into(),
                ..owner("PodFamily", "etl")
            }),
            ..vpa("runs", "", &["other"])
        });
        for pod in [
            pod("web-1-a", Some(owner("ReplicaSet", "web-1"))),
            pod("orphan", None),
            family(pod("bare-run", None)),
        ] {
            index
                .pods
                .insert((pod.namespace.clone(), pod.name.clone()), Arc::new(pod));
        }

        let view = View::of(&index, &"default".into());
        let target = ControllerKey::new("ns", "Deployment", "web");
        let served: Vec<_> = view
            .vpas
            .iter()
            .map(|s| (s.vpa.name.as_str(), s.target.is_some()))
            .collect();
        assert_eq!(served, [("gone", false), ("web", true)]);
        assert_eq!(view.pods.len(), 1);
        assert_eq!(view.containers_of(&target), BTreeSet::from(["app"]));
        let other = View::of(&index, &"other".into());
        assert_eq!(other.vpas.len(), 2);
        let etl = ControllerKey::new("ns", podfit_core::ownership::POD_FAMILY, "etl");
        assert_eq!(other.pods_of(&etl).len(), 1);
        assert!(other.history_of(&etl, &HistoryConfig::default()).by_runs);
        assert!(!other.history_of(&target, &HistoryConfig::default()).by_runs);
        assert_eq!(View::of(&index, &"third".into()).vpas.len(), 0);
    }
}
