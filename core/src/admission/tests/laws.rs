//! What holds for every pod, VPA and LimitRange.

use std::time::Duration;

use super::*;
use crate::policy::{LimitPolicies, LimitPolicy, ScaleDown};
use crate::vpa::{BoostBy, CpuBoost, StartupBoost};

/// Any amounts, with "not set", zero, negative and the greatest among them.
fn amount() -> impl Strategy<Value = Option<i64>> {
    proptest::option::of(prop_oneof![
        0..5_i64,
        1..1_i64 << 40,
        any::<i64>(),
        Just(i64::MAX),
        Just(i64::MIN)
    ])
}

fn amounts() -> impl Strategy<Value = ResourceList> {
    (amount(), amount()).prop_map(|(cpu, memory)| ResourceList {
        cpu: cpu.map(Millicores),
        memory: memory.map(Bytes),
    })
}

/// A limit that is at least its request, where both are there.
fn sound(requests: ResourceList, limits: ResourceList) -> bool {
    Resource::ALL
        .iter()
        .all(|r| match (requests.get(*r), limits.get(*r)) {
            (Some(request), Some(limit)) => 0 < request && request <= limit,
            _ => true,
        })
}

fn limit_policy() -> impl Strategy<Value = LimitPolicy> {
    prop_oneof![
        2 => Just(LimitPolicy::Ratio),
        1 => Just(LimitPolicy::Keep),
        1 => Just(LimitPolicy::None),
        1 => Just(LimitPolicy::Equal),
        1 => (0..2000_i64).prop_map(LimitPolicy::Headroom),
    ]
}

fn policies() -> impl Strategy<Value = ContainerPolicy> {
    (amounts(), amounts(), any::<bool>(), any::<bool>()).prop_map(
        |(min_allowed, max_allowed, requests_only, off)| ContainerPolicy {
            container_name: "*".into(),
            min_allowed,
            max_allowed,
            requests_only,
            off,
            ..free()
        },
    )
}

fn ranges() -> impl Strategy<Value = Vec<LimitRangeItem>> {
    let scope = prop_oneof![Just(LimitRangeScope::Pod), Just(LimitRangeScope::Container)];
    let item = (scope, amounts(), amounts(), amounts(), amount()).prop_map(
        |(scope, min, max, default, ratio)| LimitRangeItem {
            scope,
            min,
            max,
            default,
            max_ratio: Ratios {
                cpu: ratio,
                memory: ratio,
            },
        },
    );
    proptest::collection::vec(item, 0..4)
}

fn arbitrary_container() -> impl Strategy<Value = (Container, ContainerRecommendation)> {
    (amounts(), amounts(), amounts(), amounts(), amounts()).prop_map(
        |(requests, limits, target, lower_bound, upper_bound)| {
            let container = Container {
                requests,
                limits,
                ..Container::default()
            };
            (
                container,
                ContainerRecommendation {
                    target,
                    lower_bound,
                    upper_bound,
                    ..ContainerRecommendation::default()
                },
            )
        },
    )
}

/// A pod that an API server takes, with what is recommended for it.
#[derive(Clone, Debug)]
pub(super) struct Sound {
    pub pod: Pod,
    pub vpa: Vpa,
    pub settings: Settings,
}

/// Millicores and KiB.
fn sound_amounts() -> impl Strategy<Value = Amounts> {
    let cpu = prop_oneof![1..20_i64, 1..8000_i64, (1..9_i64).prop_map(|c| c * 1000)];
    (cpu, 1..1_000_000_i64).prop_map(|(cpu, memory)| (cpu, memory * 1024 + 17))
}

/// A container with requests, limits or both, limits that lie above requests, and a target.
fn sound_container() -> impl Strategy<Value = (Container, Amounts)> {
    let kind = prop_oneof![Just("equal"), Just("both"), Just("cpu"), Just("none")];
    (sound_amounts(), sound_amounts(), sound_amounts(), kind).prop_map(
        |(requests, more, target, kind)| {
            let above = (requests.0 + more.0, requests.1 + more.1);
            let limits = match kind {
                "equal" => requests,
                "both" => above,
                "cpu" => (above.0, 0),
                _ => NOTHING,
            };
            (container("", requests, limits), target)
        },
    )
}

fn boosts() -> impl Strategy<Value = Option<StartupBoost>> {
    let by = prop_oneof![
        (1..5_i32).prop_map(BoostBy::Factor),
        (1..3000_i64).prop_map(|more| BoostBy::Quantity(Millicores(more))),
    ];
    let lasts = Duration::ZERO;
    proptest::option::of(by.prop_map(move |by| StartupBoost {
        cpu: Some(CpuBoost { by, lasts }),
    }))
}

