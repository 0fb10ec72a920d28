//! What is told of the HPAs beside a VPA: its condition `HorizontalAutoscaler`.

use std::sync::Arc;

use super::claims::by_utilization;
use super::{
    Claim, Claims, Horizontal, HorizontalAutoscaler, Metric, ScaledObject, Target, realign,
};
use crate::pod::Pod;
use crate::policy::{controls, for_container};
use crate::quantity::Resource;
use crate::vpa::{UpdateMode, Vpa};

/// What of an HPA's own condition says that its target has no pods.
const AT_ZERO: &str = "ScalingDisabled";

/// What bears on one VPA.
#[derive(Clone, Copy, Debug)]
pub struct Bearing<'a> {
    /// The VPA.
    pub vpa: &'a Vpa,
    /// What becomes of resources that an HPA scales on.
    pub stance: Horizontal,
    /// The HPAs that scale its pods.
    pub hpas: &'a [Arc<HorizontalAutoscaler>],
    /// The ScaledObjects that name its target.
    pub scaled_objects: &'a [Arc<ScaledObject>],
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
}

/// A word for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `Yields`, `Realigns`, `Ignores`, `NoConflict`, `Paused` or `NoHpa`.
    pub code: &'static str,
    /// It changes only when something was changed: an HPA, a VPA, what pods request.
    pub message: String,
}

