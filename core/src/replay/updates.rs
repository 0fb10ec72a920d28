//! How often the updater's rules would have changed a pod that lives as long as the series: when a request leaves its
//! bounds, or when the pod is long-lived and the change worth it.

use std::time::Duration;

use super::{Band, Row, Sizes};
use crate::disruption::Config;
use crate::quantity::Resource;
use crate::time::Timestamp;

/// Counts the changes that rows lead to until `end`. The pod starts with the first row.
pub fn updates(rows: &[Row], end: Timestamp, config: &Config) -> u32 {
    let Some(mut requests) = rows.first().copied() else {
        return 0;
    };
    let mut count = 0;
    for (index, row) in rows.iter().enumerate().skip(1) {
        let until = rows.get(index + 1).map_or(end, |next| next.at);
        if let Some(at) = due(&requests, row, config).filter(|at| *at < until) {
            count += 1;
            requests = Row { at, ..*row };
        }
    }
    count
}

/// When a pod that was given `requests` is due for what a row says, if that stays.
fn due(requests: &Row, row: &Row, config: &Config) -> Option<Timestamp> {
    if Resource::ALL
        .into_iter()
        .any(|resource| is_outside(&requests.sizes, &row.sizes, resource))
    {
        return Some(row.at);
    }
    let changes = Resource::ALL
        .into_iter()
        .map(|resource| change(&requests.sizes, &row.sizes, resource));
    let worth_it = changes.sum::<f64>() >= config.update_threshold;
    worth_it.then(|| row.at.max(requests.at + config.lifetime_threshold))
}

fn is_outside(requests: &Sizes, sizes: &Sizes, resource: Resource) -> bool {
    let Some(Band { lower, upper, .. }) = sizes.get(resource) else {
        return false;
    };
    let request = requests.get(resource).map(|band| band.target);
    request.is_none_or(|r| lower.is_some_and(|l| r < l) || upper.is_some_and(|u| r > u))
}

fn change(requests: &Sizes, sizes: &Sizes, resource: Resource) -> f64 {
    match (requests.get(resource), sizes.get(resource)) {
        (Some(old), Some(new)) if old.target > 0.0 => (new.target - old.target).abs() / old.target,
        _ => 0.0,
    }
}

/// Changes in a day, over a time.
pub fn per_day(count: u32, time: Duration) -> f64 {
    let days = time.as_secs_f64() / super::DAY.as_secs_f64();
    if days > 0.0 {
        f64::from(count) / days
    } else {
        0.0
    }
}
