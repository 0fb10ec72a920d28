//! What a replay came to, as tables and as JSON.

use podfit_core::quantity::{Millicores, Resource, amount_from_float};
use podfit_core::replay::curve::Curve;
use podfit_core::replay::matched::{
    Entry, Goal, Outcome, halves, matched, resampled, unmultiplied,
};
use serde_json::{Value, json};

use super::fleet::{Fleet, Mean};
use crate::table::Table;

/// What is promised where estimators are compared at equal violation.
pub const GOALS: [(Resource, Goal, &str); 4] = [
    (
        Resource::Cpu,
        Goal::Time(0.01),
        "CPU over target at most 1 % of the time",
    ),
    (
        Resource::Cpu,
        Goal::Time(0.05),
        "CPU over target at most 5 % of the time",
    ),
    (
        Resource::Memory,
        Goal::Days(0.02),
        "memory over target on at most 2 % of days",
    ),
    (
        Resource::Memory,
        Goal::Days(0.05),
        "memory over target on at most 5 % of days",
    ),
];

/// Sources with fewer series are not pooled: one series would count as much as ten of another.
const LEAST_OF_POOL: usize = 10;

/// The means of each source and estimator, and of all sources when there are several.
pub fn means(fleet: &Fleet, resource: Resource) -> Table {
    let days = match resource {
        Resource::Cpu => "DAYS OVER",
        Resource::Memory => "OOM-DAYS",
    };
    let mut table = Table::new(&[
        "SOURCE",
        "SERIES",
        "ESTIMATOR",
        "SLACK",
        "TIME OVER",
        "OVER-RUN",
        days,
        "SEVERE",
        "CHANGES/DAY",
        "UPDATES/DAY",
    ])
    .right(&[1, 3, 4, 5, 6, 7, 8, 9]);
    for (name, source) in groups(fleet) {
        for (place, estimator) in fleet.estimators.iter().enumerate() {
            if let Some(mean) = fleet.mean(place, resource, source) {
                table.row(vec![
                    name.to_owned(),
                    mean.series.to_string(),
                    estimator.name(),
                    percent(mean.slack, 1),
                    percent(mean.time_over, 2),
                    percent(mean.overrun, 2),
                    percent(mean.days_over, 1),
                    percent(mean.days_severe, 1),
                    format!("{:.1}", mean.changes_per_day),
                    format!("{:.1}", mean.updates_per_day),
                ]);
            }
        }
    }
    table
}

/// Each source, and all together when there are several.
fn groups(fleet: &Fleet) -> Vec<(&str, Option<usize>)> {
    let sources = fleet.sources.iter().enumerate();
    let mut groups: Vec<_> = sources
        .map(|(place, name)| (name.as_str(), Some(place)))
        .collect();
    if groups.len() > 1 {
        groups.push(("(all)", None));
    }
    groups
}

