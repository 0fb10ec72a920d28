//! Scale points that pods do not get to.

use std::sync::Arc;

use super::*;
use crate::pod::{Container, Pod};
use crate::quantity::{Millicores, Resource, ResourceList};
use crate::vpa::{ContainerPolicy, Vpa};

fn cpu(amount: i64) -> ResourceList {
    ResourceList {
        cpu: (amount > 0).then_some(Millicores(amount)),
        memory: None,
    }
}

/// A pod whose containers have so much of CPU requested and as a limit; zero for none.
fn pod(containers: &[(&str, i64, i64)]) -> Arc<Pod> {
    let container = |(name, request, limit): &(&str, i64, i64)| Container {
        name: (*name).into(),
        requests: cpu(*request),
        limits: cpu(*limit),
        ..Container::default()
    };
    Arc::new(Pod {
        containers: containers.iter().map(container).collect(),
        ..Pod::default()
    })
}

fn policy(name: &str, min: i64, max: i64) -> ContainerPolicy {
    ContainerPolicy {
        container_name: name.into(),
        min_allowed: cpu(min),
        max_allowed: cpu(max),
        ..ContainerPolicy::default()
    }
}

fn left_alone(name: &str) -> ContainerPolicy {
    ContainerPolicy {
        controlled_resources: Some(vec![Resource::Memory]),
        ..policy(name, 0, 0)
    }
}

const TWO: [(&str, i64, i64); 2] = [("app", 800, 0), ("side", 200, 0)];

/// 70 % of 1000m: 700m of use, 778m at 90 %, 1400m at 50 %.
#[test]
fn what_keeps_pods_from_their_scale_point() {
    let limit = |limit| Some(OutOfReach::Limit { limit, enough: 778 });
    let most = |most| {
        Some(OutOfReach::MaxAllowed {
            most,
            needed: 778,
            target: 90,
        })
    };
    let least = |least| {
        Some(OutOfReach::MinAllowed {
            least,
            needed: 1400,
            target: 50,
        })
    };
    let one = |limit| vec![pod(&[("app", 1000, limit)])];
    let two = || vec![pod(&TWO)];
    let rows = [
        // What the metric covers, policies, pods.
        ("cpu", vec![], vec![], None),
        ("cpu", vec![], one(0), None),
        ("cpu", vec![], one(778), None),
        ("cpu", vec![], one(777), limit(777)),
        ("cpu", vec![policy("*", 1400, 778)], one(0), None),
        ("cpu", vec![policy("*", 0, 777)], one(0), most(777)),
        ("cpu", vec![policy("*", 1401, 0)], one(0), least(1401)),
        // What is not sized stays as it is.
        (
            "cpu",
            vec![left_alone("side"), policy("*", 0, 500)],
            two(),
            most(700),
        ),
        (
            "cpu",
            vec![left_alone("side"), policy("*", 0, 578)],
            two(),
            None,
        ),
        ("cpu", vec![policy("app", 0, 100)], two(), None),
        ("cpu/app", vec![policy("app", 0, 100)], two(), most(100)),
        ("cpu/side", vec![policy("app", 0, 100)], two(), None),
        // The smallest of several; one without a limit has room.
        (
            "cpu",
            vec![],
            [one(0), one(900), one(600)].concat(),
            limit(600),
        ),
        ("cpu", vec![], vec![pod(&[("app", 800, 100), TWO[1]])], None),
    ];
    for (covers, policies, pods, want) in rows {
        let vpa = Vpa {
            container_policies: policies,
            ..Vpa::default()
        };
        let covers = Covers::parse(covers).unwrap();
        let found = out_of_reach(point(70, 1000), &covers, &vpa, &pods);
        assert_eq!(
            found, want,
            "{covers} {:?} {pods:?}",
            vpa.container_policies
        );
    }
}

/// An owner's own target above 90 % is not held against him, but a limit is.
#[test]
fn a_high_target_may_need_a_limit_above_what_is_requested() {
    let covers = Covers::parse("cpu").unwrap();
    let found = |limit| {
        let pods = [pod(&[("app", 1000, limit)])];
        out_of_reach(point(95, 1000), &covers, &Vpa::default(), &pods)
    };
    assert_eq!(found(1056), None);
    let why = found(1000).unwrap();
    let words = why.told(point(95, 1000), Resource::Cpu);
    assert!(
        words.contains("the 950m that it aims at, as their limit is 1, "),
        "{words}"
    );
    assert!(words.contains("let that be 1056m at least"), "{words}");
}
