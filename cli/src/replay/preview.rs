//! What switching from one estimator to another would change, workload by workload: by what each recommends at the end.

use podfit_core::quantity::Resource;

use super::fleet::{Fleet, Replayed, Workload};
use super::show::{amount, percent};
use crate::table::Table;

/// A row for each series, those whose CPU changes most first, and one for all together. The first estimator is today's,
/// the second the one to switch to.
pub fn table(fleet: &Fleet) -> Table {
    let [now, then] = [0, 1].map(|place| {
        fleet
            .estimators
            .get(place)
            .map_or_else(String::new, |one| one.name())
    });
    let after = format!("→ {then}");
    let mut table = Table::new(&[
        "SERIES",
        &format!("CPU {now}"),
        &after,
        "",
        "TIME OVER",
        &after,
        &format!("MEMORY {now}"),
        &after,
        "",
        "DAYS OVER",
        &after,
    ])
    .right(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    let mut switches: Vec<Switch<'_>> = fleet.workloads.iter().filter_map(Switch::of).collect();
    switches.sort_by(|a, b| b.moved().total_cmp(&a.moved()));
    for switch in &switches {
        table.row(switch.row());
    }
    if switches.len() > 1 {
        table.row(all(&switches));
    }
    table
}

/// One series under both.
struct Switch<'a> {
    name: &'a str,
    results: [&'a Replayed; 2],
}

impl<'a> Switch<'a> {
    fn of(workload: &'a Workload) -> Option<Self> {
        Some(Self {
            name: &workload.name,
            results: [workload.results.first()?, workload.results.get(1)?],
        })
    }

    /// The targets of both, in cores or bytes; nothing when one of them has none.
    fn targets(&self, resource: Resource) -> Option<[f64; 2]> {
        let [now, then] = self.results.map(|result| result.last.get(resource));
        Some([now?.target, then?.target])
    }

    /// By how many cores its CPU changes.
    fn moved(&self) -> f64 {
        self.targets(Resource::Cpu)
            .map_or(0.0, |[now, then]| (then - now).abs())
    }

    /// The part of the time, or of days, over the target under both.
    fn over(&self, resource: Resource) -> [String; 2] {
        self.results.map(|result| {
            let share = result.fit(resource).map(|fit| match resource {
                Resource::Cpu => fit.score.time_over,
                Resource::Memory => fit.score.days_over as f64 / fit.score.days as f64,
            });
            share.map_or_else(|| "-".to_owned(), |share| percent(share, 1))
        })
    }

    fn row(&self) -> Vec<String> {
        let mut cells = vec![self.name.to_owned()];
        for resource in Resource::ALL {
            cells.extend(change(resource, self.targets(resource)));
            cells.extend(self.over(resource));
        }
        cells
    }
}

fn all(switches: &[Switch<'_>]) -> Vec<String> {
    let mut cells = vec!["(all)".to_owned()];
    for resource in Resource::ALL {
        let targets = switches
            .iter()
            .filter_map(|switch| switch.targets(resource));
        let sums = targets.reduce(|[now, then], [more, after]| [now + more, then + after]);
        cells.extend(change(resource, sums));
        cells.extend([String::new(), String::new()]);
    }
    cells
}

/// Both amounts, and by what part the second is more or less.
fn change(resource: Resource, targets: Option<[f64; 2]>) -> [String; 3] {
    let Some([now, then]) = targets else {
        return ["-", "-", "-"].map(str::to_owned);
    };
    let part = if now > 0.0 {
        (then / now - 1.0) * 100.0
    } else {
        0.0
    };
    [
        amount(resource, now),
        amount(resource, then),
        format!("{part:+.0} %"),
    ]
}
