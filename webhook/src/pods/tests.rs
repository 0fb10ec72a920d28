//! Which VPA sizes a pod (vectors 12.6), and requests that cannot be answered with a size (vectors 12.4).

use podfit_cluster::api::vpa::VpaObject;
use podfit_cluster::index::Index;
use podfit_core::feature_gates::FeatureGates;
use podfit_core::horizontal::{HorizontalAutoscaler, Metric, Target};
use podfit_core::ownership::of_well_known;
use podfit_core::pod::OwnerRef;
use podfit_core::profile::Profile;
use podfit_core::quantity::Resource;
use serde_json::{Value, json};

use super::*;
use crate::metrics::Metrics;
use crate::review::Review;

fn webhook(vpas: Vec<Value>, gate: bool) -> Webhook {
    let mut index = Index::default();
    for vpa in vpas {
        let object: VpaObject = serde_json::from_value(vpa).unwrap();
        index.vpas.apply(Vpa::from(&object));
    }
    let gates = FeatureGates {
        cpu_startup_boost: gate,
        ..FeatureGates::default()
    };
    let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
    Webhook::new(index.into(), metrics, gates)
}

/// `mode:target:boost`.
fn vpa(name: &str, text: &str) -> Value {
    let [mode, target, boost] = text.split(':').collect::<Vec<_>>()[..] else {
        panic!("{text}")
    };
    let boosted = json!({"cpu": {"type": "Factor", "factor": 1}});
    let mut spec = json!({});
    if !mode.is_empty() {
        spec["updatePolicy"] = json!({"updateMode": mode});
    }
    if !target.is_empty() {
        let (kind, name) = target.split_once('/').unwrap_or(("StatefulSet", target));
        spec["targetRef"] = json!({"apiVersion": "apps/v1", "kind": kind, "name": name});
    }
    match boost {
        "vpa" => spec["startupBoost"] = boosted,
        "container" => {
            spec["resourcePolicy"] =
                json!({"containerPolicies": [{"containerName": "*", "startupBoost": boosted}]});
        }
        _ => {}
    }
    json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec})
}

#[test]
fn the_pods_vpa_is_found() {
    let table = include_str!("../../testdata/matching.csv");
    let rows: Vec<_> = table.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(rows.len(), 1 + 15);
    for row in &rows[1..] {
        let [case, owner, vpas, gate, wanted] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("columns: {row}")
        };
        let vpas = vpas.split_whitespace().enumerate();
        let vpas = vpas.map(|(i, text)| vpa(&i.to_string(), text)).collect();
        let owners: Vec<_> = owner
            .split_once('/')
            .map(|(kind, name)| {
                json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": true})
            })
            .into_iter()
            .collect();
        let object = json!({
            "metadata": {"namespace": "ns", "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": owners},
            "spec": {"containers": [{"name": "a"}]}
        });
        let pod = Pod::from(&serde_json::from_value::<PodObject>(object).unwrap());
        let webhook = webhook(vpas, gate == "on");
        let index = webhook.index.read();
        let eligible = |vpa: &Vpa| sizes_new_pods(vpa, &webhook.settings);
        let found = index.controlling_vpa(&pod, eligible);
        assert_eq!(found.map_or("", |vpa| vpa.name.as_str()), wanted, "{case}");
    }
}

/// The HPA is found by the pod's controllers; what becomes of its resource is the VPA's word, or the profile's.
#[test]
fn what_an_hpa_scales_on_is_left_to_it() {
    let target = |resource, percent| Metric::Resource {
        resource,
        container: None,
        target: Target::Utilization(percent),
    };
    let hpa = |kind: &str, name: &str| HorizontalAutoscaler {
        namespace: "ns".into(),
        name: "hpa".into(),
        target: Some(OwnerRef {
            api_version: "apps/v1".into(),
            kind: of_well_known(kind),
            name: name.into(),
        }),
        metrics: vec![target(Resource::Cpu, 70)],
        ..HorizontalAutoscaler::default()
    };
    let (safe, upstream) = (Profile::Safe, Profile::Upstream);
    let rows = [
        (None, safe, "", true),
        (Some(hpa("Deployment", "web")), safe, "", false),
        (Some(hpa("ReplicaSet", "web-5d4f")), safe, "", false),
        (Some(hpa("Deployment", "other")), safe, "", true),
        (Some(hpa("Deployment", "web")), safe, "ignore", true),
        (Some(hpa("Deployment", "web")), upstream, "", true),
        (Some(hpa("Deployment", "web")), upstream, "yield", false),
        (Some(hpa("Deployment", "web")), safe, "nonsense", false),
    ];
    for (hpa, profile, word, sizes_cpu) in rows {
        let mut vpa = vpa("0", "Initial:Deployment/web:");
        if !word.is_empty() {
            vpa["metadata"]["annotations"] = json!({"podfit.dev/horizontal": word});
        }
        let target = json!({"cpu": "500m", "memory": "1Gi"});
        vpa["status"] = json!({"recommendation": {"containerRecommendations": [
            {"containerName": "a", "target": target}
        ]}});
        let case = format!("{hpa:?} {profile:?} {word}");
        let mut webhook = webhook(vec![vpa], false);
        webhook.settings.profile = profile;
        let mut index = Index::default();
        index.vpas = webhook.index.read().vpas.clone();
        if let Some(hpa) = hpa {
            index.horizontals.apply(hpa);
        }
        webhook.index = index.into();
        let object = json!({
            "metadata": {"namespace": "ns", "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "1", "controller": true}
            ]},
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}}]}
        });
        let pod = Pod::from(&serde_json::from_value::<PodObject>(object).unwrap());
        let patch = serde_json::to_string(&size(&webhook, &pod)).unwrap();
        assert!(patch.contains("/requests/memory"), "{case}: {patch}");
        assert_eq!(
            patch.contains("/requests/cpu"),
            sizes_cpu,
            "{case}: {patch}"
        );
    }
}

/// Whatever is wrong with the pod in a request: it is let through, without a patch.
#[test]
fn a_pod_that_cannot_be_read_is_let_through() {
    let webhook = webhook(vec![vpa("0", "Recreate:sts:")], false);
    let cases = [
        (json!("{"), Outcome::Error),
        (json!({"metadata": [], "spec": {}}), Outcome::Error),
        (json!({"spec": {"containers": [7]}}), Outcome::Error),
        (json!({}), Outcome::Skipped),
    ];
    for (object, outcome) in cases {
        let review = json!({"request": {"uid": "u", "operation": "CREATE", "namespace": "ns", "object": object}});
        let text = review.to_string();
        let review: Review<'_> = serde_json::from_str(&text).unwrap();
        let (got, response) = admit(&webhook, review.request.unwrap().0);
        assert_eq!(got, outcome, "{object}");
        assert!(response.allowed && !response.is_patched(), "{object}");
    }
}

/// What the updater creates for show gets an answer that it knows again; a real pod with that label gets none.
#[test]
fn a_probe_is_answered_in_a_dry_run_only() {
    let webhook = webhook(vec![], false);
    let ask = |dry_run: bool| {
        let text = json!({"request": {
            "uid": "1", "operation": "CREATE", "namespace": "podfit", "dryRun": dry_run,
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "object": probe::pod(),
        }})
        .to_string();
        let review: Review<'_> = serde_json::from_str(&text).unwrap();
        let (_, response) = admit(&webhook, review.request.unwrap().0);
        response.is_patched()
    };
    assert_eq!((ask(true), ask(false)), (true, false));
}