fn scale_down() -> impl Strategy<Value = ScaleDown> {
    prop_oneof![
        3 => Just(ScaleDown::Free),
        1 => Just(ScaleDown::Slow),
        1 => Just(ScaleDown::Never),
    ]
}

pub(super) fn sound_pods() -> impl Strategy<Value = Sound> {
    (
        proptest::collection::vec(sound_container(), 1..4),
        (limit_policy(), limit_policy()),
        (any::<bool>(), boosts(), scale_down()),
        proptest::option::of(sound_amounts()),
        prop_oneof![3 => Just(Profile::Safe), 1 => Just(Profile::Upstream)],
    )
        .prop_map(
            |(containers, limits, (requests_only, boost, scale_down), most, profile)| {
                let (mut specs, targets): (Vec<_>, Vec<_>) = containers.into_iter().unzip();
                for (i, container) in specs.iter_mut().enumerate() {
                    container.name = format!("c{i}");
                }
                let names: Vec<_> = specs.iter().map(|c| c.name.clone()).collect();
                let mut recommended: Vec<_> = names
                    .iter()
                    .map(String::as_str)
                    .zip(targets.iter().copied())
                    .collect();
                recommended.push(("injected", (70, 70 * MI)));
                let policy = ContainerPolicy {
                    requests_only,
                    ..allowed(NOTHING, most.unwrap_or(NOTHING))
                };
                let vpa = Vpa {
                    limits: LimitPolicies {
                        cpu: limits.0,
                        memory: limits.1,
                    },
                    startup_boost: boost,
                    scale_down,
                    update_mode: UpdateMode::InPlace,
                    ..vpa(&recommended, policy)
                };
                let settings = Settings {
                    profile,
                    startup_boost: true,
                    max_allowed_cpu_boost: None,
                };
                Sound {
                    pod: pod(specs),
                    vpa,
                    settings,
                }
            },
        )
}

/// LimitRanges that the pod keeps as it is.
fn ranges_around(pod: &Pod, room: i64) -> Vec<LimitRangeItem> {
    let mut range = LimitRangeItem {
        scope: LimitRangeScope::Container,
        min: ResourceList::default(),
        max: ResourceList::default(),
        default: ResourceList::default(),
        max_ratio: Ratios::default(),
    };
    for resource in Resource::ALL {
        let limits = || pod.containers.iter().filter_map(|c| c.limits.get(resource));
        let requests = || {
            pod.containers
                .iter()
                .filter_map(|c| c.requests.get(resource))
        };
        range.min.set(resource, requests().min());
        if limits().count() == pod.containers.len() {
            range
                .max
                .set(resource, limits().max().map(|most| most + room));
            // As API servers have it: what sets a maximum sets that default.
            range.default.set(resource, range.max.get(resource));
        }
    }
    vec![range]
}

fn is_within(pod: &Pod, ranges: &[LimitRangeItem]) -> bool {
    let range = ranges[0];
    pod.containers.iter().all(|c| {
        Resource::ALL.iter().all(|r| {
            let (request, limit) = (c.requests.get(*r), c.limits.get(*r));
            let above = request
                .zip(range.min.get(*r))
                .is_none_or(|(a, min)| a >= min);
            let most = range.max.get(*r);
            above && most.is_none_or(|max| limit.is_some_and(|limit| limit <= max))
        })
    })
}

fn resources(pod: &Pod, name: &str) -> Option<EffectiveResources> {
    pod.container(name).map(Container::effective)
}

