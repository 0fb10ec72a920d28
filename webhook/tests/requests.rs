//! The HTTP contract and the pod patches, through the router as a value: no network.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use base64::Engine;
use podfit_cluster::api::vpa::VpaObject;
use podfit_cluster::index::Index;
use podfit_core::feature_gates::FeatureGates;
use podfit_core::profile::Profile;
use podfit_core::vpa::Vpa;
use podfit_webhook::admission::Webhook;
use podfit_webhook::metrics::Metrics;
use podfit_webhook::routes::{MAX_BODY, routes};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A VPA for the Deployment `web` in `shop`.
fn vpa(mode: &str) -> Vpa {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "web-vpa", "uid": "1", "creationTimestamp": "2026-11-24T10:00:00Z"},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "updatePolicy": {"updateMode": mode}},
        "status": {"recommendation": {"containerRecommendations": [
            {"containerName": "app", "target": {"cpu": "250m", "memory": "1Gi"}},
            {"containerName": "side", "target": {"cpu": "20m", "memory": "64Mi"}}
        ]}}
    });
    Vpa::from(&serde_json::from_value::<VpaObject>(object).unwrap())
}

fn webhook(vpas: Vec<Vpa>) -> web::Data<Webhook> {
    web::Data::new(webhook_value(vpas))
}

fn webhook_value(vpas: Vec<Vpa>) -> Webhook {
    let mut index = Index::default();
    for vpa in vpas {
        index.vpas.apply(vpa);
    }
    Webhook::new(
        index.into(),
        Metrics::new(&prometheus::Registry::new()).unwrap(),
        FeatureGates::default(),
    )
}

/// A pod of the Deployment `web`, by a ReplicaSet that no cache knows.
fn pod() -> Value {
    json!({
        "metadata": {"generateName": "web-5d4f-", "labels": {"pod-template-hash": "5d4f"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "2", "controller": true}]},
        "spec": {"containers": [
            {"name": "app", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}},
            {"name": "side"},
            {"name": "stranger"}
        ]}
    })
}

fn review(object: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": "CREATE", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": object
    }})
}

async fn post(
    webhook: &web::Data<Webhook>,
    content_type: &str,
    body: impl Into<web::Bytes>,
) -> (StatusCode, String) {
    let app = init_service(App::new().app_data(webhook.clone()).configure(routes)).await;
    let request = TestRequest::post()
        .uri("/any/path")
        .insert_header(("content-type", content_type))
        .set_payload(body);
    let response = call_service(&app, request.to_request()).await;
    let status = response.status();
    (
        status,
        String::from_utf8(read_body(response).await.to_vec()).unwrap(),
    )
}

async fn verdict(webhook: &web::Data<Webhook>, review: &Value) -> Value {
    let (status, body) = post(webhook, "application/json", review.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&answer["apiVersion"], &answer["kind"]),
        (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
    );
    answer["response"].clone()
}

/// The patch of a verdict; empty when it has none.
fn patch(verdict: &Value) -> json_patch::Patch {
    let Some(text) = verdict["patch"].as_str() else {
        assert!(verdict["patchType"].is_null());
        return json_patch::Patch::default();
    };
    assert_eq!(verdict["patchType"], "JSONPatch");
    serde_json::from_slice(
        &base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap(),
    )
    .unwrap()
}

/// The object with the patch that it gets.
async fn sized(webhook: &web::Data<Webhook>, mut object: Value) -> Value {
    let verdict = verdict(webhook, &review(&object)).await;
    json_patch::patch(&mut object, &patch(&verdict)).unwrap();
    object
}

