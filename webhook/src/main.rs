//! podfit-webhook: new pods get the size that is recommended for them.

use std::sync::Arc;

use actix_web::web::Data;
use anyhow::Context;
use clap::Parser;
use podfit_cluster::admin::{self, Health};
use podfit_cluster::calls::{Calls, connect};
use podfit_cluster::index::Watches;
use podfit_cluster::options::{arguments, own_namespace};
use podfit_cluster::process;
use podfit_webhook::admission::Webhook;
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::rotation::{Rotation, Schedule};
use podfit_webhook::certificates::secret::SharedSecret;
use podfit_webhook::lease::StatusLease;
use podfit_webhook::metrics::Metrics;
use podfit_webhook::options::Options;
use podfit_webhook::probe::Probe;
use podfit_webhook::registration::Endpoint;
use podfit_webhook::server;
use podfit_webhook::upkeep::{Source, Upkeep};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse_from(arguments());
    process::start_logging(&options.logs);
    anyhow::ensure!(
        process::install_tls_provider(),
        "another TLS provider is installed already"
    );
    let shutdown = process::shutdown_signal().context("listening for signals")?;
    tracing::info!(version = process::VERSION, "podfit-webhook starts");

    let endpoint = options.endpoint().map_err(anyhow::Error::msg)?;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new(&registry)?;
    let health = Health::new(std::time::Duration::MAX);
    admin::serve(options.address, registry, health.clone())?;

    let client = connect(&options.cluster).await?;
    let calls = Calls::new(client.clone(), &options.cluster);
    let watches = Watches::new(client, &options.cluster);
    watches.vpas().owners().limit_ranges();
    let live = Arc::new(Live::default());
    let upkeep = upkeep(&options, &endpoint, &calls, &live, &metrics);
    let synced = watches.synced();
    let start = async { tokio::join!(synced.complete(), upkeep.first_certificate()) };
    tokio::select! {
        _ = start => {}
        () = process::stopped(&shutdown) => return Ok(()),
    }
    tracing::info!("all watches have listed");

    let webhook = Data::new(Webhook::new(watches.index(), metrics));
    let server = server::start(&options.server, webhook.clone(), Arc::clone(&live))?;
    health.set_ready(true);

    let (sender, registered) = watch::channel(false);
    let lease = StatusLease {
        calls,
        namespace: options.status_lease.namespace(),
        name: options.status_lease.status_lease_name.clone(),
        interval: options.status_lease.status_lease_update_interval.0,
        probe: Probe {
            socket: server.socket,
            name: endpoint.names().swap_remove(0),
        },
        live,
        registered,
    };
    let duties = [
        tokio::spawn(upkeep.run(sender, shutdown.clone())),
        tokio::spawn(lease.run(shutdown.clone())),
    ];

    process::stopped(&shutdown).await;
    health.set_ready(false);
    webhook.drain();
    tokio::time::sleep(options.server.shutdown_delay.0).await;
    server.stop().await;
    for duty in duties {
        duty.await.context("a background task ended badly")?;
    }
    Ok(())
}

fn upkeep(
    options: &Options,
    endpoint: &Endpoint,
    calls: &Calls,
    live: &Arc<Live>,
    metrics: &Metrics,
) -> Upkeep {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let source = options.certificates.files().map_or_else(
        || {
            Source::Secret(SharedSecret {
                calls: calls.clone(),
                namespace: own_namespace(),
                name: options.certificates.certificate_secret.clone(),
                rotation: Rotation {
                    names: endpoint.names(),
                    schedule: Schedule::default(),
                    provider: Arc::clone(&provider),
                },
            })
        },
        Source::Files,
    );
    Upkeep {
        calls: calls.clone(),
        source,
        provider,
        live: Arc::clone(live),
        registration: options.registration(endpoint.clone()),
        days_to_expiry: metrics.days_to_expiry.clone(),
    }
}
