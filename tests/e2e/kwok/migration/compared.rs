//! `kubectl podfit diff` as docs/migrate.md has it: upstream's numbers and podfit's side by side.

use anyhow::{Context, Result, ensure};
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::kubectl_podfit;
use podfit_tests::suite::figure;
use serde_json::Value;

/// Where podfit's numbers are from.
#[derive(Clone, Copy, Debug)]
pub enum Teller<'a> {
    /// A recommender at this address.
    Recommender(&'a str),
    /// Upstream's checkpoints, while no recommender of podfit runs.
    Checkpoints,
}

/// Every number that upstream published for these has podfit's beside it, a bucket away at most, and the exit code says so.
pub async fn ensure_close(ns: &Namespace, names: &[&str], teller: Teller<'_>) -> Result<()> {
    let arguments = [&["-n", ns.name.as_str()], names].concat();
    let (code, compared) = diff(ns, &arguments, teller).await?;
    ensure!(code == 0, "exit code {code} of {compared}");
    let numbers = compared["numbers"].as_array().context("no numbers")?;
    ensure!(numbers.len() == 2 * names.len(), "{compared}");
    for number in numbers {
        ensure!(
            number["published"].is_i64() && number["podfit"].is_i64(),
            "{number}"
        );
        let used = number["message"].as_str().unwrap_or_default();
        ensure!(used.contains("90th percentile"), "{number}");
    }
    let web = numbers.iter().find(|number| number["vpa"] == "web");
    ensure!(web.is_some_and(|web| web["pods"] == 2), "{compared}");
    for number in numbers {
        let text = |field: &str| number[field].to_string();
        figure(format!(
            "migration, podfit's {} {} told by {teller:?}: {} beside {}, {} buckets, {}",
            text("vpa"),
            text("resource"),
            text("podfit"),
            text("published"),
            text("buckets"),
            text("reason"),
        ));
    }
    Ok(())
}

/// What only podfit has is a difference; what cannot be compared is an error.
pub async fn ensure_told_apart(ns: &Namespace, teller: Teller<'_>) -> Result<()> {
    let (code, compared) = diff(ns, &["-n", &ns.name], teller).await?;
    ensure!(code == 1, "exit code {code} of {compared}");
    ensure!(
        compared["vpas"] == 3 && compared["onlyPodfit"] == 2 && compared["moved"] == 0,
        "{compared}"
    );
    let first = &compared["numbers"][0];
    ensure!(
        first["vpa"] == "other" && first["differs"] == true,
        "{first}"
    );
    let (code, text) = run(ns, &["diff", "-n", &ns.name, "none"]).await?;
    ensure!(
        code == 2 && text.contains("there is no VPA none"),
        "exit code {code}: {text}"
    );
    let (code, text) = run(ns, &["diff", "-A", "-l", "team=none"]).await?;
    ensure!(
        code == 0 && text.starts_with("0 VPAs"),
        "exit code {code}: {text}"
    );
    Ok(())
}

/// With podfit's numbers no pod that upstream has sized would change.
pub async fn ensure_nothing_would_move(ns: &Namespace, address: &str) -> Result<()> {
    let arguments = ["plan", "--take-over", "-n", &ns.name, "-o", "json"];
    let address = ["--recommender-address", address];
    let (code, text) = run(ns, &[&arguments[..], &address].concat()).await?;
    let plan: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let remarks = plan["remarks"].as_array().into_iter().flatten();
    let mut remarks = remarks.filter_map(Value::as_str);
    ensure!(
        code == 0
            && remarks.any(|remark| remark.contains("podfit's numbers, told by the recommender")),
        "{plan}"
    );
    let web = &plan["workloads"][0];
    ensure!(
        web["vpa"] == "web" && web["pods"] == 2 && web["leftAlone"]["pods"] == 2,
        "{plan}"
    );
    Ok(())
}

async fn diff(ns: &Namespace, more: &[&str], teller: Teller<'_>) -> Result<(i32, Value)> {
    let mut arguments = [&["diff", "-o", "json"], more].concat();
    if let Teller::Recommender(address) = teller {
        arguments.extend(["--recommender-address", address]);
    }
    let (code, text) = run(ns, &arguments).await?;
    let compared: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let source = compared["sources"][0].as_str().unwrap_or_default();
    let expected = match teller {
        Teller::Recommender(_) => "the recommender at",
        Teller::Checkpoints => "stored histories",
    };
    ensure!(source.starts_with(expected), "{compared}");
    Ok((code, compared))
}

async fn run(ns: &Namespace, arguments: &[&str]) -> Result<(i32, String)> {
    let (status, text) = kubectl_podfit(&ns.cluster, arguments).await?;
    Ok((status.code().context("it was killed")?, text))
}
