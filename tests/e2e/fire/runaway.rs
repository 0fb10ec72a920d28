//! A VPA and an HPA on the same CPU.

mod load;

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use podfit_tests::cluster::log_folder;
use podfit_tests::namespace::Namespace;
use podfit_tests::picture::{Line, Panel, svg};
use podfit_tests::podfit::Podfit;
use podfit_tests::process::Process;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use tokio::time::MissedTickBehavior;

use self::load::{BOUNDS, REPLICAS, REQUEST, Row, Stance, TARGET};

/// Millicores in all before and after, and in between.
pub const LOW: i64 = 400;
const HIGH: i64 = 800;

/// Seconds that each load lasts: low, high, low.
const PHASES: [(u64, i64); 3] = [(60, LOW), (75, HIGH), (75, LOW)];

/// How often the load is spread anew.
const TICK: Duration = Duration::from_secs(1);

/// How one stance went.
type Series = (Stance, Vec<Row>);

/// The same load on an HPA alone, beside a VPA that yields, beside one that realigns, and beside one as upstream's is. The second
/// and the third have the replicas that the first has; the last runs up to the highest number.
///
/// podfit's time is short so that this takes minutes, not days: histories halve in 20 s and are believed at once, and
/// requests go down every 5 s. The HPA's are those of the test cluster (looks every 5 s, waits 10 s before it shrinks).
pub async fn none(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let upstream = Namespace::create_new(&ns.cluster, "no-runaway-upstream").await?;
    let stance = |name, horizontal, ns: &Namespace| Stance {
        name,
        horizontal,
        ns: ns.clone(),
    };
    let stances = [
        stance("alone", None, &ns),
        stance("yield", Some("yield"), &ns),
        stance("realign", Some("realign"), &ns),
        stance("upstream", Some("ignore"), &upstream),
    ];
    let mut processes = start(&podfit, &ns, "safe")?;
    processes.extend(start(&podfit, &upstream, "upstream")?);
    for stance in &stances {
        stance.create(RECOMMENDER).await?;
    }
    until("all is measured", secs(120), async || {
        play(&stances, 0.0, LOW).await?;
        try_join_all(stances.iter().map(Stance::ensure_measured)).await
    })
    .await?;

    let series = record(&stances).await?;
    keep(&ns, &series)?;
    for process in &mut processes {
        process.ensure_alive()?;
    }
    judge(&series)?;
    for process in processes {
        process.stop().await?;
    }
    upstream.delete_all().await
}

/// The name by which VPAs ask for the recommender of their namespace.
const RECOMMENDER: &str = "in-a-hurry";

/// A recommender and an updater in a hurry, for one namespace.
fn start(podfit: &Podfit, ns: &Namespace, profile: &str) -> Result<Vec<Process>> {
    let mut recommender = podfit.own_recommender(RECOMMENDER, &ns.name)?;
    recommender.arguments.extend([
        format!("--profile={profile}"),
        "--cpu-histogram-decay-half-life=20s".into(),
        "--confidence-interval-cpu=1s".into(),
        "--confidence-interval-memory=1s".into(),
    ]);
    let mut updater = podfit.own_updater("in-a-hurry-updater", &ns.name)?;
    updater.arguments.push(format!("--profile={profile}"));
    if profile == "safe" {
        updater.arguments.push("--shrink-interval=5s".into());
    }
    Ok(vec![recommender.start()?, updater.start()?])
}

async fn play(stances: &[Stance], at: f64, load: i64) -> Result<Vec<Row>> {
    try_join_all(stances.iter().map(|stance| stance.play(at, load))).await
}

/// Plays all phases.
async fn record(stances: &[Stance]) -> Result<Vec<Series>> {
    let mut series: Vec<Series> = stances.iter().map(|s| (s.clone(), Vec::new())).collect();
    let began = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ends = 0;
    for (lasts, load) in PHASES {
        ends += lasts;
        while began.elapsed() < secs(ends) {
            ticks.tick().await;
            let rows = play(stances, began.elapsed().as_secs_f64(), load).await?;
            for ((_, all), row) in series.iter_mut().zip(rows) {
                all.push(row);
            }
        }
    }
    Ok(series)
}

/// Writes the series as a table of values and as a picture, and prints every fifteenth second.
fn keep(ns: &Namespace, series: &[Series]) -> Result<()> {
    let mut csv = String::from("second,stance,load_mcpu,replicas,request_mcpu,target_percent\n");
    for (stance, rows) in series {
        for row in rows {
            let Row {
                at,
                load,
                replicas,
                request,
                target,
            } = row;
            writeln!(
                csv,
                "{at:.1},{},{load},{replicas},{request},{target}",
                stance.name
            )?;
        }
    }
    let folder = log_folder(&ns.cluster)?;
    fs::write(folder.join("no-runaway.csv"), csv)?;
    let file = folder.join("no-runaway.svg");
    fs::write(&file, picture(series))?;
    println!("{}", table(series)?);
    figure(format!("no-runaway: the picture is {}", file.display()));
    Ok(())
}

