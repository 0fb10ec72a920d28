//! Moving the targets of HPAs: in the HPA itself, or in the ScaledObject that KEDA makes it from, which would overwrite
//! the HPA.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use podfit_core::horizontal::HorizontalAutoscaler;
use podfit_core::horizontal::realign::{
    Anchor, Covers, Kept, Move, Retarget, SCALE_POINT_ANNOTATION, targets,
};
use serde_json::{Value, json};

use crate::api::controller::api_resource;
use crate::api::scale_point::{kept, written};
use crate::calls::{CallError, Calls};

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Retargeted {
    /// It is made, in the object that is named.
    Done(ObjectReference),
    /// The object reads otherwise than it was known to, or was written meanwhile: the next loop sees how.
    Overtaken,
}

/// The object whose targets are written, and where it has them.
#[derive(Clone, Copy)]
struct Holder<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    /// The list in its spec.
    list: &'static str,
    /// Where an entry of that list has its target, when it is the one that is meant.
    place: fn(&Value, &Covers) -> Option<Place>,
}

/// A target in an entry.
struct Place {
    target: i64,
    write: fn(&mut Value, i64),
}

impl<'a> Holder<'a> {
    fn of(hpa: &'a HorizontalAutoscaler) -> Self {
        match &hpa.scaled_object {
            Some(name) => Self {
                api_version: "keda.sh/v1alpha1",
                kind: "ScaledObject",
                name,
                list: "triggers",
                place: in_trigger,
            },
            None => Self {
                api_version: "autoscaling/v2",
                kind: "HorizontalPodAutoscaler",
                name: &hpa.name,
                list: "metrics",
                place: in_metric,
            },
        }
    }

    fn reference(self, object: &DynamicObject) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.into()),
            kind: Some(self.kind.into()),
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone(),
            uid: object.metadata.uid.clone(),
            ..ObjectReference::default()
        }
    }

    /// The target in a list.
    fn target(self, list: &Value, covers: &Covers) -> Option<i64> {
        let mut entries = list.as_array()?.iter();
        entries.find_map(|entry| Some((self.place)(entry, covers)?.target))
    }

    /// The list with all targets moved; `None` when one of them is not there, or is another than it was.
    fn moved(self, list: &Value, moves: &[Move]) -> Option<Value> {
        let mut list = list.clone();
        for one in moves {
            let mut entries = list.as_array_mut()?.iter_mut();
            let found = entries.find_map(|entry| {
                let place = (self.place)(entry, &one.covers)?;
                Some((entry, place))
            });
            let (entry, place) = found.filter(|(_, place)| place.target == one.from)?;
            (place.write)(entry, one.to);
        }
        Some(list)
    }
}

fn in_metric(metric: &Value, covers: &Covers) -> Option<Place> {
    fn write(metric: &mut Value, target: i64) {
        for source in ["resource", "containerResource"] {
            if metric[source].is_object() {
                metric[source]["target"]["averageUtilization"] = json!(target);
            }
        }
    }
    let source = match covers.container {
        None => &metric["resource"],
        Some(_) => &metric["containerResource"],
    };
    let same = source["name"] == covers.resource.name()
        && source["container"].as_str() == covers.container.as_deref();
    let target = source["target"]["averageUtilization"].as_i64()?;
    same.then_some(Place { target, write })
}

fn in_trigger(trigger: &Value, covers: &Covers) -> Option<Place> {
    fn write(trigger: &mut Value, target: i64) {
        // KEDA takes texts only.
        trigger["metadata"]["value"] = json!(target.to_string());
    }
    let metadata = &trigger["metadata"];
    let container = metadata["containerName"].as_str().filter(|n| !n.is_empty());
    let same =
        trigger["type"] == covers.resource.name() && container == covers.container.as_deref();
    let target = metadata["value"].as_str()?.trim().parse().ok()?;
    same.then_some(Place { target, write })
}