proptest! {
    /// Whatever a pod, its policies and its LimitRanges hold: no panic, and a request that had a limit above it keeps one.
    #[test]
    fn a_request_stays_below_its_limit(
        containers in proptest::collection::vec(arbitrary_container(), 0..4),
        policy in policies(),
        ranges in ranges(),
        profile in prop_oneof![Just(Profile::Safe), Just(Profile::Upstream)],
    ) {
        let (mut specs, mut recommended): (Vec<_>, Vec<_>) = containers.into_iter().unzip();
        for (i, (container, recommendation)) in specs.iter_mut().zip(&mut recommended).enumerate() {
            container.name = format!("c{i}");
            recommendation.container_name.clone_from(&container.name);
        }
        let vpa = Vpa { recommendation: Some(recommended), container_policies: vec![policy.clone()], ..Vpa::default() };
        let pod = pod(specs);
        let settings = Settings { profile, ..Settings::default() };
        for change in super::super::admit(&pod, &vpa, &ranges, &settings, NOW).containers {
            let own = &pod.containers[change.index];
            for resource in Resource::ALL {
                let one = |list: ResourceList| {
                    let mut one = ResourceList::default();
                    one.set(resource, list.get(resource));
                    one
                };
                let Some(request) = change.requests.get(resource) else { continue };
                let both = own.requests.get(resource).is_some() && own.limits.get(resource).is_some();
                if both && sound(one(own.requests), one(own.limits)) && request > 0 {
                    let limit = change.limits.get(resource).or(own.limits.get(resource));
                    prop_assert!(limit >= Some(request), "{own:?} {change:?}");
                }
                prop_assert!(!(policy.requests_only && change.limits.get(resource).is_some()));
            }
        }
    }

    /// API servers ask again when another webhook changed the pod: then there is nothing left to do.
    #[test]
    fn a_second_look_changes_nothing(case in sound_pods(), room in proptest::option::of(0..3000_i64)) {
        let Sound { pod, vpa, settings } = case;
        let ranges = room.map_or(vec![], |room| ranges_around(&pod, room));
        let first = super::super::admit(&pod, &vpa, &ranges, &settings, NOW);
        let sized = admitted(&pod, &first);
        let again = super::super::admit(&sized, &vpa, &ranges, &settings, NOW);
        prop_assert_eq!(again, Admission::default(), "{:?}", first);
    }

    /// A container that another webhook put in between is sized, and the others stay as they are, unless it took the class
    /// Guaranteed from the pod.
    #[test]
    fn an_injected_container_changes_no_other(case in sound_pods(), first_of_all in any::<bool>()) {
        let Sound { pod, vpa, settings } = case;
        let mut sized = admitted(&pod, &super::super::admit(&pod, &vpa, &[], &settings, NOW));
        prop_assume!(!pod.is_guaranteed() && !sized.is_guaranteed());
        let injected = container("injected", (10, MI), NOTHING);
        sized.containers.insert(if first_of_all { 0 } else { sized.containers.len() }, injected);
        let again = super::super::admit(&sized, &vpa, &[], &settings, NOW);
        let both = admitted(&sized, &again);
        for own in &pod.containers {
            prop_assert_eq!(resources(&both, &own.name), resources(&sized, &own.name));
        }
        let change = again.containers.iter().find(|c| c.name == "injected");
        prop_assert!(change.is_some());
        prop_assert_eq!(super::super::admit(&both, &vpa, &[], &settings, NOW), Admission::default());
    }

    /// Kubernetes treats Guaranteed pods better, and gives whole cores to those that ask for whole ones.
    #[test]
    fn a_guaranteed_pod_stays_guaranteed(case in sound_pods()) {
        let Sound { mut pod, vpa, mut settings } = case;
        settings.profile = Profile::Safe;
        for container in &mut pod.containers {
            if container.requests.is_empty() {
                container.requests = list((1000, MI));
            }
            container.limits = container.requests;
        }
        prop_assert!(pod.is_guaranteed());
        let sized = admitted(&pod, &super::super::admit(&pod, &vpa, &[], &settings, NOW));
        prop_assert!(sized.is_guaranteed(), "{sized:?}");
        let most = vpa.container_policies[0].max_allowed.get(Resource::Cpu);
        for (before, after) in pod.containers.iter().zip(&sized.containers) {
            let whole = |c: &Container| c.requests.get(Resource::Cpu).is_some_and(|cpu| cpu % 1000 == 0);
            if whole(before) && most.is_none_or(|most| most >= 1000) {
                prop_assert!(whole(after), "{before:?} {after:?}");
            }
        }
    }

    /// A pod that its namespace's LimitRanges take is taken after it is sized.
    #[test]
    fn a_pod_keeps_its_limit_ranges(case in sound_pods(), room in 0..3000_i64) {
        let Sound { pod, vpa, settings } = case;
        let settings = Settings { profile: Profile::Safe, ..settings };
        let ranges = ranges_around(&pod, room);
        prop_assume!(is_within(&pod, &ranges));
        let sized = admitted(&pod, &super::super::admit(&pod, &vpa, &ranges, &settings, NOW));
        prop_assert!(is_within(&sized, &ranges), "{sized:?} {ranges:?}");
        for c in &sized.containers {
            prop_assert!(sound(c.requests, c.limits), "{c:?}");
        }
    }
}