#[actix_web::test]
async fn what_is_no_question_gets_a_4xx_with_a_reason() {
    let webhook = webhook(vec![vpa("Recreate")]);
    let good = review(&pod()).to_string();
    let json = "application/json";
    let cases = [
        ("text/plain", good.clone(), 415, "content type"),
        ("", good.clone(), 415, "content type"),
        (
            json,
            "x".repeat(MAX_BODY + 1),
            413,
            "request payload too large",
        ),
        (json, String::new(), 400, "not an AdmissionReview"),
        (json, "{".into(), 400, "not an AdmissionReview"),
        (json, "[]".into(), 400, "not an AdmissionReview"),
        (
            json,
            good.replace("\"u-1\"", "7"),
            400,
            "not an AdmissionReview",
        ),
        (json, "[".repeat(100_000), 400, "not an AdmissionReview"),
        (json, "{}".into(), 400, "no request"),
        (json, "{\"request\": null}".into(), 400, "no request"),
    ];
    for (content_type, body, status, reason) in cases {
        let start: String = body.chars().take(40).collect();
        let (got, text) = post(&webhook, content_type, body).await;
        assert_eq!(got.as_u16(), status, "{start}: {text}");
        assert!(text.contains(reason), "{start}: {text}");
    }
    let app = init_service(App::new().app_data(webhook.clone()).configure(routes)).await;
    assert_eq!(
        call_service(&app, TestRequest::get().to_request())
            .await
            .status(),
        StatusCode::METHOD_NOT_ALLOWED
    );
    // The next good request is answered as ever.
    let (status, body) = post(&webhook, "application/json; charset=utf-8", good).await;
    assert!(status.is_success() && body.contains("JSONPatch"), "{body}");
}

#[actix_web::test]
async fn what_is_none_of_ours_is_let_through_with_its_uid() {
    let webhook = webhook(vec![vpa("Recreate")]);
    let change = |pointer: &str, value: Value| {
        let mut review = review(&pod());
        *review.pointer_mut(pointer).unwrap() = value;
        review
    };
    let mut sub_resource = review(&pod());
    sub_resource["request"]["subResource"] = "resize".into();
    for review in [
        change("/request/resource/resource", "nodes".into()),
        change("/request/resource/version", "v9".into()),
        change("/request/resource/group", "other.example".into()),
        change("/request/operation", "UPDATE".into()),
        change("/request/operation", "DELETE".into()),
        change("/request/object", Value::Null),
        change("/request/object", json!("not a pod")),
        change("/request/object/spec", json!([1])),
        change("/request/object/metadata/ownerReferences", json!([])),
        change("/request/namespace", json!("elsewhere")),
        sub_resource,
    ] {
        assert_eq!(
            verdict(&webhook, &review).await,
            json!({"uid": "u-1", "allowed": true}),
            "{review}"
        );
    }
}

/// A native sidecar is patched where it stands; in profile upstream it is not looked at.
#[actix_web::test]
async fn a_native_sidecar_is_sized() {
    let mut object = pod();
    object["spec"]["initContainers"] = json!([
        {"name": "first"},
        {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "5m"}}}
    ]);
    object["spec"]["containers"][1]["name"] = "other".into();
    let sized = sized(&webhook(vec![vpa("Recreate")]), object.clone()).await;
    assert_eq!(
        sized["spec"]["initContainers"][1]["resources"]["requests"],
        json!({"cpu": "20m", "memory": "64Mi"})
    );
    assert!(sized["spec"]["initContainers"][0]["resources"].is_null());
    let annotations = &sized["metadata"]["annotations"];
    let note = annotations["vpaUpdates"].as_str().unwrap();
    assert!(note.ends_with("; init container 1: cpu request, memory request"));
    assert_eq!(
        annotations["vpaObservedContainers"],
        "app, other, stranger, side"
    );

    let mut upstream = webhook_value(vec![vpa("Recreate")]);
    upstream.settings.profile = Profile::Upstream;
    let sized = self::sized(&web::Data::new(upstream), object).await;
    assert_eq!(
        sized["spec"]["initContainers"][1]["resources"]["requests"],
        json!({"cpu": "5m"})
    );
    assert_eq!(
        sized["metadata"]["annotations"]["vpaObservedContainers"],
        "app, other, stranger"
    );
}

/// Upstream's order, and the quantities and annotations it writes.
#[actix_web::test]
async fn a_pod_is_patched_as_upstream_does() {
    let verdict = verdict(&webhook(vec![vpa("Recreate")]), &review(&pod())).await;
    let operations: Vec<_> = patch(&verdict)
        .0
        .iter()
        .map(|op| serde_json::to_value(op).unwrap())
        .map(|op| (op["path"].clone(), op["value"].clone()))
        .collect();
    let expected = [
        ("/metadata/annotations", json!({})),
        ("/spec/containers/0/resources/requests/cpu", json!("250m")),
        ("/spec/containers/0/resources/requests/memory", json!("1Gi")),
        ("/spec/containers/0/resources/limits/cpu", json!("500m")),
        ("/spec/containers/1/resources", json!({})),
        ("/spec/containers/1/resources/requests", json!({})),
        ("/spec/containers/1/resources/requests/cpu", json!("20m")),
        ("/spec/containers/1/resources/requests/memory", json!("64Mi")),
        (
            "/metadata/annotations/vpaUpdates",
            json!("Pod resources updated by web-vpa: container 0: memory: limit NOT set since originalLimit is nil or 0, cpu request, memory request, cpu limit; container 1: cpu request, memory request"),
        ),
        ("/metadata/annotations/vpaObservedContainers", json!("app, side, stranger")),
    ]
    .map(|(path, value)| (json!(path), value));
    assert_eq!(operations, expected);
}

