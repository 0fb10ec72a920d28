//! Stored histories: read all, write one, delete one.

use std::collections::BTreeMap;

use json_patch::{AddOperation, PatchOperation};
use jsonptr::PointerBuf;
use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta,
};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::{OomFloor, OpenWindow};
use podfit_core::quantity::Bytes;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::api::checkpoint::{CheckpointObject, CheckpointSpec, CheckpointStatus};
use crate::calls::{CallError, Calls};

/// Where that is stored for which upstream has no field: it leaves annotations alone.
const ANNOTATION: &str = "podfit.dev/history";

/// Open windows are stored of so many pods, those with the highest peaks. More would make the annotation too large
/// (256 KiB are allowed), and say no more about what the container needs.
const STORED_WINDOWS: usize = 100;

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
    /// Memory windows that were open when it was stored, by pod uid.
    pub open: BTreeMap<String, OpenWindow>,
}

/// The annotation's content. Times are milliseconds since the Unix epoch, amounts are bytes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Beside {
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_floor: Option<(i64, i64)>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    open_windows: BTreeMap<String, Window>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Window {
    end: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_peak: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_peak: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_cpu: Option<i64>,
}

impl Beside {
    fn of(content: &Checkpoint, open: &BTreeMap<String, OpenWindow>) -> Self {
        let mut highest: Vec<_> = open.iter().collect();
        highest
            .sort_by_key(|(_, window)| std::cmp::Reverse(window.memory_peak.max(window.oom_peak)));
        highest.truncate(STORED_WINDOWS);
        let window = |w: &OpenWindow| Window {
            end: w.end.unix_millis(),
            memory_peak: w.memory_peak.map(|b| b.0),
            oom_peak: w.oom_peak.map(|b| b.0),
            last_memory: w.last_memory.map(Timestamp::unix_millis),
            last_cpu: w.last_cpu.map(Timestamp::unix_millis),
        };
        Self {
            oom_floor: content.oom_floor.map(|f| (f.bytes.0, f.at.unix_millis())),
            open_windows: highest
                .into_iter()
                .map(|(uid, w)| (uid.clone(), window(w)))
                .collect(),
        }
    }

    fn oom_floor(&self) -> Option<OomFloor> {
        let (bytes, at) = self.oom_floor.filter(|(bytes, _)| *bytes >= 0)?;
        Some(OomFloor {
            bytes: Bytes(bytes),
            at: Timestamp::from_unix_millis(at),
        })
    }

    fn open(&self) -> BTreeMap<String, OpenWindow> {
        let bytes = |amount: Option<i64>| amount.filter(|b| *b >= 0).map(Bytes);
        let time = |millis: Option<i64>| millis.map(Timestamp::from_unix_millis);
        let window = |w: &Window| OpenWindow {
            end: Timestamp::from_unix_millis(w.end),
            memory_peak: bytes(w.memory_peak),
            oom_peak: bytes(w.oom_peak),
            last_memory: time(w.last_memory),
            last_cpu: time(w.last_cpu),
        };
        self.open_windows
            .iter()
            .map(|(uid, w)| (uid.clone(), window(w)))
            .collect()
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
    let beside: Beside = match annotation.map(|text| serde_json::from_str(text)) {
        Some(Ok(beside)) => beside,
        Some(Err(error)) => {
            let (namespace, name) = (
                object.metadata.namespace.as_deref(),
                object.metadata.name.as_deref(),
            );
            tracing::warn!(namespace, name, %error, "annotation {ANNOTATION} cannot be read; continuing without it");
            Beside::default()
        }
        None => Beside::default(),
    };
    Stored {
        namespace: object.metadata.namespace.unwrap_or_default(),
        name: object.metadata.name.unwrap_or_default(),
        vpa: object.spec.vpa_object_name,
        container: object.spec.container_name,
        content: Checkpoint {
            oom_floor: beside.oom_floor(),
            ..object.status.to_checkpoint()
        },
        open: beside.open(),
    }
}

/// Writes the history of one container of a VPA, creating the object when there is none.
pub async fn write(
    calls: &Calls,
    (vpa, container): (&Vpa, &str),
    content: &Checkpoint,
    open: &BTreeMap<String, OpenWindow>,
) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    // Upstream's name for it.
    let name = format!("{}-{container}", vpa.name);
    let status = CheckpointStatus::from(content);
    let beside = json!(Beside::of(content, open)).to_string();
    // The whole status is replaced, not merged: buckets that emptied must go.
    let mut operations = vec![
        add(["status"], json!(status)),
        add(["metadata", "annotations", ANNOTATION], json!(beside)),
    ];
    let mut written = patch(calls, &api, &name, &operations).await;
    if written
        .as_ref()
        .is_err_and(|error| error.status() == Some(422))
    {
        // Made by upstream, and without any annotation to add to.
        operations.insert(0, add(["metadata", "annotations"], json!({})));
        written = patch(calls, &api, &name, &operations).await;
    }
    match written {
        Err(error) if error.is_not_found() => {
            let annotations = Some([(ANNOTATION.to_owned(), beside)].into());
            let object = CheckpointObject {
                types: Some(TypeMeta::resource::<CheckpointObject>()),
                metadata: ObjectMeta {
                    name: Some(name),
                    annotations,
                    ..ObjectMeta::default()
                },
                spec: CheckpointSpec {
                    vpa_object_name: vpa.name.clone(),
                    container_name: container.into(),
                },
                status,
            };
            calls
                .run(
                    "create checkpoint",
                    api.create(&PostParams::default(), &object),
                )
                .await
                .map(drop)
        }
        other => other,
    }
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
) -> Result<(), CallError> {
    let patch = Patch::<()>::Json(json_patch::Patch(operations.to_vec()));
    calls
        .run(
            "patch checkpoint",
            api.patch(name, &PatchParams::default(), &patch),
        )
        .await
        .map(drop)
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
            bytes: Bytes(1 << 30),
            at: Timestamp::from_unix_millis(1_700_000_000_000),
        };
        let content = Checkpoint {
            oom_floor: Some(floor),
            ..Checkpoint::default()
        };
        let open = BTreeMap::from([("u1".to_owned(), window(5)), ("u2".to_owned(), window(7))]);
        let text = json!(Beside::of(&content, &open)).to_string();
        let read: Beside = serde_json::from_str(&text).unwrap();
        assert_eq!((read.oom_floor(), read.open()), (Some(floor), open));
        assert_eq!(
            json!(Beside::of(&Checkpoint::default(), &BTreeMap::new())).to_string(),
            "{}"
        );
    }

    #[test]
    fn of_many_windows_the_highest_are_kept() {
        let open: BTreeMap<_, _> = (0..1000).map(|n| (n.to_string(), window(n))).collect();
        let kept = Beside::of(&Checkpoint::default(), &open).open();
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
        assert_eq!((stored.content.total_samples, stored.open.len()), (3, 0));
    }
}
