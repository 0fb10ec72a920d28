//! How plans are added up and shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use podfit_cluster::index::Index;
use podfit_core::disruption::{Action, Config, Decision, Snapshot, UpdateReason, Workload};
use podfit_core::node::{Node, Nodes};
use podfit_core::pod::{Container, Pod};
use podfit_core::policy::ContainerChange;
use podfit_core::profile::Profile;
use podfit_core::quantity::{Bytes, Millicores, ResourceList};
use podfit_core::time::Timestamp;
use podfit_core::vpa::{ContainerRecommendation, Vpa};

use serde_json::Value;

use super::prices::Prices;
use super::summary::{Amounts, Summary};
use super::*;

fn amounts(cpu: i64, gib: i64) -> ResourceList {
    ResourceList {
        cpu: Some(Millicores(cpu)),
        memory: Some(Bytes(gib << 30)),
    }
}

/// A pod of `web` with 2 cores and 4 GiB, and what is done with it.
fn decision(name: &str, action: Action, reason: UpdateReason) -> Decision {
    let pod = Pod {
        namespace: "shop".into(),
        name: name.into(),
        containers: vec![Container {
            name: "app".into(),
            requests: amounts(2000, 4),
            ..Container::default()
        }],
        ..Pod::default()
    };
    let vpa = Vpa {
        namespace: "shop".into(),
        name: "web".into(),
        ..Vpa::default()
    };
    Decision {
        pod: Arc::new(pod),
        vpa: Arc::new(vpa),
        action,
        reason,
    }
}

fn to_half() -> Vec<ContainerChange> {
    vec![ContainerChange {
        name: "app".into(),
        requests: amounts(500, 1),
        ..ContainerChange::default()
    }]
}

fn due() -> UpdateReason {
    UpdateReason::BoostOver {
        container: "app".into(),
    }
}

/// One of three pods is evicted now, one waits, one stays.
fn summary() -> Summary {
    let evict = || Action::Evict(to_half());
    let spent = UpdateReason::TooFewReplicas {
        live: 3,
        required: 4,
    };
    let stays = || decision("web-c", Action::Skip, UpdateReason::UpToDate);
    let now = [
        decision("web-a", evict(), due()),
        decision("web-b", Action::Skip, spent),
        stays(),
    ];
    let in_the_end = [
        decision("web-a", evict(), due()),
        decision("web-b", evict(), due()),
        stays(),
    ];
    Summary::added_up(&now, &in_the_end)
}

#[test]
fn a_plan_is_added_up() {
    let summary = summary();
    let one = Amounts {
        cpu: -1500,
        memory: -3 << 30,
    };
    let two = Amounts {
        cpu: -3000,
        memory: -6 << 30,
    };
    assert_eq!((summary.now, summary.in_the_end), (one, two));
    let [web] = summary.workloads.as_slice() else {
        panic!("{:?}", summary.workloads);
    };
    assert_eq!((web.pods, web.evicted, web.resized), (3, 1, 0));
    assert_eq!(summary.reasons[&("skip", "UpToDate")].0, 1);
}

#[test]
fn a_plan_is_shown_in_every_format() {
    let summary = summary();
    let prices = Prices::parse("cpu-core-hour: 0.03\ngib-hour: 0.01 # a guess\ncurrency: EUR\n");
    let prices = prices.unwrap();
    let text = show::text(&summary, Some(&prices));
    for words in [
        "3 pods under 1 VPAs that change running pods: 1 evicted now, 0 resized, 2 left alone\n",
        "evict      1  BoostOver",
        "Now: 1500m of cpu freed, 3Gi of memory freed",
        "In the end, once budgets let all of it happen: 3 of cpu freed, 6Gi of memory freed",
        // 1.5 × 0.03 + 3 × 0.01 = 0.075 an hour.
        "(-1.500 cores × 0.03 + -3.000 GiB × 0.01) EUR an hour × 730 h = -54.75 EUR a month",
    ] {
        assert!(text.contains(words), "no `{words}` in\n{text}");
    }
    let csv = show::csv(&summary);
    let line = "shop,web,Recreate,3,1,0,-1500,-3221225472,-3000,-6442450944,1,";
    assert!(csv.lines().nth(1).unwrap().starts_with(line), "{csv}");
    assert!(show::markdown(&summary, None).contains("| evict | 1 | BoostOver |"));
    let json = show::json(&summary, Some(&prices));
    assert_eq!(json["cost"]["nowPerMonth"], -54.75);
    assert_eq!([&json["evict"], &json["resize"], &json["skip"]], [1, 0, 2]);
    assert_eq!(json["pods"][0]["containers"][0]["requests"]["cpu"], "500m");
}