#[actix_web::test]
async fn the_mode_decides_and_the_patch_applies() {
    for (mode, sized) in [
        ("Off", false),
        ("Initial", true),
        ("Recreate", true),
        ("Auto", true),
        ("InPlaceOrRecreate", true),
        ("InPlace", true),
    ] {
        let mut object = pod();
        object["metadata"]["annotations"] = json!({"mine": "stays"});
        let verdict = verdict(&webhook(vec![vpa(mode)]), &review(&object)).await;
        json_patch::patch(&mut object, &patch(&verdict)).unwrap();
        assert_eq!(
            object["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "250m",
            sized,
            "{mode}"
        );
        assert_eq!(object["metadata"]["annotations"]["mine"], "stays");
        assert!(
            object["spec"]["containers"][2]["resources"].is_null(),
            "nothing is known of the stranger"
        );
    }
}

#[actix_web::test]
async fn without_a_vpa_nothing_is_written_and_the_counts_tell() {
    let none = webhook(vec![]);
    assert_eq!(
        verdict(&none, &review(&pod())).await,
        json!({"uid": "u-1", "allowed": true})
    );
    let mut dry_run = review(&pod());
    dry_run["request"]["dryRun"] = true.into();
    verdict(&none, &dry_run).await;
    assert_eq!(
        none.metrics.pods.with_label_values(&["false"]).get(),
        1,
        "a dry run does not count"
    );
    let one = webhook(vec![vpa("Recreate")]);
    verdict(&one, &review(&pod())).await;
    assert_eq!(one.metrics.pods.with_label_values(&["true"]).get(), 1);
    assert_eq!(
        one.metrics
            .admission
            .with_label_values(&["applied", "Pod"])
            .get_sample_count(),
        1
    );
}

/// While large bodies hold all the memory there is for them, another large one is told to wait and an ordinary one passes.
#[actix_web::test]
async fn large_bodies_are_bounded_together() {
    let webhook = webhook(vec![]);
    let mut share = webhook.bodies.share();
    let mut held = 0;
    while share.grow_to(held + (1 << 20)) {
        held += 1 << 20;
    }
    let mut large = review(&pod());
    large["request"]["object"]["metadata"]["annotations"] = json!({"big": "x".repeat(1 << 20)});
    let (status, text) = post(&webhook, "application/json", large.to_string()).await;
    assert_eq!(
        (status, text.contains("try again")),
        (StatusCode::SERVICE_UNAVAILABLE, true),
        "{text}"
    );
    assert!(verdict(&webhook, &review(&pod())).await["allowed"] == true);
    drop(share);
    assert!(verdict(&webhook, &large).await["allowed"] == true);
    assert_eq!(webhook.bodies.held(), 0, "all is given back");
}

/// A broken VPA object in the request is refused through the same door.
#[actix_web::test]
async fn an_invalid_vpa_is_refused() {
    let review = json!({"request": {
        "uid": "u-2", "operation": "CREATE", "name": "web", "namespace": "shop",
        "resource": {"group": "autoscaling.k8s.io", "version": "v1", "resource": "verticalpodautoscalers"},
        "object": {"spec": {}}
    }});
    let verdict = verdict(&webhook(vec![]), &review).await;
    assert_eq!(
        (&verdict["allowed"], &verdict["status"]["code"]),
        (&json!(false), &json!(422))
    );
}

/// Once the process is about to stop, each answer ends its connection.
#[actix_web::test]
async fn answers_close_their_connection_while_draining() {
    let webhook = webhook(vec![]);
    for draining in [false, true] {
        if draining {
            webhook.drain();
        }
        let app = init_service(App::new().app_data(webhook.clone()).configure(routes)).await;
        let request = TestRequest::post()
            .insert_header(("content-type", "application/json"))
            .set_payload(review(&pod()).to_string());
        let response = call_service(&app, request.to_request()).await;
        assert_eq!(
            response.response().head().connection_type() == actix_web::http::ConnectionType::Close,
            draining
        );
    }
}

/// One random change to a JSON document: a value replaced, a member dropped, or the text cut and spliced.
#[derive(Clone, Debug)]
enum Mutation {
    Replace(usize, Value),
    Drop(usize),
    Cut(usize),
    Splice(usize, u8),
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!({})),
        Just(json!([])),
        Just(json!([{}])),
        Just(json!("")),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{0,30}(m|Mi|e[0-9]{1,12}|n)?".prop_map(Value::from),
        "[~/a-z\\PC]{0,12}".prop_map(Value::from),
        Just(json!([{"name": "app"}, {"name": "app"}])),
        Just(
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "", "controller": true}])
        ),
    ]
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let one = prop_oneof![
        6 => (any::<usize>(), values()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        3 => any::<usize>().prop_map(Mutation::Drop),
        1 => any::<usize>().prop_map(Mutation::Cut),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Splice(at, byte)),
    ];
    prop::collection::vec(one, 1..5)
}

