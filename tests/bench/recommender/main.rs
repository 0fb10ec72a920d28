//! `make bench-recommender`: podfit's recommender beside upstream's on clusters of several sizes.
//!
//! Environment: `SIZES=1000,5000,10000` (VPAs; with 2, 2 and 5 pods each), `NAMESPACES=1` (over which they are spread),
//! `ONLY=podfit` or `ONLY=upstream`, `ESTIMATORS=histogram,adaptive` (podfit runs once with each). Upstream runs up to 5,000 VPAs: beyond, its loops take longer than anyone waits.

mod candidate;
mod metrics_api;
mod requests;
mod slopes;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::bench::fixture::{Fixture, Purpose, Size};
use podfit_tests::bench::plan::{Candidate, Plan, programs, variable};
use podfit_tests::bench::report::{machine, number, save, table};
use podfit_tests::cluster::{Cluster, repository};
use serde_json::json;

use crate::candidate::{Figures, Runner, Track};
use crate::metrics_api::MetricsApi;

/// The cluster's name.
const NAME: &str = "bench-recommender";

/// Upstream is measured up to so many VPAs.
const UPSTREAM_UP_TO: usize = 5000;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-recommender: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let plan = Plan::from_environment("1000,5000,10000")?;
    let runners = Runner::all(&plan.candidates, &variable("ESTIMATORS", "histogram"))?;
    let programs = programs()?;
    let namespaces: usize = variable("NAMESPACES", "1")
        .parse()
        .context("NAMESPACES is not a number")?;
    ensure!(namespaces > 0, "NAMESPACES must be 1 or more");
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = Arc::new(Cluster::up(NAME, &[]).await?);
    // They would see to objects that nobody sees to here, and take CPU from what is measured.
    for part in ["kube-controller-manager", "kube-scheduler"] {
        cluster.stop(part).await?;
    }
    let crds = repository().join("charts/podfit/crds");
    cluster
        .kubectl(
            &["apply", "--server-side", "-f", &crds.display().to_string()],
            "",
        )
        .await?;
    let usage = MetricsApi::start(&cluster, namespaces).await?;
    let mut fixture = Fixture::new(&cluster, namespaces, Purpose::Recommend).await?;
    let track = Track {
        cluster,
        usage,
        programs,
    };
    let mut all = Vec::new();
    let anew = runners.iter().any(|runner| runner.adaptive);
    for vpas in plan.sizes {
        let size = size(vpas);
        println!("{} VPAs, {} pods", size.vpas, size.pods);
        fixture.grow(size).await?;
        track.usage.set(size);
        for runner in &runners {
            if runner.candidate == Candidate::Upstream && size.vpas > UPSTREAM_UP_TO {
                continue;
            }
            if anew {
                fixture.renew_vpas(runner.adaptive).await?;
            }
            let figures = track.run(*runner, size).await?;
            println!("  {figures:?}");
            all.push(figures);
        }
    }
    report(namespaces, &all)
}

/// Larger clusters have more pods a workload.
fn size(vpas: usize) -> Size {
    let pods = vpas * if vpas < 10_000 { 2 } else { 5 };
    Size { vpas, pods }
}

fn report(namespaces: usize, all: &[Figures]) -> Result<()> {
    println!("\n{}; {} namespace(s)\n", machine(), namespaces);
    let head = [
        "recommender",
        "VPAs",
        "pods",
        "CPU s/loop",
        "loop s",
        "peak MiB",
        "requests/loop",
        "statuses/loop",
        "histories/loop",
        "start s",
    ];
    let row = |f: &Figures| {
        let mut row = vec![f.runner.to_string(), f.vpas.to_string(), f.pods.to_string()];
        row.extend(
            [
                f.cpu,
                f.wall,
                f.peak,
                f.requests,
                f.statuses,
                f.histories,
                f.start,
            ]
            .map(number),
        );
        row
    };
    println!("{}", table(&head, &all.iter().map(row).collect::<Vec<_>>()));
    println!("Seconds of a loop by step:\n\n{}", steps(all));
    for pair in ratios(all) {
        println!("{pair}");
    }
    let mut all_slopes = Vec::new();
    for adaptive in [false, true] {
        let runner = Runner {
            candidate: Candidate::Podfit,
            adaptive,
        };
        let of_it: Vec<_> = all.iter().filter(|f| f.runner == runner).collect();
        if let Some(slopes) = slopes::of(&of_it) {
            println!("CPU per loop of {runner}: {slopes}");
            all_slopes.push((runner.to_string(), slopes));
        }
    }
    save(
        "recommender",
        &json!({"namespaces": namespaces, "runs": all, "slopes": all_slopes}),
    )
}

fn steps(all: &[Figures]) -> String {
    let names: BTreeSet<_> = all.iter().flat_map(|f| f.steps.keys()).collect();
    let titles: Vec<_> = all
        .iter()
        .map(|f| format!("{} {}", f.runner, f.vpas))
        .collect();
    let head: Vec<_> = ["step"]
        .into_iter()
        .chain(titles.iter().map(String::as_str))
        .collect();
    let row = |name: &&String| {
        let cells = all.iter().map(|f| {
            f.steps
                .get(*name)
                .map_or_else(|| "-".into(), |s| number(*s))
        });
        [(*name).clone()].into_iter().chain(cells).collect()
    };
    table(&head, &names.iter().map(row).collect::<Vec<_>>())
}

fn ratios(all: &[Figures]) -> Vec<String> {
    let podfit = |upstream: &Figures| {
        let runner = Runner {
            candidate: Candidate::Podfit,
            adaptive: false,
        };
        let mut same = all.iter().filter(|f| f.vpas == upstream.vpas);
        same.find(|f| f.runner == runner)
    };
    let pairs = all
        .iter()
        .filter(|f| f.runner.candidate == Candidate::Upstream)
        .filter_map(|upstream| Some((podfit(upstream)?, upstream)));
    pairs
        .map(|(podfit, upstream)| {
            format!(
                "{} VPAs: upstream takes {} times podfit's CPU, {} times its memory, {} times its requests",
                podfit.vpas,
                number(upstream.cpu / podfit.cpu),
                number(upstream.peak / podfit.peak),
                number(upstream.requests / podfit.requests),
            )
        })
        .collect()
}
