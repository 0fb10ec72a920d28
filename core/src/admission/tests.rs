//! Upstream's tables (vectors 12), which hold in both profiles; what podfit does better; and laws.

mod boost;
mod horizontal;
mod laws;
mod next;
mod safe;
mod scale_down;

use proptest::prelude::*;

use super::*;
use crate::pod::{Container, ContainerStatus, EffectiveResources};
use crate::policy::{LimitRangeItem, LimitRangeScope, Note, Ratios};
use crate::quantity::{Bytes, Resource, ResourceList};
use crate::time::Timestamp;
use crate::vpa::{ContainerPolicy, ContainerRecommendation};

const MI: i64 = 1 << 20;
const GI: i64 = 1 << 30;
/// Millicores and bytes; zero stands for "not set".
type Amounts = (i64, i64);
const NOTHING: Amounts = (0, 0);
/// For what does not depend on it.
const NOW: Timestamp = Timestamp::from_unix_millis(0);

/// A LimitRange that says nothing yet.
fn range(scope: LimitRangeScope) -> LimitRangeItem {
    LimitRangeItem {
        scope,
        min: list(NOTHING),
        max: list(NOTHING),
        default: list(NOTHING),
        max_ratio: Ratios::default(),
    }
}

fn list((cpu, memory): Amounts) -> ResourceList {
    let set = |amount: i64| (amount != 0).then_some(amount);
    ResourceList {
        cpu: set(cpu).map(Millicores),
        memory: set(memory).map(Bytes),
    }
}

fn container(name: &str, requests: Amounts, limits: Amounts) -> Container {
    Container {
        name: name.into(),
        requests: list(requests),
        limits: list(limits),
        ..Container::default()
    }
}

fn pod(containers: Vec<Container>) -> Pod {
    Pod {
        containers,
        ..Pod::default()
    }
}

fn vpa(targets: &[(&str, Amounts)], policy: ContainerPolicy) -> Vpa {
    let recommend = |(name, target): &(&str, Amounts)| ContainerRecommendation {
        container_name: (*name).into(),
        target: list(*target),
        ..ContainerRecommendation::default()
    };
    Vpa {
        name: "name".into(),
        recommendation: Some(targets.iter().map(recommend).collect()),
        container_policies: vec![ContainerPolicy {
            container_name: "*".into(),
            ..policy
        }],
        ..Vpa::default()
    }
}

fn free() -> ContainerPolicy {
    ContainerPolicy::default()
}

fn allowed(min: Amounts, max: Amounts) -> ContainerPolicy {
    ContainerPolicy {
        min_allowed: list(min),
        max_allowed: list(max),
        ..free()
    }
}

/// In both profiles.
fn admit(pod: &Pod, vpa: &Vpa, ranges: &[LimitRangeItem]) -> Admission {
    let [safe, upstream] = [Profile::Safe, Profile::Upstream].map(|profile| {
        let settings = Settings {
            profile,
            ..Settings::default()
        };
        super::admit(pod, vpa, ranges, &settings, NOW)
    });
    assert_eq!(safe, upstream);
    safe
}

/// The pod with an admission's changes and annotations.
fn admitted(pod: &Pod, admission: &Admission) -> Pod {
    let mut pod = pod.clone();
    for change in &admission.containers {
        change.apply(&mut pod.containers[change.index]);
    }
    for boost in &admission.boosts {
        let boosted = pod
            .containers
            .iter_mut()
            .find(|c| c.name == boost.container);
        boosted.unwrap().before_boost = Some(Box::new(boost.before));
    }
    let annotations = pod.annotations.get_or_insert_default();
    annotations.retain(|(key, _)| admission.annotations.iter().all(|(new, _)| new != key));
    annotations.extend(admission.annotations.iter().cloned());
    pod
}

