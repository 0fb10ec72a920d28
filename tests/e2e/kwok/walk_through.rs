//! The samples of `examples/ml-platform`, on a cluster of their own: they name a namespace and priority classes, and want
//! KEDA's definitions, which other scenarios do without. Suite `platform` has the real KEDA.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::cluster::{Cluster, build, program, repository, run};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::wait::{secs, until};
use serde_json::Value;
use tokio::process::Command;

const CLUSTER: &str = "tests-samples";
const IN: [&str; 2] = ["-n", "ml-platform"];
/// All that `setup_environment.sh` would install by Helm.
const CHARTS: &str = "metrics-server,prometheus,prometheus-adapter,keda,podfit";

/// The API server takes every object of both variants, the setup script may be run again, and budgets protect pods.
pub async fn samples(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    on_their_own_cluster().await
}

async fn on_their_own_cluster() -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Cluster::up(CLUSTER, &["kwok"]).await?;
    define(&cluster).await?;
    cluster
        .kubectl(&["create", "namespace", "ml-platform"], "")
        .await?;
    for (variant, autoscalers) in [("manifests", 2), ("with-keda", 1)] {
        ensure_taken(&cluster, variant, autoscalers).await?;
    }
    let setup = [
        "--skip",
        CHARTS,
        "--image",
        "example.com/ml:2",
        "--prometheus",
        "http://there:9090",
    ];
    script(&cluster, "setup_environment.sh", &setup).await?;
    until("all pods of the samples run", secs(60), async || {
        let every = ["wait", "--for=condition=Available", "--timeout=5s"];
        let wait = [&IN[..], &every, &["deployment", "--all"]].concat();
        cluster.kubectl(&wait, "").await?;
        // The HPA's least. It would change the object later, else.
        let scaled = objects(&cluster).await?;
        ensure!(
            generations(&scaled).iter().any(|(name, generation)| {
                name.contains("fraud-detector-api") && *generation > 1
            }),
            "not scaled yet"
        );
        Ok(())
    })
    .await?;
    let objects = objects(&cluster).await?;
    let text = objects.to_string();
    ensure!(!text.contains("localhost/podfit-ml-workload"), "an image");
    ensure!(!text.contains("prometheus-server.monitoring"), "an address");
    ensure!(text.contains("http://there:9090"), "{text}");

    script(&cluster, "setup_environment.sh", &setup)
        .await
        .context("once more")?;
    ensure!(
        generations(&self::objects(&cluster).await?) == generations(&objects),
        "the second run changed something"
    );
    let checked = script(&cluster, "test_autoscaling.sh", &["pdb-protection"]).await?;
    ensure!(checked.starts_with("ok pdb-protection: "), "{checked}");
    Cluster::down(CLUSTER).await
}

/// The kinds that the samples are of: podfit's from the chart, KEDA's from its own module.
async fn define(cluster: &Cluster) -> Result<()> {
    let keda = program("../sources/keda-operator/crd/bases");
    if !keda.exists() {
        build(&["keda-operator"]).await?;
    }
    let podfit = repository().join("charts/podfit/crds");
    for folder in [&podfit, &keda] {
        let folder = folder.display().to_string();
        let apply = ["apply", "--server-side", "-f", &folder];
        cluster.kubectl(&apply, "").await?;
    }
    until("their kinds are served", secs(30), async || {
        let every = ["wait", "--for=condition=Established", "--timeout=5s"];
        let kinds = [
            "crd/verticalpodautoscalers.autoscaling.k8s.io",
            "crd/scaledobjects.keda.sh",
        ];
        cluster
            .kubectl(&[&every[..], &kinds].concat(), "")
            .await
            .map(drop)
    })
    .await
}

fn examples() -> std::path::PathBuf {
    repository().join("examples/ml-platform")
}

/// A dry run of all objects of a variant, which has so many HPAs.
async fn ensure_taken(cluster: &Cluster, variant: &str, autoscalers: usize) -> Result<()> {
    let folder = examples().join(variant).display().to_string();
    let manifests = cluster.kubectl(&["kustomize", &folder], "").await?;
    let apply = ["apply", "--dry-run=server", "-f", "-"];
    let said = cluster.kubectl(&apply, &manifests).await?;
    let taken = said.lines().filter(|l| l.ends_with("(server dry run)"));
    let objects = manifests.matches("\nkind: ").count();
    ensure!(taken.count() == objects, "{objects} objects, and {said}");
    let hpas = said.matches("horizontalpodautoscaler.").count();
    ensure!(hpas == autoscalers, "{said}");
    Ok(())
}

/// Runs one of the walk-through's scripts as a reader would.
async fn script(cluster: &Cluster, name: &str, arguments: &[&str]) -> Result<String> {
    let kubectl = program("kubectl");
    let ours = kubectl.parent().unwrap_or(Path::new("/")).display();
    let path = format!("{ours}:{}", std::env::var("PATH").unwrap_or_default());
    run(
        Command::new(examples().join("scripts").join(name))
            .args(arguments)
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("PATH", path),
        "",
    )
    .await
}

/// Deployments, ScaledObjects, HPAs and VPAs.
async fn objects(cluster: &Cluster) -> Result<Value> {
    let kinds = ["get", "deployments,scaledobjects,hpa,vpa", "-o", "json"];
    let text = cluster.kubectl(&[&IN[..], &kinds].concat(), "").await?;
    Ok(serde_json::from_str(&text)?)
}

fn generations(objects: &Value) -> Vec<(String, i64)> {
    let items = objects["items"].as_array().into_iter().flatten();
    items
        .map(|o| {
            let name = format!("{} {}", o["kind"], o["metadata"]["name"]);
            (name, o["metadata"]["generation"].as_i64().unwrap_or(-1))
        })
        .collect()
}
