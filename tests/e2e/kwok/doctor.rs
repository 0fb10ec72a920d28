//! `kubectl podfit doctor` on a real control plane: all well, then what is broken, and what may not be seen.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::under_asked;

/// What must be well in any cluster of this suite, where podfit's programs run outside of pods.
const WELL: [&str; 18] = [
    "Kubernetes",
    "in-place resize",
    "VPA definition",
    "checkpoint definition",
    "metrics API",
    "recommender's lease",
    "updater's lease",
    "webhook's sign of life",
    "webhook registered",
    "webhook's CA bundle",
    "new pods are sized",
    "webhook's certificate",
    "recommender's rights",
    "updater's rights",
    "webhook's rights",
    "other VPA installs",
    "VPAs' targets",
    "pods of nobody",
];

pub async fn finds(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let doctor = async |more: &[&str]| -> Result<(bool, Value)> {
        let arguments = [&["doctor", "-o", "json", "-n", &ns.name], more].concat();
        let (well, text) = podfit.kubectl_podfit(&arguments).await?;
        let said = serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok((well, said))
    };
    ns.create(under_asked().manifest()).await?;
    ns.create(under_asked().vpa("Initial")).await?;
    let (well, said) = until("all well", secs(60), async || {
        let answer = doctor(&[]).await?;
        for what in WELL {
            let check = check(&answer.1, what)?;
            ensure!(check["verdict"] == "OK", "{check}");
        }
        Ok(answer)
    })
    .await?;
    ensure!(well, "{said}");

    // An HPA on what the VPA sizes, first left alone and then not, and a VPA of nothing.
    let apply = ["-n", &ns.name, "apply", "-f", "-"];
    ns.cluster
        .kubectl(&apply, &horizontal().to_string())
        .await?;
    let (_, said) = doctor(&[]).await?;
    let yields = check(&said, "HPAs beside VPAs")?;
    ensure!(yields["verdict"] == "OK", "{yields}");
    let ignore = json!({"metadata": {"annotations": {"podfit.dev/horizontal": "ignore"}}});
    ns.merge("VerticalPodAutoscaler", "web", ignore).await?;
    let mut lost = under_asked().vpa("Off");
    lost["metadata"]["name"] = "lost".into();
    lost["spec"]["targetRef"]["name"] = "gone".into();
    ns.create(lost).await?;
    // And a pod that looks like one of web's, and is nobody's.
    let mut bare = under_asked().manifest()["spec"]["template"].take();
    bare["apiVersion"] = "v1".into();
    bare["kind"] = "Pod".into();
    bare["metadata"]["name"] = "debug".into();
    ns.create(bare).await?;
    let (well, said) = doctor(&[]).await?;
    ensure!(well, "warnings fail: {said}");
    for (what, words) in [
        ("HPAs beside VPAs", "on cpu"),
        ("VPAs' targets", "lost"),
        ("pods of nobody", "debug of Deployment"),
    ] {
        let check = check(&said, what)?;
        let finding = check["finding"].as_str().unwrap_or_default();
        ensure!(
            check["verdict"] == "WARN" && finding.contains(words),
            "{check}"
        );
    }
    let (well, said) = doctor(&["--strict"]).await?;
    ensure!(!well, "warnings do not fail with --strict: {said}");

    // Who may see nothing is told so, line by line.
    let (_, said) = doctor(&["--as", "nobody"]).await?;
    for what in [
        "metrics API",
        "updater's lease",
        "webhook registered",
        "updater's rights",
        "VPAs' targets",
    ] {
        let check = check(&said, what)?;
        let finding = check["finding"].as_str().unwrap_or_default();
        ensure!(
            check["verdict"] == "WARN" && finding.contains("not checked"),
            "{check}"
        );
    }

    // A webhook that hangs.
    podfit.signal("webhook", "STOP").await?;
    let answer = doctor(&[]).await;
    podfit.signal("webhook", "CONT").await?;
    let (well, said) = answer?;
    let chain = check(&said, "new pods are sized")?;
    ensure!(!well && chain["verdict"] == "FAIL", "{chain}");

    // For people, through kubectl: a table, each line with its verdict.
    let (_, text) = podfit.kubectl_podfit(&["doctor"]).await?;
    ensure!(text.starts_with("OK    Kubernetes"), "{text}");
    Ok(())
}

/// One check of all that doctor said.
pub fn check<'a>(said: &'a Value, what: &str) -> Result<&'a Value> {
    let mut checks = said["checks"].as_array().into_iter().flatten();
    let check = checks.find(|check| check["check"] == what);
    check.with_context(|| format!("no check `{what}` in {said}"))
}

fn horizontal() -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80},
            }}],
        },
    })
}
