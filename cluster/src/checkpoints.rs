//! Stored histories: read all, write one, delete one.

use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::vpa::Vpa;
use serde_json::Value;

use crate::api::checkpoint::{CheckpointObject, CheckpointSpec, CheckpointStatus};
use crate::calls::{CallError, Calls};

/// Writes the history of one container of a VPA, creating the object when there is none.
pub async fn checkpoint(calls: &Calls, vpa: &Vpa, container: &str, content: &Checkpoint) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let name = checkpoint_name(&vpa.name, container);
    let status = CheckpointStatus::from(content);
    // A replacement, not a merge: buckets that emptied must go.
    let replace: json_patch::Patch =
        json_patch::Patch(vec![json_patch::PatchOperation::Add(json_patch::AddOperation {
            path: jsonptr::PointerBuf::from_tokens(["status"]),
            value: serde_json::to_value(&status).unwrap_or(Value::Null),
        })]);
    let (patch, parameters) = (Patch::<()>::Json(replace), PatchParams::default());
    match calls.run("patch checkpoint", api.patch(&name, &parameters, &patch)).await {
        Err(error) if error.is_not_found() => {
            let object = CheckpointObject {
                metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
                spec: CheckpointSpec { vpa_object_name: vpa.name.clone(), container_name: container.into() },
                status,
            };
            calls.run("create checkpoint", api.create(&PostParams::default(), &object)).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The name upstream gives the checkpoint of a container.
pub fn checkpoint_name(vpa: &str, container: &str) -> String {
    format!("{vpa}-{container}")
}

/// Deletes a checkpoint. One that is gone already is no error.
pub async fn delete_checkpoint(calls: &Calls, namespace: &str, name: &str) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), namespace);
    match calls.run("delete checkpoint", api.delete(name, &DeleteParams::default())).await {
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
