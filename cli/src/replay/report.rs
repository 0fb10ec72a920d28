//! A page about a replay: the fleet's figures, slack against violations, and a plot for each workload. One file, which
//! loads nothing.

mod pareto;
mod plot;
mod svg;

use std::fmt::Write as _;

use podfit_core::quantity::Resource;

use super::fleet::{Fleet, Workload};
use super::show::{self, percent};
use crate::table::escape;

/// The page.
pub fn page(fleet: &Fleet) -> String {
    let mut html = String::from(HEAD);
    let _ = write!(
        html,
        "<h1>podfit replay</h1>
<p>{} series of {} sources, sized by {}. A number is worth only what its neighbour says: \
         little slack is easy where much runs over.</p>
",
        fleet.workloads.len(),
        fleet.sources.len(),
        escape(&names(fleet)),
    );
    for (resource, title) in [(Resource::Cpu, "CPU"), (Resource::Memory, "Memory")] {
        let table = show::means(fleet, resource);
        if !table.is_empty() {
            let _ = write!(
                html,
                "<h2>{title}</h2>\n{}{}",
                table.html(),
                pareto::figure(fleet, resource)
            );
        }
    }
    html += WORKLOADS;
    for workload in &fleet.workloads {
        html += &card(fleet, workload);
    }
    html += FOOT;
    html
}

fn names(fleet: &Fleet) -> String {
    let names: Vec<_> = fleet
        .estimators
        .iter()
        .map(|estimator| estimator.name())
        .collect();
    names.join(", ")
}

/// One workload: its figures and plots; nothing of one that has no plots.
fn card(fleet: &Fleet, workload: &Workload) -> String {
    let plots = workload.drawn().map(|(resource, score, sketch)| {
        let over = match resource {
            Resource::Cpu => format!("{} of the time over", percent(score.time_over, 2)),
            Resource::Memory => format!("{} of {} days over", score.days_over, score.days),
        };
        let request = workload.request.get(resource).map(|band| band.target);
        let requested = request.map(|request| {
            let amount = show::amount(resource, request);
            format!(", {amount} requested now")
        });
        let caption = format!(
            "{}: {}; {} slack, {over}, {:.1} changes a day{}",
            resource.name(),
            workload.classes(resource).last,
            percent(score.slack, 1),
            score.changes_per_day,
            requested.unwrap_or_default()
        );
        format!(
            "<figure><figcaption>{caption}</figcaption>{}</figure>\n",
            plot::svg(resource, sketch, request)
        )
    });
    let plots: String = plots.collect();
    if plots.is_empty() {
        return plots;
    }
    format!(
        "<section class=workload data-waste={:.6} data-risk={:.6}>\n<h3>{}</h3>\n<p>{}, {:.1} days, {:.1} updates a day</p>\n{plots}</section>\n",
        workload.waste(),
        workload.risk(),
        escape(&workload.name),
        escape(&fleet.sources[workload.source]),
        workload.span.as_secs_f64() / 86_400.0,
        workload
            .results
            .first()
            .map_or(0.0, |result| result.updates_per_day),
    )
}

/// Nothing may be loaded: the policy says so to the browser.
const HEAD: &str = r#"<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<meta http-equiv=Content-Security-Policy content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>podfit replay</title>
<style>
:root { color-scheme: light dark; --usage: #4477aa; --target: #cc6600; --band: #cc660022; --over: #cc0033; --request: #228833; --line: #8888; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
th, td { padding: .15rem .6rem; text-align: left; border-bottom: 1px solid var(--line); }
.r { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: .5rem 0 1rem; } figcaption { font-size: 13px; opacity: .8; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 11px; fill: currentColor; }
.axis { stroke: var(--line); } .usage { stroke: var(--usage); fill: none; } .target { stroke: var(--target); fill: none; stroke-width: 1.5; }
.request { stroke: var(--request); fill: none; stroke-dasharray: 6 4; }
.band { fill: var(--band); stroke: none; } .over { fill: var(--over); stroke: none; }
.key b { padding: 0 .4rem; }
nav button, nav input { font: inherit; } section h3 { margin-bottom: 0; } section p { margin: 0; opacity: .8; }
</style>
</head>
<body>
"#;

const WORKLOADS: &str = r#"<h2>Workloads</h2>
<p class=key><b style="color: var(--usage)">―</b>usage (highest sample) <b style="color: var(--target)">―</b>target <b style="color: var(--request)">╌</b>requested now, where known <b style="background: var(--band)"> </b>within these bounds a request is left alone <b style="color: var(--over)">▮</b>usage over the target</p>
<nav>Sort by <button data-sort=waste>waste</button> <button data-sort=risk>risk</button> <input type=search placeholder="find a series"> <span id=shown></span></nav>
<div id=workloads>
"#;

const FOOT: &str = r"</div>
<script>
const list = document.getElementById('workloads'), all = [...list.children];
function sort(by) {
  all.sort((a, b) => b.dataset[by] - a.dataset[by]);
  list.append(...all);
  list.dataset.sortedBy = by;
}
function find(text) {
  for (const one of all) one.hidden = !one.querySelector('h3').textContent.includes(text);
  document.getElementById('shown').textContent = all.filter(one => !one.hidden).length + ' of ' + all.length;
}
for (const button of document.querySelectorAll('button')) button.onclick = () => sort(button.dataset.sort);
document.querySelector('input').oninput = event => find(event.target.value);
sort('waste');
find('');
</script>
</body>
</html>
";
