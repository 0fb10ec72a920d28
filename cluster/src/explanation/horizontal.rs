//! HPAs beside a VPA, as an explanation has them: what is left to them, where their targets are, where `realign` has them, and
//! what would become of them without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podfit_core::horizontal::realign::{Aligned, Covers, Pair, Stability, stability, targets};
use podfit_core::horizontal::{Claims, HorizontalAutoscaler};
use podfit_core::pod::Pod;
use podfit_core::profile::Profile;
use podfit_core::quantity::Resource;
use podfit_core::vpa::Vpa;
use serde_json::{Value, json};

use crate::api::quantity::amount;
use crate::index::Index;

/// What pods request: least and most, in base units, by container and resource.
pub type Requests = BTreeMap<(String, Resource), (i64, i64)>;

/// What HPAs and a VPA have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// The HPAs that scale the VPA's pods.
    pub hpas: Vec<Arc<HorizontalAutoscaler>>,
    /// What they claim of them.
    pub claims: Claims,
    /// What its running pods request.
    pub requests: Requests,
}

impl Beside {
    /// Of a VPA with these pods.
    pub fn new(index: &Index, vpa: &Vpa, pods: &[Arc<Pod>], profile: Profile) -> Self {
        let first = pods.first().map(AsRef::as_ref);
        Self {
            hpas: index.horizontals_of(vpa, first),
            claims: index.claims(vpa, first, profile),
            requests: requests(pods),
        }
    }

    /// Of a VPA whose pods are looked for, which are not where its namespace has no HPA.
    pub fn of(index: &Index, vpa: &Vpa, profile: Profile) -> Self {
        let here = |hpa: &Arc<HorizontalAutoscaler>| hpa.namespace == vpa.namespace;
        if !index.horizontals.iter().any(here) {
            return Self::default();
        }
        Self::new(index, vpa, &pods_of(index, vpa), profile)
    }

    /// All targets that are percents of requests, in the order of HPAs and their metrics. `explanation`: of the VPA, for what is
    /// recommended.
    pub fn targets(&self, explanation: &Value) -> Vec<HpaTarget> {
        let of_hpa = |hpa: &Arc<HorizontalAutoscaler>| {
            let name = hpa.name.clone();
            let all = targets(hpa).into_iter();
            all.map(move |(covers, target)| self.target(name.clone(), covers, target, explanation))
        };
        self.hpas.iter().flat_map(of_hpa).collect()
    }

    fn target(&self, hpa: String, covers: Covers, target: i64, explanation: &Value) -> HpaTarget {
        let mut aligned = self.claims.aligned().iter();
        let aligned = aligned.find(|metric| metric.covers == covers).cloned();
        let recommended = sum(explanation, &covers, |numbers| &numbers["target"]["amount"]);
        let mean = sum(explanation, &covers, |numbers| &numbers["meanOfSamples"]);
        let pair = recommended.zip(mean);
        let of_covered = self.requests.iter().filter(|((container, resource), _)| {
            *resource == covers.resource && covers.covers(container)
        });
        let requests = of_covered
            .map(|(_, both)| *both)
            .reduce(|a, b| (a.0 + b.0, a.1 + b.1));
        HpaTarget {
            hpa,
            target,
            requests,
            wanted: aligned
                .as_ref()
                .zip(recommended)
                .map(|(metric, recommended)| metric.point.wanted(recommended)),
            aligned,
            stability: pair.and_then(|(r, mean)| stability(target, r as f64, mean as f64)),
            covers,
        }
    }

    /// What is left to HPAs, as JSON.
    pub fn left_to_json(&self) -> Value {
        let left = self.claims.iter().map(|claim| {
            json!({
                "resource": claim.resource.name(), "container": claim.container,
                "hpa": claim.hpa.name, "utilization": claim.utilization,
                "why": claim.stays.as_ref().map(ToString::to_string),
            })
        });
        left.collect()
    }

    /// The targets, as JSON.
    pub fn targets_to_json(&self, explanation: &Value) -> Value {
        let all = self.targets(explanation);
        all.iter().map(HpaTarget::to_json).collect()
    }
}

/// The pods of a VPA.
fn pods_of(index: &Index, vpa: &Vpa) -> Vec<Arc<Pod>> {
    let same = |other: &Vpa| other.uid == vpa.uid && other.name == vpa.name;
    let here = index
        .pods
        .values()
        .filter(|pod| pod.namespace == vpa.namespace);
    let of_vpa = here.filter(|pod| index.controlling_vpa(pod, same).is_some());
    of_vpa.cloned().collect()
}

/// The least and the most that pods request.
pub fn requests(pods: &[Arc<Pod>]) -> Requests {
    let mut requests = Requests::new();
    for container in pods.iter().flat_map(|pod| &pod.containers) {
        for resource in Resource::ALL {
            let Some(amount) = container.effective().requests.get(resource) else {
                continue;
            };
            let key = (container.name.clone(), resource);
            let (least, most) = requests.entry(key).or_insert((amount, amount));
            *least = amount.min(*least);
            *most = amount.max(*most);
        }
    }
    requests
}

/// Over all containers that a metric covers; `None` when one of them, or all, lack it.
fn sum(explanation: &Value, covers: &Covers, field: fn(&Value) -> &Value) -> Option<i64> {
    let containers = explanation["containers"].as_array()?;
    let mut covered = containers
        .iter()
        .filter(|one| covers.covers(one["name"].as_str().unwrap_or_default()))
        .map(|one| {
            let numbers = &one["resources"][covers.resource.name()];
            amount(covers.resource, field(numbers)).ok()
        });
    let first = covered.next()??;
    covered.try_fold(first, |sum, one| Some(sum + one?))
}

