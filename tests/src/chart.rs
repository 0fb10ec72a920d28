//! podfit's Helm chart, rendered for programs that run as processes instead of pods.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::{Cluster, log_folder, repository};

/// The namespace podfit is installed in.
pub const NAMESPACE: &str = "podfit";

/// What the chart says about one component.
#[derive(Clone, Debug)]
pub struct Component {
    /// The flags in its Deployment.
    pub arguments: Vec<String>,
    /// The service account its pods would have.
    pub service_account: String,
}

/// Applies all of the chart but its Deployments and their budgets, and gives back what these would run.
pub async fn apply_without_pods(
    cluster: &Cluster,
    values: &Value,
    with_crds: bool,
) -> Result<BTreeMap<String, Component>> {
    let rendered = render(cluster, values, with_crds).await?;
    // kubectl turns YAML into JSON.
    let parsed = cluster
        .kubectl(
            &[
                "create",
                "--dry-run=client",
                "--validate=false",
                "-o",
                "json",
                "-f",
                "-",
            ],
            &rendered,
        )
        .await?;
    let (mut others, mut components) = (Vec::new(), BTreeMap::new());
    for object in objects(&parsed)? {
        match object["kind"].as_str() {
            Some("Deployment") => {
                let (name, component) = component(&object)?;
                components.insert(name, component);
            }
            Some("PodDisruptionBudget") => {}
            _ => others.push(object),
        }
    }
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    others.insert(0, namespace);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": others});
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    cluster.kubectl(&apply, &list.to_string()).await?;
    Ok(components)
}

/// What the Deployments of the release would run.
pub async fn installed(cluster: &Cluster) -> Result<BTreeMap<String, Component>> {
    let label = "app.kubernetes.io/instance=podfit";
    let get = [
        "-n",
        NAMESPACE,
        "get",
        "deployments",
        "-l",
        label,
        "-o",
        "json",
    ];
    let deployments = objects(&cluster.kubectl(&get, "").await?)?;
    deployments.iter().map(component).collect()
}

async fn render(cluster: &Cluster, values: &Value, with_crds: bool) -> Result<String> {
    let chart = repository().join("charts/podfit");
    let chart = chart.to_str().context("the path is not UTF-8")?;
    let file = values_file(cluster, values)?;
    let crds = if with_crds {
        "--include-crds"
    } else {
        "--skip-crds"
    };
    cluster
        .helm(&[
            "template",
            "podfit",
            chart,
            "--namespace",
            NAMESPACE,
            crds,
            "--no-hooks",
            "-f",
            &file,
        ])
        .await
}

/// Writes the chart's values for this cluster to a file, and gives its path.
pub fn values_file(cluster: &Cluster, values: &Value) -> Result<String> {
    let file = log_folder(cluster)?.join("values.json");
    fs::write(&file, values.to_string())?;
    Ok(file.display().to_string())
}

/// The objects in kubectl's output: Lists, or one after the other.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let value = value?;
        match value["items"].as_array() {
            Some(items) => all.extend(items.iter().cloned()),
            None => all.push(value),
        }
    }
    Ok(all)
}

fn component(deployment: &Value) -> Result<(String, Component)> {
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let arguments = container["args"]
        .as_array()
        .context("a Deployment without args")?
        .iter()
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let text = |value: &Value| value.as_str().map(str::to_owned).context("not a string");
    Ok((
        text(&container["name"])?,
        Component {
            arguments,
            service_account: text(&pod["serviceAccountName"])?,
        },
    ))
}
