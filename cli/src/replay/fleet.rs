//! What all series came to, estimator by estimator.

use std::time::Duration;

use podfit_core::disruption::Config;
use podfit_core::estimator::EstimatorConfig;
use podfit_core::quantity::Resource;
use podfit_core::replay::classes::Classes;
use podfit_core::replay::curve::Curve;
use podfit_core::replay::judge::judge;
use podfit_core::replay::score::{Score, score};
use podfit_core::replay::updates::{per_day, updates};
use podfit_core::replay::{Row, Sizes, run, span, usual_interval};

use super::estimators::Estimator;
use super::sketch::Sketch;
use super::usage::Series;

/// How a replay goes.
pub struct Rules {
    /// What sizes.
    pub estimators: Vec<Estimator>,
    /// How often; `None` for what is usual.
    pub interval: Option<Duration>,
    /// How the recommender makes numbers.
    pub config: EstimatorConfig,
    /// When the updater acts.
    pub updater: Config,
    /// True when each estimator is also scored with every multiplier.
    pub curves: bool,
    /// True when plots are to be drawn, of what the first estimator recommended.
    pub sketches: bool,
}

/// What one series came to.
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Which source it is of: its file, or its namespace.
    pub source: usize,
    /// From its first sample to its last.
    pub span: Duration,
    /// What its pods request now, where that is known.
    pub request: Sizes,
    /// What kind of workload it is: by CPU and by memory.
    pub classes: [Classes; 2],
    /// One for each estimator.
    pub results: Vec<Replayed>,
}

/// What one estimator made of one series.
pub struct Replayed {
    /// CPU and memory, in this order; `None` of what was not measured, or too short to be judged.
    pub resources: [Option<Fit>; 2],
    /// How often in a day the updater's rules would have changed a pod.
    pub updates_per_day: f64,
    /// What it recommends at the end.
    pub last: Sizes,
}

/// How one resource fitted.
pub struct Fit {
    /// As it was recommended.
    pub score: Score,
    /// With every multiplier.
    pub curve: Option<Curve>,
    /// For a plot.
    pub sketch: Option<Sketch>,
}

impl Workload {
    /// What the first estimator recommended and nobody used: in cores and GiB on average, a core counting as much as eight
    /// GiB, as prices have it.
    pub fn waste(&self) -> f64 {
        const GIB_PER_CORE: f64 = 8.0;
        let unused = |resource| {
            let score = self.results.first()?.fit(resource)?.score;
            Some((score.recommended - score.used).max(0.0) / self.span.as_secs_f64().max(1.0))
        };
        unused(Resource::Cpu).unwrap_or(0.0)
            + unused(Resource::Memory).unwrap_or(0.0) / GIB / GIB_PER_CORE
    }

    /// How much of the time the first estimator's CPU target was too small, and on how many of the days its memory target.
    pub fn risk(&self) -> f64 {
        let score = |resource| Some(self.results.first()?.fit(resource)?.score);
        let cpu = score(Resource::Cpu).map_or(0.0, |score| score.time_over);
        let memory =
            score(Resource::Memory).map_or(0.0, |score| score.days_over as f64 / score.days as f64);
        cpu + memory
    }

    /// What kind of workload it is by a resource.
    pub fn classes(&self, resource: Resource) -> &Classes {
        let [cpu, memory] = &self.classes;
        match resource {
            Resource::Cpu => cpu,
            Resource::Memory => memory,
        }
    }

    /// Its plots.
    pub fn drawn(&self) -> impl Iterator<Item = (Resource, &Score, &Sketch)> {
        let result = self.results.first();
        Resource::ALL.into_iter().filter_map(move |resource| {
            let fit = result?.fit(resource)?;
            Some((resource, &fit.score, fit.sketch.as_ref()?))
        })
    }
}

/// Bytes of a GiB.
pub const GIB: f64 = (1_u64 << 30) as f64;

impl Replayed {
    fn drop_plots(&mut self) {
        let fits = self.resources.iter_mut().flatten();
        fits.for_each(|fit| fit.sketch = None);
    }

    /// How a resource fitted.
    pub fn fit(&self, resource: Resource) -> Option<&Fit> {
        let [cpu, memory] = &self.resources;
        match resource {
            Resource::Cpu => cpu.as_ref(),
            Resource::Memory => memory.as_ref(),
        }
    }
}

