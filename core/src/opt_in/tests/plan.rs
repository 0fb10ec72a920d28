//! What is planned.

use super::*;
use crate::ownership::{Controller, ForeignKind, Owners, Vpas, of_well_known};
use crate::pod::OwnerRef;
use crate::time::Timestamp;
use crate::vpa::Vpa;

/// A cluster as words: `Kind/name` or `Kind/name<Kind/name` for who owns it, and `vpa:name=Kind/name` for VPAs, those of podfit
/// with a `*`, which are made as `autosize=off` has it unless `*mark` follows.
#[derive(Default)]
struct Cluster {
    owners: Owners,
    vpas: Vpas,
    labelled: Labelled,
}

fn owner_ref(text: &str) -> OwnerRef {
    let (kind, name) = text.split_once('/').unwrap();
    let (api_version, kind) = match kind.split_once('.') {
        Some((kind, group)) => (format!("{group}/v1"), kind),
        None => ("apps/v1".into(), kind),
    };
    OwnerRef {
        api_version: api_version.into(),
        kind: of_well_known(kind),
        name: name.into(),
    }
}

impl Cluster {
    fn new(text: &str) -> Self {
        let mut cluster = Self::default();
        cluster.labelled.namespaces_known = true;
        let off = labels("autosize=off").unwrap();
        let Wish::Asked(asked) = wish(Some(&off), None) else {
            panic!()
        };
        for (age, word) in text.split_whitespace().enumerate() {
            if let Some(vpa) = word.strip_prefix("vpa:") {
                let (name, target) = vpa.split_once('=').unwrap();
                let (name, managed) = match name.split_once('*') {
                    Some((name, "")) => (name, Some(wanted(asked, true).mark)),
                    Some((name, mark)) => (name, Some(mark.to_owned())),
                    None => (name, None),
                };
                cluster.vpas.apply(Vpa {
                    namespace: "ns".into(),
                    name: name.into(),
                    target: Some(owner_ref(target)),
                    created: Timestamp::from_unix_seconds(i64::try_from(age).unwrap()),
                    managed: managed.map(|mark| Box::new(Managed { mark })),
                    ..Vpa::default()
                });
                continue;
            }
            if let Some(kind) = word.strip_prefix("kind:") {
                let (kind, state) = kind.split_once('=').unwrap();
                let state = match state {
                    "pending" => ForeignKind::Pending,
                    state => ForeignKind::Watched {
                        resource: "things.example.org".into(),
                        version: "v1".into(),
                        scalable: state == "scalable",
                    },
                };
                cluster.owners.set_kind(kind, state);
                continue;
            }
            let (of, owner) = word.split_once('<').unwrap_or((word, ""));
            let controller = Controller::owned_by((!owner.is_empty()).then(|| owner_ref(owner)));
            cluster
                .owners
                .apply(ControllerKey::of("ns", &owner_ref(of)), controller);
        }
        cluster
    }

    /// Labels by `Kind/name`, or of the namespace.
    fn label(mut self, on: &str, text: &str) -> Self {
        if on == "ns" {
            self.labelled.namespace("ns", labels(text));
        } else {
            let key = ControllerKey::of("ns", &owner_ref(on));
            self.labelled.workload(&key, labels(text));
        }
        self
    }

    fn plan(&self) -> Plan {
        plan(&Scene {
            owners: &self.owners,
            vpas: &self.vpas,
            labelled: &self.labelled,
            in_place: true,
            covers: &|namespace| namespace != "ignored",
        })
    }

    /// In words.
    fn told(&self) -> String {
        let plan = self.plan();
        let steps = plan.steps.iter().map(|step| match step {
            Step::Apply(apply) => format!(
                "{} {} for {}/{}",
                if apply.is_new { "make" } else { "change" },
                apply.vpa,
                apply.workload.kind,
                apply.workload.name
            ),
            Step::Remove(remove) => format!("remove {}: {}", remove.vpa.name, remove.why),
        });
        let refusals = plan.refusals.iter().map(|refusal| {
            let of = refusal.workload.as_ref();
            let about = of.map_or("ns".to_owned(), |key| format!("{}/{}", key.kind, key.name));
            format!("{about}: {}", refusal.message)
        });
        let all: Vec<_> = steps.chain(refusals).collect();
        if all.is_empty() {
            return "nothing".into();
        }
        all.join("; ")
    }
}

const NOT_UNDERSTOOD: &str = "is none of off, initial, recreate, in-place and none; no VPA is made, changed or removed because of it";

/// What there is, whose labels, and what is to be done.
const PLANS: &str = r#"
Deployment/web |  | nothing
Deployment/web | Deployment/web: autosize=off | make web for Deployment/web
 | Deployment/web: autosize=off | nothing