/// One target of an HPA that is a percent of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaTarget {
    /// The HPA's name.
    pub hpa: String,
    /// What it divides by.
    pub covers: Covers,
    /// Percent, now.
    pub target: i64,
    /// What pods request for it: least and most.
    pub requests: Option<(i64, i64)>,
    /// With `realign`.
    pub aligned: Option<Aligned>,
    /// What that would have, by what is recommended now.
    pub wanted: Option<Pair>,
    /// If requests followed use, and the target stayed. Of memory that is not known: its samples are peaks.
    pub stability: Option<Stability>,
}

impl HpaTarget {
    fn to_json(&self) -> Value {
        let show = |amount: i64| self.covers.resource.show(amount);
        let pair = |target: i64, request: i64| json!({"target": target, "request": show(request)});
        let chosen = self.aligned.as_ref().map(|metric| metric.point);
        json!({
            "hpa": self.hpa,
            "metric": self.covers.to_string(),
            "target": self.target,
            "requests": self.requests.map(|(least, most)| json!({"least": show(least), "most": show(most)})),
            "chosen": chosen.map(|point| pair(point.target(), point.request())),
            "wanted": self.wanted.map(|wanted| pair(wanted.target, wanted.request)),
            "stability": self.stability.map(|s| json!({"number": s.number, "verdict": s.verdict.code()})),
        })
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::horizontal::realign::{Anchor, Kept, ScalePoint};
    use podfit_core::horizontal::{Metric, Target};
    use podfit_core::ownership::{Controller, ControllerKey};
    use podfit_core::pod::{Container, OwnerRef};
    use podfit_core::quantity::{Millicores, ResourceList};

    use super::*;

    /// A StatefulSet with a pod of 473m, a VPA, and an HPA on its CPU at 74 %, which was chosen as 70 % of 500m.
    fn with_an_hpa(stance: &str) -> (Index, Arc<Vpa>) {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: "web".into(),
        };
        let mut index = Index::default();
        index
            .owners
            .apply(ControllerKey::of("shop", &owner), Controller::default());
        let vpa: crate::api::vpa::VpaObject = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "web", "annotations": {"podfit.dev/horizontal": stance}},
            "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}},
        }))
        .unwrap();
        index.vpas.apply(Vpa::from(&vpa));
        let container = Container {
            name: "app".into(),
            requests: ResourceList {
                cpu: Some(Millicores(473)),
                memory: None,
            },
            ..Container::default()
        };
        let pod = Pod {
            namespace: "shop".into(),
            name: "web-0".into(),
            containers: vec![container],
            owner: Some(owner.clone()),
            ..Pod::default()
        };
        let key = ("shop".into(), "web-0".into());
        index.pods.insert(key, Arc::new(pod));
        let point = ScalePoint::new(70, 500).unwrap();
        let cpu = Covers::parse("cpu").unwrap();
        index.horizontals.apply(HorizontalAutoscaler {
            namespace: "shop".into(),
            name: "of-web".into(),
            target: Some(owner),
            metrics: vec![Metric::Resource {
                resource: Resource::Cpu,
                container: None,
                target: Target::Utilization(74),
            }],
            kept: Kept {
                anchors: vec![(cpu, Anchor { point, set: 74 })],
                ..Kept::default()
            },
            ..HorizontalAutoscaler::default()
        });
        let vpa = Arc::clone(index.vpas.get("shop", "web").unwrap());
        (index, vpa)
    }

    fn explanation() -> Value {
        let cpu = json!({"target": {"amount": "440m"}, "meanOfSamples": "350m"});
        json!({"containers": [{"name": "app", "resources": {"cpu": cpu}}]})
    }

    #[test]
    fn claims_and_targets_are_found_by_the_pods_controllers() {
        let (index, vpa) = with_an_hpa("realign");
        let beside = Beside::of(&index, &vpa, Profile::Safe);
        assert_eq!(beside.left_to_json(), json!([]));
        let mut targets = beside.targets_to_json(&explanation());
        assert!(targets[0]["stability"]["number"].is_number());
        targets[0]["stability"].take();
        let expected = json!([{
            "hpa": "of-web", "metric": "cpu", "target": 74,
            "requests": {"least": "473m", "most": "473m"},
            "chosen": {"target": 70, "request": "500m"},
            "wanted": {"target": 79, "request": "444m"},
            "stability": null,
        }]);
        assert_eq!(targets, expected);
    }

    #[test]
    fn what_is_left_to_an_hpa_is_listed() {
        let (index, vpa) = with_an_hpa("yield");
        let beside = Beside::of(&index, &vpa, Profile::Safe);
        let left = json!([{
            "resource": "cpu", "container": null, "hpa": "of-web", "utilization": 74, "why": null,
        }]);
        assert_eq!(beside.left_to_json(), left);
        let targets = beside.targets_to_json(&explanation());
        assert_eq!(targets[0]["chosen"], Value::Null);
        // Of another namespace.
        let other = Vpa {
            namespace: "other".into(),
            ..Vpa::clone(&vpa)
        };
        assert_eq!(Beside::of(&index, &other, Profile::Safe), Beside::default());
    }
}
