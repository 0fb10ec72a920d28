use std::collections::BTreeSet;

use super::*;
use crate::ownership::{Controller, ForeignKind, Owners, Vpas};
use crate::pod::OwnerRef;
use crate::time::Timestamp;
use crate::vpa::{UpdateMode, Vpa};

/// `name=value …`, where `autosize`, `profile`, `goldilocks` and `mode` stand for the labels.
fn labels(text: &str) -> Option<Labels> {
    let of = |name: &str| {
        let short = match name {
            AUTOSIZE_LABEL => "autosize",
            PROFILE_LABEL => "profile",
            GOLDILOCKS_LABEL => "goldilocks",
            GOLDILOCKS_MODE_LABEL => "mode",
            _ => unreachable!("{name}"),
        };
        let mut words = text.split_whitespace();
        words.find_map(|word| word.strip_prefix(short)?.strip_prefix('='))
    };
    Labels::read(of, true)
}

#[test]
fn the_workloads_own_labels_come_first() {
    // Workload's labels, namespace's labels, what is wanted.
    let rows = [
        ("", "", "nothing"),
        ("profile=serving", "", "nothing"),
        ("autosize=off", "", "Off by=workload"),
        ("autosize=initial", "", "Initial by=workload"),
        ("autosize=recreate", "", "Recreate by=workload"),
        ("autosize=in-place", "", "InPlaceOrRecreate by=workload"),
        ("", "autosize=off", "Off by=namespace"),
        (
            "autosize=in-place",
            "autosize=off",
            "InPlaceOrRecreate by=workload",
        ),
        ("autosize=none", "autosize=off", "declined"),
        ("", "autosize=none", "declined"),
        (
            "autosize=in-place profile=serving",
            "",
            "InPlaceOrRecreate serving by=workload",
        ),
        (
            "autosize=in-place profile=training",
            "",
            "InPlace training by=workload",
        ),
        (
            "autosize=in-place profile=batch",
            "",
            "InPlace batch by=workload",
        ),
        (
            "autosize=recreate profile=training",
            "",
            "Recreate training by=workload",
        ),
        (
            "profile=training",
            "autosize=in-place profile=batch",
            "InPlace training by=namespace",
        ),
        ("autosize=off", "profile=batch", "Off batch by=workload"),
        (
            "autosize=sometimes",
            "autosize=off",
            "podfit.dev/autosize: \"sometimes\" is none of off, initial",
        ),
        ("autosize=", "", "podfit.dev/autosize: \"\" is none of"),
        (
            "autosize=Off",
            "",
            "podfit.dev/autosize: \"Off\" is none of",
        ),
        (
            "autosize=off profile=web",
            "",
            "podfit.dev/profile: \"web\" is none of serving, training and batch",
        ),
        ("autosize=off", "profile=web", "podfit.dev/profile: \"web\""),
        ("", "goldilocks=true", "Off by=namespace"),
        (
            "mode=auto",
            "goldilocks=true mode=off",
            "Recreate by=namespace",
        ),
        (
            "",
            "goldilocks=true mode=inplaceorrecreate",
            "InPlaceOrRecreate by=namespace",
        ),
        ("goldilocks=true", "mode=initial", "Initial by=workload"),
        ("goldilocks=false", "goldilocks=true", "declined"),
        ("autosize=initial", "goldilocks=true", "Initial by=workload"),
        (
            "",
            "autosize=initial goldilocks=true mode=off",
            "Initial by=namespace",
        ),
        (
            "",
            "goldilocks=yes",
            "goldilocks.fairwinds.com/enabled: \"yes\" is none of true and false",
        ),
        (
            "",
            "goldilocks=true mode=now",
            "vpa-update-mode: \"now\" is none of",
        ),
        ("mode=off", "", "nothing"),
    ];
    for (own, namespace, want) in rows {
        let got = match wish(labels(own).as_ref(), labels(namespace).as_ref()) {
            Wish::Nothing => "nothing".into(),
            Wish::Declined => "declined".into(),
            Wish::NotUnderstood(complaint) => complaint.to_string(),
            Wish::Asked(asked) => {
                let profile = asked.profile.map(|p| format!(" {}", p.name()));
                format!(
                    "{}{} by={}",
                    wanted(asked, true).update_mode.name(),
                    profile.unwrap_or_default(),
                    asked.by.word()
                )
            }
        };
        let exact = !want.contains(':');
        assert!(
            if exact {
                got == want
            } else {
                got.contains(want)
            },
            "{own} / {namespace}: {got}"
        );
    }
}

#[test]
fn goldilocks_labels_are_not_read_unless_asked() {
    let label = |name: &str| (name == GOLDILOCKS_LABEL).then_some("true");
    assert!(Labels::read(label, true).is_some());
    assert_eq!(Labels::read(label, false), None);
}