impl Rules {
    /// Replays a series with each estimator. `sink` is given what each recommended.
    pub fn replay(
        &self,
        series: Series,
        source: usize,
        sink: &mut dyn FnMut(&str, &[Row]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Workload> {
        let samples = &series.samples;
        let interval = self.interval.unwrap_or_else(|| usual_interval(samples));
        let mut results = Vec::with_capacity(self.estimators.len());
        for (place, estimator) in self.estimators.iter().enumerate() {
            let mut sizer = estimator.sizer(&series, &self.config);
            let rows = run(samples, interval, &mut *sizer);
            sink(&series.name, &rows)?;
            results.push(self.replayed(&series, &rows, self.sketches && place == 0));
        }
        Ok(Workload {
            source,
            span: span(samples),
            request: series.request,
            classes: Resource::ALL.map(|resource| Classes::of(samples, resource)),
            results,
            name: series.name,
        })
    }

    fn replayed(&self, series: &Series, rows: &[Row], sketched: bool) -> Replayed {
        let samples = &series.samples;
        let fit = |resource| {
            let trial = judge(samples, rows, resource)?;
            Some(Fit {
                score: score(&trial, resource),
                curve: self.curves.then(|| Curve::of(&trial)),
                sketch: sketched.then(|| Sketch::of(samples, rows, resource)),
            })
        };
        let (first, last) = (
            rows.first().map(|row| row.at),
            samples.last().map(|last| last.at),
        );
        let updates_per_day = match (first, last) {
            (Some(first), Some(last)) => {
                per_day(updates(rows, last, &self.updater), last.since(first))
            }
            _ => 0.0,
        };
        Replayed {
            resources: Resource::ALL.map(fit),
            updates_per_day,
            last: rows.last().map_or_else(Sizes::default, |row| row.sizes),
        }
    }
}

/// All series, and where they come from.
#[derive(Default)]
pub struct Fleet {
    /// What sized them.
    pub estimators: Vec<Estimator>,
    /// Names of files, or of namespaces.
    pub sources: Vec<String>,
    /// The series.
    pub workloads: Vec<Workload>,
}

/// Means over series: each counts the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// How many series.
    pub series: usize,
    /// Slack.
    pub slack: f64,
    /// Autopilot's relative slack.
    pub relative_slack: f64,
    /// Slack of all resource-time together: large series count for more.
    pub pooled_slack: f64,
    /// Part of the time over the target.
    pub time_over: f64,
    /// Usage over the target by usage.
    pub overrun: f64,
    /// Part of all days with a sample over the target.
    pub days_over: f64,
    /// Part of all days that were severe.
    pub days_severe: f64,
    /// Changes of the target in a day.
    pub changes_per_day: f64,
    /// Changes of a pod in a day, by the updater's rules.
    pub updates_per_day: f64,
}

impl Fleet {
    /// The means of one estimator (by its place) and resource over a source, or over all; `None` without any series.
    pub fn mean(
        &self,
        estimator: usize,
        resource: Resource,
        source: Option<usize>,
    ) -> Option<Mean> {
        let of_source =
            |workload: &&Workload| source.is_none_or(|source| workload.source == source);
        let scored = self
            .workloads
            .iter()
            .filter(of_source)
            .filter_map(|workload| {
                let result = workload.results.get(estimator)?;
                Some((result.fit(resource)?.score, result.updates_per_day))
            });
        let scored: Vec<(Score, f64)> = scored.collect();
        let count = scored.len() as f64;
        let mean =
            |of: fn(&Score) -> f64| scored.iter().map(|(score, _)| of(score)).sum::<f64>() / count;
        let days = scored.iter().map(|(score, _)| score.days).sum::<usize>() as f64;
        let share = |of: fn(&Score) -> usize| {
            scored.iter().map(|(score, _)| of(score)).sum::<usize>() as f64 / days
        };
        let pooled = mean(|score| score.used) / mean(|score| score.recommended);
        (!scored.is_empty()).then(|| Mean {
            series: scored.len(),
            slack: mean(|score| score.slack),
            relative_slack: mean(|score| score.relative_slack),
            pooled_slack: 1.0 - pooled,
            time_over: mean(|score| score.time_over),
            overrun: mean(|score| score.overrun),
            days_over: share(|score| score.days_over),
            days_severe: share(|score| score.days_severe),
            changes_per_day: mean(|score| score.changes_per_day),
            updates_per_day: scored.iter().map(|(_, updates)| updates).sum::<f64>() / count,
        })
    }

    /// Adds a series. Of more than twice `plotted` series only those that waste the most, and those that run over the most,
    /// are kept for plots.
    pub fn add(&mut self, workload: Workload, plotted: usize) {
        self.workloads.push(workload);
        let drawn = |workload: &Workload| workload.drawn().next().is_some();
        let count = self
            .workloads
            .iter()
            .rev()
            .take_while(|workload| drawn(workload))
            .count();
        if count > 2 * plotted.max(50) {
            self.keep_plots(plotted);
        }
    }

    /// Drops the plots of all series but `plotted` of those that waste the most, and as many that run over the most.
    pub fn keep_plots(&mut self, plotted: usize) {
        let mut kept = vec![false; self.workloads.len()];
        for of in [Workload::waste, Workload::risk] {
            let mut places: Vec<usize> = (0..self.workloads.len()).collect();
            let rank = |place: &usize| of(&self.workloads[*place]);
            places.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
            let drawn = places
                .into_iter()
                .filter(|place| self.workloads[*place].drawn().next().is_some());
            drawn.take(plotted).for_each(|place| kept[place] = true);
        }
        for (workload, kept) in self.workloads.iter_mut().zip(kept) {
            if !kept {
                workload.results.iter_mut().for_each(Replayed::drop_plots);
            }
        }
    }

    /// Takes out what nobody told anything of: requests.
    pub fn drop_untold(&mut self) {
        let place = self
            .estimators
            .iter()
            .position(|estimator| *estimator == Estimator::Request);
        let told = self
            .workloads
            .iter()
            .any(|workload| !workload.request.is_empty());
        if let Some(place) = place.filter(|_| !told) {
            self.estimators.remove(place);
            for workload in &mut self.workloads {
                workload.results.remove(place);
            }
        }
    }

    /// The place of a source, which is made when it is new.
    pub fn source(&mut self, name: &str) -> usize {
        let known = self.sources.iter().position(|source| source == name);
        known.unwrap_or_else(|| {
            self.sources.push(name.to_owned());
            self.sources.len() - 1
        })
    }
}
