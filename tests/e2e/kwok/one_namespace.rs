//! podfit for one team: `vpaObjectNamespace`, with the Roles that this gives, and certificates that cert-manager makes. On a cluster
//! of its own, since it is another release.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use podfit_tests::cluster::Cluster;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::{Podfit, values};
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{under_asked, usage};

const CLUSTER: &str = "tests-team";

const CONFIGURATION: &str = "mutatingwebhookconfiguration/vpa-webhook-config";

/// What is asked for without a right to it: all of it shows whether another VPA acts, and is looked at where it may be.
const REFUSED: [&str; 3] = [
    "get leases.coordination.k8s.io",
    "get mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "list leases.coordination.k8s.io",
];

/// Pods of the team are sized, by all three programs; another namespace is not looked at; and nothing but that is refused.
pub async fn is_sized_alone(_: Namespace, _: Arc<Podfit>) -> Result<()> {
    let _ = Cluster::down(CLUSTER).await; // there is one only after a run that failed
    let cluster = Arc::new(Cluster::up(CLUSTER, &["kwok", "metrics-server"]).await?);
    define(&cluster).await?;
    let ours = Namespace::create_new(&cluster, "team").await?;
    let theirs = Namespace::create_new(&cluster, "others").await?;
    let mut webhook = values(&cluster)["admissionController"].clone();
    webhook["certManager"] = json!({"enabled": true});
    let more = json!({"vpaObjectNamespace": ours.name, "admissionController": webhook});
    let podfit = Podfit::prepare_with(&cluster, true, &more).await?;
    let podfit = podfit.with_flags("webhook", certificate(&cluster))?;
    let outcome = sizes(&ours, &theirs, &podfit).await;
    outcome.map_err(|error| anyhow!("{error:#}\n{}", podfit.logs()))?;
    podfit.stop_all().await?;
    Cluster::down(CLUSTER).await
}

/// cert-manager's kinds: it is not there, and this scenario does what it would.
async fn define(cluster: &Cluster) -> Result<()> {
    for (kind, plural) in [("Certificate", "certificates"), ("Issuer", "issuers")] {
        let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.cert-manager.io")},
            "spec": {
                "group": "cert-manager.io", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": any}}],
            },
        });
        let create = ["create", "-f", "-"];
        cluster.kubectl(&create, &definition.to_string()).await?;
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
        ];
        let name = format!("{plural}.cert-manager.io");
        cluster.kubectl(&[&wait[..], &[&name]].concat(), "").await?;
    }
    Ok(())
}

/// Where cert-manager's certificate is, which the chart would mount at /etc/tls-certs.
fn certificate(cluster: &Cluster) -> [String; 3] {
    let file = |name: &str| cluster.pki().join(name).display().to_string();
    [
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("serving.crt")),
        format!("--tls-private-key={}", file("serving.key")),
    ]
}

async fn sizes(ours: &Namespace, theirs: &Namespace, podfit: &Podfit) -> Result<()> {
    inject(&ours.cluster).await?;
    for ns in [ours, theirs] {
        ns.create(under_asked().manifest()).await?;
        ns.create(under_asked().vpa("Recreate")).await?;
    }
    podfit.start_all().await?;
    until("the team's pods are sized", secs(180), async || {
        for pod in ours.available_pods("web", 2).await? {
            pod.requests("app")?.ensure_between(1.0, 1.5, usage()?)?;
        }
        Ok(())
    })
    .await?;
    podfit.ensure_alive().await?;
    let vpa = theirs.get(VPA, "web").await?;
    ensure!(vpa["status"].is_null(), "{vpa}");
    refusals(ours)
}

/// As cert-manager does with the CA of the certificate that the configuration names.
async fn inject(cluster: &Cluster) -> Result<()> {
    let get = ["get", CONFIGURATION, "-o", "json"];
    let configuration: Value = serde_json::from_str(&cluster.kubectl(&get, "").await?)?;
    let from = &configuration["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
    ensure!(from == "podfit/podfit-webhook", "{configuration}");
    let ca = std::fs::read(cluster.pki().join("ca.crt"))?;
    let ca = json!(k8s_openapi::ByteString(ca));
    let bundle = "/webhooks/0/clientConfig/caBundle";
    let change = json!([{"op": "add", "path": bundle, "value": ca}]).to_string();
    let patch = ["patch", CONFIGURATION, "--type=json", "-p", &change];
    cluster.kubectl(&patch, "").await.map(drop)
}

/// Nothing is refused but what is known to be, and nothing is written outside of the two namespaces.
fn refusals(ours: &Namespace) -> Result<()> {
    let requests = ours.cluster.podfits_requests()?;
    let refused = requests.iter().filter(|request| request.role.is_none());
    let refused: BTreeSet<_> = refused
        .map(|r| format!("{} {}", r.verb, r.resource))
        .collect();
    let known = REFUSED.map(str::to_owned).into();
    ensure!(refused == known, "refused: {refused:#?}");
    for write in ours.cluster.podfits_writes()? {
        let (namespace, _) = write.object.split_once('/').context("no namespace")?;
        ensure!(
            namespace == ours.name || namespace == "podfit",
            "written elsewhere: {write:?}"
        );
    }
    Ok(())
}
