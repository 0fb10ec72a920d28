//! podfit-recommender: usage to histories, histories to recommendations.

mod backfill;
mod conditions;
mod explain;
mod external;
mod hold;
mod judge;
mod metrics;
mod model;
mod oom;
mod opt_in;
mod options;
mod publish;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod rows;
mod run;
mod shadow;
mod status;
mod store;
mod summary;
mod view;
mod workloads;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use podfit_cluster::admin::explain::Asker;
use podfit_cluster::admin::page::Page;
use podfit_cluster::admin::{self, Health};
use podfit_cluster::api::time::now;
use podfit_cluster::calls::{Calls, connect};
use podfit_cluster::events::Events;
use podfit_cluster::index::Watches;
use podfit_cluster::options::{Profile, arguments};
use podfit_cluster::other_vpa::{Lookout, OtherVpa};
use podfit_cluster::{lease, process, version};

use prometheus::Registry;
use tokio::sync::Notify;

use crate::options::Options;

#[tokio::main]
async fn main() -> ExitCode {
    process::end("podfit-recommender", start().await)
}

async fn start() -> anyhow::Result<()> {
    let options = Options::parse_from(arguments());
    let shutdown = process::begin("podfit-recommender", version!(), &options.logs)?;
    options.warn();

    let period = options
        .recommender_interval
        .0
        .max(Duration::from_millis(100));
    let registry = podfit_cluster::metrics::registry(version!())?;
    let metrics = metrics::Metrics::new(&registry)?;
    // Upstream's five intervals, but never less than a few API requests that time out.
    let health = Health::new((period * 5).max(options.cluster.kube_api_timeout.0 * 4));
    let container_label = options.backfill.prometheus.container_label();
    let external = options.external.metrics(container_label)?;
    let serves = options.serves();
    let shadow = options.cluster.shadow;
    let shadow = shadow.then(|| shadow::Shadow::new(&registry)).transpose()?;
    let backfills = backfill::Backfills::start(&options, &registry)?;
    let (asker, questions) = Asker::new();
    let state = (registry.clone(), health.clone());
    let page = Page::default();
    let workloads = page.clone();
    admin::serve_with(options.address, state, move |config| {
        asker.route(config);
        page.route("/metrics/workloads", config);
    })?;

    let client = connect(&options.cluster, &registry).await?;
    let calls = Calls::new(client.clone(), &options.cluster);
    let watches = Watches::new(client, &options.cluster);
    let sightings = oom::Sightings::default();
    let labels_changed = watch(&options, &watches, &sightings);
    let synced = watches.synced();
    let mut store = store::Store::new(&options);
    let start = async {
        synced.complete().await;
        tracing::info!("all watches have listed");
        // Before the first recommendation: one from a fraction of the history would shrink what runs well.
        store.load(&calls).await;
    };
    tokio::select! {
        () = start => {}
        () = process::stopped(&shutdown) => return Ok(()),
    }
    health.set_ready(true);

    let other_vpa = other_vpa(&options, &calls, (&registry, &health), &shutdown)?;
    // The lease is given back only once nothing is done under it any more.
    let (end_election, loop_ended) = tokio::sync::watch::channel(false);
    let (leadership, election) = lease::elect(
        calls.clone(),
        &options.leader_election,
        "vpa-recommender-lease",
        loop_ended,
    );
    leadership.show_in(&registry, "podfit-recommender")?;
    let of_workloads = workloads::Workloads {
        index: watches.index(),
        serves: serves.clone(),
        leadership: leadership.clone(),
    };
    workloads.show(move || of_workloads.lines());
    if let Some(changed) = labels_changed {
        let opt_in = opt_in::OptIn::new(&options, &calls, (watches.index(), changed), &registry)?;
        let may_write = (leadership.clone(), other_vpa.clone());
        tokio::spawn(opt_in.run(may_write, shutdown.clone()));
    }
    let recommender = run::Recommender {
        serves: serves.clone(),
        shadow: shadow.clone(),
        index: watches.index(),
        sightings,
        observer: oom::Observer::new(options.cluster.profile.into()),
        calls,
        leadership,
        other_vpa,
        namespace: options.cluster.vpa_object_namespace.clone(),
        safe: options.cluster.profile == Profile::Safe,
        estimator: options.estimator(),
        model: model::Model::new(options.history()),
        explainer: explain::Explainer {
            questions,
            index: watches.index(),
            serves,
            estimator: options.estimator(),
            shadow,
        },
        store,
        backfills,
        external: external.map(external::External::new),
        workers: usize::from(options.update_worker_count),
        threshold: publish::WriteThreshold {
            target: options.status_write_threshold,
        },
        metrics,
        health,
        loops_led: 0,
        stood_by: false,
    };
    recommender.run(period, shutdown).await;
    end_election.send_replace(true);
    election.await.context("leader election ended badly")
}

/// Starts the watches; the answer is told when labels that are to be followed change.
fn watch(options: &Options, watches: &Watches, sightings: &oom::Sightings) -> Option<Arc<Notify>> {
    let (of_pods, of_events) = (sightings.clone(), sightings.clone());
    let profile = options.cluster.profile;
    let opts_in = options.opts_in();
    let labels_changed = opts_in.then(|| watches.opt_in(options.opt_in.goldilocks_labels));
    watches
        .vpas()
        .owners()
        .autoscalers()
        .pods(move |change, index| of_pods.pods(change, index))
        .evictions(move |event| of_events.event(event, profile, now()));
    labels_changed
}

/// Looks for another VPA, where there must not be one.
fn other_vpa(
    options: &Options,
    calls: &Calls,
    (registry, health): (&Registry, &Health),
    shutdown: &process::Shutdown,
) -> Result<OtherVpa, prometheus::Error> {
    if !options.looks_out() {
        return Ok(OtherVpa::never());
    }
    let events = Events::start(calls, "vpa-recommender");
    Lookout::start(calls, events, health, registry, shutdown.clone())
}
