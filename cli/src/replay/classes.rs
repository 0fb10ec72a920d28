//! Which kinds of workloads there are, and how far what is told of them can be trusted.

use podfit_core::adaptive::{Class, Told};
use podfit_core::quantity::Resource;

use super::fleet::Fleet;
use super::show::percent;
use crate::table::Table;

/// Who is as sure as this is counted.
const SURE: f64 = 0.8;

/// In the order of the rows.
const ALL: [Class; 6] = [
    Class::Steady,
    Class::Periodic,
    Class::Bursty,
    Class::Ramping,
    Class::RunToCompletion,
    Class::Unknown,
];

/// For each resource and class: how many series, how sure that is, and of those that were sure in two weeks how many were the
/// same in the two weeks after. Nothing when all are unknown.
pub fn table(fleet: &Fleet) -> Table {
    let mut table = Table::new(&[
        "",
        "CLASS",
        "SERIES",
        "SURE",
        "TWO WEEKS",
        "AND THEN THE SAME",
    ])
    .right(&[2, 3, 4, 5]);
    for resource in Resource::ALL {
        let judged = fleet.workloads.iter().filter(|workload| {
            let mut results = workload.results.iter();
            results.any(|result| result.fit(resource).is_some())
        });
        let all = judged.map(|workload| workload.classes(resource));
        let measured = |told: &Told| told.class != Class::Unknown;
        if !all.clone().any(|classes| measured(&classes.last)) {
            continue;
        }
        let pairs: Vec<_> = all.clone().flat_map(|classes| &classes.pairs).collect();
        for class in ALL {
            let of_it = all.clone().map(|classes| classes.last);
            let of_it: Vec<_> = of_it.filter(|told| told.class == class).collect();
            let then = |(told, _): &&&(Told, Told)| told.class == class && told.confidence >= SURE;
            let then: Vec<_> = pairs.iter().filter(then).copied().copied().collect();
            if of_it.is_empty() && then.is_empty() {
                continue;
            }
            table.row(row(resource, &class.to_string(), &of_it, &then));
        }
        let sure = pairs.iter().filter(|(told, _)| told.confidence >= SURE);
        let sure: Vec<_> = sure.copied().copied().collect();
        let of_all: Vec<_> = all.map(|classes| classes.last).filter(measured).collect();
        table.row(row(resource, "(known)", &of_all, &sure));
    }
    table
}

fn row(resource: Resource, class: &str, told: &[Told], then: &[(Told, Told)]) -> Vec<String> {
    let sure = told.iter().filter(|told| told.confidence >= SURE).count();
    let same = then.iter().filter(|(told, then)| told.class == then.class);
    let same = same.count() as f64 / then.len() as f64;
    vec![
        resource.name().to_owned(),
        class.to_owned(),
        told.len().to_string(),
        sure.to_string(),
        then.len().to_string(),
        if then.is_empty() {
            "-".to_owned()
        } else {
            percent(same, 0)
        },
    ]
}
