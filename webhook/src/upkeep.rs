//! What goes on beside the requests: the certificate in force, the registration, the sign of life.

use std::sync::Arc;
use std::time::Duration;

use podfit_cluster::admin::Health;
use podfit_cluster::api::time;
use podfit_cluster::calls::Calls;
use podfit_cluster::process::{Shutdown, stopped};
use podfit_core::time::Timestamp;
use prometheus::Gauge;
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;

use crate::certificates::files::{CertificateFiles, UnreadableFile};
use crate::certificates::live::Live;
use crate::certificates::material::{BadMaterial, Material, PemTriple};
use crate::certificates::secret::{SecretError, SharedSecret};
use crate::lease::StatusLease;
use crate::probe::Probe;
use crate::registration::Registration;

/// How often certificate and registration are looked at.
const PERIOD: Duration = Duration::from_secs(30);

/// How often, before there is a certificate at all and while the registration fails.
const EAGER_PERIOD: Duration = Duration::from_secs(2);

/// Failed self-probes in a row until the process calls itself unready: one may be bad luck.
const PATIENCE: u32 = 3;

/// Where certificates come from.
pub enum Source {
    /// Mounted files.
    Files(CertificateFiles),
    /// A Secret that podfit itself looks after.
    Secret(Box<SharedSecret>),
}

