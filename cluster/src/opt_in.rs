//! Making, changing and removing the VPAs that labels ask for.
//!
//! They are written by server-side apply and never by force, so that what somebody else has changed in one stays his.

mod fields;

use kube::api::{
    Api, ApiResource, DeleteParams, ListParams, ObjectMeta, PartialObjectMeta, Patch, PatchParams,
    Preconditions,
};
use podfit_core::opt_in::{Apply, MANAGED_BY_LABEL, MANAGER, OPTED_IN_ANNOTATION};
use podfit_core::ownership::{ControllerKey, ForeignKind, Owners, WELL_KNOWN_KINDS};
use podfit_core::vpa::Vpa;
use serde_json::{Map, Value, json};

use crate::api::controller::{ControllerObject, api_resource};
use crate::api::vpa::VpaObject;
use crate::calls::{CallError, Calls};
use crate::index::controllers;

/// Who has applied the fields, in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "podfit-opt-in";

/// Why a VPA was not made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum OptInError {
    /// The API server refused, or did not answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Its workload is gone, or goes.
    #[error("{0} is gone")]
    NoWorkload(ControllerKey),
    /// There is one of that name by now.
    #[error("VPA {0} was made by somebody else meanwhile")]
    Taken(String),
    /// Others have a say in what makes it podfit's.
    #[error(
        "VPA {vpa} is not podfit's alone ({why}); delete it, or take its label \
         app.kubernetes.io/managed-by away to keep it as yours"
    )]
    NotOurs {
        /// Its name.
        vpa: String,
        /// What was found.
        why: String,
    },
}

/// A workload's kind as the API server knows it; `None` while that is not known.
pub fn resource_of(owners: &Owners, key: &ControllerKey) -> Option<ApiResource> {
    if let Some((version, kind)) = WELL_KNOWN_KINDS.iter().find(|(_, kind)| *kind == key.kind) {
        return Some(api_resource(version, kind));
    }
    let ForeignKind::Watched {
        resource, version, ..
    } = owners.kind(&key.kind)?
    else {
        return None;
    };
    let (plural, group) = resource.split_once('.')?;
    let (kind, _) = key.kind.split_once('.')?;
    Some(ApiResource {
        group: group.into(),
        version: version.clone(),
        api_version: format!("{group}/{version}"),
        kind: kind.into(),
        plural: plural.into(),
    })
}

/// Makes or changes a VPA for a workload of the kind `resource`: the fields that were left as somebody else has them.
pub async fn apply(
    calls: &Calls,
    apply: &Apply,
    resource: &ApiResource,
) -> Result<Vec<String>, OptInError> {
    let namespace = &apply.workload.namespace;
    let uid = uid_of(calls, &apply.workload, resource).await?;
    let vpas: Api<VpaObject> = Api::namespaced(calls.client().clone(), namespace);
    // A write over an unknown one would make it podfit's.
    if apply.is_new && metadata_of(calls, &vpas, &apply.vpa).await?.is_some() {
        return Err(OptInError::Taken(apply.vpa.clone()));
    }
    let mut object = to_json(apply, resource, &uid);
    let error = match write(calls, &vpas, &apply.vpa, &object).await {
        Ok(()) => return Ok(Vec::new()),
        Err(error) => error,
    };
    let kept = fields::in_conflict(&error);
    if kept.is_empty() {
        return Err(error.into());
    }
    let not_ours = |why: String| OptInError::NotOurs {
        vpa: apply.vpa.clone(),
        why,
    };
    if apply.is_new {
        return Err(OptInError::Taken(apply.vpa.clone()));
    }
    for field in &kept {
        if !fields::remove(&mut object, field) {
            return Err(not_ours(format!("{field} is set by others")));
        }
    }
    write(calls, &vpas, &apply.vpa, &object).await?;
    Ok(kept)
}

async fn write(
    calls: &Calls,
    vpas: &Api<VpaObject>,
    name: &str,
    object: &Value,
) -> Result<(), CallError> {
    let (parameters, patch) = (PatchParams::apply(FIELD_MANAGER), Patch::Apply(object));
    let request = vpas.patch(name, &parameters, &patch);
    calls.run("apply VPA", request).await.map(drop)
}

/// Removes a VPA that podfit has made, in the version that was read.
pub async fn remove(calls: &Calls, vpa: &Vpa) -> Result<(), OptInError> {
    let vpas: Api<VpaObject> = Api::namespaced(calls.client().clone(), &vpa.namespace);
    let Some(metadata) = metadata_of(calls, &vpas, &vpa.name).await? else {
        return Ok(());
    };
    let labels = metadata.labels.as_ref();
    let is_managed = labels
        .and_then(|l| l.get(MANAGED_BY_LABEL))
        .map(String::as_str);
    let mut managers = metadata.managed_fields.iter().flatten();
    let is_made_here = managers.any(|m| m.manager.as_deref() == Some(FIELD_MANAGER));
    if metadata.uid.as_ref() != Some(&vpa.uid) || is_managed != Some(MANAGER) {
        // Another one by now, which the next plan looks at.
        return Ok(());
    }
    if !is_made_here {
        return Err(OptInError::NotOurs {
            vpa: vpa.name.clone(),
            why: format!("none of its fields is managed by {FIELD_MANAGER}"),
        });
    }
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: metadata.uid,
            resource_version: metadata.resource_version,
        }),
        ..DeleteParams::default()
    };
    let request = vpas.delete(&vpa.name, &parameters);
    match calls.run("delete VPA", request).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// The unique id of a workload that is there, and not about to go.
