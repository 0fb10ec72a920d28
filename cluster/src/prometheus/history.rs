//! The histories of one workload's containers, asked for in pieces that stay small.

use std::collections::BTreeMap;
use std::time::Duration;

use podfit_core::backfill::{Backfill, BackfillRules, Backfilled};
use podfit_core::ownership::ControllerKey;
use podfit_core::time::Timestamp;

use super::answer::Series;
use super::client::{Error, Prometheus, Range};
use super::pieces::{Pieces, Question};
use super::pods::{self, Pods};
use super::query::{Labels, Queries};

/// Whose history is asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The workload.
    pub target: ControllerKey,
    /// Its live pods.
    pub pods: Vec<String>,
    /// How its past is taken in, container by container. Other containers are left out.
    pub rules: BackfillRules,
    /// How far back.
    pub length: Duration,
    /// Until when.
    pub now: Timestamp,
    /// Take answers of which some is missing.
    pub partial: bool,
}

/// Asks for the history of a workload's containers.
pub async fn of(
    prometheus: &Prometheus,
    queries: &Queries,
    wanted: &Wanted,
) -> Result<BTreeMap<String, Backfilled>, Error> {
    let whole = Range::until(wanted.now, wanted.length, queries.resolution.duration);
    let target = (&wanted.target, wanted.pods.as_slice());
    // Owners are recorded until now.
    let lately = Range {
        end: wanted.now,
        ..whole
    };
    let pods = pods::of(prometheus, queries, target, lately).await?;
    // Pods that are gone come on top of those that live.
    let series = 2 * wanted.pods.len() * wanted.rules.until.len();
    let mut load = Load {
        labels: &queries.labels,
        backfill: Backfill::new(wanted.rules.clone()),
    };
    for pattern in &pods.patterns {
        let question = Question {
            prometheus,
            queries,
            namespace: &wanted.target.namespace,
            pods: pattern,
            partial: wanted.partial,
        };
        let mut pieces = Pieces::new(whole, series);
        while let Some([cpu, memory]) = question.next(&mut pieces).await? {
            load.add(&cpu, &pods, Backfill::add_cpu);
            load.add(&memory, &pods, Backfill::add_memory);
        }
    }
    Ok(load.backfill.finish())
}

struct Load<'a> {
    labels: &'a Labels,
    backfill: Backfill,
}

impl Load<'_> {
    fn add(
        &mut self,
        all: &[Series],
        pods: &Pods,
        add: impl Fn(&mut Backfill, (&str, &str), Timestamp, f64),
    ) {
        let labels = self.labels;
        let mut points = Vec::new();
        for series in all {
            let label = |name: &String| series.labels.get(name);
            let (Some(pod), Some(container)) = (label(&labels.pod), label(&labels.container))
            else {
                continue;
            };
            if pods.strangers.contains(pod) {
                continue;
            }
            let of_pod = series.points.iter();
            points.extend(
                of_pod.map(|(at, number)| (*at, *number, (pod.as_str(), container.as_str()))),
            );
        }
        // In order of time, as live samples come: the estimator `adaptive` takes those of all pods together.
        points.sort_by_key(|(at, ..)| *at);
        for (at, number, container) in points {
            add(&mut self.backfill, container, at, number);
        }
    }
}

#[cfg(test)]
mod tests;
