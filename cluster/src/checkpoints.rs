//! Stored histories: read all, write one, delete one.

mod annotation;

use std::collections::BTreeMap;
use std::time::Duration;

use json_patch::{AddOperation, PatchOperation};
use jsonptr::PointerBuf;
use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta,
};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::{OomFloor, OpenWindow};
use podfit_core::ownership::ControllerKey;
use podfit_core::vpa::Vpa;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::checkpoint::{CheckpointObject, CheckpointSpec, CheckpointStatus};
use crate::calls::{CallError, Calls};

use self::annotation::Annotation;

/// Where that is stored for which upstream has no field: it leaves annotations alone.
const ANNOTATION: &str = "podfit.dev/history";

/// A stored history.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Namespace of the VPA and of the stored object.
    pub namespace: String,
    /// Name of the stored object.
    pub name: String,
    /// Name of the VPA.
    pub vpa: String,
    /// Name of the container.
    pub container: String,
    /// The history.
    pub content: Checkpoint,
    /// What upstream has no field for.
    pub beside: Beside,
    /// The version that a write is checked against.
    pub resource_version: String,
}

/// What is stored beside a history, where upstream leaves it alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// The controller whose history it is; `None` in what upstream wrote. A VPA of another name that sizes the same
    /// controller goes on with it.
    pub target: Option<Target>,
    /// Memory windows that were open when it was stored, by pod uid.
    pub open: BTreeMap<String, OpenWindow>,
    /// How long the workload went on without a VPA.
    pub orphaned: Duration,
}

/// A controller in the namespace of what is stored: kind and name as in [`ControllerKey`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Target {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

impl From<&ControllerKey> for Target {
    fn from(key: &ControllerKey) -> Self {
        Self {
            kind: key.kind.clone().into_owned(),
            name: key.name.clone(),
        }
    }
}

/// All stored histories of a namespace, or of the cluster when it is empty.
pub async fn list(calls: &Calls, namespace: &str) -> Result<Vec<Stored>, CallError> {
    let api: Api<CheckpointObject> = if namespace.is_empty() {
        Api::all(calls.client().clone())
    } else {
        Api::namespaced(calls.client().clone(), namespace)
    };
    let mut stored = Vec::new();
    let mut page = ListParams::default().limit(500);
    loop {
        let list = calls.run("list checkpoints", api.list(&page)).await?;
        stored.extend(list.items.into_iter().map(read));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(stored),
        }
    }
}

fn read(object: CheckpointObject) -> Stored {
    let annotation = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(ANNOTATION));
    let annotation: Annotation = match annotation.map(|text| serde_json::from_str(text)) {
        Some(Ok(annotation)) => annotation,
        Some(Err(error)) => {
            let (namespace, name) = (
                object.metadata.namespace.as_deref(),
                object.metadata.name.as_deref(),
            );
            tracing::warn!(namespace, name, %error, "annotation {ANNOTATION} cannot be read; continuing without it");
            Annotation::default()
        }
        None => Annotation::default(),
    };
    Stored {
        namespace: object.metadata.namespace.unwrap_or_default(),
        name: object.metadata.name.unwrap_or_default(),
        vpa: object.spec.vpa_object_name,
        container: object.spec.container_name,
        content: Checkpoint {
            oom_floor: annotation.oom_floor.clone().map(OomFloor::from),
            has_past: annotation.has_past,
            adaptive: annotation.adaptive(),
            adaptive_days: annotation.adaptive_days(),
            runs: annotation.runs(),
            ..object.status.to_checkpoint()
        },
        beside: annotation.beside(),
        resource_version: object.metadata.resource_version.unwrap_or_default(),
    }
}

/// Reads one stored history.
pub async fn get(calls: &Calls, namespace: &str, name: &str) -> Result<Stored, CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), namespace);
    calls.run("get checkpoint", api.get(name)).await.map(read)
}

/// The name of the object that holds the history of a container of a VPA: upstream's.
pub fn name(vpa: &str, container: &str) -> String {
    format!("{vpa}-{container}")
}

/// Creates what is stored of a container of a VPA, and answers with its version. A conflict means that it is there.
pub async fn create(
    calls: &Calls,
    (vpa, container): (&Vpa, &str),
    content: &Checkpoint,
    beside: &Beside,
) -> Result<String, CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let annotation = json!(Annotation::of(content, beside)).to_string();
    let object = CheckpointObject {
        types: Some(TypeMeta::resource::<CheckpointObject>()),
        metadata: ObjectMeta {
            name: Some(name(&vpa.name, container)),
            annotations: Some([(ANNOTATION.to_owned(), annotation)].into()),
            ..ObjectMeta::default()
        },
        spec: CheckpointSpec {
            vpa_object_name: vpa.name.clone(),
            container_name: container.into(),
        },
        status: CheckpointStatus::from(content),
    };
    let post = PostParams::default();
    let created = calls.run("create checkpoint", api.create(&post, &object));
    Ok(created.await?.metadata.resource_version.unwrap_or_default())
}

/// Replaces what is stored under `name` and still has the version `resource_version`; answers with the new version. A
/// conflict means that somebody else wrote meanwhile.
pub async fn replace(
    calls: &Calls,
    (namespace, name, resource_version): (&str, &str, &str),
    content: &Checkpoint,
    beside: &Beside,
) -> Result<String, CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), namespace);
    let annotation = json!(Annotation::of(content, beside)).to_string();
    // The whole status is replaced, not merged: buckets that emptied must go.
    let mut operations = vec![
        add(["status"], json!(CheckpointStatus::from(content))),
        add(["metadata", "annotations", ANNOTATION], json!(annotation)),
        add(["metadata", "resourceVersion"], json!(resource_version)),
    ];
    let mut written = patch(calls, &api, name, &operations).await;
    if written
        .as_ref()
        .is_err_and(|error| error.status() == Some(422))
    {
        // Made by upstream, and without any annotation to add to.
        operations.insert(0, add(["metadata", "annotations"], json!({})));
        written = patch(calls, &api, name, &operations).await;
    }
    written
}

