//! Keeps the certificate in force up to date.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podfit_cluster::api::time;
use podfit_core::time::Timestamp;
use prometheus::Gauge;
use rustls::crypto::CryptoProvider;

use crate::certificates::files::{CertificateFiles, UnreadableFile};
use crate::certificates::live::Live;
use crate::certificates::material::{BadMaterial, Material, PemTriple};
use crate::certificates::rotation::{Rotation, RotationError, Stored};
use crate::certificates::secret::{SecretError, SharedSecret};

/// How often, before there is a certificate at all.
const EAGER_PERIOD: Duration = Duration::from_secs(2);

/// Where certificates come from.
pub enum Source {
    /// Mounted files.
    Files(CertificateFiles),
    /// A Secret that podfit itself looks after.
    Secret(Box<SharedSecret>),
    /// Made here and kept nowhere: only our own probe has to trust it.
    Memory(Rotation, Mutex<Stored>),
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
    /// None could be made.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// What was read is no good.
    #[error(transparent)]
    Bad(#[from] BadMaterial),
}

impl Source {
    async fn read(&self, in_force: &str, now: Timestamp) -> Result<PemTriple, NoCertificate> {
        match self {
            Self::Files(files) => Ok(files.read()?),
            Self::Secret(secret) => Ok(secret.read(in_force, now).await?),
            Self::Memory(rotation, stored) => {
                let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(renewal) = rotation.due(&stored, in_force, now)? {
                    *stored = renewal.stored;
                }
                Ok(stored.triple.clone())
            }
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

    /// What is in force; `None` before the first certificate came.
    pub fn current(&self) -> Option<Arc<Material>> {
        self.live.current()
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