/// Estimators at equal violation: slack exactly matched, and on halves, for each source and the balanced pool.
pub fn at_equal_violation(
    fleet: &Fleet,
    groups: &dyn Fn(&str) -> usize,
    (resource, goal, _): (Resource, Goal, &str),
) -> Table {
    let mut table = Table::new(&[
        "SOURCE",
        "SERIES",
        "ESTIMATOR",
        "AS IT IS",
        "FACTOR",
        "SLACK",
        "95 %",
        "ON HALVES",
        "VIOLATION",
        "OVER-RUN",
        "WORST TENTH",
        "CHANGES/DAY",
    ])
    .right(&[1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for pool in pools(fleet, resource) {
        for (place, estimator) in fleet.estimators.iter().enumerate() {
            let entries = entries(fleet, groups, resource, place, &pool.sources);
            let as_it_is = percent(unmultiplied(&entries, goal).violation, 2);
            let mut cells = vec![
                pool.name.clone(),
                entries.len().to_string(),
                estimator.name(),
                as_it_is,
            ];
            cells.extend(match matched(&entries, goal) {
                Some(reached) => reached_cells(&entries, goal, &reached),
                None => [&["-"; 1][..], &["not reachable"], &["-"; 6]]
                    .concat()
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
            });
            table.row(cells);
        }
    }
    table
}

fn reached_cells(entries: &[Entry<'_>], goal: Goal, reached: &Outcome) -> Vec<String> {
    let interval = resampled(entries, goal);
    let on_halves = halves(entries, goal);
    vec![
        format!("{:.2}", reached.multiplier),
        percent(reached.slack, 1),
        format!("{:.0}–{:.0}", interval.low * 100.0, interval.high * 100.0),
        format!(
            "{:.1} [{:.0}–{:.0}]",
            on_halves.slack.median * 100.0,
            on_halves.slack.low * 100.0,
            on_halves.slack.high * 100.0
        ),
        percent(on_halves.violation, 2),
        percent(reached.overrun, 2),
        percent(reached.worst_tenth, 2),
        format!("{:.1}", reached.changes_per_day),
    ]
}

/// Sources that are looked at together.
struct Pool {
    name: String,
    sources: Vec<usize>,
}

fn pools(fleet: &Fleet, resource: Resource) -> Vec<Pool> {
    let count = |source: usize| {
        let of_it = fleet
            .workloads
            .iter()
            .filter(|workload| workload.source == source);
        of_it
            .filter(|workload| {
                workload
                    .results
                    .iter()
                    .all(|result| result.fit(resource).is_some())
            })
            .count()
    };
    let present: Vec<usize> = (0..fleet.sources.len())
        .filter(|source| count(*source) > 0)
        .collect();
    let mut pools: Vec<Pool> = present
        .iter()
        .map(|source| Pool {
            name: fleet.sources[*source].clone(),
            sources: vec![*source],
        })
        .collect();
    let large: Vec<usize> = present
        .into_iter()
        .filter(|source| count(*source) >= LEAST_OF_POOL)
        .collect();
    if large.len() > 1 {
        pools.push(Pool {
            name: "(balanced pool)".to_owned(),
            sources: large,
        });
    }
    pools
}

/// The curves of one estimator and resource over some sources.
pub fn entries<'a>(
    fleet: &'a Fleet,
    groups: &dyn Fn(&str) -> usize,
    resource: Resource,
    estimator: usize,
    sources: &[usize],
) -> Vec<Entry<'a>> {
    let of_pool = fleet
        .workloads
        .iter()
        .filter(|workload| sources.contains(&workload.source));
    let entries = of_pool.filter_map(|workload| {
        let curve: &Curve = workload
            .results
            .get(estimator)?
            .fit(resource)?
            .curve
            .as_ref()?;
        Some(Entry {
            source: workload.source,
            group: groups(&workload.name),
            curve,
        })
    });
    entries.collect()
}

/// All figures.
pub fn json(fleet: &Fleet) -> Value {
    let name = |resource: Resource| resource.name();
    let sources: Vec<Value> = groups(fleet)
        .into_iter()
        .map(|(source, place)| {
            let estimators = fleet
                .estimators
                .iter()
                .enumerate()
                .map(|(index, estimator)| {
                    let mut figures = json!({ "estimator": estimator.name() });
                    for resource in Resource::ALL {
                        if let Some(mean) = fleet.mean(index, resource, place) {
                            figures[name(resource)] = mean_to_json(&mean);
                        }
                    }
                    figures
                });
            json!({ "source": source, "estimators": estimators.collect::<Vec<_>>() })
        })
        .collect();
    let workloads: Vec<Value> = fleet
        .workloads
        .iter()
        .map(|workload| {
            let results = workload.results.iter().zip(&fleet.estimators).map(|(result, estimator)| {
                let mut figures = json!({ "estimator": estimator.name(), "updatesPerDay": result.updates_per_day });
                for resource in Resource::ALL {
                    if let Some(fit) = result.fit(resource) {
                        let score = &fit.score;
                        figures[name(resource)] = json!({
                            "slack": score.slack,
                            "plainSlack": score.plain_slack,
                            "relativeSlack": score.relative_slack,
                            "timeOver": score.time_over,
                            "overrun": score.overrun,
                            "days": score.days,
                            "daysOver": score.days_over,
                            "daysSevere": score.days_severe,
                            "changesPerDay": score.changes_per_day,
                            "target": result.last.get(resource).map(|band| band.target),
                        });
                    }
                }
                figures
            });
            let class = |resource| {
                let told = workload.classes(resource).last;
                json!({ "name": told.class.code(), "confidence": told.confidence })
            };
            json!({
                "series": workload.name,
                "class": { "cpu": class(Resource::Cpu), "memory": class(Resource::Memory) },
                "source": fleet.sources[workload.source],
                "days": workload.span.as_secs_f64() / 86_400.0,
                "request": {
                    "cpu": workload.request.cpu.map(|band| band.target),
                    "memory": workload.request.memory.map(|band| band.target),
                },
                "results": results.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "sources": sources, "series": workloads })
}

fn mean_to_json(mean: &Mean) -> Value {
    json!({
        "series": mean.series,
        "slack": mean.slack,
        "relativeSlack": mean.relative_slack,
        "pooledSlack": mean.pooled_slack,
        "timeOver": mean.time_over,
        "overrun": mean.overrun,
        "daysOver": mean.days_over,
        "daysSevere": mean.days_severe,
        "changesPerDay": mean.changes_per_day,
        "updatesPerDay": mean.updates_per_day,
    })
}

/// A share as a number of per cent.
pub fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

/// Cores or bytes, as Kubernetes writes them.
pub fn amount(resource: Resource, amount: f64) -> String {
    resource.show(match resource {
        Resource::Cpu => Millicores::from_cores(amount).0,
        Resource::Memory => amount_from_float(amount),
    })
}
