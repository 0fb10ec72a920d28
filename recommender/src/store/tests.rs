use std::collections::BTreeMap;

use clap::Parser;
use podfit_cluster::index::Index;
use podfit_core::ownership::Controller;
use podfit_core::pod::OwnerRef;

use super::*;

fn stored(vpa: &str, samples: i64, version: &str) -> Stored {
    Stored {
        namespace: "ns".into(),
        name: format!("{vpa}-app"),
        vpa: vpa.into(),
        container: "app".into(),
        content: Checkpoint {
            version: version.into(),
            total_samples: samples,
            ..Checkpoint::default()
        },
        beside: Beside::default(),
        resource_version: "1".into(),
    }
}

fn of(kind: &str, name: &str) -> Beside {
    let (kind, name) = (kind.into(), name.into());
    Beside {
        target: Some(Target { kind, name }),
        open: BTreeMap::new(),
        orphaned: Duration::ZERO,
    }
}

/// Two VPAs, `a` and `b`, of one target: Deployment `web`.
fn view() -> View {
    let owner = OwnerRef {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: "web".into(),
    };
    let mut index = Index::default();
    index
        .owners
        .apply(ControllerKey::of("ns", &owner), Controller::default());
    for name in ["a", "b"] {
        index.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: name.into(),
            target: Some(owner.clone()),
            ..Vpa::default()
        });
    }
    View::of(&index, &"default".into())
}

fn store_and_model() -> (Store, Model) {
    let options = Options::parse_from(["podfit-recommender"]);
    (Store::new(&options), Model::new(options.history()))
}

fn continued(stored: &[Stored]) -> Vec<u64> {
    let (mut store, mut model) = store_and_model();
    let view = view();
    let vpas: Vec<_> = view.targets().collect();
    for _ in 0..2 {
        store.absorb(stored.to_vec(), &vpas, &mut model, Timestamp::default());
    }
    model
        .histories(vpas[0].1)
        .iter()
        .map(|(_, h)| h.total_samples())
        .collect()
}

#[test]
fn of_several_stored_histories_of_a_target_the_richest_counts_once() {
    let cases = [
        (vec![stored("a", 22, "v3"), stored("b", 30, "v3")], vec![30]),
        (
            vec![stored("a", 22, "v3"), stored("stranger", 30, "v3")],
            vec![22],
        ),
        (vec![stored("a", 22, "v1"), stored("b", 7, "v3")], vec![7]),
        (vec![stored("a", -1, "v3")], vec![]),
    ];
    for (stored, expected) in cases {
        assert_eq!(continued(&stored), expected, "{stored:?}");
    }
}

#[test]
fn a_vpa_of_another_name_goes_on_with_what_is_stored_for_its_target() {
    let with = |vpa: &str, beside: Beside| Stored {
        beside,
        ..stored(vpa, 30, "v3")
    };
    let cases = [
        (with("old-name", of("Deployment", "web")), vec![30]),
        (with("old-name", of("StatefulSet", "web")), vec![]),
        // It kept its name: its target may have become another kind for the same workload, not another workload.
        (with("a", of("Rollout.argoproj.io", "web")), vec![30]),
        (with("a", of("Deployment", "shop")), vec![]),
    ];
    for (stored, expected) in cases {
        assert_eq!(
            continued(std::slice::from_ref(&stored)),
            expected,
            "{stored:?}"
        );
    }
}

/// Without samples of its own, `a` would be written; what a later version stored under its name must stay.
#[test]
fn what_cannot_be_read_is_not_written_over_while_it_may_be_of_use() {
    let day = Duration::from_hours(24);
    let now = Timestamp::default() + day * 10_000;
    let written = |version: &str, age_in_days: u32| {
        let (mut store, mut model) = store_and_model();
        let view = view();
        let vpas: Vec<_> = view.targets().take(1).collect();
        let mut there = stored("a", 30, version);
        there.content.last_update = Some(now - day * age_in_days);
        store.absorb(vec![there], &vpas, &mut model, now);
        store.continued.insert(key(vpas[0].0), vpas[0].1.clone());
        let other = ControllerKey::new("ns", "Rollout.argoproj.io", "web");
        let history = podfit_core::history::ContainerHistory::new(&store.config, now);
        let open = BTreeMap::new();
        model.absorb(&other, "app", StoredHistory { history, open }, now);
        model.carry_over(&other, vpas[0].1, now);
        store.to_write(&view, &model, now, false).len()
    };
    assert_eq!(written("v4", 1), 0);
    assert_eq!(written("v4", 9), 1);
}

#[test]
fn a_richer_history_of_the_same_workload_is_not_written_over() {
    let view = view();
    let (vpa, target) = view.targets().next().unwrap();
    let writing = Writing {
        vpa,
        target,
        container: "app".into(),
        content: stored("a", 10, "v3").content,
        beside: of("Deployment", "web"),
    };
    let there = |samples, beside| Stored {
        beside,
        ..stored("a", samples, "v3")
    };
    assert!(writing.is_poorer_than(&there(11, of("Deployment", "web"))));
    assert!(writing.is_poorer_than(&there(11, Beside::default())));
    assert!(!writing.is_poorer_than(&there(10, Beside::default())));
    assert!(!writing.is_poorer_than(&there(11, of("Deployment", "other"))));
}
