//! Prometheus: does it answer, and has it what podfit looks for?

use std::time::Duration;

use clap::Parser;
use podfit_cluster::api::time::now;
use podfit_cluster::index::Index;
use podfit_cluster::prometheus::{Prometheus, PrometheusOptions, Range, RequestMetrics, Settings};
use podfit_core::pod::{Phase, Pod};

use super::check::Check;
use super::facts::Facts;
use crate::flags;
use crate::installation::Installation;

/// What was not seen for so long is not there.
const LATELY: Duration = Duration::from_hours(1);

/// The recommender's flags about Prometheus.
#[derive(Parser)]
struct PrometheusFlags {
    #[command(flatten)]
    prometheus: PrometheusOptions,
}

/// What was asked of Prometheus, and the answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where it is.
    pub address: String,
    /// What it has of a pod under a VPA; `None` when there is no such pod.
    pub rows: Result<Option<Rows>, String>,
}

/// What Prometheus has of one pod.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The pod, as `namespace/name`.
    pub pod: String,
    /// Series of its containers' CPU, of the last hour.
    pub cpu: usize,
    /// Series of their memory.
    pub memory: usize,
}

/// Asks for a pod that should be known there. `None` when neither flags here nor the recommender's say that there is a Prometheus.
pub async fn ask(
    installation: &Installation,
    given: &PrometheusOptions,
    index: &Index,
) -> Option<Asked> {
    let of_recommender = flags::read::<PrometheusFlags>(&installation.arguments("recommender"));
    let options = match of_recommender {
        _ if given.is_given() => given.clone(),
        Ok(flags) if flags.prometheus.is_given() => flags.prometheus,
        _ => return None,
    };
    let settings = match options.settings(false) {
        Ok(settings) => settings,
        Err(error) => {
            return Some(Asked {
                address: "its flags".into(),
                rows: Err(error.to_string()),
            });
        }
    };
    let rows = rows(&settings, oldest_pod(index)).await;
    Some(Asked {
        address: settings.address.to_string(),
        rows: rows.map_err(|error| error.to_string()),
    })
}

/// The pod under a VPA that has run longest: the surest to be in Prometheus.
fn oldest_pod(index: &Index) -> Option<&Pod> {
    let running = index.pods.values().filter(|p| p.phase == Phase::Running);
    let sized = running.filter(|pod| index.controlling_vpa(pod, |_| true).is_some());
    sized.min_by_key(|pod| pod.started).map(AsRef::as_ref)
}

async fn rows(settings: &Settings, pod: Option<&Pod>) -> anyhow::Result<Option<Rows>> {
    let metrics = RequestMetrics::new(&prometheus::Registry::new())?;
    let prometheus = Prometheus::new(settings, metrics)?;
    let end = now();
    let range = Range {
        start: end - LATELY,
        end,
        step: Duration::from_mins(5),
    };
    let Some(pod) = pod else {
        // Any Prometheus knows this.
        prometheus.range("vector(1)", range, true).await?;
        return Ok(None);
    };
    let labels = &settings.queries.labels;
    let count = async |query: String| -> anyhow::Result<usize> {
        let series = prometheus.range(&query, range, true).await?;
        // Without these nobody can tell whose they are.
        let named = series.iter().filter(|series| {
            let has = |label: &String| series.labels.contains_key(label);
            has(&labels.pod) && has(&labels.container)
        });
        Ok(named.count())
    };
    let (namespace, name) = (&pod.namespace, &pod.name);
    Ok(Some(Rows {
        pod: format!("{namespace}/{name}"),
        cpu: count(settings.queries.cpu(namespace, name)).await?,
        memory: count(settings.queries.memory(namespace, name)).await?,
    }))
}

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    checks.extend(facts.prometheus.as_ref().map(check));
}

fn check(Asked { address, rows }: &Asked) -> Check {
    const WHAT: &str = "Prometheus";
    match rows {
        Err(why) => Check::warn(
            WHAT,
            format!("{address} does not answer from here: {why}"),
            "an address within the cluster is not reached from outside: forward a port and give \
             --prometheus-address, or look at the recommender's log",
        ),
        Ok(None) => Check::ok(
            WHAT,
            format!("{address} answers; no pod runs under a VPA to be looked for"),
        ),
        Ok(Some(Rows { pod, cpu, memory })) if *cpu > 0 && *memory > 0 => Check::ok(
            WHAT,
            format!("{address} has {cpu} CPU and {memory} memory series of pod {pod}"),
        ),
        Ok(Some(Rows { pod, cpu, memory })) => Check::warn(
            WHAT,
            format!("{address} answers, with {cpu} CPU and {memory} memory series of pod {pod}"),
            "does it scrape the kubelets? Then job and labels are called otherwise there: --prometheus-preset, \
             --prometheus-cadvisor-job-name and --container-…-label, see docs/prometheus.md",
        ),
    }
}
