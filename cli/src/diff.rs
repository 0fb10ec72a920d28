//! `diff`: what podfit recommends beside what is published, by whomever.

mod compare;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use podfit_cluster::index::Index;
use podfit_core::vpa::Vpa;

use self::compare::{Comparison, compare};
use crate::connection::Connection;
use crate::evidence::Witness;
use crate::installation::Installation;
use crate::objects::{self, Answer};
use crate::options::{ConnectionOptions, Format};
use crate::progress::Progress;
use crate::target::Wanted;
use crate::workloads;

/// The exit code when nothing could be compared, as that of diff(1).
pub const TROUBLE: u8 = 2;

/// The exit code when numbers differ.
const DIFFERENT: u8 = 1;

/// Flags of `diff`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Exit codes: 0 when all numbers are within the tolerance, 1 when not, 2 when they could not be compared.

Examples:
  kubectl podfit diff -A                    all VPAs, those that move farthest first
  kubectl podfit diff web -n shop           one of them
  kubectl podfit diff -l team=shop -o csv   for a spreadsheet")]
pub struct DiffOptions {
    /// VPAs (`web` or `vpa/web`), or workloads that one sizes (`deployment/web`). Not given: all, of all namespaces if -n is not
    /// given either.
    #[arg(value_name = "NAME | KIND/NAME")]
    pub what: Vec<String>,

    /// Only VPAs with these labels.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,

    /// How far a number may move and still count as the same, in buckets of its histogram: a bucket is 5 % of large amounts,
    /// and 10m or 10 MB of small ones.
    #[arg(long, default_value_t = 1, value_name = "BUCKETS")]
    pub tolerance: u32,

    /// How to write the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,

    /// Where the recommender serves /explain, for example a forwarded port. Not given: its pods, through the API server.
    #[arg(long, value_name = "http://HOST:PORT")]
    pub recommender_address: Option<http::Uri>,
}

/// Compares, and tells by the exit code what came out.
pub async fn run(connection: &ConnectionOptions, options: &DiffOptions) -> Result<ExitCode> {
    let mut connection = Connection::new(connection).await?;
    if !connection.is_named && options.what.is_empty() {
        connection.namespace = None;
    }
    let progress = Progress::new();
    progress.say("looking at podfit");
    let installation = Installation::find(&connection.calls, &connection.podfit_namespace).await;
    let (index, mut remarks) = workloads::list(&connection, &installation, &progress).await;
    if let (true, [why, ..]) = (index.vpas.iter().next().is_none(), remarks.as_slice()) {
        bail!("no VPA is seen: {why}");
    }
    let is_installed = installation.deployment("recommender").is_some();
    if is_installed && !installation.is_shadow("recommender") {
        remarks.push("podfit is not in shadow: what is published may be its own".into());
    }
    let vpas = chosen(&connection, options, &index).await?;
    let address = options.recommender_address.as_ref();
    let witness = Witness::find(&connection, &installation, address).await?;
    let evidence = witness.ask_all(&vpas, &index, &progress).await;
    let pods = pods(&index);
    let mut comparison = Comparison::new(i64::from(options.tolerance), remarks);
    for (vpa, evidence) in vpas.iter().zip(&evidence) {
        let pods = pods.get(&vpa.uid).copied().unwrap_or_default();
        comparison.add(vpa, compare(vpa, &evidence.explanation, pods), evidence);
    }
    drop(progress);
    comparison.sort();
    match options.output {
        Format::Text => print!("{}", show::text(&comparison)),
        Format::Md => print!("{}", show::markdown(&comparison)),
        Format::Csv => print!("{}", show::csv(&comparison)),
        Format::Json => println!("{:#}", show::json(&comparison)),
    }
    Ok(if comparison.differs() {
        DIFFERENT.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// The VPAs that the command line means, in order.
async fn chosen(
    connection: &Connection,
    options: &DiffOptions,
    index: &Index,
) -> Result<Vec<Arc<Vpa>>> {
    let mut vpas = Vec::new();
    match (&connection.namespace, options.what.as_slice()) {
        (_, []) => vpas.extend(index.vpas.iter().cloned()),
        (Some(namespace), names) => {
            for name in names {
                let wanted = Wanted::parse(std::slice::from_ref(name))?;
                vpas.extend(wanted.find(namespace, index)?);
            }
        }
        (None, _) => bail!("a name is one of a namespace: give -n, not -A"),
    }
    if let Some(labels) = &options.selector {
        let labelled = labelled(connection, labels).await?;
        vpas.retain(|vpa| labelled.contains(&vpa.uid));
    }
    vpas.sort_by_key(|vpa| vpa.key());
    vpas.dedup_by_key(|vpa| vpa.key());
    Ok(vpas)
}

/// The uids of VPAs with these labels.
async fn labelled(connection: &Connection, labels: &str) -> Result<BTreeSet<String>> {
    let place = connection.namespace.as_ref();
    let place = place.map_or_else(String::new, |name| format!("namespaces/{name}/"));
    let path = format!("/apis/autoscaling.k8s.io/v1/{place}verticalpodautoscalers");
    match objects::list_labelled(&connection.calls, &path, labels).await {
        Answer::Denied(why) | Answer::Failed(why) => bail!("cannot select by labels: {why}"),
        answer => {
            let uids = answer.items().map(|vpa| vpa["metadata"]["uid"].as_str());
            Ok(uids.flatten().map(String::from).collect())
        }
    }
}

/// How many running pods each VPA sizes, by its uid.
fn pods(index: &Index) -> BTreeMap<String, i64> {
    let mut pods = BTreeMap::new();
    for pod in index.pods.values() {
        if let Some(vpa) = index.controlling_vpa(pod, |_| true) {
            *pods.entry(vpa.uid.clone()).or_default() += 1;
        }
    }
    pods
}

#[cfg(test)]
mod tests;
