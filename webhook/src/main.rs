//! podfit-webhook: reviews in, patches out.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use anyhow::Context;
use clap::Parser;
use podfit_cluster::admin::{self, Health};
use podfit_cluster::calls::{Calls, connect};
use podfit_cluster::events::Events;
use podfit_cluster::index::{HORIZONTALS_UNKNOWN, Watches};
use podfit_cluster::options::{arguments, own_namespace};
use podfit_cluster::other_vpa::{Lookout, OtherVpa};
use podfit_cluster::process::{self, Shutdown, stopped};
use podfit_cluster::version;
use podfit_webhook::admission::Webhook;
use podfit_webhook::certificates::live::Live;
use podfit_webhook::certificates::rotation::{Rotation, Schedule};
use podfit_webhook::certificates::secret::SharedSecret;
use podfit_webhook::lease::StatusLease;
use podfit_webhook::metrics::Metrics;
use podfit_webhook::options::Options;
use podfit_webhook::probe::Probe;
use podfit_webhook::self_test::SelfTest;
use podfit_webhook::upkeep::certificates::{Certificates, Source};
use podfit_webhook::upkeep::registrar::Registrar;
use podfit_webhook::upkeep::sign_of_life::{Proof, SignOfLife};
use podfit_webhook::{server, tls};
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;

/// After so long without an answered self-probe the process counts as dead and is started anew.
const LONGEST_SILENCE: Duration = Duration::from_mins(5);

/// How long pods go unsized for what is not indispensable.
const WAIT: Duration = Duration::from_secs(10);

// One thread keeps the caches; requests have their own (`server::serve`). Each thread more is a heap more.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    process::end("podfit-webhook", start().await)
}

async fn start() -> anyhow::Result<()> {
    let options = Options::parse_from(arguments());
    let shutdown = process::begin("podfit-webhook", version!(), &options.logs)?;

    if let Some(namespace) = options.self_test.clone() {
        let client = connect(
            &options.cluster,
            &podfit_cluster::metrics::registry(version!())?,
        )
        .await?;
        let calls = Calls::new(client, &options.cluster);
        let test = SelfTest { calls, namespace };
        tokio::select! {
            outcome = test.run() => return Ok(outcome?),
            () = stopped(&shutdown) => anyhow::bail!("broken off"),
        }
    }
    let registration = options.registration()?;
    let registry = podfit_cluster::metrics::registry(version!())?;
    let metrics = Metrics::new(&registry)?;
    let health = Health::new(LONGEST_SILENCE);
    admin::serve(options.address, registry.clone(), health.clone())?;

    let client = connect(&options.cluster, &registry).await?;
    let calls = Calls::new(client.clone(), &options.cluster);
    let watches = Watches::new(client, &options.cluster);
    let horizontals = watches.vpas().owners().limit_ranges().horizontals();

    let provider = tls::provider(&options.server.tls_ciphers);
    let certificate = Arc::new(Live::default());
    let source = source(&options, &calls, &provider);
    let mut certificates = Certificates::new(
        source,
        Arc::clone(&provider),
        Arc::clone(&certificate),
        metrics.days_to_expiry.clone(),
    );
    let synced = watches.synced();
    tokio::select! {
        ((), ()) = async { tokio::join!(certificates.first(), synced.complete()) } => {}
        () = stopped(&shutdown) => return Ok(()),
    }
    tokio::select! {
        () = horizontals.complete_within(WAIT, HORIZONTALS_UNKNOWN) => {}
        () = stopped(&shutdown) => return Ok(()),
    }
    tracing::info!("all watches have listed");

    let other_vpa = if options.cluster.looks_out() {
        let events = Events::start(&calls, "vpa-admission-controller");
        Lookout::start(&calls, events, &health, &registry, shutdown.clone())?
    } else {
        OtherVpa::never()
    };
    // Until that is known pods are let through as they are, which is for the replicas that are ready to spare them.
    tokio::select! {
        () = other_vpa.known() => {}
        () = stopped(&shutdown) => return Ok(()),
    }
    let mut webhook = Webhook::new(watches.index(), metrics, options.cluster.gates());
    webhook.shadow = options.cluster.shadow;
    webhook.other_vpa = Some(other_vpa.clone());
    webhook.settings.profile = options.cluster.profile.into();
    let most = options.pods.max_allowed_cpu_boost;
    webhook.settings.max_allowed_cpu_boost = most.filter(|cpu| cpu.0 > 0);
    let webhook = web::Data::new(webhook);
    let listener = server::listen(options.server.bind_address, options.server.port)?;
    let listening = listener.local_addr()?;
    let config = tls::server_config(
        provider,
        options.server.min_tls_version,
        Arc::clone(&certificate),
    )?;
    let server = server::serve(listener, config, webhook.clone())?;
    let handle = server.handle();
    let running = tokio::spawn(server);
    tracing::info!(address = %listening, "taking admission requests");
    health.set_ready(true);

    let (known, registered) = watch::channel(false);
    let registrar = Registrar {
        certificates,
        registration,
        calls: calls.clone(),
        registered: known,
        other_vpa: other_vpa.clone(),
    };
    let upkeep = tokio::spawn(registrar.run(shutdown.clone()));
    let proof = Proof {
        probe: Probe::new(listening, &options.server_name()),
        live: certificate,
        registered,
        other_vpa,
    };
    let life = SignOfLife::new(status_lease(&options, calls), proof, health.clone());
    let renewal = tokio::spawn(life.run(shutdown.clone()));

    drain(&options, &webhook, &health, &shutdown).await;
    handle.stop(true).await;
    upkeep.await.context("certificates and registration")?;
    renewal.await.context("the status lease")?;
    running
        .await
        .context("the server's task")?
        .context("the server")
}

/// Waits until the process is asked to stop, and then until nobody should call it any more.
async fn drain(options: &Options, webhook: &Webhook, health: &Health, shutdown: &Shutdown) {
    stopped(shutdown).await;
    health.set_ready(false);
    webhook.drain();
    tracing::info!(delay = %options.server.shutdown_delay, "unready; answering on until the API server has noticed");
    tokio::time::sleep(options.server.shutdown_delay.0).await;
}

fn source(options: &Options, calls: &Calls, provider: &Arc<CryptoProvider>) -> Source {
    if let Some(files) = options.certificates.files() {
        tracing::info!(certificate = %files.certificate.display(), "using certificate files");
        return Source::Files(files);
    }
    let rotation = Rotation {
        names: options.certificate_names(),
        schedule: Schedule::default(),
        provider: Arc::clone(provider),
    };
    if options.cluster.shadow {
        return Source::Memory(rotation, std::sync::Mutex::default());
    }
    Source::Secret(Box::new(SharedSecret {
        calls: calls.clone(),
        namespace: own_namespace(),
        name: options.certificates.certificate_secret.clone(),
        rotation,
    }))
}

fn status_lease(options: &Options, calls: Calls) -> StatusLease {
    let holder = std::env::var("POD_NAME").or_else(|_| {
        std::fs::read_to_string("/proc/sys/kernel/hostname").map(|host| host.trim().to_owned())
    });
    StatusLease {
        calls,
        namespace: options.lease.namespace(),
        name: options.lease.status_lease_name.clone(),
        holder: holder.unwrap_or_else(|_| "podfit-webhook".into()),
        duration: options.lease.status_lease_update_interval.0,
    }
}
