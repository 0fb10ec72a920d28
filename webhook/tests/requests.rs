//! The HTTP contract and the pod patches, through the router as a value: no network.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use common::reviews::{
    patch, pod, pod_in_full, review, vpa, webhook, webhook_in_full, webhook_value,
};
use podfit_core::profile::Profile;
use podfit_webhook::admission::Webhook;
use podfit_webhook::metrics::{Kind, Outcome};
use podfit_webhook::routes::{MAX_BODY, routes};
use serde_json::{Value, json};

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

/// API servers ask again when another webhook changed the pod: the sized pod is left as it is, and what was injected is
/// sized, too.
#[actix_web::test]
async fn a_pod_is_sized_once() {
    let webhook = webhook_in_full();
    let once = sized(&webhook, pod_in_full()).await;
    assert_eq!(
        once["spec"]["containers"][0]["resources"],
        json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1088Mi"}})
    );
    assert_eq!(
        once["metadata"]["annotations"]["vpaCpuStartupBoost/app"],
        r#"{"requests":{"cpu":"100m"},"limits":{"cpu":"200m"}}"#
    );
    assert_eq!(
        verdict(&webhook, &review(&once)).await,
        json!({"uid": "u-1", "allowed": true})
    );
    let mut injected = once.clone();
    injected["spec"]["initContainers"] = json!([{"name": "meshed"}]);
    let containers = injected["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, json!({"name": "side"}));
    let twice = sized(&webhook, injected).await;
    assert_eq!(
        twice["spec"]["containers"][0]["resources"]["requests"]["memory"],
        "64Mi"
    );
    assert_eq!(
        twice["spec"]["containers"][1],
        once["spec"]["containers"][0]
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
        none.metrics.pods(false).get(),
        1,
        "a dry run does not count"
    );
    let one = webhook(vec![vpa("Recreate")]);
    verdict(&one, &review(&pod())).await;
    assert_eq!(one.metrics.pods(true).get(), 1);
    assert_eq!(
        one.metrics
            .admission(Outcome::Applied, Kind::Pod)
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