#[test]
fn prices_that_are_none_are_refused() {
    for (text, words) in [
        ("cpu-core-hour: 1", "gib-hour is missing"),
        ("cpu-core-hour: x\ngib-hour: 1", "no number"),
        ("cpu-core-hour: -1\ngib-hour: 1", "no price"),
        ("gpu-hour: 1", "none of cpu-core-hour"),
        ("nonsense", "no line of the form"),
    ] {
        let error = Prices::parse(text).unwrap_err();
        assert!(format!("{error:#}").contains(words), "{text}: {error:#}");
    }
}

/// Two pods of 2 cores and 4 GiB on nodes of 8 cores and 16 GiB, of which this is recommended.
fn beside_nodes(cores: i64, gib: i64) -> Foresight {
    let recommended = ContainerRecommendation {
        container_name: "app".into(),
        target: amounts(cores * 1000, gib),
        ..ContainerRecommendation::default()
    };
    let Decision { pod, vpa, .. } = decision("web-a", Action::Skip, UpdateReason::UpToDate);
    let vpa = Vpa {
        recommendation: Some(vec![recommended]),
        ..Arc::unwrap_or_clone(vpa)
    };
    let pods = vec![Arc::clone(&pod), pod];
    let node = |name: &str| {
        Arc::new(Node {
            name: name.into(),
            allocatable: amounts(8000, 16),
            ..Node::default()
        })
    };
    let snapshot = Snapshot {
        nodes: Nodes::new(&[node("a"), node("b")], &pods),
        workloads: vec![Workload {
            vpa: Arc::new(vpa),
            pods,
            ..Workload::default()
        }],
        limit_ranges: BTreeMap::new(),
        quotas: BTreeMap::new(),
        wall_clock: Timestamp::from_unix_millis(0),
    };
    Foresight {
        index: Index::default(),
        snapshot,
        config: Config::new(Profile::Safe),
        now: Vec::new(),
        in_the_end: vec![decision("web-a", Action::Skip, UpdateReason::UpToDate)],
        remarks: Vec::new(),
    }
}

#[test]
fn what_fits_no_node_is_named_with_what_there_is() {
    let of = |resource: &str, most: &str| {
        format!(
            "shop/web: more {resource} is recommended than any node that it could run on has for it, {most} at most"
        )
    };
    let rows = [
        ((8, 16), vec![]),
        ((9, 1), vec![of("cpu", "8")]),
        ((1, 17), vec![of("memory", "16Gi")]),
        ((9, 17), vec![of("cpu", "8"), of("memory", "16Gi")]),
    ];
    for ((cores, gib), want) in rows {
        let mut summary = Summary::of(&beside_nodes(cores, gib));
        assert_eq!(summary.too_large, want, "{cores} cores, {gib} GiB");
        assert_eq!(
            show::json(&summary, None)["doesNotFit"],
            Value::from(want.clone())
        );
        summary.workloads[0].pods = 1;
        let text = show::text(&summary, None);
        let lines: Vec<_> = text
            .lines()
            .filter(|l| l.starts_with("Does not fit:"))
            .collect();
        let want: Vec<_> = want
            .iter()
            .map(|one| format!("Does not fit: {one}"))
            .collect();
        assert_eq!(lines, want);
    }
}