impl Bearing<'_> {
    /// What there is to tell; `None` when nothing bears on the VPA.
    pub fn told(&self) -> Option<Told> {
        let without_hpa = |scaled: &&Arc<ScaledObject>| {
            let made =
                |hpa: &Arc<HorizontalAutoscaler>| hpa.scaled_object.as_ref() == Some(&scaled.name);
            !self.hpas.iter().any(made)
        };
        let idle: Vec<_> = self.scaled_objects.iter().filter(without_hpa).collect();
        let conflicts: Vec<_> = self.hpas.iter().map(|hpa| self.conflicts(hpa)).collect();
        let code = match idle.first() {
            _ if !conflicts.iter().all(Vec::is_empty) => self.code(conflicts.iter().flatten()),
            _ if !self.hpas.is_empty() => "NoConflict",
            Some(scaled) if scaled.paused => "Paused",
            Some(_) => "NoHpa",
            None => return None,
        };
        let of_hpas = self.hpas.iter().zip(&conflicts);
        let mut parts: Vec<_> = of_hpas
            .map(|(hpa, found)| self.of_hpa(hpa, found))
            .collect();
        if self.hpas.len() > 1 {
            let number = self.hpas.len();
            parts.push(format!(
                "{number} HPAs scale the same pods, and Kubernetes lets none of them act: delete all but one"
            ));
        }
        parts.extend(idle.iter().map(|scaled| self.of_idle(scaled)));
        let message = parts.join(". ");
        Some(Told { code, message })
    }

    fn code<'a>(&self, mut conflicts: impl Iterator<Item = &'a Claim>) -> &'static str {
        match self.stance {
            Horizontal::Ignore => "Ignores",
            Horizontal::Realign if conflicts.any(|claim| claim.stays.is_none()) => "Realigns",
            Horizontal::Yield | Horizontal::Realign => "Yields",
        }
    }

    /// What one of the HPAs scales on by utilisation and podfit would size. With [`Horizontal::Realign`] each says why its target
    /// does not move, if so.
    pub fn conflicts(&self, hpa: &Arc<HorizontalAutoscaler>) -> Vec<Claim> {
        if self.vpa.update_mode == UpdateMode::Off {
            return Vec::new();
        }
        let claims = Claims::new(self.hpas, self.stance);
        let of_hpa = by_utilization(hpa);
        let sized = of_hpa.filter(|claim| self.sizes(claim.resource, claim.container.as_deref()));
        let left = |claim: &Claim| {
            let mut left = claims.iter();
            let same = left.find(|c| c.hpa.name == hpa.name && c.covers() == claim.covers());
            same.and_then(|c| c.stays.clone())
        };
        sized
            .map(|claim| Claim {
                stays: left(&claim),
                ..claim
            })
            .collect()
    }

    /// True when the VPA's policy lets a resource be sized in that container, or in any when none is named.
    fn sizes(&self, resource: Resource, container: Option<&str>) -> bool {
        let policies = &self.vpa.container_policies;
        let sized = |name: &str| controls(for_container(policies, name), resource);
        if let Some(name) = container {
            return sized(name);
        }
        let mut containers = self.pods.iter().flat_map(|pod| &pod.containers).peekable();
        if containers.peek().is_none() {
            // Whatever containers there will be.
            return sized("*") || policies.iter().any(|p| sized(&p.container_name));
        }
        containers.any(|container| sized(&container.name))
    }

    fn of_hpa(&self, hpa: &HorizontalAutoscaler, conflicts: &[Claim]) -> String {
        let name = name(hpa);
        let mut text = if conflicts.is_empty() {
            no_conflict(&name, hpa)
        } else {
            let parts: Vec<_> = conflicts.iter().map(|claim| self.of_claim(claim)).collect();
            format!("{name} scales on {}", parts.join("; and on "))
        };
        match hpa.inactive.as_deref() {
            None => {}
            Some(AT_ZERO) => text += ". It stands still while its target has no pods",
            Some(why) => text = format!("{text}. It cannot scale now: {why}"),
        }
        text
    }

    fn of_claim(&self, claim: &Claim) -> String {
        let resource = claim.resource.name();
        let of = match &claim.container {
            Some(container) => format!("{resource} of container {container}"),
            None => resource.to_owned(),
        };
        let head = format!("{of} at {} % of what is requested", claim.utilization);
        match self.stance {
            Horizontal::Yield => format!(
                "{head}, so {resource} is recommended and not applied; {} lets podfit size {resource}, too",
                self.instead(claim)
            ),
            Horizontal::Realign => {
                let claims = Claims::new(self.hpas, self.stance);
                let told = realign::told(claim, claims.aligned(), self.vpa, self.pods);
                format!("{head}; {told}")
            }
            Horizontal::Ignore => format!(
                "{head} while podfit changes what is requested: the number of pods and their size may chase each other. \
                 podfit.dev/horizontal: yield ends that"
            ),
        }
    }

    /// The target that asks for as many pods and does not look at requests.
    fn instead(&self, claim: &Claim) -> String {
        let amount = self
            .average_value(claim)
            .map(|amount| claim.resource.show(amount));
        match (amount, &claim.hpa.scaled_object) {
            (Some(amount), None) => format!("a target of AverageValue {amount} in its place"),
            (Some(amount), Some(_)) => {
                format!("a trigger of metricType AverageValue and value {amount} in its place")
            }
            (None, _) => "a target of AverageValue in its place".into(),
        }
    }

    /// `T/100` of what a pod requests now, on average; `None` when one that counts requests nothing, which no HPA can scale.
    fn average_value(&self, claim: &Claim) -> Option<i64> {
        let live = self.pods.iter().filter(|pod| !pod.terminating);
        let (mut pods, mut sum) = (0_i128, 0_i128);
        for pod in live {
            let counts = |name: &str| claim.container.as_ref().is_none_or(|of| of == name);
            for container in pod.containers.iter().filter(|c| counts(&c.name)) {
                sum += i128::from(container.requests.get(claim.resource).filter(|r| *r > 0)?);
            }
            pods += 1;
        }
        let average = sum * i128::from(claim.utilization) / (pods * 100).max(1);
        i64::try_from(average).ok().filter(|amount| *amount > 0)
    }

    fn of_idle(&self, scaled: &ScaledObject) -> String {
        let name = &scaled.name;
        let by_utilization = |metric: &Metric| match metric {
            Metric::Resource {
                resource,
                container,
                target: Target::Utilization(_),
            } => Some(*resource).filter(|r| self.sizes(*r, container.as_deref())),
            _ => None,
        };
        let mut sized: Vec<_> = scaled.triggers.iter().filter_map(by_utilization).collect();
        sized.dedup();
        let sized: Vec<_> = sized.into_iter().map(Resource::name).collect();
        let sized = match sized.as_slice() {
            [] => String::new(),
            names => format!(
                ", and podfit sizes {}, which it would scale on",
                names.join(" and ")
            ),
        };
        if scaled.paused {
            format!("ScaledObject {name} is paused, so there is no HPA{sized}")
        } else {
            format!("ScaledObject {name} has no HPA{sized}: does KEDA run?")
        }
    }
}

fn name(hpa: &HorizontalAutoscaler) -> String {
    match &hpa.scaled_object {
        Some(scaled) => format!("HPA {} of ScaledObject {scaled}", hpa.name),
        None => format!("HPA {}", hpa.name),
    }
}

