//! Goldilocks' labels. That they mean nothing without the flag is in the scenario `old-cluster`.

use std::sync::Arc;

use anyhow::{Result, ensure};
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::Podfit;
use serde_json::json;

use super::{MANAGED, gone, idle, label_namespace, mode, told, vpa};

/// As this suite's recommender has the flag: modes in its words, a workload's own before its namespace's,
/// and podfit's before those.
pub async fn followed(ns: Namespace, _: Arc<Podfit>) -> Result<()> {
    const ENABLED: &str = "goldilocks.fairwinds.com/enabled";
    const MODE: &str = "goldilocks.fairwinds.com/vpa-update-mode";
    ns.create(idle("web", &json!({}))).await?;
    ns.create(idle("own", &json!({MODE: "initial"}))).await?;
    let podfits = json!({"podfit.dev/autosize": "in-place"});
    ns.create(idle("podfits", &podfits)).await?;
    ns.create(idle("left-out", &json!({ENABLED: "false"})))
        .await?;
    label_namespace(&ns, &[&format!("{ENABLED}=true")]).await?;
    for (name, wanted) in [
        ("web", "Off"),
        ("own", "Initial"),
        ("podfits", "InPlaceOrRecreate"),
    ] {
        vpa(&ns, name, |vpa| mode(vpa) == wanted).await?;
    }
    label_namespace(&ns, &[&format!("{MODE}=auto")]).await?;
    let made = vpa(&ns, "web", |vpa| mode(vpa) == "Recreate").await?;
    ensure!(made["metadata"]["labels"][MANAGED] == "podfit", "{made}");
    ensure!(ns.get(VPA, "left-out").await.is_err(), "made");

    label_namespace(&ns, &[&format!("{MODE}=sometimes")]).await?;
    let words =
        format!("LabelNotFollowed: label {MODE}: \"sometimes\" is none of the update modes");
    told(&ns, &ns.name, &words).await?;
    ensure!(
        mode(&ns.get(VPA, "web").await?) == "Recreate",
        "changed by a label that is not understood"
    );
    label_namespace(&ns, &[&format!("{ENABLED}-"), &format!("{MODE}-")]).await?;
    for name in ["web", "own"] {
        gone(&ns, name).await?;
    }
    ns.get(VPA, "podfits").await.map(drop)
}
