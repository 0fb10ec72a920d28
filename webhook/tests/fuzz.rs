//! Reviews as API servers send them, broken at random: whatever comes, the webhook answers it rightly.
//!
//! `PODFIT_FUZZ_CASES` says how many; `make fuzz-webhook` runs a million.

// Functions here are called by tests only; clippy knows that of `#[test]` functions alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use actix_http::Request;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::rt::Runtime;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, Error};
use common::reviews::{patch, pod, pod_in_full, review, webhook_in_full};
use podfit_webhook::routes::routes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// How many cases, unless `PODFIT_FUZZ_CASES` says otherwise: a few seconds.
const CASES: u32 = 3000;

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

/// Reviews to begin with: of pods, as small as can be and as API servers send them, and of VPAs.
fn seeds() -> Vec<Value> {
    let vpa = |operation: &str| {
        let object = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "updatePolicy": {"updateMode": "InPlace", "minReplicas": 1, "evictAfterOOMSeconds": 600},
            "startupBoost": {"cpu": {"type": "Factor", "factor": 2}},
            "recommenders": [{"name": "own"}],
            "resourcePolicy": {"containerPolicies": [{"containerName": "*", "mode": "Auto", "controlledResources": ["cpu"],
                "minAllowed": {"cpu": "100m"}, "maxAllowed": {"cpu": 2, "memory": "1Gi"}, "oomBumpUpRatio": "1.5",
                "startupBoost": {"cpu": {"type": "Quantity", "quantity": "1"}}}]}
        }});
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u-2", "operation": operation, "name": "web", "namespace": "shop", "oldObject": object,
            "resource": {"group": "autoscaling.k8s.io", "version": "v1", "resource": "verticalpodautoscalers"},
            "object": object
        }})
    };
    let real = serde_json::from_str(include_str!("../testdata/pod-review.json")).unwrap();
    vec![
        review(&pod()),
        review(&pod_in_full()),
        real,
        vpa("CREATE"),
        vpa("UPDATE"),
    ]
}

/// Answers one body.
async fn answer<S>(app: &S, body: Vec<u8>) -> (StatusCode, String)
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let request = TestRequest::post()
        .insert_header(("content-type", "application/json"))
        .set_payload(body);
    let response = call_service(app, request.to_request()).await;
    let status = response.status();
    let text = read_body(response).await.to_vec();
    (status, String::from_utf8(text).unwrap())
}

/// Whatever the body: an answer or a 4xx, never a refused pod, and a patch that applies to the object it was made for.
async fn holds_for<S>(app: &S, body: Vec<u8>)
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let (status, text) = answer(app, body.clone()).await;
    if status.is_client_error() {
        assert!(!text.is_empty());
        return;
    }
    assert_eq!(status, StatusCode::OK);
    let answer: Value = serde_json::from_str(&text).unwrap();
    let review: Value = match serde_json::from_slice(&body) {
        Ok(review) => review,
        // Where nothing is read, a number may be larger than any that a `Value` holds: it is JSON all the same.
        Err(error) => {
            assert!(error.to_string().contains("number out of range"), "{error}");
            return;
        }
    };
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    let resource = &review["request"]["resource"]["resource"];
    let allowed = answer["response"]["allowed"].as_bool().unwrap();
    assert!(allowed || resource == "verticalpodautoscalers", "{text}");
    let mut object = review["request"]["object"].clone();
    json_patch::patch(&mut object, &patch(&answer["response"])).unwrap();
}

#[test]
fn no_review_however_broken_is_answered_wrongly() {
    let cases = std::env::var("PODFIT_FUZZ_CASES").map_or(CASES, |n| n.parse().unwrap());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let runtime = Runtime::new().unwrap();
    let webhook = webhook_in_full();
    let app = App::new().app_data(webhook.clone()).configure(routes);
    let app = runtime.block_on(init_service(app));
    let seeds = seeds();
    let inputs = (0..seeds.len(), mutations());
    let outcome = runner.run(&inputs, |(seed, changes)| {
        let body = mutate(&mut seeds[seed].clone(), &changes);
        runtime.block_on(holds_for(&app, body));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let sized = webhook.metrics.pods(true).get();
    println!("{cases} reviews, {sized} pods sized all the same");
    assert!(
        sized > u64::from(cases) / 20,
        "too few reviews reached the sizing"
    );
}

/// Found by the test above: `1` made `1e999`, in a field that nobody reads.
#[actix_web::test]
async fn a_number_beyond_all_bounds_in_an_unread_field_is_no_matter() {
    let app = App::new().app_data(webhook_in_full()).configure(routes);
    let app = init_service(app).await;
    let mut review = review(&pod());
    review["request"]["object"]["spec"]["priority"] = 12_345.into();
    let body = review.to_string().replace("12345", "1e999");
    let (status, text) = answer(&app, body.into_bytes()).await;
    assert!(
        status.is_success() && text.contains("\"allowed\":true"),
        "{text}"
    );
}
