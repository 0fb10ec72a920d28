//! The histories of one workload's containers, asked for in pieces that stay small.

use std::collections::BTreeMap;
use std::time::Duration;

use podfit_core::backfill::{Backfill, BackfillRules, Backfilled};
use podfit_core::ownership::ControllerKey;
use podfit_core::time::Timestamp;

use super::answer::Series;
use super::client::{Error, Prometheus, Range};
use super::pods::{self, Pods};
use super::query::Queries;

/// One answer is to have about as many points as this, which is a megabyte or two.
const POINTS: u64 = 50_000;

/// Prometheus gives no more than 11,000 points of one series.
const POINTS_OF_A_SERIES: u64 = 10_000;

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

impl Wanted {
    /// All points of time: whole multiples of the resolution, so that whoever asks again asks for the same.
    fn range(&self, step: Duration) -> Range {
        let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let end = Timestamp::from_unix_millis(self.now.unix_millis().div_euclid(millis) * millis);
        Range {
            start: end - step * (steps(self.length, step).max(1) - 1),
            end,
            step,
        }
    }

    /// How many steps one question may span. Pods that are gone come on top of those that live.
    fn piece(&self, step: Duration) -> u32 {
        let series = 2 * (self.pods.len() * self.rules.until.len()).max(1);
        let points = (POINTS / series as u64).clamp(1, POINTS_OF_A_SERIES);
        u32::try_from(points)
            .unwrap_or(1)
            .min(steps(self.length, step).max(1))
    }
}

fn steps(length: Duration, step: Duration) -> u32 {
    let steps = length.as_millis() / step.as_millis().max(1);
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// Asks for the history of a workload's containers.
pub async fn of(
    prometheus: &Prometheus,
    queries: &Queries,
    wanted: &Wanted,
) -> Result<BTreeMap<String, Backfilled>, Error> {
    let whole = wanted.range(queries.resolution.duration);
    let target = (&wanted.target, wanted.pods.as_slice());
    // Owners are recorded until now.
    let lately = Range {
        end: wanted.now,
        ..whole
    };
    let pods = pods::of(prometheus, queries, target, lately).await?;
    let mut load = Load {
        prometheus,
        queries,
        wanted,
        backfill: Backfill::new(wanted.rules.clone()),
    };
    for pattern in &pods.patterns {
        load.pattern(pattern, &pods, whole).await?;
    }
    Ok(load.backfill.finish())
}

struct Load<'a> {
    prometheus: &'a Prometheus,
    queries: &'a Queries,
    wanted: &'a Wanted,
    backfill: Backfill,
}

impl Load<'_> {
    /// Piece after piece in order of time. A piece that is too much is asked for in halves.
    async fn pattern(&mut self, pattern: &str, pods: &Pods, whole: Range) -> Result<(), Error> {
        let mut piece = self.wanted.piece(whole.step);
        let mut start = whole.start;
        while start <= whole.end {
            let range = Range {
                start,
                end: (start + whole.step * (piece - 1)).min(whole.end),
                step: whole.step,
            };
            match self.usage(pattern, range).await {
                Ok([cpu, memory]) => {
                    self.add(&cpu, pods, Backfill::add_cpu);
                    self.add(&memory, pods, Backfill::add_memory);
                    start = range.end + whole.step;
                }
                Err(error) if error.is_too_much() && piece > 1 => piece /= 2,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn usage(&self, pattern: &str, range: Range) -> Result<[Vec<Series>; 2], Error> {
        let namespace = &self.wanted.target.namespace;
        let ask = |query: String| async move {
            self.prometheus
                .range(&query, range, self.wanted.partial)
                .await
        };
        Ok([
            ask(self.queries.cpu(namespace, pattern)).await?,
            ask(self.queries.memory(namespace, pattern)).await?,
        ])
    }

    fn add(
        &mut self,
        all: &[Series],
        pods: &Pods,
        add: impl Fn(&mut Backfill, (&str, &str), Timestamp, f64),
    ) {
        let labels = &self.queries.labels;
        for series in all {
            let label = |name: &String| series.labels.get(name);
            let (Some(pod), Some(container)) = (label(&labels.pod), label(&labels.container))
            else {
                continue;
            };
            if pods.strangers.contains(pod) {
                continue;
            }
            for (at, number) in &series.points {
                add(&mut self.backfill, (pod, container), *at, *number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
