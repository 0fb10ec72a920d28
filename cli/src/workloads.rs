//! The VPAs that are served, their controllers and pods, listed once.

use clap::Parser;
use podfit_cluster::index::{Index, Kinds, list_once};
use podfit_cluster::options::ClusterOptions;

use crate::connection::Connection;
use crate::flags;
use crate::installation::Installation;
use crate::progress::Progress;

/// The flags that say which VPAs are looked at.
#[derive(Parser)]
struct ClusterFlags {
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// What there is, of the namespace that is meant or of those that the recommender serves; and why something is missing.
pub async fn list(
    connection: &Connection,
    installation: &Installation,
    progress: &Progress,
) -> (Index, Vec<String>) {
    let arguments = installation.arguments("recommender");
    let options = flags::read::<ClusterFlags>(&arguments).or_else(|_| flags::read(&[]));
    let mut options = match options {
        Ok(flags) => flags.cluster,
        Err(error) => return (Index::default(), vec![error.to_string()]),
    };
    if let Some(namespace) = &connection.namespace {
        options.vpa_object_namespace.clone_from(namespace);
    }
    let goldilocks = installation.flag("recommender", "goldilocks-labels", "false") == "true";
    let kinds = Kinds::Labels { goldilocks };
    let tell = |what: &str| progress.say(&format!("listing {what}"));
    let (index, not_read) = list_once(&connection.calls, &options, kinds, tell).await;
    let not_read = not_read.iter().map(|missing| missing.error.to_string());
    (index, not_read.collect())
}
