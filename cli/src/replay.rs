//! `replay`: what podfit would have recommended for usage that was recorded, and how well that fitted.

mod classes;
mod estimators;
mod faults;
mod fleet;
mod options;
mod preview;
mod prometheus;
mod recommendations;
mod report;
mod saved;
mod show;
mod sketch;
mod usage;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use podfit_core::quantity::Resource;

pub use self::options::ReplayOptions;

use self::fleet::{Fleet, Rules};
use self::options::Format;
use self::recommendations::Recommendations;
use self::usage::{Series, Usage};
use crate::progress::Progress;
use crate::table::Table;

/// Replays what the flags name. `namespace` is the only one that is asked for; without it all are.
pub async fn run(options: &ReplayOptions, namespace: Option<&str>) -> Result<ExitCode> {
    options.check()?;
    let groups = options.groups.as_deref().map(read_groups).transpose()?;
    let fleet = replay(options, namespace).await?;
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

async fn replay(options: &ReplayOptions, namespace: Option<&str>) -> Result<Fleet> {
    let written = options.recommendations.as_deref();
    let mut replay = Replay {
        rules: options.rules(),
        plotted: options.report_workloads,
        fleet: Fleet {
            estimators: options.estimators(),
            ..Fleet::default()
        },
        written: written.map(Recommendations::create).transpose()?,
    };
    let progress = Progress::new();
    for path in &options.usage {
        replay.file(path, options.strict, &progress)?;
    }
    if options.prometheus.is_given() {
        prometheus::replay(options, namespace, &mut replay, &progress).await?;
    }
    replay.finish()
}

/// A replay under way.
struct Replay {
    rules: Rules,
    plotted: usize,
    fleet: Fleet,
    written: Option<Recommendations>,
}

impl Replay {
    fn file(&mut self, path: &Path, strict: bool, progress: &Progress) -> Result<()> {
        let name = source_name(path);
        progress.say(&format!("looking at {name}"));
        let usage = Usage::open(path)?;
        let told = |rows: u64| progress.part(&format!("replaying {name}"), rows, usage.rows);
        let faults = usage.read(&told, |series| self.add(&name, series))?;
        progress.clear();
        for line in faults.lines() {
            eprintln!("{}: {line}", path.display());
        }
        if strict && faults.count() > 0 {
            bail!(
                "{} has rows that cannot be used, and --strict is set",
                path.display()
            );
        }
        Ok(())
    }

    /// Replays one series of a source: a file, or a namespace.
    fn add(&mut self, source: &str, series: Series) -> Result<()> {
        let source = self.fleet.source(source);
        let written = &mut self.written;
        let workload = self
            .rules
            .replay(series, source, &mut |series, rows| match written {
                Some(written) => written.write(series, rows),
                None => Ok(()),
            })?;
        self.fleet.add(workload, self.plotted);
        Ok(())
    }

    fn finish(mut self) -> Result<Fleet> {
        self.written.map_or(Ok(()), Recommendations::finish)?;
        self.fleet.keep_plots(self.plotted);
        self.fleet.drop_untold();
        Ok(self.fleet)
    }
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
    add("Classes of workloads", &classes::table(fleet));
    if options.apply_preview {
        add("What switching would change", &preview::table(fleet));
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
