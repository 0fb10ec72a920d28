//! `doctor`: facts are gathered first, and then judged by functions that ask nobody.

mod admission;
mod api_server;
mod autoscalers;
mod bare_pods;
mod check;
mod components;
mod facts;
mod families;
mod gather;
mod horizontal;
mod opt_in;
mod others;
mod prometheus;
mod rights;

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use podfit_cluster::prometheus::PrometheusOptions;
use serde_json::json;

use self::check::{Check, Verdict};
use self::facts::Facts;
use crate::connection::Connection;
use crate::options::{ConnectionOptions, TextOrJson};
use crate::progress::Progress;

/// Flags of `doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorOptions {
    /// Fail on warnings, too.
    #[arg(long)]
    pub strict: bool,

    /// How to write the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: TextOrJson,

    /// Where Prometheus is, when the recommender's Deployment does not tell, or names an address that is not reached from here.
    #[command(flatten)]
    pub prometheus: PrometheusOptions,
}

/// Looks at everything, whatever namespace is meant, and says what it finds.
pub async fn run(connection: &ConnectionOptions, options: &DoctorOptions) -> Result<ExitCode> {
    let mut connection = Connection::new(connection).await?;
    // VPAs are looked at in all namespaces unless one was named.
    if !connection.is_named {
        connection.namespace = None;
    }
    let progress = Progress::new();
    let facts = Box::pin(gather::facts(&connection, &options.prometheus, &progress)).await;
    drop(progress);
    let checks = checks(&facts);
    match options.output {
        TextOrJson::Text => print!("{}", text(&checks)),
        TextOrJson::Json => println!("{:#}", to_json(&checks)),
    }
    let worst = checks.iter().map(|check| check.verdict).max();
    let bad = match worst {
        Some(Verdict::Fail) => true,
        Some(Verdict::Warn) => options.strict,
        _ => false,
    };
    Ok(if bad {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// All checks, in the order in which one builds on another.
fn checks(facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    api_server::checks(facts, &mut checks);
    prometheus::checks(facts, &mut checks);
    components::checks(facts, &mut checks);
    admission::checks(facts, &mut checks);
    components::leases(facts, &mut checks);
    rights::checks(facts, &mut checks);
    others::checks(facts, &mut checks);
    checks.push(autoscalers::targets(facts));
    horizontal::checks(facts, &mut checks);
    checks.push(autoscalers::without_controller(facts));
    bare_pods::checks(facts, &mut checks);
    opt_in::checks(facts, &mut checks);
    families::checks(facts, &mut checks);
    checks
}

fn text(checks: &[Check]) -> String {
    let width = checks.iter().map(|c| c.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let verdict = check.verdict.word();
        let _ = writeln!(
            text,
            "{verdict:<4}  {:<width$}  {}",
            check.what, check.finding
        );
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "      {:<width$}  → {remedy}", "");
        }
    }
    let count = |verdict| checks.iter().filter(|c| c.verdict == verdict).count();
    let [ok, warn, fail] = [Verdict::Ok, Verdict::Warn, Verdict::Fail].map(count);
    let _ = writeln!(text, "\n{ok} OK, {warn} to look at, {fail} failed");
    text
}

fn to_json(checks: &[Check]) -> serde_json::Value {
    let checks = checks.iter().map(|check| {
        json!({
            "check": check.what,
            "verdict": check.verdict.word(),
            "finding": check.finding,
            "remedy": check.remedy,
        })
    });
    json!({"checks": checks.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests;
