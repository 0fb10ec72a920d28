//! A mutating webhook beside podfit's, which adds a container to pods: what a service mesh is to the API server.

use std::convert::Infallible;
use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Request, Response};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::aggregated::acceptor;
use crate::namespace::Namespace;

/// The annotation with what podfit had written when the container was added.
pub const FOUND: &str = "podfit.test/found";

/// Its webhook configuration. API servers ask in order of these names.
const CONFIGURATION: &str = "zz-injector";

/// Registers it for the pods of a namespace, and answers on `address` (`IP:PORT`) as long as this process lives. It adds
/// `container` where there is none of its name, and wants to be asked again.
pub async fn inject(ns: &Namespace, address: &str, container: Value) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    let tls = acceptor(&ns.cluster.pki())?;
    tokio::spawn(accept(listener, tls, Arc::new(container)));
    let ca = fs::read(ns.cluster.pki().join("ca.crt")).context("the cluster's CA")?;
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [{
            "name": "injector.podfit.test", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "reinvocationPolicy": "IfNeeded",
            "clientConfig": {"url": format!("https://{address}/"), "caBundle": BASE64_STANDARD.encode(ca)},
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns.name}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        }],
    });
    let apply = ["apply", "--server-side", "-f", "-"];
    ns.cluster
        .kubectl(&apply, &configuration.to_string())
        .await
        .map(drop)
}

/// Removes its registration.
pub async fn remove(ns: &Namespace) -> Result<()> {
    let delete = ["delete", "mutatingwebhookconfiguration", CONFIGURATION];
    ns.cluster.kubectl(&delete, "").await.map(drop)
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, container: Arc<Value>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, container) = (tls.clone(), Arc::clone(&container));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            let answer = service_fn(|request| answer(request, &container));
            // A client that goes away is no trouble.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    container: &Value,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await;
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    let review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = reviewed(&review, container).to_string();
    let response = Response::builder().header("content-type", "application/json");
    Ok(response.body(Full::new(answer.into())).unwrap_or_default())
}

fn reviewed(review: &Value, container: &Value) -> Value {
    let request = &review["request"];
    let mut response = json!({"uid": request["uid"], "allowed": true});
    let patch = patch(&request["object"], container);
    if !patch.is_empty() {
        response["patchType"] = "JSONPatch".into();
        response["patch"] = BASE64_STANDARD
            .encode(Value::from(patch).to_string())
            .into();
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

fn patch(pod: &Value, container: &Value) -> Vec<Value> {
    let containers = pod["spec"]["containers"].as_array();
    let has_it = |c: &Value| c["name"] == container["name"];
    if containers.is_none_or(|all| all.iter().any(has_it)) {
        return Vec::new();
    }
    let mut annotations = pod["metadata"]["annotations"].clone();
    annotations[FOUND] = annotations["vpaUpdates"]
        .as_str()
        .unwrap_or_default()
        .into();
    vec![
        json!({"op": "add", "path": "/spec/containers/-", "value": container}),
        json!({"op": "add", "path": "/metadata/annotations", "value": annotations}),
    ]
}
