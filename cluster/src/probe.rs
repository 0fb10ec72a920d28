//! A pod that is created for show (a server-side dry run), to see whether the API server applies what the webhook answers.
//!
//! The updater asks, the webhook knows the pod by its label and gives it what no pod would have by itself, and the updater
//! sees whether that is in what the API server would have stored: the registration, the certificate, the network, the webhook
//! and what other webhooks make of it, all in one.

use http::Request;
use http::header::CONTENT_TYPE;
use json_patch::{AddOperation, Patch, PatchOperation, ReplaceOperation};
use jsonptr::PointerBuf;
use podfit_core::quantity::Resource;
use serde_json::{Value, json};

use crate::api::quantity::amount;
use crate::calls::{CallError, Calls};

/// The label of the pod, and the annotation with which the webhook answers.
pub const PROBE: &str = "podfit.dev/probe";

const ANSWER: &str = "applied";
const CONTAINER: &str = "probe";
const CPU_BEFORE: &str = "1m";
const CPU_AFTER: &str = "2m";

/// Why new pods are not known to get what the webhook answers.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// The pod could not be tried out.
    #[error("{0}")]
    NotTried(#[from] CallError),
    /// It was, and would be stored otherwise than answered.
    #[error("{0}")]
    NotApplied(&'static str),
}

/// Has the API server say what it would make of the pod in `namespace`, podfit's own. That takes the right to create pods there.
pub async fn check(calls: &Calls, namespace: &str) -> Result<(), NotProven> {
    let stored = try_out(calls, namespace, &pod()).await?;
    not_applied(&stored).map_or(Ok(()), |why| Err(NotProven::NotApplied(why)))
}

/// A pod as the API server would store it in `namespace`.
pub async fn try_out(calls: &Calls, namespace: &str, pod: &Value) -> Result<Value, CallError> {
    let answer = async {
        let request = Request::post(format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"))
            .header(CONTENT_TYPE, "application/json")
            .body(pod.to_string().into_bytes());
        let request = request.map_err(kube::Error::HttpError)?;
        calls.client().request(request).await
    };
    calls.run("try out a new pod", answer).await
}

/// The pod. It has a controller like the pods it stands for, and passes the strictest security standard.
pub fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "podfit-probe-",
            "labels": {PROBE: "admission"},
            "ownerReferences": [{
                "apiVersion": "podfit.dev/v1", "kind": "Probe", "name": "admission", "controller": true,
                "uid": "6e0c3c9e-7c4d-4b0e-9d5a-0f1c2d3e4f5a",
            }],
        },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": CONTAINER,
                "image": "podfit.dev/never-started",
                "resources": {
                    "requests": {"cpu": CPU_BEFORE, "memory": "1Mi"},
                    "limits": {"cpu": "10m", "memory": "1Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}

/// What the webhook makes of the pod; `None` of any other. Other webhooks may have changed it before.
pub fn answer(pod: &Value) -> Option<Patch> {
    pod["metadata"]["labels"].get(PROBE)?;
    let containers = pod["spec"]["containers"].as_array()?;
    let index = containers.iter().position(|c| c["name"] == CONTAINER)?;
    let index = index.to_string();
    let cpu = ["spec", "containers", &index, "resources", "requests", "cpu"];
    let add = |path: &[&str], value: Value| {
        PatchOperation::Add(AddOperation {
            path: PointerBuf::from_tokens(path.iter().copied()),
            value,
        })
    };
    let mut operations = vec![PatchOperation::Replace(ReplaceOperation {
        path: PointerBuf::from_tokens(cpu),
        value: CPU_AFTER.into(),
    })];
    if pod["metadata"]["annotations"].is_null() {
        operations.push(add(&["metadata", "annotations"], json!({})));
    }
    operations.push(add(&["metadata", "annotations", PROBE], ANSWER.into()));
    Some(Patch(operations))
}

/// Why the pod as the API server would have stored it is not as the webhook answered; `None` when it is.
pub fn not_applied(stored: &Value) -> Option<&'static str> {
    if stored["metadata"]["annotations"][PROBE] != ANSWER {
        return Some(
            "the API server did not ask the webhook, or did not hear its answer: is it registered, does its certificate \
             fit, can the API server reach it?",
        );
    }
    let containers = stored["spec"]["containers"].as_array();
    let cpu = containers
        .into_iter()
        .flatten()
        .find(|c| c["name"] == CONTAINER)
        .map(|c| &c["resources"]["requests"]["cpu"]);
    let same = |cpu: &Value| amount(Resource::Cpu, cpu) == amount(Resource::Cpu, &CPU_AFTER.into());
    (!cpu.is_some_and(same)).then_some(
        "what the webhook answered was changed again: does another webhook set resources of new pods?",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_known_again() {
        let mut asked = pod();
        let told = |stored: &Value| not_applied(stored).unwrap_or_default().to_owned();
        assert!(told(&asked).contains("did not ask"));
        // Another webhook put its own container first.
        let injected = json!({"name": "mesh"});
        let containers = asked["spec"]["containers"].as_array_mut().unwrap();
        containers.insert(0, injected);
        let patch = answer(&asked).unwrap();
        json_patch::patch(&mut asked, &patch).unwrap();
        assert_eq!(not_applied(&asked), None);
        assert_eq!(asked["spec"]["containers"][0], json!({"name": "mesh"}));
        asked["spec"]["containers"][1]["resources"]["requests"]["cpu"] = "1m".into();
        assert!(told(&asked).contains("changed again"));
        let again = answer(&asked).unwrap();
        json_patch::patch(&mut asked, &again).unwrap();
        assert_eq!(not_applied(&asked), None, "asked twice");
    }

    #[test]
    fn other_pods_get_no_answer() {
        let mut other = pod();
        other["metadata"]["labels"] = json!({"app": "web"});
        assert_eq!(answer(&other), None);
        for odd in [
            json!(null),
            json!({"metadata": {"labels": {PROBE: "x"}}}),
            json!([]),
        ] {
            assert_eq!(answer(&odd), None);
        }
    }
}
