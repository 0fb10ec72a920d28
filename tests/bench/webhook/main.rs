//! `make bench-webhook`: podfit's webhook beside upstream's admission-controller.
//!
//! The same AdmissionReviews over TLS on loopback, from one, 16 and 64 connections that are kept, in clusters of several
//! sizes, to both in turn; and pods created through the real API server. Client and server share the machine's cores: latencies hold
//! for such a machine under full load, CPU per request for any. Once more with 16 connections client and server have a core
//! each: then the latencies are the server's, and not the scheduler's.
//!
//! Environment: `SIZES=10,1000,10000` (VPAs), `ONLY=podfit` or `ONLY=upstream`.

mod candidate;
mod load;
mod reviews;
mod through_api;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::bench::fixture::{Fixture, Purpose, Size};
use podfit_tests::bench::plan::{Candidate, Plan, programs};
use podfit_tests::bench::process::{cpu_seconds, peak_mib, pin};
use podfit_tests::bench::report::{machine, number, save, table};
use podfit_tests::cluster::{Cluster, repository};
use serde::Serialize;
use serde_json::json;

use crate::candidate::Running;
use crate::load::Load;
use crate::through_api::{Creation, creation};

/// The cluster's name.
const NAME: &str = "bench-webhook";

/// Connections at once.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// The same where client and server have a core each.
const CONNECTIONS_APART: [usize; 1] = [16];

/// How often each is measured, in turn, so that what else the machine does meets all alike.
const ROUNDS: usize = 3;

/// A server that has a core of its own.
const SERVERS_CORE: &str = "0";

/// Its client's.
const CLIENTS_CORE: &str = "1";

/// Whose cores the server had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Cores {
    /// The client's as well.
    Shared,
    /// One that the client does not use.
    Own,
}

/// What one webhook did with so many VPAs and connections.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    candidate: Candidate,
    vpas: usize,
    connections: usize,
    /// Whose cores the server had.
    cores: Cores,
    /// Requests a second.
    rate: f64,
    /// Requests per CPU second of the server.
    per_cpu_second: f64,
    /// Milliseconds.
    p50: f64,
    /// Milliseconds.
    p99: f64,
    /// Milliseconds.
    p999: f64,
    /// The server's peak memory so far, in MiB.
    peak: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-webhook: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let programs = programs()?;
    let plan = Plan::from_environment("10,1000,10000")?;
    let cores = std::thread::available_parallelism()?;
    ensure!(cores.get() > 1, "two cores are needed");
    let all_cores = format!("0-{}", cores.get() - 1);
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cluster = Arc::new(Cluster::up(NAME, &[]).await?);
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
    let mut fixture = Fixture::new(&cluster, 1, Purpose::Apply).await?;
    let (mut loads, mut creations) = (Vec::new(), Vec::new());
    for vpas in plan.sizes.iter().copied() {
        println!("{vpas} VPAs");
        fixture.grow(Size { vpas, pods: 0 }).await?;
        let reviews = Arc::new(reviews::reviews(vpas));
        let last = Some(&vpas) == plan.sizes.last();
        if last {
            creations.push((
                "none".to_owned(),
                creation(&cluster, "none", None, vpas).await?,
            ));
        }
        for cores in [Cores::Shared, Cores::Own] {
            let apart = cores == Cores::Own;
            let (core, connections) = if apart {
                pin(std::process::id(), CLIENTS_CORE)?;
                (Some(SERVERS_CORE), &CONNECTIONS_APART[..])
            } else {
                (None, &CONNECTIONS[..])
            };
            let mut running = Vec::new();
            for candidate in &plan.candidates {
                let first = &reviews[0];
                running.push(Running::start(*candidate, &cluster, &programs, core, first).await?);
            }
            for connections in connections {
                let what = (vpas, *connections, cores);
                loads.extend(measure(&running, what, &reviews).await?);
            }
            if last && !apart {
                for webhook in &running {
                    let who = webhook.candidate.to_string();
                    let made = creation(&cluster, &who, Some(&webhook.url), vpas).await?;
                    creations.push((who, made));
                }
            }
            for webhook in running {
                webhook.process.kill().await?;
            }
            pin(std::process::id(), &all_cores)?;
        }
    }
    report(&loads, &creations)
}

/// Asks the webhooks in turn.
async fn measure(
    running: &[Running],
    (vpas, connections, cores): (usize, usize, Cores),
    reviews: &Arc<Vec<hyper::body::Bytes>>,
) -> Result<Vec<Figures>> {
    let mut loads = vec![Load::default(); running.len()];
    for _ in 0..ROUNDS {
        for (webhook, load) in running.iter().zip(&mut loads) {
            let id = webhook.process.id()?;
            let round = webhook
                .target
                .load(connections, reviews, || cpu_seconds(id));
            let who = || format!("{} with {vpas} VPAs", webhook.candidate);
            load.add(round.await.with_context(who)?);
        }
    }
    let figures = |(webhook, load): (&Running, &Load)| {
        let figures = Figures {
            candidate: webhook.candidate,
            vpas,
            connections,
            cores,
            rate: load.rate(),
            per_cpu_second: load.per_cpu_second(),
            p50: load.percentile(0.5),
            p99: load.percentile(0.99),
            p999: load.percentile(0.999),
            peak: peak_mib(webhook.process.id()?)?,
        };
        println!("  {figures:?}");
        Ok(figures)
    };
    running.iter().zip(&loads).map(figures).collect()
}

fn report(loads: &[Figures], creations: &[(String, Creation)]) -> Result<()> {
    println!("\n{}\n", machine());
    let head = [
        "webhook",
        "VPAs",
        "connections",
        "cores",
        "requests/s",
        "requests/CPU s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "peak MiB",
    ];
    let row = |f: &Figures| {
        let mut row = vec![
            f.candidate.to_string(),
            f.vpas.to_string(),
            f.connections.to_string(),
            format!("{:?}", f.cores).to_lowercase(),
        ];
        row.extend([f.rate, f.per_cpu_second, f.p50, f.p99, f.p999, f.peak].map(number));
        row
    };
    println!(
        "{}",
        table(&head, &loads.iter().map(row).collect::<Vec<_>>())
    );
    let head = ["webhook", "pods/s", "webhook ms", "webhook p99 ms"];
    let row = |(who, c): &(String, Creation)| {
        let mut row = vec![who.clone()];
        row.extend([c.rate, c.mean, c.p99].map(number));
        row
    };
    println!(
        "500 pods by 8 clients through the API server:\n\n{}",
        table(&head, &creations.iter().map(row).collect::<Vec<_>>())
    );
    for upstream in loads.iter().filter(|f| f.candidate == Candidate::Upstream) {
        let same = |f: &&Figures| {
            f.candidate == Candidate::Podfit
                && (f.vpas, f.connections, f.cores)
                    == (upstream.vpas, upstream.connections, upstream.cores)
        };
        if let Some(podfit) = loads.iter().find(same) {
            println!(
                "{} VPAs, {} connections, {:?} cores: podfit answers {} times as many requests per CPU second; upstream's p99 is {} times podfit's, its memory {} times",
                podfit.vpas,
                podfit.connections,
                podfit.cores,
                number(podfit.per_cpu_second / upstream.per_cpu_second),
                number(upstream.p99 / podfit.p99),
                number(upstream.peak / podfit.peak),
            );
        }
    }
    save("webhook", &json!({"loads": loads, "creations": creations}))
}