/// The pointers of all values in a document, itself apart.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut visit = |token: &str, child: &Value| {
        let pointer = format!("{at}/{}", token.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(child, &pointer, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, child)| visit(key, child)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, child)| visit(&i.to_string(), child)),
        _ => {}
    }
}

fn mutate(document: &mut Value, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let mut found = Vec::new();
        pointers(document, "", &mut found);
        match mutation {
            Mutation::Replace(at, value) if !found.is_empty() => {
                let target = document.pointer_mut(&found[at % found.len()]).unwrap();
                // An array where an object belongs would be read field by field. API servers cannot send one: what they
                // send was a typed object before.
                if !(target.is_object() && value.is_array()) {
                    *target = value.clone();
                }
            }
            Mutation::Drop(at) if !found.is_empty() => {
                let (parent, token) = found[at % found.len()]
                    .rsplit_once('/')
                    .map(|(p, t)| (p.to_owned(), t.to_owned()))
                    .unwrap();
                match document.pointer_mut(&parent).unwrap() {
                    Value::Object(map) => {
                        drop(map.remove(&token.replace("~1", "/").replace("~0", "~")));
                    }
                    Value::Array(items) => drop(items.remove(token.parse().unwrap())),
                    _ => unreachable!("only objects and arrays have members"),
                }
            }
            _ => {}
        }
    }
    let mut body = document.to_string().into_bytes();
    for mutation in mutations {
        match mutation {
            Mutation::Cut(at) => body.truncate(at % (body.len() + 1)),
            Mutation::Splice(at, byte) if !body.is_empty() => {
                let at = at % body.len();
                body[at] = *byte;
            }
            _ => {}
        }
    }
    body
}

/// Whatever the body: an answer or a 4xx, never a refused pod, and a patch that applies to the pod it was made for.
fn holds_for(body: &[u8]) {
    let runtime = actix_web::rt::Runtime::new().unwrap();
    runtime.block_on(async {
        let (status, text) = post(
            &webhook(vec![vpa("Recreate")]),
            "application/json",
            body.to_vec(),
        )
        .await;
        if status.is_client_error() {
            assert!(!text.is_empty());
            return;
        }
        assert_eq!(status, StatusCode::OK);
        let answer: Value = serde_json::from_str(&text).unwrap();
        let review: Value = match serde_json::from_slice(body) {
            Ok(review) => review,
            // Where nothing is read, a number may be larger than any that a `Value` holds: it is JSON all the same.
            Err(error) => {
                assert!(error.to_string().contains("number out of range"), "{error}");
                assert_eq!(answer["response"]["allowed"], true);
                return;
            }
        };
        assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
        if review["request"]["resource"]["resource"] == "pods" {
            assert_eq!(answer["response"]["allowed"], true);
        }
        let mut object = review["request"]["object"].clone();
        json_patch::patch(&mut object, &patch(&answer["response"])).unwrap();
    });
}

/// Found by the test below: `1` made `1e999`, in a field that nobody reads.
#[test]
fn a_number_beyond_all_bounds_in_an_unread_field_is_no_matter() {
    let mut review = review(&pod());
    review["request"]["object"]["spec"]["priority"] = 12_345.into();
    let body = review.to_string().replace("12345", "1e999");
    holds_for(body.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_review_however_broken_is_answered_wrongly(changes in mutations()) {
        holds_for(&mutate(&mut review(&pod()), &changes));
    }
}
