//! Slack against violations: one line for each estimator, drawn by multiplying all its targets by one factor after another.
//! What lies lower and further to the left is better.

use std::fmt::Write as _;

use podfit_core::quantity::Resource;
use podfit_core::replay::matched::{Goal, Outcome, sweep, unmultiplied};

use super::svg::Area;
use crate::replay::fleet::Fleet;
use crate::replay::show::{entries, percent};
use crate::table::escape;

/// Violations beyond this are nobody's wish.
const MOST: f64 = 0.12;

/// Told apart also by who cannot see all colours (Okabe and Ito), twice around.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999933", "#882255",
];

/// The figure of one resource.
pub fn figure(fleet: &Fleet, resource: Resource) -> String {
    let (goal, violation) = match resource {
        Resource::Cpu => (Goal::Time(0.0), "time over the target"),
        Resource::Memory => (Goal::Days(0.0), "days over the target"),
    };
    let area = Area {
        height: 320.0,
        right: MOST,
        top: 1.0,
    };
    let sources: Vec<usize> = (0..fleet.sources.len()).collect();
    let (mut lines, mut key) = (String::new(), String::new());
    for (place, estimator) in fleet.estimators.iter().enumerate() {
        let entries = entries(fleet, &|_| 0, resource, place, &sources);
        let points = sweep(&entries, goal);
        let shown = points.iter().filter(|point| point.violation <= MOST);
        let line = area.line(shown.map(position));
        let colour = COLOURS[place % COLOURS.len()];
        let as_it_is = unmultiplied(&entries, goal);
        let (x, y) = position(&as_it_is);
        let _ = write!(
            lines,
            "<polyline fill=none stroke='{colour}' stroke-width=1.8 points='{line}'/>"
        );
        if as_it_is.violation <= MOST {
            let _ = write!(
                lines,
                "<circle cx='{:.1}' cy='{:.1}' r=4 fill='{colour}'><title>{} as recommended: {} slack at {}</title></circle>",
                area.x(x),
                area.y(y),
                escape(&estimator.name()),
                percent(as_it_is.slack, 1),
                percent(as_it_is.violation, 2),
            );
        }
        let _ = write!(
            key,
            "<b style='color: {colour}'>―</b>{} ",
            escape(&estimator.name())
        );
    }
    let up = [0.0, 0.25, 0.5, 0.75, 1.0].map(|slack| (slack, percent(slack, 0)));
    let across = [0.01, 0.02, 0.05, 0.1].map(|share| (share, percent(share, 0)));
    let picture = area.svg("slack against violations", &across, &up, &lines);
    format!(
        "<figure class=pareto><figcaption>Slack (up) against {violation} (across), means over sources, as all targets grow or shrink by the same \
         factor; a dot is what was recommended. Further down and further left is better. <span class=key>{key}</span></figcaption>{picture}</figure>\n"
    )
}

fn position(outcome: &Outcome) -> (f64, f64) {
    (outcome.violation, outcome.slack)
}