/// Why no new certificate came.
#[derive(Debug, thiserror::Error)]
pub enum NoCertificate {
    /// A file.
    #[error(transparent)]
    File(#[from] UnreadableFile),
    /// The Secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// What was read is no good.
    #[error(transparent)]
    Bad(#[from] BadMaterial),
}

impl Source {
    async fn read(&self, in_force: &str, now: Timestamp) -> Result<PemTriple, NoCertificate> {
        match self {
            Self::Files(files) => Ok(files.read()?),
            Self::Secret(secret) => Ok(secret.read(in_force, now).await?),
        }
    }
}

/// Keeps the certificate in force up to date.
pub struct Certificates {
    source: Source,
    provider: Arc<CryptoProvider>,
    live: Arc<Live>,
    days_to_expiry: Gauge,
    trouble: String,
}

impl Certificates {
    /// Feeds `live` from `source`.
    pub fn new(
        source: Source,
        provider: Arc<CryptoProvider>,
        live: Arc<Live>,
        days_to_expiry: Gauge,
    ) -> Self {
        Self {
            source,
            provider,
            live,
            days_to_expiry,
            trouble: String::new(),
        }
    }

    /// Reads until there is a certificate to begin with.
    pub async fn first(&mut self) {
        loop {
            self.refresh(time::now()).await;
            if self.live.current().is_some() {
                return;
            }
            tokio::time::sleep(EAGER_PERIOD).await;
        }
    }

    /// Reads once. What is new and good comes into force; otherwise the old stays, and the log says why.
    pub async fn refresh(&mut self, now: Timestamp) {
        match self.fresh(now).await {
            Ok(None) => self.trouble.clear(),
            Ok(Some(material)) => {
                self.trouble.clear();
                self.swap(material);
            }
            Err(error) => self.tell(&error.to_string()),
        }
        if let Some(material) = self.live.current() {
            self.days_to_expiry.set(material.days_left(now));
        }
    }

    async fn fresh(&self, now: Timestamp) -> Result<Option<Material>, NoCertificate> {
        let current = self.live.current();
        let current = current.as_ref().map(|material| &material.source);
        let in_force = current
            .map(|source| source.ca_bundle.as_str())
            .unwrap_or_default();
        let read = self.source.read(in_force, now).await?;
        if current == Some(&read) {
            return Ok(None);
        }
        Ok(Some(Material::check(read, &self.provider, now)?))
    }

    fn swap(&self, material: Material) {
        let until = time::format(material.facts.not_after);
        match self.live.current() {
            None => tracing::info!(until, "serving with a certificate"),
            Some(old) => {
                // Upstream's words: its end-to-end test waits for them.
                if old.source.ca_bundle != material.source.ca_bundle {
                    tracing::info!("New client CA found, reloading and patching webhook");
                }
                if old.source.certificate != material.source.certificate {
                    tracing::info!(until, "New certificate found, reloading");
                }
            }
        }
        self.live.replace(Arc::new(material));
    }

    fn tell(&mut self, error: &str) {
        if self.trouble == error {
            return;
        }
        if self.live.current().is_some() {
            tracing::error!(error, "no good new certificate; the old one stays in force");
        } else {
            tracing::error!(error, "no certificate yet; trying again");
        }
        error.clone_into(&mut self.trouble);
    }
}

/// Looks after certificate and registration until shutdown. Without a registration somebody else makes it.
///
/// `registered` tells whether the API server knows the certificate in force.
pub async fn certificates_and_registration(
    mut certificates: Certificates,
    registration: Option<Registration>,
    calls: Calls,
    registered: watch::Sender<bool>,
    shutdown: Shutdown,
) {
    let mut trouble = String::new();
    loop {
        let error = match (&registration, certificates.live.current()) {
            (Some(registration), Some(material)) => {
                let ensured = registration
                    .ensure(&calls, &material.source.ca_bundle)
                    .await;
                ensured
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default()
            }
            _ => String::new(),
        };
        registered.send_replace(error.is_empty());
        if !error.is_empty() && error != trouble {
            tracing::error!(error, "cannot register the webhook; trying again");
        }
        trouble = error;
        let pause = if trouble.is_empty() {
            PERIOD
        } else {
            EAGER_PERIOD
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopped(&shutdown) => return,
        }
        certificates.refresh(time::now()).await;
    }
}

/// What a sign of life is based on.
pub struct Proof {
    /// Asks our own server.
    pub probe: Probe,
    /// The certificate in force.
    pub live: Arc<Live>,
    /// Whether the API server knows that certificate.
    pub registered: watch::Receiver<bool>,
}

impl Proof {
    async fn probe(&self) -> Result<(), String> {
        let material = self.live.current().ok_or("there is no certificate")?;
        self.probe
            .check(&material)
            .await
            .map_err(|error| format!("the webhook fails its own probe: {error}"))
    }
}

/// Renews the status lease until shutdown, each time that the server has answered its own probe. A server that keeps
/// failing it calls itself unready, so that the API server is sent to another.
pub async fn sign_of_life(
    lease: StatusLease,
    mut proof: Proof,
    health: Health,
    shutdown: Shutdown,
) {
    tokio::select! {
        // An error means that the upkeep has ended, and so does this.
        _ = proof.registered.wait_for(|registered| *registered) => {}
        () = stopped(&shutdown) => return,
    }
    let mut failures = 0;
    let mut trouble = String::new();
    loop {
        let proven = proof.probe().await;
        if *shutdown.borrow() {
            return; // unready for good, whatever this probe said
        }
        failures = if proven.is_ok() { 0 } else { failures + 1 };
        health.set_ready(failures < PATIENCE);
        let renewed = match proven {
            Ok(()) => {
                health.active();
                renew(&lease, &proof).await
            }
            Err(error) => Err(error),
        };
        let error = renewed.err().unwrap_or_default();
        if error.is_empty() && !trouble.is_empty() {
            tracing::info!(lease = lease.name, "the status lease is renewed again");
        } else if error != trouble {
            tracing::error!(lease = lease.name, error, "the status lease is not renewed");
        }
        trouble = error;
        tokio::select! {
            () = tokio::time::sleep(lease.duration) => {}
            () = stopped(&shutdown) => return,
        }
    }
}

async fn renew(lease: &StatusLease, proof: &Proof) -> Result<(), String> {
    if !*proof.registered.borrow() {
        return Err("the API server does not know the certificate in force".into());
    }
    lease.renew().await.map_err(|error| error.to_string())
}