/// Makes a change to an HPA, targets and what is kept of them at once, if it still is as it is known to be.
pub async fn retarget(
    calls: &Calls,
    hpa: &HorizontalAutoscaler,
    next: &Retarget,
) -> Result<Retargeted, CallError> {
    let holder = Holder::of(hpa);
    let resource = api_resource(holder.api_version, holder.kind);
    let api: Api<DynamicObject> =
        Api::namespaced_with(calls.client().clone(), &hpa.namespace, &resource);
    let object = match calls.run("get HPA", api.get(holder.name)).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return Ok(Retargeted::Overtaken),
        Err(error) => return Err(error),
    };
    if kept(&object.metadata) != hpa.kept {
        carry(calls, hpa, &object.metadata).await?;
        return Ok(Retargeted::Overtaken);
    }
    let Some(patch) = patch(holder, &object, next) else {
        return Ok(Retargeted::Overtaken);
    };
    let (patch, parameters) = (Patch::Merge(&patch), PatchParams::default());
    let request = api.patch(holder.name, &parameters, &patch);
    match calls.run("patch HPA", request).await {
        Ok(object) => {
            if next.moves.is_empty() {
                carry(calls, hpa, &object.metadata).await?;
            }
            Ok(Retargeted::Done(holder.reference(&object)))
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Ok(Retargeted::Overtaken),
        Err(error) => Err(error),
    }
}