/// The texts that are not about what was set.
fn remarks(change: &ContainerChange) -> Vec<String> {
    let set = |note: &&Note| matches!(note, Note::RequestSet(_) | Note::LimitSet(_));
    change
        .notes
        .iter()
        .filter(|note| !set(note))
        .map(ToString::to_string)
        .collect()
}

/// Vectors 12.1 (what a status says is never there at admission, and other resources than CPU and memory are not
/// ours); each container with its request, and the recommendation for it.
#[test]
fn the_updates_annotation_names_what_was_set() {
    type Row<'a> = (&'a [(Amounts, Amounts)], Option<&'a str>);
    let rows: [Row<'_>; 5] = [
        (&[(NOTHING, (1000, 0))], Some("container 0: cpu request")),
        (
            &[(NOTHING, (1000, 0)), (NOTHING, (2000, 0))],
            Some("container 0: cpu request; container 1: cpu request"),
        ),
        (
            &[((1, 1), NOTHING), (NOTHING, (1, 1))],
            Some("container 1: cpu request, memory request"),
        ),
        (
            &[((500, 5), (1000, 10))],
            Some("container 0: cpu request, memory request"),
        ),
        (&[(NOTHING, NOTHING)], None),
    ];
    for (containers, want) in rows {
        let names: Vec<_> = (0..containers.len()).map(|i| format!("c{i}")).collect();
        let with_names = || names.iter().map(String::as_str).zip(containers);
        let pod = pod(with_names()
            .map(|(name, (own, _))| container(name, *own, NOTHING))
            .collect());
        let targets: Vec<_> = with_names()
            .map(|(name, (_, target))| (name, *target))
            .collect();
        let got = admit(&pod, &vpa(&targets, free()), &[]);
        let mut annotations = Vec::new();
        if let Some(text) = want {
            annotations.push((
                "vpaUpdates".to_owned(),
                format!("Pod resources updated by name: {text}"),
            ));
        }
        annotations.push(("vpaObservedContainers".to_owned(), names.join(", ")));
        assert_eq!(got.annotations, annotations);
        assert_eq!(got.containers.is_empty(), want.is_none());
    }
}

#[test]
fn requests_come_before_limits_and_cpu_before_memory() {
    let pod = pod(vec![container("a", (1000, 100 * MI), (2000, 200 * MI))]);
    let got = admit(
        &pod,
        &vpa(&[("a", (7000, 2 * GI))], allowed(NOTHING, (5000, GI))),
        &[],
    );
    assert_eq!(
        got.annotations[0].1,
        "Pod resources updated by name: container 0: cpu capped to maxAllowed, memory capped to maxAllowed, \
         cpu request, memory request, cpu limit, memory limit"
    );
}

struct Row {
    pod: (Amounts, Amounts),
    target: Option<Amounts>,
    policy: ContainerPolicy,
    default_limit: Amounts,
    want: (Amounts, Amounts),
    remarks: &'static [&'static str],
}

impl Row {
    fn check(&self) {
        let pod = pod(vec![container("a", self.pod.0, self.pod.1)]);
        let mut vpa = vpa(
            &[("a", self.target.unwrap_or_default())],
            self.policy.clone(),
        );
        if self.target.is_none() {
            vpa.recommendation = None;
        }
        let range = LimitRangeItem {
            scope: LimitRangeScope::Container,
            min: list(NOTHING),
            max: list(NOTHING),
            default: list(self.default_limit),
            max_ratio: Ratios::default(),
        };
        let got = admit(&pod, &vpa, &[range]);
        let (requests, limits, notes) = got
            .containers
            .first()
            .map(|c| (c.requests, c.limits, remarks(c)))
            .unwrap_or_default();
        let case = format!("{:?} {:?} {:?}", self.pod, self.target, self.policy);
        assert_eq!(
            (requests, limits),
            (list(self.want.0), list(self.want.1)),
            "{case}"
        );
        assert_eq!(notes, self.remarks, "{case}");
    }
}