/// Without its gate nothing that would be resized in place only is evicted instead.
#[test]
fn where_in_place_cannot_be_had_nothing_is_evicted() {
    for (profile, with, without) in [
        (
            "",
            UpdateMode::InPlaceOrRecreate,
            UpdateMode::InPlaceOrRecreate,
        ),
        ("training", UpdateMode::InPlace, UpdateMode::Initial),
        ("batch", UpdateMode::InPlace, UpdateMode::Initial),
    ] {
        let own = labels(&format!("autosize=in-place profile={profile}").replace(" profile= ", ""));
        let own = if profile.is_empty() {
            labels("autosize=in-place")
        } else {
            own
        };
        let Wish::Asked(asked) = wish(own.as_ref(), None) else {
            panic!("{profile}")
        };
        assert_eq!(wanted(asked, true).update_mode, with, "{profile}");
        assert_eq!(wanted(asked, false).update_mode, without, "{profile}");
    }
}

#[test]
fn a_mark_tells_what_was_asked_for_and_changes_with_what_is_set() {
    let mark = |text: &str, in_place| {
        let Wish::Asked(asked) = wish(labels(text).as_ref(), None) else {
            panic!("{text}")
        };
        wanted(asked, in_place).mark
    };
    let training = mark("autosize=in-place profile=training", true);
    assert!(
        training.starts_with("autosize=in-place profile=training by=workload revision="),
        "{training}"
    );
    let managed = Managed { mark: training };
    assert_eq!(managed.profile(), Some(WorkloadProfile::Training));
    let marks: BTreeSet<_> = [
        mark("autosize=in-place profile=training", true),
        mark("autosize=in-place profile=training", false),
        mark("autosize=in-place", true),
        mark("goldilocks=true mode=inplaceorrecreate", true),
        mark("autosize=off", true),
    ]
    .into();
    assert_eq!(marks.len(), 5, "{marks:?}");
}

/// Annotations are read by whoever reads them from an explicit VPA.
#[test]
fn what_profiles_set_is_understood() {
    use crate::estimator::{
        CPU_PERCENTILE_ANNOTATION, MEMORY_PERCENTILE_ANNOTATION, parse_percentile,
    };
    use crate::policy::{LIMITS_ANNOTATION, LimitPolicies, SCALE_DOWN_ANNOTATION, ScaleDown};
    for (profile, name) in WorkloadProfile::NAMES {
        assert_eq!(WorkloadProfile::from_name(name), Some(profile));
        for (annotation, value) in Traits::of(Some(profile)).annotations {
            let understood = match *annotation {
                LIMITS_ANNOTATION => LimitPolicies::parse(value).is_ok(),
                SCALE_DOWN_ANNOTATION => ScaleDown::parse(value).is_ok(),
                CPU_PERCENTILE_ANNOTATION | MEMORY_PERCENTILE_ANNOTATION => {
                    parse_percentile(value).is_ok()
                }
                _ => false,
            };
            assert!(understood, "{name}: {annotation}: {value}");
            assert!(SETTINGS.contains(annotation), "{annotation} is in no table");
        }
        assert!(settings(Some(profile)).len() > settings(None).len());
    }
    assert_eq!(
        settings(None),
        [("updateMode with in-place", "InPlaceOrRecreate".to_owned())]
    );
}

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
        api_version,
        kind: kind.into(),
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
            let controller = Controller {
                owner: (!owner.is_empty()).then(|| owner_ref(owner)),
                replicas: None,
            };
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
        steps.chain(refusals).collect::<Vec<_>>().join("; ")
    }
}

