//! One workload over time: what it used, and what was recommended.

use std::fmt::Write as _;

use podfit_core::quantity::Resource;

use super::svg::{Area, round_up};
use crate::replay::fleet::GIB;
use crate::replay::sketch::{Column, Sketch};

/// A picture of one resource, and of what is requested now, where that is known (in cores or bytes).
pub fn svg(resource: Resource, sketch: &Sketch, request: Option<f64>) -> String {
    let columns = &sketch.columns;
    let days = sketch.end.since(sketch.begin).as_secs_f64() / 86_400.0;
    let highest =
        |of: fn(&Column) -> Option<f64>| columns.iter().filter_map(of).fold(0.0, f64::max);
    let top = highest(|column| column.peak)
        .max(highest(|column| Some(column.band?.target)))
        .max(request.unwrap_or(0.0));
    let unit = unit(resource, top);
    let area = Area {
        height: 150.0,
        right: days.max(f64::MIN_POSITIVE),
        top: round_up(top / unit.size) * unit.size,
    };
    let at = |index: usize| (index as f64 + 0.5) / columns.len() as f64 * days;
    let requested = request.map(|request| {
        let points = area.line([(0.0, request), (days, request)]);
        format!("<polyline class=request points='{points}'/>")
    });
    let content = bounds(&area, columns, &at)
        + &over(&area, columns, &at)
        + &lines(&area, columns, &at)
        + &requested.unwrap_or_default();
    let up = [0.0, 0.5, 1.0].map(|part| {
        (
            part * area.top,
            label(part * area.top / unit.size, unit.name),
        )
    });
    let across = [0.25, 0.5, 0.75, 1.0].map(|part| (part * days, days_label(part * days)));
    area.svg(resource.name(), &across, &up, &content)
}

/// In what amounts are told.
struct Unit {
    size: f64,
    name: &'static str,
}

fn unit(resource: Resource, top: f64) -> Unit {
    let (size, name) = match resource {
        Resource::Cpu if top < 1.0 => (0.001, "m"),
        Resource::Cpu => (1.0, ""),
        Resource::Memory if top < GIB => (GIB / 1024.0, "Mi"),
        Resource::Memory => (GIB, "Gi"),
    };
    Unit { size, name }
}

fn label(value: f64, unit: &str) -> String {
    let digits = usize::from(value.fract() > 0.0 && value < 10.0);
    format!("{value:.digits$}{unit}")
}

fn days_label(days: f64) -> String {
    if days < 1.0 {
        format!("{:.1} h", days * 24.0)
    } else {
        format!("day {days:.1}")
    }
}

/// Columns that have a value, in runs without a hole.
fn runs(columns: &[Column], of: impl Fn(&Column) -> Option<f64>) -> Vec<Vec<(usize, f64)>> {
    let mut runs = vec![Vec::new()];
    for (index, column) in columns.iter().enumerate() {
        match (of(column), runs.last_mut()) {
            (Some(value), Some(run)) => run.push((index, value)),
            _ => runs.push(Vec::new()),
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

fn lines(area: &Area, columns: &[Column], at: &dyn Fn(usize) -> f64) -> String {
    let mut svg = String::new();
    let mut draw = |class: &str, of: fn(&Column) -> Option<f64>| {
        for run in runs(columns, of) {
            let points = area.line(run.into_iter().map(|(index, value)| (at(index), value)));
            let _ = write!(svg, "<polyline class={class} points='{points}'/>");
        }
    };
    draw("usage", |column| column.peak);
    draw("target", |column| Some(column.band?.target));
    svg
}

fn bounds(area: &Area, columns: &[Column], at: &dyn Fn(usize) -> f64) -> String {
    let mut svg = String::new();
    for run in runs(columns, |column| column.band?.upper) {
        let lower = run.iter().rev().map(|(index, _)| {
            let lower = columns[*index].band.and_then(|band| band.lower);
            (at(*index), lower.unwrap_or(0.0))
        });
        let around = run
            .iter()
            .map(|(index, upper)| (at(*index), *upper))
            .chain(lower);
        let _ = write!(svg, "<polygon class=band points='{}'/>", area.line(around));
    }
    svg
}

fn over(area: &Area, columns: &[Column], at: &dyn Fn(usize) -> f64) -> String {
    let mut svg = String::new();
    for (index, column) in columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.is_over)
    {
        let (Some(peak), Some(band)) = (column.peak, column.band) else {
            continue;
        };
        let (top, bottom) = (area.y(peak), area.y(band.target));
        let height = (bottom - top).max(2.0);
        let _ = write!(
            svg,
            "<rect class=over x='{:.1}' y='{top:.1}' width=3 height='{height:.1}'/>",
            area.x(at(index)) - 1.5
        );
    }
    svg
}
