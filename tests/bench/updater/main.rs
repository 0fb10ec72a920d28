//! `make bench-updater`: podfit's updater beside upstream's, in the shape of upstream's own benchmark.
//!
//! N ReplicaSets of two running pods, N VPAs in mode Recreate whose recommendation is far off, and client limits of
//! 100 requests a second with a burst of 200: the first loop, in which one pod of each ReplicaSet is due and can go.
//!
//! Environment: `SIZES=25,250,1000` (ReplicaSets and VPAs), `ONLY=podfit` or `ONLY=upstream`.

mod candidate;
mod evictions;
mod requests;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use podfit_tests::bench::fixture::{Fixture, Purpose, Size};
use podfit_tests::bench::plan::{Candidate, Plan, programs};
use podfit_tests::bench::report::{machine, number, save, table};
use podfit_tests::cluster::{Cluster, repository};
use serde_json::json;

use crate::candidate::{Figures, Track};

/// The cluster's name.
const NAME: &str = "bench-updater";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-updater: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let programs = programs()?;
    let plan = Plan::from_environment("25,250,1000")?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = Arc::new(Cluster::up(NAME, &[]).await?);
    // Each run starts a controller manager with the ReplicaSet controller alone: the others would miss the pods' nodes.
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
    let mut fixture = Fixture::new(&cluster, 1, Purpose::Update).await?;
    let track = Track { cluster, programs };
    let mut all = Vec::new();
    for vpas in plan.sizes {
        let size = Size {
            vpas,
            pods: 2 * vpas,
        };
        println!("{vpas} ReplicaSets and VPAs, {} pods", size.pods);
        fixture.grow(size).await?;
        for candidate in &plan.candidates {
            let figures = track.run(*candidate, size, &mut fixture).await?;
            println!("  {figures:?}");
            all.push(figures);
        }
    }
    report(&all)
}

fn report(all: &[Figures]) -> Result<()> {
    println!("\n{}\n", machine());
    let head = [
        "updater",
        "VPAs",
        "loop s",
        "evicted",
        "unvisited",
        "evictions/s",
        "requests",
        "events of them",
        "CPU s",
        "peak MiB",
    ];
    let row = |f: &Figures| {
        vec![
            f.candidate.to_string(),
            f.vpas.to_string(),
            number(f.wall),
            f.evicted.to_string(),
            f.unvisited.to_string(),
            number(f.rate),
            format!("{:.0}", f.requests),
            f.events.to_string(),
            number(f.cpu),
            number(f.peak),
        ]
    };
    println!("{}", table(&head, &all.iter().map(row).collect::<Vec<_>>()));
    println!("Seconds of the loop by step:\n\n{}", steps(all));
    for upstream in all.iter().filter(|f| f.candidate == Candidate::Upstream) {
        let same = |f: &&Figures| f.candidate == Candidate::Podfit && f.vpas == upstream.vpas;
        if let Some(podfit) = all.iter().find(same) {
            println!(
                "{} VPAs: podfit evicts {} times as fast; upstream takes {} times its memory, {} times its CPU",
                podfit.vpas,
                number(podfit.rate / upstream.rate),
                number(upstream.peak / podfit.peak),
                number(upstream.cpu / podfit.cpu),
            );
        }
    }
    save("updater", &json!({"runs": all}))
}

fn steps(all: &[Figures]) -> String {
    let names: BTreeSet<_> = all.iter().flat_map(|f| f.steps.keys()).collect();
    let titles: Vec<_> = all
        .iter()
        .map(|f| format!("{:?} {}", f.candidate, f.vpas).to_lowercase())
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
