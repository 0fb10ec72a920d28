//! Stored histories: read all, write one, delete one.

use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, TypeMeta,
};
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::OomFloor;
use podfit_core::quantity::Bytes;
use podfit_core::vpa::Vpa;
use serde_json::json;

use crate::api::checkpoint::{CheckpointObject, CheckpointSpec, CheckpointStatus};
use crate::api::time;
use crate::calls::{CallError, Calls};

/// Where out-of-memory evidence is stored: `<bytes>@<time>`. Upstream leaves annotations alone.
const OOM_FLOOR_ANNOTATION: &str = "podfit.dev/oom-floor";

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
    let floor = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| parse_floor(a.get(OOM_FLOOR_ANNOTATION)?));
    Stored {
        namespace: object.metadata.namespace.unwrap_or_default(),
        name: object.metadata.name.unwrap_or_default(),
        vpa: object.spec.vpa_object_name,
        container: object.spec.container_name,
        content: Checkpoint {
            oom_floor: floor,
            ..object.status.to_checkpoint()
        },
    }
}

fn parse_floor(text: &str) -> Option<OomFloor> {
    let (bytes, at) = text.split_once('@')?;
    Some(OomFloor {
        bytes: Bytes(bytes.parse().ok().filter(|b| *b >= 0)?),
        at: time::parse(at)?,
    })
}

fn floor_text(floor: OomFloor) -> String {
    format!("{}@{}", floor.bytes.0, time::format(floor.at))
}

/// Writes the history of one container of a VPA, creating the object when there is none.
pub async fn write(
    calls: &Calls,
    vpa: &Vpa,
    container: &str,
    content: &Checkpoint,
) -> Result<(), CallError> {
    let api: Api<CheckpointObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    // Upstream's name for it.
    let name = format!("{}-{container}", vpa.name);
    let status = CheckpointStatus::from(content);
    let annotations = content
        .oom_floor
        .map(|f| [(OOM_FLOOR_ANNOTATION.to_owned(), floor_text(f))].into());
    let parameters = PatchParams::default();
    // Replaced, not merged: buckets that emptied must go.
    let operation = json_patch::AddOperation {
        path: jsonptr::PointerBuf::from_tokens(["status"]),
        value: json!(status),
    };
    let replace = Patch::<()>::Json(json_patch::Patch(vec![json_patch::PatchOperation::Add(
        operation,
    )]));
    match calls
        .run("patch checkpoint", api.patch(&name, &parameters, &replace))
        .await
    {
        Ok(object) => {
            let stored = object
                .metadata
                .annotations
                .and_then(|a| a.get(OOM_FLOOR_ANNOTATION).cloned());
            if stored == content.oom_floor.map(floor_text) {
                return Ok(());
            }
            let merge = Patch::Merge(json!({ "metadata": { "annotations": annotations } }));
            calls
                .run("annotate checkpoint", api.patch(&name, &parameters, &merge))
                .await
                .map(drop)
        }
        Err(error) if error.is_not_found() => {
            let object = CheckpointObject {
                types: TypeMeta::resource::<CheckpointObject>(),
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
        Err(error) => Err(error),
    }
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

    #[test]
    fn the_floor_is_stored_as_text() {
        let floor = OomFloor {
            bytes: Bytes(1 << 30),
            at: time::parse("2026-11-24T10:11:12Z").unwrap(),
        };
        assert_eq!(floor_text(floor), "1073741824@2026-11-24T10:11:12Z");
        assert_eq!(parse_floor(&floor_text(floor)), Some(floor));
        for nonsense in [
            "",
            "1",
            "x@2026-11-24T10:11:12Z",
            "-1@2026-11-24T10:11:12Z",
            "1@now",
        ] {
            assert_eq!(parse_floor(nonsense), None);
        }
    }
}
