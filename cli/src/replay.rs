//! `replay`: what podfit would have recommended for usage that was recorded, and how well that fitted.

mod estimators;
mod faults;
mod fleet;
mod options;
mod recommendations;
mod report;
mod show;
mod sketch;
mod usage;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use podfit_core::disruption::Config;
use podfit_core::quantity::Resource;

pub use self::options::ReplayOptions;

use self::fleet::{Fleet, Rules};
use self::options::Format;
use self::recommendations::Recommendations;
use self::usage::Usage;
use crate::progress::Progress;
use crate::table::Table;

/// Replays what the flags name.
pub fn run(options: &ReplayOptions) -> Result<ExitCode> {
    options.check()?;
    let groups = options.groups.as_deref().map(read_groups).transpose()?;
    let fleet = replay(options)?;
    if let Some(path) = &options.report {
        let page = report::page(&fleet);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match options.output {
        Format::Text => print!("{}", tables(&fleet, options, groups.as_ref(), Table::text)),
        Format::Md => print!(
            "{}",
            tables(&fleet, options, groups.as_ref(), Table::markdown)
        ),
        Format::Json => println!("{:#}", show::json(&fleet)),
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(options: &ReplayOptions) -> Result<Fleet> {
    let rules = Rules {
        estimators: options.estimator.clone(),
        interval: options.interval.map(|interval| interval.0),
        config: options.config(),
        cpu_promise: options.cpu_violation_target,
        updater: Config::new(options.profile.into()),
        curves: options.matched || options.report.is_some(),
        sketches: options.report.is_some(),
    };
    let mut fleet = Fleet {
        estimators: options.estimator.clone(),
        ..Fleet::default()
    };
    let mut written = options
        .recommendations
        .as_deref()
        .map(Recommendations::create)
        .transpose()?;
    let progress = Progress::new();
    for path in &options.usage {
        let name = source_name(path);
        let source = fleet.source(&name);
        progress.say(&format!("looking at {name}"));
        let usage = Usage::open(path)?;
        let told = |rows: u64| progress.part(&format!("replaying {name}"), rows, usage.rows);
        let faults = usage.read(&told, |series| {
            let workload =
                rules.replay(series, source, &mut |series, rows| match &mut written {
                    Some(written) => written.write(series, rows),
                    None => Ok(()),
                })?;
            fleet.add(workload, options.report_workloads);
            Ok(())
        })?;
        progress.clear();
        for line in faults.lines() {
            eprintln!("{}: {line}", path.display());
        }
        if options.strict && faults.count() > 0 {
            bail!(
                "{} has rows that cannot be used, and --strict is set",
                path.display()
            );
        }
    }
    written.map_or(Ok(()), Recommendations::finish)?;
    fleet.keep_plots(options.report_workloads);
    Ok(fleet)
}

/// The name of a file without directory and endings.
fn source_name(path: &Path) -> String {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.strip_suffix(".csv").unwrap_or(name).to_owned()
}

fn tables(
    fleet: &Fleet,
    options: &ReplayOptions,
    groups: Option<&HashMap<String, usize>>,
    table: fn(&Table) -> String,
) -> String {
    let mut text = String::new();
    let mut add = |title: &str, body: &Table| {
        if body.is_empty() {
            return;
        }
        let heading = if options.output == Format::Md {
            "### "
        } else {
            ""
        };
        let _ = writeln!(text, "{heading}{title}\n\n{}", table(body));
    };
    for (resource, title) in [
        (Resource::Cpu, "CPU, as recommended"),
        (Resource::Memory, "Memory, as recommended"),
    ] {
        add(title, &show::means(fleet, resource));
    }
    if options.matched {
        let places: HashMap<&str, usize> = fleet
            .workloads
            .iter()
            .enumerate()
            .map(|(place, workload)| (workload.name.as_str(), place))
            .collect();
        let group = |series: &str| match groups.and_then(|groups| groups.get(series)) {
            Some(group) => fleet.workloads.len() + group,
            None => places.get(series).copied().unwrap_or(0),
        };
        for goal in show::GOALS {
            let (_, _, title) = goal;
            add(
                &format!("At equal violation: {title}"),
                &show::at_equal_violation(fleet, &group, goal),
            );
        }
    }
    if text.is_empty() {
        return "No series is long enough to be judged.\n".to_owned();
    }
    text
}

/// Which group each series is of, from lines `series,group`.
fn read_groups(path: &Path) -> Result<HashMap<String, usize>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut names: Vec<&str> = Vec::new();
    let mut groups = HashMap::new();
    for (number, line) in (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let (series, group) = line.rsplit_once(',').with_context(|| {
            format!(
                "line {number} of {} is not of the form series,group",
                path.display()
            )
        })?;
        let place = names
            .iter()
            .position(|name| *name == group)
            .unwrap_or_else(|| {
                names.push(group);
                names.len() - 1
            });
        groups.insert(series.to_owned(), place);
    }
    Ok(groups)
}