pub async fn uid_of(
    calls: &Calls,
    key: &ControllerKey,
    resource: &ApiResource,
) -> Result<String, OptInError> {
    let client = calls.client().clone();
    let api = controllers::<ControllerObject>(client, &key.namespace, resource);
    let one = only(&key.name);
    let listed = calls
        .run("list controllers", api.list_metadata(&one))
        .await?;
    let metadata = listed.items.into_iter().next().map(|o| o.metadata);
    metadata
        .filter(|m| m.deletion_timestamp.is_none())
        .and_then(|m| m.uid)
        .ok_or_else(|| OptInError::NoWorkload(key.clone()))
}

async fn metadata_of(
    calls: &Calls,
    vpas: &Api<VpaObject>,
    name: &str,
) -> Result<Option<ObjectMeta>, CallError> {
    let one = only(name);
    let listed = calls.run("list VPAs", vpas.list_metadata(&one)).await?;
    let first: Option<PartialObjectMeta<VpaObject>> = listed.items.into_iter().next();
    Ok(first.map(|object| object.metadata))
}

/// By a list, since the right to list is there already.
fn only(name: &str) -> ListParams {
    ListParams::default().fields(&format!("metadata.name={name}"))
}

/// The whole object as podfit wants it.
fn to_json(apply: &Apply, resource: &ApiResource, uid: &str) -> Value {
    let (key, wanted) = (&apply.workload, &apply.wanted);
    let traits = &wanted.traits;
    let mut annotations = Map::new();
    annotations.insert(OPTED_IN_ANNOTATION.into(), wanted.mark.as_str().into());
    for (name, value) in traits.annotations {
        annotations.insert((*name).into(), (*value).into());
    }
    let mut update_policy = json!({ "updateMode": wanted.update_mode.name() });
    if let Some(replicas) = traits.min_replicas {
        update_policy["minReplicas"] = replicas.into();
    }
    if !traits.only_for_more.is_empty() {
        let resources: Vec<_> = traits.only_for_more.iter().map(|r| r.name()).collect();
        update_policy["evictionRequirements"] = json!([
            { "resources": resources, "changeRequirement": "TargetHigherThanRequests" }
        ]);
    }
    let target = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": key.name,
    });
    let mut owner = target.clone();
    owner["uid"] = uid.into();
    json!({
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": {
            "name": apply.vpa,
            "namespace": key.namespace,
            "labels": { MANAGED_BY_LABEL: MANAGER },
            "annotations": annotations,
            "ownerReferences": [owner],
        },
        "spec": { "targetRef": target, "updatePolicy": update_policy },
    })
}

#[cfg(test)]
mod tests {
    use podfit_core::opt_in::{Asked, Autosize, By, Mode, WorkloadProfile, wanted};
    use podfit_core::vpa::UpdateMode;

    use super::*;

    fn asked(profile: Option<WorkloadProfile>) -> Apply {
        let asked = Asked {
            mode: Mode::Autosize(Autosize::InPlace),
            profile,
            by: By::Workload,
        };
        Apply {
            workload: ControllerKey::new("shop", "Rollout.argoproj.io", "web"),
            vpa: "web".into(),
            wanted: wanted(asked, true),
            is_new: true,
        }
    }

    fn rollouts() -> Owners {
        let mut owners = Owners::default();
        let watched = ForeignKind::Watched {
            resource: "rollouts.argoproj.io".into(),
            version: "v1alpha1".into(),
            scalable: true,
        };
        owners.set_kind("Rollout.argoproj.io", watched);
        owners
    }

    /// What is written is read back as what was wanted, and as podfit's.
    #[test]
    fn what_is_written_is_what_was_wanted() {
        let profiles = WorkloadProfile::NAMES.map(|(profile, _)| Some(profile));
        for profile in profiles.into_iter().chain([None]) {
            let apply = asked(profile);
            let resource = resource_of(&rollouts(), &apply.workload).unwrap();
            let written = to_json(&apply, &resource, "u1");
            let vpa = Vpa::from(&serde_json::from_value::<VpaObject>(written).unwrap());
            assert_eq!(vpa.problems, Vec::<String>::new());
            assert_eq!(vpa.update_mode, apply.wanted.update_mode);
            assert_eq!(vpa.min_replicas, apply.wanted.traits.min_replicas);
            let target = vpa.target.as_ref().unwrap();
            assert_eq!(target.api_version, "argoproj.io/v1alpha1");
            assert_eq!(ControllerKey::of("shop", target), apply.workload);
            let managed = vpa.managed.unwrap();
            assert_eq!(managed.mark, apply.wanted.mark);
            assert_eq!(managed.profile(), profile);
            let only = vpa
                .eviction_requirements
                .first()
                .map(|r| r.resources.clone());
            assert_eq!(only.unwrap_or_default(), apply.wanted.traits.only_for_more);
            if profile == Some(WorkloadProfile::Serving) {
                assert_eq!(vpa.percentiles.cpu, Some(0.95));
                assert_eq!(vpa.update_mode, UpdateMode::InPlaceOrRecreate);
            }
        }
    }

    #[test]
    fn kinds_are_known_to_the_api_server_by_their_resource() {
        let owners = rollouts();
        let path = |kind: &str| {
            let resource = resource_of(&owners, &ControllerKey::new("ns", kind, "x"))?;
            Some(format!("{} {}", resource.api_version, resource.plural))
        };
        assert_eq!(path("CronJob").as_deref(), Some("batch/v1 cronjobs"));
        let rollouts = path("Rollout.argoproj.io");
        assert_eq!(rollouts.as_deref(), Some("argoproj.io/v1alpha1 rollouts"));
        assert_eq!(path("Crew.example.org"), None);
    }
}
