//! The condition of VPAs beside HPAs, message by message.

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
    let mut case = of(with(kept(None, None)), alike());
    case.vpa.container_policies = vec![ContainerPolicy {
        container_name: "*".into(),
        max_allowed: ResourceList {
            cpu: Some(Millicores(200)),
            memory: None,
        },
        ..ContainerPolicy::default()
    }];
    case.expect(
        "Realigns",
        "as its owner chose; but maxAllowed lets a pod request 400m at most, and for 400m of use it would be 445m at 90 %",
    );
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
    Case::new(vec![inactive("ScalingDisabled")]).expect("Yields", "while its target has no pods");
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