/// Vectors 12.5, first table.
#[test]
fn a_pod_gets_what_policy_leaves_of_the_recommendation() {
    const BASE: Amounts = (2000, 200 * MI);
    let base = allowed((1000, 100 * MI), (3000, GI));
    let requests_only = |policy: &ContainerPolicy| ContainerPolicy {
        requests_only: true,
        ..policy.clone()
    };
    let wide = allowed((4000, 300 * MI), (5000, GI));
    let doubled = ((1000, 100 * MI), BASE);
    let huge = (i64::MAX, 1 << 60);
    let row = |pod: (Amounts, Amounts),
               target: Amounts,
               policy: &ContainerPolicy,
               want: (Amounts, Amounts)| Row {
        pod,
        target: Some(target),
        policy: policy.clone(),
        default_limit: NOTHING,
        want,
        remarks: &[],
    };
    let unlimited = ((2000, 100 * MI), NOTHING);
    let rows = [
        row((NOTHING, NOTHING), BASE, &base, (BASE, NOTHING)),
        Row {
            remarks: &["cpu capped to minAllowed", "memory capped to minAllowed"],
            ..row(
                (NOTHING, NOTHING),
                (3000, 150 * MI),
                &wide,
                ((4000, 300 * MI), NOTHING),
            )
        },
        Row {
            remarks: &["cpu capped to maxAllowed", "memory capped to maxAllowed"],
            ..row(
                (NOTHING, NOTHING),
                (7000, 2 * GI),
                &wide,
                ((5000, GI), NOTHING),
            )
        },
        row(unlimited, BASE, &base, (BASE, NOTHING)),
        row(
            unlimited,
            (2000, 1000 * MI),
            &allowed((1000, 100 * MI), (3000, 3 * GI)),
            ((2000, 1000 * MI), NOTHING),
        ),
        row(unlimited, NOTHING, &base, (NOTHING, NOTHING)),
        Row {
            target: None,
            ..row(unlimited, NOTHING, &base, (NOTHING, NOTHING))
        },
        row((BASE, BASE), BASE, &base, (BASE, BASE)),
        row((NOTHING, BASE), BASE, &base, (BASE, BASE)),
        row(doubled, BASE, &base, (BASE, (4000, 400 * MI))),
        row(doubled, BASE, &requests_only(&base), (BASE, NOTHING)),
        Row {
            remarks: &[
                "cpu capped to container limit",
                "memory capped to container limit",
            ],
            ..row(
                doubled,
                (3000, 500 * MI),
                &requests_only(&allowed((1000, 100 * MI), (5000, GI))),
                (BASE, NOTHING),
            )
        },
        Row {
            remarks: &[
                "cpu: failed to keep limit to request ratio; capping limit to int64",
                "memory: failed to keep limit to request ratio; capping limit to int64",
            ],
            ..row(
                ((1000, 100 * MI), (10_000, 1000 * MI)),
                huge,
                &allowed((1000, 100 * MI), huge),
                (huge, (i64::MAX, i64::MAX)),
            )
        },
        Row {
            default_limit: (2000, 100 * MI),
            ..row(unlimited, BASE, &base, (BASE, BASE))
        },
    ];
    for row in rows {
        row.check();
    }
}