fn no_conflict(name: &str, hpa: &HorizontalAutoscaler) -> String {
    if hpa.metrics.is_empty() {
        format!("{name} has no metric")
    } else {
        format!("{name} scales on nothing that podfit changes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::Container;
    use crate::quantity::{Bytes, Millicores, ResourceList};
    use crate::vpa::ContainerPolicy;

    const CPU: Resource = Resource::Cpu;
    const MEMORY: Resource = Resource::Memory;

    fn on(resource: Resource, container: Option<&str>, target: Target) -> Metric {
        Metric::Resource {
            resource,
            container: container.map(String::from),
            target,
        }
    }

    fn at_70() -> Vec<Metric> {
        vec![on(CPU, None, Target::Utilization(70))]
    }

    fn hpa(name: &str, metrics: Vec<Metric>) -> HorizontalAutoscaler {
        HorizontalAutoscaler {
            name: name.into(),
            metrics,
            ..HorizontalAutoscaler::default()
        }
    }

    fn scaled(paused: bool, triggers: Vec<Metric>) -> Arc<ScaledObject> {
        Arc::new(ScaledObject {
            name: "web".into(),
            paused,
            triggers,
            ..ScaledObject::default()
        })
    }

    /// Pods of `app` and `side`, with what they request of CPU.
    fn pods(cpu: &[[i64; 2]]) -> Vec<Arc<Pod>> {
        let container = |name: &str, cpu: i64| Container {
            name: name.into(),
            requests: ResourceList {
                cpu: Some(Millicores(cpu)).filter(|cpu| cpu.0 > 0),
                memory: Some(Bytes(1 << 30)),
            },
            ..Container::default()
        };
        let pod = |[app, side]: &[i64; 2]| Pod {
            containers: vec![container("app", *app), container("side", *side)],
            ..Pod::default()
        };
        cpu.iter().map(pod).map(Arc::new).collect()
    }

    struct Case {
        stance: Horizontal,
        hpas: Vec<HorizontalAutoscaler>,
        scaled: Vec<Arc<ScaledObject>>,
        pods: Vec<Arc<Pod>>,
        vpa: Vpa,
    }

    impl Case {
        fn new(hpas: Vec<HorizontalAutoscaler>) -> Self {
            Self {
                stance: Horizontal::Yield,
                hpas,
                scaled: vec![],
                pods: pods(&[[400, 100], [400, 100]]),
                vpa: Vpa::default(),
            }
        }

        fn told(self) -> Option<(&'static str, String)> {
            let hpas: Vec<_> = self.hpas.into_iter().map(Arc::new).collect();
            let bearing = Bearing {
                vpa: &self.vpa,
                stance: self.stance,
                hpas: &hpas,
                scaled_objects: &self.scaled,
                pods: &self.pods,
            };
            bearing.told().map(|told| (told.code, told.message))
        }

        fn expect(self, code: &str, part: &str) {
            let (found, message) = self.told().unwrap();
            assert_eq!(found, code, "{message}");
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_yield_names_the_target_that_would_do_as_well() {
        let told = Case::new(vec![hpa("web", at_70())]).told();
        let message = "HPA web scales on cpu at 70 % of what is requested, so cpu is recommended and not applied; a target \
                       of AverageValue 350m in its place lets podfit size cpu, too";
        assert_eq!(told, Some(("Yields", message.into())));
        let of_app = vec![on(CPU, Some("app"), Target::Utilization(50))];
        let case = Case {
            pods: pods(&[[400, 0], [600, 0]]),
            ..Case::new(vec![hpa("web", of_app)])
        };
        case.expect("Yields", "AverageValue 250m");
        let memory = vec![on(MEMORY, None, Target::Utilization(50))];
        Case::new(vec![hpa("web", memory)]).expect("Yields", "AverageValue 1Gi");
        for pods in [pods(&[[400, 0]]), vec![]] {
            let case = Case {
                pods,
                ..Case::new(vec![hpa("web", at_70())])
            };
            case.expect("Yields", "a target of AverageValue in its place");
        }
        let of_keda = HorizontalAutoscaler {
            scaled_object: Some("web".into()),
            ..hpa("keda-hpa-web", at_70())
        };
        let case = Case {
            scaled: vec![scaled(false, at_70())],
            ..Case::new(vec![of_keda])
        };
        case.expect(
            "Yields",
            "HPA keda-hpa-web of ScaledObject web scales on cpu",
        );
    }

    #[test]
    fn the_stance_is_told() {
        let with = |stance| Case {
            stance,
            ..Case::new(vec![hpa("web", at_70())])
        };
        with(Horizontal::Ignore).expect("Ignores", "may chase each other");
        with(Horizontal::Realign).expect("Yields", "cpu waits for podfit-updater to take note");
    }

    #[test]
    fn a_realign_tells_what_moves_and_why_something_does_not() {
        let of = |hpa: HorizontalAutoscaler, pods| Case {
            stance: Horizontal::Realign,
            pods,
            ..Case::new(vec![hpa])
        };
        let kept = |managed_by, problem: Option<&str>| realign::Kept {
            anchors: realign::ScalePoint::new(80, 500)
                .map(|point| realign::Anchor { point, set: 70 })
                .zip(realign::Covers::parse("cpu"))
                .map(|(anchor, covers)| (covers, anchor))
                .into_iter()
                .collect(),
            managed_by,
            problem: problem.map(String::from),
        };
        let with = |kept| HorizontalAutoscaler {
            kept,
            ..hpa("web", at_70())
        };
        let alike = || pods(&[[400, 100], [400, 100]]);
        let rows = [
            (
                hpa("web", at_70()),
                pods(&[[400, 100], [500, 100]]),
                "Yields",
                "cpu waits: its pods request different amounts",
            ),
            (
                hpa("web", at_70()),
                vec![],
                "Yields",
                "cpu waits: no pod lives",
            ),
            (
                with(kept(None, None)),
                alike(),
                "Realigns",
                "cpu is sized, and that target moves with it, from 80 % of 500m as its owner chose",
            ),
            (
                with(kept(None, Some("why"))),
                alike(),
                "Yields",
                "cpu is recommended and not applied: its annotation podfit.dev/scale-point cannot be read (why)",
            ),
        ];
        for (hpa, pods, code, part) in rows {
            of(hpa, pods).expect(code, part);
        }
        let target = ResourceList {
            cpu: Some(Millicores(300)),
            memory: None,
        };
        let app = crate::vpa::ContainerRecommendation {
            container_name: "app".into(),
            target,
            ..crate::vpa::ContainerRecommendation::default()
        };
        let case = Case {
            vpa: Vpa {
                recommendation: Some(vec![app]),
                ..Vpa::default()
            },
            ..of(with(kept(Some("Flux"), None)), alike())
        };
        // 400m of use; 300m and the 100m of the other container are less than nine tenths of it.
        case.expect("Yields", "a target of 90 % and a request of 445m together");
    }

    #[test]
    fn what_podfit_does_not_change_is_no_conflict() {
        let policy = |resources: &[Resource]| Vpa {
            container_policies: vec![ContainerPolicy {
                container_name: "*".into(),
                controlled_resources: Some(resources.into()),
                ..ContainerPolicy::default()
            }],
            ..Vpa::default()
        };
        let off = Vpa {
            update_mode: UpdateMode::Off,
            ..Vpa::default()
        };
        let average = vec![on(CPU, None, Target::AverageValue(350)), Metric::Other];
        let nothing = "HPA web scales on nothing that podfit changes";
        let rows = [
            (average, Vpa::default(), "NoConflict", nothing),
            (at_70(), policy(&[MEMORY]), "NoConflict", nothing),
            (at_70(), policy(&[CPU]), "Yields", "cpu"),
            (at_70(), off, "NoConflict", nothing),
            (
                vec![],
                Vpa::default(),
                "NoConflict",
                "HPA web has no metric",
            ),
        ];
        for (metrics, vpa, code, part) in rows {
            for pods in [pods(&[[400, 100]]), vec![]] {
                let case = Case {
                    vpa: vpa.clone(),
                    pods,
                    ..Case::new(vec![hpa("web", metrics.clone())])
                };
                case.expect(code, part);
            }
        }
    }

    #[test]
    fn bad_input_is_told() {
        let inactive = |why: &str| HorizontalAutoscaler {
            inactive: Some(why.into()),
            ..hpa("web", at_70())
        };
        Case::new(vec![inactive("FailedGetResourceMetric")])
            .expect("Yields", ". It cannot scale now: FailedGetResourceMetric");
        Case::new(vec![inactive("ScalingDisabled")])
            .expect("Yields", "while its target has no pods");
        Case::new(vec![hpa("a", at_70()), hpa("b", vec![Metric::Other])])
            .expect("Yields", "2 HPAs scale the same pods");
        let with = |paused, triggers| Case {
            scaled: vec![scaled(paused, triggers)],
            ..Case::new(vec![])
        };
        with(true, at_70()).expect("Paused", "podfit sizes cpu, which it would scale on");
        with(true, vec![Metric::Other]).expect("Paused", "so there is no HPA");
        with(false, vec![Metric::Other]).expect("NoHpa", "does KEDA run?");
        assert_eq!(Case::new(vec![]).told(), None);
    }
}
