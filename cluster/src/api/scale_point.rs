//! The annotation `podfit.dev/scale-point`, and who else writes the object that carries it.

use kube::api::ObjectMeta;
use podfit_core::horizontal::realign::{Anchor, Covers, Kept, SCALE_POINT_ANNOTATION, ScalePoint};
use podfit_core::quantity::{Bytes, Millicores, Resource};
use serde_json::{Map, Value, json};

use super::quantity::amount;

/// By the beginnings of labels and annotations: programs that apply manifests again when an object differs from them.
const APPLIERS: [(&str, &str); 3] = [
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
];

/// What an HPA, or a ScaledObject, carries.
pub fn kept(meta: &ObjectMeta) -> Kept {
    let text = meta
        .annotations
        .as_ref()
        .and_then(|all| all.get(SCALE_POINT_ANNOTATION));
    let (anchors, problem) = match text.map(String::as_str).map(read) {
        None => (Vec::new(), None),
        Some(Ok(anchors)) => (anchors, None),
        Some(Err(problem)) => (Vec::new(), Some(problem)),
    };
    Kept {
        anchors,
        problem,
        managed_by: managed_by(meta),
    }
}

/// The program that applies the object's manifest again and again.
pub fn managed_by(meta: &ObjectMeta) -> Option<&'static str> {
    let maps = [&meta.labels, &meta.annotations];
    let mut keys = maps.into_iter().flatten().flat_map(|map| map.keys());
    keys.find_map(|key| {
        let mut all = APPLIERS.iter();
        all.find(|(start, _)| key.starts_with(start))
            .map(|(_, name)| *name)
    })
}

/// `{"cpu": {"target": 70, "request": "500m", "set": 80}}`, by metric.
fn read(text: &str) -> Result<Vec<(Covers, Anchor)>, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?;
    let metrics = object.iter().map(|(key, value)| {
        let covers = Covers::parse(key).ok_or_else(|| {
            format!("{key:?} is none of cpu, memory, cpu/CONTAINER and memory/CONTAINER")
        })?;
        let anchor = anchor(covers.resource, value)
            .ok_or_else(|| format!("{key}: target, request or set is missing or no such number"))?;
        Ok((covers, anchor))
    });
    metrics.collect()
}

fn anchor(resource: Resource, value: &Value) -> Option<Anchor> {
    let request = amount(resource, &value["request"]).ok()?;
    let point = ScalePoint::new(value["target"].as_i64()?, request)?;
    let set = value["set"].as_i64().filter(|set| *set > 0)?;
    Some(Anchor { point, set })
}

/// As [`kept`] reads it.
pub fn written(anchors: &[(Covers, Anchor)]) -> String {
    let metrics = anchors.iter().map(|(covers, anchor)| {
        let value = json!({
            "target": anchor.point.target(),
            "request": exact(covers.resource, anchor.point.request()),
            "set": anchor.set,
        });
        (covers.to_string(), value)
    });
    Value::Object(metrics.collect()).to_string()
}

fn exact(resource: Resource, amount: i64) -> String {
    match resource {
        Resource::Cpu => Millicores(amount).to_string(),
        Resource::Memory => Bytes(amount).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(annotation: &str) -> ObjectMeta {
        ObjectMeta {
            annotations: Some([(SCALE_POINT_ANNOTATION.to_owned(), annotation.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let anchor = |target, request, set| Anchor {
            point: ScalePoint::new(target, request).unwrap(),
            set,
        };
        let of = |text: &str| Covers::parse(text).unwrap();
        let anchors = vec![
            (of("cpu"), anchor(70, 500, 80)),
            (of("memory/app"), anchor(80, 477_218_589, 90)),
        ];
        let text = written(&anchors);
        assert_eq!(
            text,
            r#"{"cpu":{"request":"500m","set":80,"target":70},"memory/app":{"request":"477218589","set":90,"target":80}}"#
        );
        assert_eq!(kept(&meta(&text)).anchors, anchors);
        assert_eq!(kept(&ObjectMeta::default()), Kept::default());
    }

    #[test]
    fn what_cannot_be_read_is_told_and_nothing_is_taken_of_it() {
        let good = r#""cpu": {"target": 70, "request": "500m", "set": 80}"#;
        let rows = [
            ("", "it is no JSON object"),
            ("[]", "it is no JSON object"),
            (r#"{"gpu": {}}"#, "\"gpu\" is none of"),
            (
                r#"{"memory": {"target": 70, "request": "lots", "set": 80}}"#,
                "memory: target",
            ),
            (
                r#"{"memory": {"target": 7, "request": "1Gi", "set": 80}}"#,
                "memory: target",
            ),
            (
                r#"{"memory": {"target": 70, "request": "1Gi"}}"#,
                "memory: target",
            ),
            (r#"{"memory": 7}"#, "memory: target"),
        ];
        for (text, want) in rows {
            for text in [
                text.to_owned(),
                text.replacen('{', &format!("{{{good},"), 1),
            ] {
                let kept = kept(&meta(&text));
                let problem = kept.problem.clone().unwrap_or_default();
                assert!(problem.starts_with(want), "{text}: {problem}");
                assert!(kept.anchors.is_empty() && kept.is_annotated());
            }
        }
    }

    #[test]
    fn programs_that_apply_again_are_known() {
        let rows = [
            ("argocd.argoproj.io/tracking-id", Some("Argo CD")),
            ("argocd.argoproj.io/instance", Some("Argo CD")),
            ("kustomize.toolkit.fluxcd.io/name", Some("Flux")),
            ("helm.toolkit.fluxcd.io/name", Some("Flux")),
            ("app.kubernetes.io/managed-by", None),
            ("meta.helm.sh/release-name", None),
        ];
        for (key, want) in rows {
            let map = Some([(key.to_owned(), "x".to_owned())].into());
            let (labelled, annotated) = (
                ObjectMeta {
                    labels: map.clone(),
                    ..ObjectMeta::default()
                },
                ObjectMeta {
                    annotations: map,
                    ..ObjectMeta::default()
                },
            );
            assert_eq!(
                (managed_by(&labelled), managed_by(&annotated)),
                (want, want),
                "{key}"
            );
        }
    }
}