/// Vectors 12.5, second table, without "addAll"; and, as upstream says nothing of them, the remarks it entails.
#[test]
fn one_resource_alone_is_changed_alone() {
    const M: i64 = 1_000_000;
    let full = ((1000, M), (10_000, 10 * M));
    let only_requests = ((1000, M), NOTHING);
    let requests_only = || ContainerPolicy {
        requests_only: true,
        ..free()
    };
    let no_cpu: &[&str] = &["cpu: limit NOT set since recommendedRequest is nil or 0"];
    let no_memory: &[&str] = &["memory: limit NOT set since recommendedRequest is nil or 0"];
    let no_memory_limit: &[&str] = &["memory: limit NOT set since originalLimit is nil or 0"];
    let rows = [
        (
            full,
            (2000, 2 * M),
            free(),
            ((2000, 2 * M), (20_000, 20 * M)),
            &[][..],
        ),
        (
            only_requests,
            (2000, 2 * M),
            free(),
            ((2000, 2 * M), NOTHING),
            &[],
        ),
        (full, (2000, 0), free(), ((2000, 0), (20_000, 0)), no_memory),
        (full, (0, 2 * M), free(), ((0, 2 * M), (0, 20 * M)), no_cpu),
        (
            ((1000, 0), (10_000, 0)),
            (2000, 0),
            free(),
            ((2000, 0), (20_000, 0)),
            no_memory_limit,
        ),
        (
            ((1000, 0), (10_000, 0)),
            (2000, 0),
            requests_only(),
            ((2000, 0), NOTHING),
            &[],
        ),
        (
            ((0, M), (0, 10 * M)),
            (0, 2 * M),
            requests_only(),
            ((0, 2 * M), NOTHING),
            &[],
        ),
    ];
    for (pod, target, policy, want, remarks) in rows {
        Row {
            pod,
            target: Some(target),
            policy,
            default_limit: NOTHING,
            want,
            remarks,
        }
        .check();
    }
}

/// Vectors 12.5, last row.
#[test]
fn proportions_are_those_in_force() {
    let mut only = container("a", NOTHING, NOTHING);
    only.status = Some(ContainerStatus {
        resources: Some(EffectiveResources {
            requests: list((1000, 1_000_000)),
            limits: list((10_000, 3_000_000)),
        }),
        ..ContainerStatus::default()
    });
    let got = admit(
        &pod(vec![only]),
        &vpa(&[("a", (3000, 2_000_000))], free()),
        &[],
    );
    let change = &got.containers[0];
    assert_eq!(
        (change.requests, change.limits),
        (list((3000, 2_000_000)), list((30_000, 6_000_000)))
    );
}

#[test]
fn mode_off_changes_nothing() {
    let off = Vpa {
        update_mode: UpdateMode::Off,
        ..vpa(&[("a", (1, 1))], free())
    };
    assert_eq!(
        admit(&pod(vec![container("a", NOTHING, NOTHING)]), &off, &[]),
        Admission::default()
    );
    let initial = Vpa {
        update_mode: UpdateMode::Initial,
        ..off
    };
    assert_eq!(
        admit(&pod(vec![container("a", NOTHING, NOTHING)]), &initial, &[])
            .containers
            .len(),
        1
    );
}

/// Vectors 11.9 and 12.3: the observed containers, written and read.
#[test]
fn observed_containers_are_remembered() {
    let named = |names: &[&str]| {
        pod(names
            .iter()
            .map(|n| container(n, NOTHING, NOTHING))
            .collect())
    };
    let written = |names: &[&str]| admit(&named(names), &vpa(&[], free()), &[]).annotations;
    let annotation = |text: &str| vec![("vpaObservedContainers".to_owned(), text.to_owned())];
    assert_eq!(
        written(&["test1", "test2", "test3"]),
        annotation("test1, test2, test3")
    );
    assert_eq!(written(&[]), annotation(""));

    let rows: [(Option<&str>, Option<&[&str]>); 6] = [
        (None, None),
        (Some(""), Some(&[])),
        (
            Some("test1, test2, test3"),
            Some(&["test1", "test2", "test3"]),
        ),
        (Some("test1, test2, test3_;';s"), None),
        (Some("abcd;';"), None),
        (Some("a,-b"), None),
    ];
    for (text, want) in rows {
        let annotations =
            text.map(|t| vec![(OBSERVED_CONTAINERS_ANNOTATION.to_owned(), t.to_owned())]);
        let pod = Pod {
            annotations,
            ..Pod::default()
        };
        assert_eq!(observed_containers(&pod).as_deref(), want, "{text:?}");
    }
}
