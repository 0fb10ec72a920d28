//! Usage of a real cluster, as its Prometheus has it.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use podfit_cluster::api::time::now;
use podfit_cluster::prometheus::{FleetUsage, Prometheus, Range, RequestMetrics};

use super::Replay;
use super::options::ReplayOptions;
use super::saved::Saved;
use super::usage::Series;
use crate::progress::Progress;

/// Replays what the workloads of a namespace used, or of all.
pub async fn replay(
    options: &ReplayOptions,
    namespace: Option<&str>,
    replay: &mut Replay,
    progress: &Progress,
) -> Result<()> {
    let settings = options.prometheus.settings(true)?;
    let metrics = RequestMetrics::new(&::prometheus::Registry::new())?;
    let queries = &settings.queries;
    let usage = FleetUsage {
        prometheus: &Prometheus::new(&settings, metrics)?,
        queries,
        range: Range::until(now(), settings.length, queries.resolution.duration),
    };
    let mut saved = options
        .save_usage
        .as_deref()
        .map(Saved::create)
        .transpose()?;
    progress.say("asking Prometheus for namespaces");
    let namespaces = match namespace {
        Some(one) => BTreeSet::from([one.to_owned()]),
        None => usage.namespaces().await?,
    };
    let points = u64::from(usage.range.points());
    let all = points * namespaces.len() as u64;
    let mut found = false;
    for (before, namespace) in (0..).zip(&namespaces) {
        let told = |done: u32| {
            let done = before * points + u64::from(done);
            progress.part(&format!("asking Prometheus for {namespace}"), done, all);
        };
        told(0);
        for used in usage.of(namespace, &told).await? {
            found = true;
            let series = Series {
                name: used.name,
                samples: used.samples,
                request: used.request,
            };
            if let Some(saved) = &mut saved {
                saved.write(&series)?;
            }
            replay.add(namespace, series)?;
        }
    }
    progress.clear();
    if !found {
        let asked: Vec<&str> = namespace.into_iter().collect();
        bail!(
            "Prometheus has no usage of a container in the last {} under {}; is --prometheus-preset how it was installed, and \
             is -n, --prometheus-cadvisor-job-name or --prometheus-matchers right?",
            options.prometheus.history_length,
            queries.containers(&asked)
        );
    }
    saved.map_or(Ok(()), Saved::finish)
}