Deployment/web | Deployment/web: autosize=none | nothing
Deployment/web vpa:web*=Deployment/web | Deployment/web: autosize=off | nothing
Deployment/web vpa:old*=Deployment/web | Deployment/web: autosize=initial | change old for Deployment/web
Deployment/web vpa:web*=Deployment/web |  | remove web: no label asks for it any more
Deployment/web vpa:web*=Deployment/web | Deployment/web: autosize=none; ns: autosize=off | remove web: the workload's label podfit.dev/autosize is none
vpa:web*=Deployment/web |  | nothing
Deployment/web vpa:web*=Deployment/web | Deployment/web: autosize=oof | Deployment/web: label podfit.dev/autosize: "oof" …
Deployment/web vpa:mine=Deployment/web | Deployment/web: autosize=off | nothing
Deployment/web vpa:web*=Deployment/web vpa:mine=Deployment/web | Deployment/web: autosize=off | remove web: VPA mine, which podfit did not make, is for the same workload
Deployment/web vpa:web*=Deployment/web vpa:two*=Deployment/web | Deployment/web: autosize=off | remove two: podfit's VPA web is for the same workload
Deployment/web vpa:web=Deployment/other | Deployment/web: autosize=off | make web-deployment for Deployment/web
Deployment/web StatefulSet/web | ns: autosize=off | make web-deployment for Deployment/web; make web-statefulset for StatefulSet/web
Deployment/web StatefulSet/web vpa:web*=StatefulSet/web | StatefulSet/web: autosize=off; Deployment/web: autosize=off | make web-deployment for Deployment/web
Deployment/web ReplicaSet/web-1<Deployment/web | ns: autosize=off; ReplicaSet/web-1: autosize=off | make web for Deployment/web
CronJob/night Job/night-1<CronJob/night Job/once | ns: autosize=off | make night for CronJob/night; make once for Job/once
Job/step<Workflow.argoproj.io/flow | ns: autosize=off | nothing
kind:Fleet.example.org=scalable Fleet.example.org/f StatefulSet/s<Fleet.example.org/f | ns: autosize=off | make f for Fleet.example.org/f
kind:Fleet.example.org=scalable Fleet.example.org/f StatefulSet/s<Fleet.example.org/f | StatefulSet/s: autosize=off | StatefulSet/s: no VPA is made: it belongs to Fleet.example.org f; put the label there
kind:Fleet.example.org=plain Fleet.example.org/f StatefulSet/s<Fleet.example.org/f | ns: autosize=off | make s for StatefulSet/s
kind:Fleet.example.org=pending StatefulSet/s<Fleet.example.org/f | ns: autosize=off | nothing
kind:Fleet.example.org=plain Fleet.example.org/f | Fleet.example.org/f: autosize=off | Fleet.example.org/f: no VPA is made: Fleet.example.org has no scale subresource
Deployment/a Deployment/b vpa:b*=Deployment/b | ns: autosize=x | ns: label podfit.dev/autosize: "x" …
Deployment/a Deployment/b | ns: autosize=x; Deployment/a: autosize=off | make a for Deployment/a; ns: label podfit.dev/autosize: "x" …
Deployment/a | ns: profile=x | nothing"#;

#[test]
fn vpas_follow_labels() {
    for row in PLANS.lines().skip(1) {
        let [there, labelled, want] = row.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let mut cluster = Cluster::new(there);
        for labels in labelled.split("; ").filter(|labels| !labels.is_empty()) {
            let (on, text) = labels.split_once(": ").unwrap();
            cluster = cluster.label(on, text);
        }
        assert_eq!(cluster.told(), want.replace('…', NOT_UNDERSTOOD), "{row}");
    }
}

/// Where namespaces cannot be read, or are not yet.
#[test]
fn nothing_is_removed_while_namespaces_are_not_known() {
    let mut cluster = Cluster::new("Deployment/web vpa:web*=Deployment/web");
    cluster.labelled.namespaces_known = false;
    assert_eq!(cluster.told(), "nothing");
    let declined = cluster.label("Deployment/web", "autosize=none");
    assert!(declined.told().starts_with("remove web"));
}

#[test]
fn other_namespaces_are_left_alone() {
    let mut cluster = Cluster::new("");
    let key = ControllerKey::new("ignored", "Deployment", "web");
    cluster.owners.apply(key.clone(), Controller::default());
    cluster.labelled.workload(&key, labels("autosize=off"));
    assert_eq!(cluster.told(), "nothing");
}

/// After its steps nothing is left to do, however many there are.
#[test]
fn a_plan_that_was_carried_out_leads_to_none() {
    let mut cluster = Cluster::new("");
    for n in 0..200 {
        for kind in ["Deployment", "StatefulSet"] {
            let long = format!("{}{n:03}", "x".repeat(250));
            let name = if n % 2 == 0 { format!("w{n}") } else { long };
            let key = ControllerKey::new("ns", kind, &name);
            cluster.owners.apply(key, Controller::default());
        }
    }
    let mut cluster = cluster.label("ns", "autosize=in-place");
    let plan = cluster.plan();
    assert_eq!(plan.steps.len(), 400);
    for step in plan.steps {
        let Step::Apply(apply) = step else { panic!() };
        assert!(apply.vpa.len() <= 253, "{}", apply.vpa);
        assert!(
            cluster.vpas.get("ns", &apply.vpa).is_none(),
            "{}",
            apply.vpa
        );
        cluster.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: apply.vpa,
            target: Some(owner_ref(&format!(
                "{}/{}",
                apply.workload.kind, apply.workload.name
            ))),
            managed: Some(Box::new(Managed {
                mark: apply.wanted.mark,
            })),
            ..Vpa::default()
        });
    }
    let after = cluster.plan();
    assert_eq!((after.steps.len(), after.managed), (0, 400));
    cluster.labelled.namespace("ns", None);
    assert_eq!(cluster.plan().steps.len(), 400);
}
