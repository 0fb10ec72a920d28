//! Keeps the certificate and the registration right for as long as the process lives.

use std::sync::Arc;
use std::time::Duration;

use podfit_cluster::api::time;
use podfit_cluster::calls::Calls;
use podfit_cluster::process::{Shutdown, stopped};
use prometheus::Gauge;
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;

use crate::certificates::files::{CertificateFiles, UnreadableFile};
use crate::certificates::live::Live;
use crate::certificates::material::{BadMaterial, Material, PemTriple};
use crate::certificates::secret::{SecretError, SharedSecret};
use crate::registration::Registration;

/// How often both are looked at.
const PERIOD: Duration = Duration::from_secs(30);

/// How often after a failure.
const RETRY: Duration = Duration::from_secs(3);

/// Where the certificate comes from.
pub enum Source {
    /// Made by the replicas themselves.
    Secret(SharedSecret),
    /// Made by somebody else.
    Files(CertificateFiles),
}

/// Why the certificate is not what it should be.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    File(#[from] UnreadableFile),
    #[error(transparent)]
    Material(#[from] BadMaterial),
}

/// Both duties, and what they work on.
pub struct Upkeep {
    /// Makes the requests.
    pub calls: Calls,
    /// Where the certificate comes from.
    pub source: Source,
    /// Checks signatures.
    pub provider: Arc<CryptoProvider>,
    /// The certificate in force.
    pub live: Arc<Live>,
    /// What to register; `None` leaves that to somebody else.
    pub registration: Option<Registration>,
    /// Told of the certificate's end.
    pub days_to_expiry: Gauge,
}

impl Upkeep {
    /// Waits for the first certificate.
    pub async fn first_certificate(&self) {
        let mut trouble = Trouble::default();
        while let Err(error) = self.certificate().await {
            trouble.tell("no certificate yet; trying again", &error.to_string());
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Goes on until shutdown. `registered` tells whether the API server knows the certificate in force.
    pub async fn run(self, registered: watch::Sender<bool>, shutdown: Shutdown) {
        let (mut certificate, mut registration) = (Trouble::default(), Trouble::default());
        loop {
            let mut pause = PERIOD;
            match self.certificate().await {
                Ok(()) => certificate.clear(),
                Err(error) => {
                    certificate.tell(
                        "the certificate cannot be renewed; keeping the one in force",
                        &error.to_string(),
                    );
                    pause = RETRY;
                }
            }
            match self.register().await {
                Ok(()) => {
                    registration.clear();
                    registered.send_replace(true);
                }
                Err(error) => {
                    registration.tell("the webhook is not registered; trying again", &error);
                    registered.send_replace(false);
                    pause = RETRY;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&shutdown) => return,
            }
        }
    }

    /// Puts the certificate of the source in force, when it is another one and a good one.
    async fn certificate(&self) -> Result<(), CertificateError> {
        let now = time::now();
        let triple = match &self.source {
            Source::Secret(secret) => secret.read(now).await?,
            Source::Files(files) => files.read()?,
        };
        let current = self.live.current();
        let old = current.as_deref().map(|material| &material.source);
        if old != Some(&triple) {
            let message = change(old, &triple);
            let material = Material::check(triple, &self.provider, now)?;
            self.live.replace(Arc::new(material));
            tracing::info!("{message}");
        }
        if let Some(material) = self.live.current() {
            self.days_to_expiry.set(material.days_left(now));
        }
        Ok(())
    }

    async fn register(&self) -> Result<(), String> {
        let (Some(registration), Some(material)) = (&self.registration, self.live.current()) else {
            return Ok(());
        };
        let written = registration.ensure(&self.calls, &material.source.ca_bundle);
        match written.await {
            Ok(true) => tracing::info!("Successfully patched webhook with new client CA"),
            Ok(false) => {}
            Err(error) => return Err(error.to_string()),
        }
        Ok(())
    }
}

/// Upstream's words, which its end-to-end tests look for.
fn change(old: Option<&PemTriple>, new: &PemTriple) -> &'static str {
    match old {
        Some(old) if old.ca_bundle != new.ca_bundle => {
            "New client CA found, reloading and patching webhook"
        }
        _ => "New certificate found, reloading",
    }
}

/// Tells a trouble once, not every few seconds.
#[derive(Default)]
struct Trouble(String);

impl Trouble {
    fn tell(&mut self, message: &'static str, error: &str) {
        if self.0 != error {
            tracing::warn!(error, "{message}");
            error.clone_into(&mut self.0);
        }
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