/// Says how long a workload went on without a VPA, and changes nothing else.
pub async fn set_orphaned(calls: &Calls, stored: &Stored) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &stored.namespace);
    let annotation = json!(Annotation::of(&stored.content, &stored.beside)).to_string();
    let patch = json!({ "metadata": {
        "resourceVersion": stored.resource_version, "annotations": { ANNOTATION: annotation }
    } });
    let (merge, parameters) = (Patch::Merge(&patch), PatchParams::default());
    let request = api.patch(&stored.name, &parameters, &merge);
    calls.run("annotate checkpoint", request).await.map(drop)
}

fn add<const N: usize>(path: [&str; N], value: serde_json::Value) -> PatchOperation {
    PatchOperation::Add(AddOperation {
        path: PointerBuf::from_tokens(path),
        value,
    })
}

async fn patch(
    calls: &Calls,
    api: &Api<CheckpointObject>,
    name: &str,
    operations: &[PatchOperation],
) -> Result<String, CallError> {
    let patch = Patch::<()>::Json(json_patch::Patch(operations.to_vec()));
    let parameters = PatchParams::default();
    let patched = calls.run("patch checkpoint", api.patch(name, &parameters, &patch));
    Ok(patched.await?.metadata.resource_version.unwrap_or_default())
}

/// Deletes a stored history. One that is gone already is no error.
pub async fn delete(calls: &Calls, namespace: &str, name: &str) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), namespace);
    match calls
        .run(
            "delete checkpoint",
            api.delete(name, &DeleteParams::default()),
        )
        .await
    {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::Bytes;
    use podfit_core::time::Timestamp;

    use super::annotation::STORED_WINDOWS;
    use super::*;

    fn window(peak: i64) -> OpenWindow {
        OpenWindow {
            end: Timestamp::from_unix_millis(86_400_000),
            memory_peak: Some(Bytes(peak)),
            oom_peak: None,
            last_memory: Some(Timestamp::from_unix_millis(1000)),
            last_cpu: None,
        }
    }

    #[test]
    fn what_is_stored_beside_reads_back() {
        let floor = OomFloor {
            killed_at: Bytes(1 << 29),
            climbs: 2,
            template: Some("5d4f".into()),
            ..OomFloor::of(
                Bytes(1 << 30),
                Timestamp::from_unix_millis(1_700_000_000_000),
            )
        };
        let content = Checkpoint {
            oom_floor: Some(floor.clone()),
            has_past: true,
            adaptive: Some(vec![1, 2, 255]),
            adaptive_days: Some(vec![255, 7]),
            runs: Some(vec![255, 0]),
            ..Checkpoint::default()
        };
        let beside = Beside {
            target: Some(Target {
                kind: "Deployment".into(),
                name: "web".into(),
            }),
            open: BTreeMap::from([("u1".to_owned(), window(5)), ("u2".to_owned(), window(7))]),
            orphaned: Duration::from_secs(7),
        };
        let text = json!(Annotation::of(&content, &beside)).to_string();
        let read: Annotation = serde_json::from_str(&text).unwrap();
        assert!(read.has_past);
        assert_eq!(read.adaptive(), content.adaptive);
        assert_eq!(read.adaptive_days(), content.adaptive_days);
        assert_eq!(read.runs(), content.runs);
        let read_floor = read.oom_floor.clone().map(OomFloor::from);
        assert_eq!((read_floor, read.beside()), (Some(floor), beside));
        let nothing = Annotation::of(&Checkpoint::default(), &Beside::default());
        assert_eq!(json!(nothing).to_string(), "{}");
    }

    /// As podfit wrote it at first.
    #[test]
    fn a_floor_of_bytes_and_time_is_read() {
        let read: Annotation = serde_json::from_str(r#"{"oomFloor": [1024, 5000]}"#).unwrap();
        let floor = OomFloor::of(Bytes(1024), Timestamp::from_unix_millis(5000));
        assert_eq!(read.oom_floor.map(OomFloor::from), Some(floor));
    }

    #[test]
    fn of_many_windows_the_highest_are_kept() {
        let open: BTreeMap<_, _> = (0..1000).map(|n| (n.to_string(), window(n))).collect();
        let beside = Beside {
            open,
            ..Beside::default()
        };
        let kept = Annotation::of(&Checkpoint::default(), &beside)
            .beside()
            .open;
        assert_eq!(kept.len(), STORED_WINDOWS);
        assert!(kept.values().all(|w| w.memory_peak >= Some(Bytes(900))));
    }

    #[test]
    fn an_annotation_that_is_nonsense_costs_only_itself() {
        let object = json!({
            "metadata": {"name": "web-app", "namespace": "shop", "annotations": {ANNOTATION: "?"}},
            "spec": {"vpaObjectName": "web", "containerName": "app"}, "status": {"version": "v3", "totalSamplesCount": 3}
        });
        let stored = read(serde_json::from_value(object).unwrap());
        assert_eq!(
            (stored.content.total_samples, stored.beside),
            (3, Beside::default())
        );
    }
}