/// Writes the annotation of a ScaledObject to the HPA that KEDA makes from it, where KEDA does not: it takes over an annotation
/// only together with a change of the ScaledObject's spec.
async fn carry(
    calls: &Calls,
    hpa: &HorizontalAutoscaler,
    from: &ObjectMeta,
) -> Result<(), CallError> {
    if hpa.scaled_object.is_none() || !carries(hpa, &kept(from)) {
        return Ok(());
    }
    let annotation = from
        .annotations
        .as_ref()
        .and_then(|all| all.get(SCALE_POINT_ANNOTATION));
    let patch = json!({"metadata": {"annotations": {SCALE_POINT_ANNOTATION: annotation}}});
    let resource = api_resource("autoscaling/v2", "HorizontalPodAutoscaler");
    let api: Api<DynamicObject> =
        Api::namespaced_with(calls.client().clone(), &hpa.namespace, &resource);
    let (patch, parameters) = (Patch::Merge(&patch), PatchParams::default());
    let request = api.patch(&hpa.name, &parameters, &patch);
    match calls.run("patch HPA", request).await {
        Ok(_) => Ok(()),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// True when an HPA that has not what its ScaledObject keeps is to get it. With a target that was moved, KEDA brings it: before
/// that it would look as if the owner had set the old target anew.
fn carries(hpa: &HorizontalAutoscaler, kept: &Kept) -> bool {
    let in_force = targets(hpa);
    let moved = |(covers, anchor): &(Covers, Anchor)| {
        in_force
            .iter()
            .any(|(of, target)| of == covers && *target != anchor.set)
    };
    (&kept.anchors, &kept.problem) != (&hpa.kept.anchors, &hpa.kept.problem)
        && !kept.anchors.iter().any(moved)
}

/// `None` when the object's targets are others than those that the change is from.
fn patch(holder: Holder<'_>, object: &DynamicObject, next: &Retarget) -> Option<Value> {
    let annotation = (!next.keep.is_empty()).then(|| written(&next.keep));
    let mut patch = json!({ "metadata": {
        "resourceVersion": object.metadata.resource_version,
        "annotations": { SCALE_POINT_ANNOTATION: annotation },
    }});
    let list = holder.moved(&object.data["spec"][holder.list], &next.moves)?;
    let set =
        |(covers, anchor): &(Covers, Anchor)| holder.target(&list, covers) == Some(anchor.set);
    if !next.keep.iter().all(set) {
        return None;
    }
    if !next.moves.is_empty() {
        patch["spec"] = json!({ holder.list: list });
    }
    Some(patch)
}

#[cfg(test)]
mod tests {
    use podfit_core::horizontal::realign::ScalePoint;
    use podfit_core::horizontal::{Metric, Target};
    use podfit_core::quantity::Resource;

    use super::*;

    fn covers(text: &str) -> Covers {
        Covers::parse(text).unwrap()
    }

    fn one(text: &str, from: i64, to: i64) -> Move {
        let covers = covers(text);
        Move { covers, from, to }
    }

    fn object(spec: &Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "x/v1", "kind": "X",
            "metadata": {"name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    fn hpa(scaled_object: Option<&str>) -> HorizontalAutoscaler {
        HorizontalAutoscaler {
            name: "web".into(),
            scaled_object: scaled_object.map(String::from),
            ..HorizontalAutoscaler::default()
        }
    }

    #[test]
    fn only_the_targets_that_are_meant_move() {
        let of_pod = |target: i64| json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}});
        let of_app = |target: i64| json!({"type": "ContainerResource", "containerResource": {"name": "memory", "container": "app", "target": {"type": "Utilization", "averageUtilization": target}}});
        let queue = json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "5"}}});
        let before = json!([queue, of_pod(70), of_app(80)]);
        let plain = hpa(None);
        let holder = Holder::of(&plain);
        let moves = [one("cpu", 70, 74), one("memory/app", 80, 85)];
        assert_eq!(
            holder.moved(&before, &moves),
            Some(json!([queue, of_pod(74), of_app(85)]))
        );
        for overtaken in [
            one("cpu", 71, 74),
            one("memory", 80, 85),
            one("cpu/app", 70, 74),
        ] {
            assert_eq!(holder.moved(&before, &[overtaken]), None);
        }
        assert_eq!(holder.moved(&json!(null), &moves), None);

        let trigger = |target: &str| json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": target, "containerName": "app"}});
        let cron = json!({"type": "cron", "metadata": {"value": "70"}});
        let of_keda = hpa(Some("web"));
        let holder = Holder::of(&of_keda);
        let new = holder.moved(&json!([cron, trigger("70")]), &[one("cpu/app", 70, 74)]);
        assert_eq!(new, Some(json!([cron, trigger("74")])));
        assert_eq!(holder.moved(&json!([cron]), &[one("cpu", 70, 74)]), None);
    }

    #[test]
    fn an_annotation_is_carried_unless_its_target_is_on_its_way() {
        let anchor = |set| {
            let point = ScalePoint::new(70, 500).unwrap();
            vec![(covers("cpu"), Anchor { point, set })]
        };
        // What the HPA keeps, what its ScaledObject does; the target of the HPA is 70.
        let rows = [
            (vec![], anchor(70), true),
            (anchor(70), vec![], true),
            (vec![], anchor(74), false),
            (anchor(70), anchor(74), false),
            (anchor(74), anchor(70), true),
            (anchor(70), anchor(70), false),
        ];
        for (has, holds, want) in rows {
            let row = format!("{has:?} {holds:?}");
            let of = |anchors| Kept {
                anchors,
                ..Kept::default()
            };
            let hpa = HorizontalAutoscaler {
                metrics: vec![Metric::Resource {
                    resource: Resource::Cpu,
                    container: None,
                    target: Target::Utilization(70),
                }],
                kept: of(has),
                ..hpa(Some("web"))
            };
            assert_eq!(carries(&hpa, &of(holds)), want, "{row}");
        }
        let unreadable = Kept {
            problem: Some("no JSON".into()),
            ..Kept::default()
        };
        assert!(carries(&hpa(Some("web")), &unreadable));
    }

    #[test]
    fn target_and_annotation_are_one_change_to_a_version_that_was_read() {
        let metric = |target: i64| json!({"resource": {"name": "cpu", "target": {"averageUtilization": target}}});
        let plain = hpa(None);
        let object = object(&json!({"metrics": [metric(70)], "maxReplicas": 9}));
        let point = ScalePoint::new(70, 500).unwrap();
        let next = Retarget {
            moves: vec![one("cpu", 70, 74)],
            keep: vec![(covers("cpu"), Anchor { point, set: 74 })],
        };
        let want = json!({
            "metadata": {
                "resourceVersion": "7",
                "annotations": {"podfit.dev/scale-point": r#"{"cpu":{"request":"500m","set":74,"target":70}}"#},
            },
            "spec": {"metrics": [metric(74)]},
        });
        assert_eq!(patch(Holder::of(&plain), &object, &next), Some(want));
        let meant_for_another = Retarget {
            moves: vec![],
            keep: next.keep,
        };
        assert_eq!(patch(Holder::of(&plain), &object, &meant_for_another), None);
        let gone = json!({"metadata": {"resourceVersion": "7", "annotations": {"podfit.dev/scale-point": null}}});
        assert_eq!(
            patch(Holder::of(&plain), &object, &Retarget::default()),
            Some(gone)
        );
    }
}
