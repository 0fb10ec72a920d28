//! podfit-updater: pods and recommendations to a plan, and the plan to resizes and evictions.

mod act;
mod conditions;
mod metrics;
mod options;
mod probe;
mod realign;
#[cfg(test)]
mod reference;
mod refusal;
mod run;
mod waiting;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use podfit_cluster::admin::{self, Health};
use podfit_cluster::calls::{Calls, connect};
use podfit_cluster::events::Events;
use podfit_cluster::index::{HORIZONTALS_UNKNOWN, Watches};
use podfit_cluster::options::arguments;
use podfit_cluster::other_vpa::{Lookout, OtherVpa};
use podfit_cluster::watch::Synced;
use podfit_cluster::{lease, process, version};

use crate::options::Options;

/// How long the first loop waits for what is not indispensable.
const WAIT: Duration = Duration::from_secs(10);

/// Told in profile safe.
const WAITS_FOR_HORIZONTALS: &str = "HorizontalPodAutoscalers cannot be listed: no pod is resized or evicted until they are; may podfit-updater list \
     horizontalpodautoscalers.autoscaling (helm upgrade gives the right), and does the API server answer?";

/// Waits for HPAs; in profile safe however long it takes: a resize on a guess could set an HPA and podfit against each other.
async fn wait_for(horizontals: &Synced, is_safe: bool, health: &Health) {
    if is_safe {
        horizontals
            .complete_within(WAIT, WAITS_FOR_HORIZONTALS)
            .await;
        if !horizontals.is_complete() {
            health.set_note(Some(WAITS_FOR_HORIZONTALS.into()));
            horizontals.complete().await;
            health.set_note(None);
        }
    } else {
        horizontals.complete_within(WAIT, HORIZONTALS_UNKNOWN).await;
    }
}

// It waits for the API server most of the time; a thread for each of a node's cores would only hold memory.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    process::end("podfit-updater", start().await)
}

async fn start() -> anyhow::Result<()> {
    let options = Options::parse_from(arguments());
    let shutdown = process::begin("podfit-updater", version!(), &options.logs)?;

    let period = options.updater_interval.0.max(Duration::from_millis(100));
    let registry = podfit_cluster::metrics::registry(version!())?;
    let metrics = metrics::Metrics::new(&registry)?;
    // Upstream's five intervals, but never less than a few API requests that time out.
    let health = Health::new((period * 5).max(options.cluster.kube_api_timeout.0 * 4));
    admin::serve(options.address, registry.clone(), health.clone())?;

    let client = connect(&options.cluster, &registry).await?;
    let calls = Calls::new(client.clone(), &options.cluster);
    let watches = Watches::new(client, &options.cluster);
    watches
        .vpas()
        .owners_and_replicas()
        .limit_ranges()
        .pods(|_, _| {});
    let mut config = options.disruption.config(&options.cluster);
    options.budgets.apply(&mut config);
    let nodes = config.node_fit.then(|| watches.nodes());
    let horizontals = watches.horizontals();
    let quotas = config.profile.is_safe().then(|| watches.budgets().quotas());
    let synced = watches.synced();
    tokio::select! {
        () = synced.complete() => {}
        () = process::stopped(&shutdown) => return Ok(()),
    }
    tokio::select! {
        () = wait_for(&horizontals, config.profile.is_safe(), &health) => {}
        () = process::stopped(&shutdown) => return Ok(()),
    }
    let consequences = [
        (
            nodes,
            "nodes cannot be listed: until they are, pods may be given more than any node holds",
        ),
        (
            quotas,
            "ResourceQuotas cannot be listed: until they are, pods may be evicted that a quota does not let come back",
        ),
    ];
    for (watch, consequence) in consequences {
        if let Some(watch) = watch {
            watch.complete_within(WAIT, consequence).await;
        }
    }
    tracing::info!("all watches have listed");
    health.set_ready(true);

    // The lease is given back only once nothing is done under it any more.
    let (end_election, loop_ended) = tokio::sync::watch::channel(false);
    let (leadership, election) = lease::elect(
        calls.clone(),
        &options.leader_election,
        "vpa-updater",
        loop_ended,
    );
    leadership.show_in(&registry, "podfit-updater")?;
    let shadow = options.cluster.shadow;
    let rate = (
        options.disruption.eviction_rate_limit,
        options.disruption.eviction_rate_burst,
    );
    let events = Events::start(&calls, "vpa-updater");
    let other_vpa = if options.cluster.looks_out() {
        let events = events.clone();
        Lookout::start(&calls, events, &health, &registry, shutdown.clone())?
    } else {
        OtherVpa::never()
    };
    let realigner = realign::Realigner {
        calls: calls.clone(),
        events: events.clone(),
        changes: metrics.target_changes.clone(),
        profile: options.cluster.profile.into(),
    };
    let updater = run::Updater {
        realigner,
        other_vpa,
        index: watches.index(),
        actor: act::Actor::new(
            calls.clone(),
            events,
            metrics.clone(),
            health.clone(),
            rate,
            options.cluster.profile.into(),
        ),
        // Nobody is evicted by a shadow, so nobody need be sized by a webhook: the whole plan is of interest.
        webhook: options.webhook.status_lease().filter(|_| !shadow),
        shadow,
        probe: probe::Probe::new(calls.clone()),
        config,
        calls,
        leadership,
        metrics,
        health,
    };
    updater.run(period, shutdown).await;
    end_election.send_replace(true);
    election.await.context("leader election ended badly")
}
