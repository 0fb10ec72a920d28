use super::*;
use crate::policy::Ratios;
use crate::quantity::{Bytes, Millicores};
use crate::rows::rows;

fn list(cell: &str) -> ResourceList {
    let (cpu, memory) = cell.split_once('/').unwrap_or(("-", "-"));
    ResourceList {
        cpu: (cpu != "-").then(|| Millicores::parse(cpu).unwrap()),
        memory: (memory != "-").then(|| Bytes::parse(memory).unwrap()),
    }
}

fn totals(cell: &str) -> Totals {
    let (requests, limits) = cell.split_once('>').unwrap();
    Totals {
        requests: list(requests),
        limits: list(limits),
    }
}

/// A pod and what its containers are to get.
fn pod(cell: &str) -> (Pod, Vec<ContainerChange>) {
    let mut pod = Pod {
        namespace: "ns".into(),
        ..Pod::default()
    };
    let mut changes = Vec::new();
    for text in cell.split(" + ") {
        let own = |name: &str, sets: Totals| Container {
            name: name.into(),
            requests: sets.requests,
            limits: sets.limits,
            ..Container::default()
        };
        let words: Vec<_> = text.split(' ').collect();
        if words[0] == "init" {
            pod.init_containers.push(own("init", totals(words[1])));
            continue;
        }
        let index = pod.containers.len();
        pod.containers
            .push(own(&format!("c{index}"), totals(words[0])));
        let new = totals(words[1]);
        changes.push(ContainerChange {
            index,
            requests: new.requests,
            limits: new.limits,
            ..ContainerChange::default()
        });
    }
    (pod, changes)
}

fn quotas(cell: &str) -> BTreeMap<String, Vec<Quota>> {
    let quota = |text: &str| {
        let words: Vec<_> = text.split_whitespace().collect();
        match words[..] {
            [name, hard, used] => Quota {
                name: name.into(),
                hard: totals(hard),
                used: totals(used),
                too_many_pods: false,
            },
            _ => Quota {
                name: "q".into(),
                too_many_pods: true,
                ..Quota::default()
            },
        }
    };
    let all = cell.split(';').filter(|text| !text.is_empty()).map(quota);
    BTreeMap::from([("ns".to_owned(), all.collect())])
}

fn ranges(cell: &str) -> Vec<LimitRangeItem> {
    let words: Vec<_> = cell.split(' ').collect();
    let [scope, bound, amounts] = words[..] else {
        return Vec::new();
    };
    let mut item = LimitRangeItem {
        scope: match scope {
            "Pod" => LimitRangeScope::Pod,
            _ => LimitRangeScope::Container,
        },
        min: ResourceList::default(),
        max: ResourceList::default(),
        default: ResourceList::default(),
        max_ratio: Ratios::default(),
    };
    match bound {
        "min" => item.min = list(amounts),
        "max" => item.max = list(amounts),
        "default" => item.default = list(amounts),
        _ => {
            item.max_ratio = Ratios {
                cpu: Some(2000),
                memory: Some(2000),
            }
        }
    }
    vec![item]
}

fn words(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Exceeded {
            quota,
            kind,
            resource,
            needed,
            left,
        } => format!(
            "{quota} {}.{}: {} needed {} left",
            kind.name(),
            resource.name(),
            resource.show(*needed),
            resource.show(*left)
        ),
        Obstacle::Unset {
            quota,
            kind,
            resource,
            container,
        } => format!(
            "{quota} {}.{} of {container} unset",
            kind.name(),
            resource.name()
        ),
        Obstacle::TooManyPods { quota } => format!("{quota} too many pods"),
        Obstacle::LimitRange {
            container,
            resource,
            bound,
        } => format!(
            "{} of {} beyond {bound}",
            resource.name(),
            container.as_deref().unwrap_or("the pod")
        ),
    }
}

#[test]
fn a_pod_that_could_not_come_back_is_found() {
    for row in rows(include_str!("../../testdata/quotas.csv")) {
        let [name, text, of_quotas, of_ranges, want] = row[..] else {
            panic!("{row:?}")
        };
        let ((pod, changes), quotas) = (pod(text), quotas(of_quotas));
        let headroom = Headroom::new(&quotas);
        let obstacle = headroom.obstacle(&pod, &changes, &ranges(of_ranges));
        assert_eq!(
            obstacle.as_ref().map(words).unwrap_or_default(),
            want,
            "{name}"
        );
        assert!(obstacle.is_none_or(|o| o.to_string().contains("would refuse its replacement")));
    }
}

/// Pods of one plan share what is left, and what one gives up is not another's before it is gone.
#[test]
fn a_plan_takes_no_more_than_there_is() {
    let quotas = quotas("q 10/10Gi>- 8/8Gi>-");
    let headroom = Headroom::new(&quotas);
    let (grown, more) = pod("1/1Gi>- 2/2Gi>-");
    let (shrunk, less) = pod("4/4Gi>- 1/1Gi>-");
    for _ in 0..2 {
        assert_eq!(headroom.obstacle(&grown, &more, &[]), None);
        headroom.take(&grown, &more);
        headroom.take(&shrunk, &less);
    }
    assert!(headroom.obstacle(&grown, &more, &[]).is_some());
    assert_eq!(headroom.obstacle(&shrunk, &less, &[]), None);
    let elsewhere = Pod {
        namespace: "other".into(),
        ..grown
    };
    headroom.take(&elsewhere, &more);
    assert_eq!(headroom.obstacle(&elsewhere, &more, &[]), None);
}

/// A sidecar runs beside the init containers after it, not those before.
#[test]
fn sidecars_count_with_the_init_containers_after_them() {
    let container = |cpu: &str, sidecar| Container {
        requests: list(&format!("{cpu}/-")),
        sidecar,
        ..Container::default()
    };
    // In the spec: init 5, sidecar 2 (place 1), init 4.
    let pod = Pod {
        containers: vec![container("1", None), container("2", Some(1))],
        init_containers: vec![container("5", None), container("4", None)],
        ..Pod::default()
    };
    assert_eq!(total(&pod, &[], Kind::Requests, Resource::Cpu), 6000);
}