#[test]
fn vpas_follow_labels() {
    let gone = "no label asks for it any more";
    // What there is, whose label, and what is to be done.
    let rows: [(&str, &[(&str, &str)], &str); 27] = [
        ("Deployment/web", &[], ""),
        (
            "Deployment/web",
            &[("Deployment/web", "autosize=off")],
            "make web for Deployment/web",
        ),
        ("", &[("Deployment/web", "autosize=off")], ""),
        ("Deployment/web", &[("Deployment/web", "autosize=none")], ""),
        // Made as it was asked for, and otherwise.
        (
            "Deployment/web vpa:web*=Deployment/web",
            &[("Deployment/web", "autosize=off")],
            "",
        ),
        (
            "Deployment/web vpa:old*=Deployment/web",
            &[("Deployment/web", "autosize=initial")],
            "change old for Deployment/web",
        ),
        // The label goes.
        (
            "Deployment/web vpa:web*=Deployment/web",
            &[],
            &format!("remove web: {gone}"),
        ),
        (
            "Deployment/web vpa:web*=Deployment/web",
            &[("Deployment/web", "autosize=none"), ("ns", "autosize=off")],
            "remove web: the workload's label podfit.dev/autosize is none",
        ),
        ("vpa:web*=Deployment/web", &[], ""),
        (
            "Deployment/web vpa:web*=Deployment/web",
            &[("Deployment/web", "autosize=oof")],
            "Deployment/web: label podfit.dev/autosize: \"oof\" is none of off, initial, recreate, in-place and none; no VPA is made, changed or removed because of it",
        ),
        // An explicit one wins, whatever it is called.
        (
            "Deployment/web vpa:mine=Deployment/web",
            &[("Deployment/web", "autosize=off")],
            "",
        ),
        (
            "Deployment/web vpa:web*=Deployment/web vpa:mine=Deployment/web",
            &[("Deployment/web", "autosize=off")],
            "remove web: VPA mine, which podfit did not make, is for the same workload",
        ),
        (
            "Deployment/web vpa:web*=Deployment/web vpa:two*=Deployment/web",
            &[("Deployment/web", "autosize=off")],
            "remove two: podfit's VPA web is for the same workload",
        ),
        // Names.
        (
            "Deployment/web vpa:web=Deployment/other",
            &[("Deployment/web", "autosize=off")],
            "make web-deployment for Deployment/web",
        ),
        (
            "Deployment/web StatefulSet/web",
            &[("ns", "autosize=off")],
            "make web-deployment for Deployment/web; make web-statefulset for StatefulSet/web",
        ),
        (
            "Deployment/web StatefulSet/web vpa:web*=StatefulSet/web",
            &[
                ("StatefulSet/web", "autosize=off"),
                ("Deployment/web", "autosize=off"),
            ],
            "make web-deployment for Deployment/web",
        ),
        // Owned ones.
        (
            "Deployment/web ReplicaSet/web-1<Deployment/web",
            &[("ns", "autosize=off"), ("ReplicaSet/web-1", "autosize=off")],
            "make web for Deployment/web",
        ),
        (
            "CronJob/night Job/night-1<CronJob/night Job/once",
            &[("ns", "autosize=off")],
            "make night for CronJob/night; make once for Job/once",
        ),
        (
            "Job/step<Workflow.argoproj.io/flow",
            &[("ns", "autosize=off")],
            "",
        ),
        (
            "kind:Fleet.example.org=scalable Fleet.example.org/f StatefulSet/s<Fleet.example.org/f",
            &[("ns", "autosize=off")],
            "make f for Fleet.example.org/f",
        ),
        (
            "kind:Fleet.example.org=scalable Fleet.example.org/f StatefulSet/s<Fleet.example.org/f",
            &[("StatefulSet/s", "autosize=off")],
            "StatefulSet/s: no VPA is made: it belongs to Fleet.example.org f; put the label there",
        ),
        (
            "kind:Fleet.example.org=plain Fleet.example.org/f StatefulSet/s<Fleet.example.org/f",
            &[("ns", "autosize=off")],
            "make s for StatefulSet/s",
        ),
        (
            "kind:Fleet.example.org=pending StatefulSet/s<Fleet.example.org/f",
            &[("ns", "autosize=off")],
            "",
        ),
        (
            "kind:Fleet.example.org=plain Fleet.example.org/f",
            &[("Fleet.example.org/f", "autosize=off")],
            "Fleet.example.org/f: no VPA is made: Fleet.example.org has no scale subresource",
        ),
        // A namespace's label that is not understood is told once.
        (
            "Deployment/a Deployment/b vpa:b*=Deployment/b",
            &[("ns", "autosize=x")],
            "ns: label podfit.dev/autosize: \"x\" is none of off, initial, recreate, in-place and none; no VPA is made, changed or removed because of it",
        ),
        (
            "Deployment/a Deployment/b",
            &[("ns", "autosize=x"), ("Deployment/a", "autosize=off")],
            "make a for Deployment/a; ns: label podfit.dev/autosize: \"x\" is none of off, initial, recreate, in-place and none; no VPA is made, changed or removed because of it",
        ),
        ("Deployment/a", &[("ns", "profile=x")], ""),
    ];
    for (there, labelled, want) in rows {
        let mut cluster = Cluster::new(there);
        for (on, text) in labelled {
            cluster = cluster.label(on, text);
        }
        assert_eq!(cluster.told(), want, "{there} {labelled:?}");
    }
}

/// Where namespaces cannot be read, or are not yet.
#[test]
fn nothing_is_removed_while_namespaces_are_not_known() {
    let mut cluster = Cluster::new("Deployment/web vpa:web*=Deployment/web");
    cluster.labelled.namespaces_known = false;
    assert_eq!(cluster.told(), "");
    let declined = cluster.label("Deployment/web", "autosize=none");
    assert!(declined.told().starts_with("remove web"));
}

#[test]
fn other_namespaces_are_left_alone() {
    let mut cluster = Cluster::new("");
    let key = ControllerKey::new("ignored", "Deployment", "web");
    cluster.owners.apply(key.clone(), Controller::default());
    cluster.labelled.workload(&key, labels("autosize=off"));
    assert_eq!(cluster.told(), "");
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