fn table(series: &[Series]) -> Result<String> {
    let mut text = String::from("second   load");
    for (stance, _) in series {
        write!(text, "  {:>9}: pods  mCPU", stance.name)?;
    }
    let end: u64 = PHASES.iter().map(|(lasts, _)| lasts).sum();
    for at in (0..end).step_by(15) {
        for (column, (_, rows)) in series.iter().enumerate() {
            let row = rows.iter().find(|row| row.at >= at as f64);
            let row = row.or(rows.last()).context("no row")?;
            if column == 0 {
                write!(text, "\n{:>6.0} {:>6}", row.at, row.load)?;
            }
            write!(text, "{:>17} {:>5}", row.replicas, row.request)?;
        }
    }
    Ok(text)
}

fn picture(series: &[Series]) -> String {
    let lines = |value: fn(&Row) -> i64| {
        let line = |(stance, rows): &Series| Line {
            name: legend(stance.name).into(),
            points: rows.iter().map(|r| (r.at, value(r) as f64)).collect(),
        };
        series.iter().map(line).collect()
    };
    let load = Line {
        name: "load".into(),
        points: series[0].1.iter().map(|r| (r.at, r.load as f64)).collect(),
    };
    let panel = |title: &str, lines| Panel {
        title: title.into(),
        lines,
    };
    svg(
        "An HPA alone, and beside a VPA that yields or ignores it, under the same load",
        &[
            panel("Replicas", lines(|r| r.replicas)),
            panel("CPU request of a pod, millicores", lines(|r| r.request)),
            panel("CPU used by all pods together, millicores", vec![load]),
        ],
    )
}

fn legend(stance: &str) -> &str {
    match stance {
        "alone" => "HPA alone",
        "yield" => "podfit yields",
        "realign" => "podfit realigns",
        _ => "profile upstream",
    }
}

/// Replicas beside a VPA that yields or realigns are those of the HPA alone; the one does not touch CPU, the other takes
/// what is too much. Beside upstream's they run away.
fn judge(series: &[Series]) -> Result<()> {
    let of = |name: &str| {
        let found = series.iter().find(|(stance, _)| stance.name == name);
        found.map(|(_, rows)| rows).context("no such stance")
    };
    ensure!(answer(LOW) == i64::from(REPLICAS), "not at rest at first");
    // Percent are whole numbers: of eight replicas that may make one.
    for (name, off) in [("alone", 0), ("yield", 0), ("realign", 1)] {
        ensure_own_answers(name, of(name)?, off)?;
    }
    let moved = |row: &&Row| row.request != REQUEST || row.target != TARGET;
    let moved = of("yield")?.iter().find(moved);
    ensure!(moved.is_none(), "it does not yield: {moved:?}");

    let last = of("realign")?.last().context("no row")?;
    let scale_point = |request: i64, target: i64| request * target;
    let (now, first) = (
        scale_point(last.request, last.target),
        scale_point(REQUEST, TARGET),
    );
    ensure!(
        last.request < REQUEST && last.target > TARGET && (now - first).abs() * 50 <= first,
        "request and target did not move together: {last:?}"
    );
    figure(format!(
        "no-runaway: realign: {}m at {} % at the end",
        last.request, last.target
    ));

    let upstream = of("upstream")?;
    let last = upstream.last().context("no row")?;
    let first = upstream.iter().find(|r| r.replicas > answer(r.load) + 1);
    let first = first.context("upstream's did not run away: what does this show?")?;
    figure(format!(
        "no-runaway: upstream: more than the HPA's own answer after {:.0} s, at most {} of {} replicas, {} at {}m each at the end",
        first.at,
        most(upstream),
        BOUNDS.1,
        last.replicas,
        last.request
    ));
    Ok(())
}

/// What the HPA alone makes of a load.
fn answer(load: i64) -> i64 {
    (load * 100 + TARGET * REQUEST - 1) / (TARGET * REQUEST)
}

fn most(rows: &[Row]) -> i64 {
    rows.iter().map(|r| r.replicas).max().unwrap_or_default()
}

/// An error unless each load ends with that answer, or `off` replicas beside it.
fn ensure_own_answers(name: &str, rows: &[Row], off: i64) -> Result<()> {
    let (mut ends, mut at_ends) = (0, Vec::new());
    for (lasts, load) in PHASES {
        ends += lasts;
        let last = rows.iter().rfind(|r| r.at < ends as f64);
        let last = last.context("no row")?;
        at_ends.push(last.replicas);
        ensure!(
            (last.replicas - answer(load)).abs() <= off,
            "{name} ends with {last:?}, not {}",
            answer(load)
        );
    }
    // Measured while it rises, usage may stand for one more pod.
    let most = most(rows);
    ensure!(most <= answer(HIGH) + 1 + off, "{name} had {most} replicas");
    figure(format!(
        "no-runaway: {name}: replicas {at_ends:?} at the ends of loads {LOW}m, {HIGH}m, {LOW}m, at most {most}"
    ));
    Ok(())
}
