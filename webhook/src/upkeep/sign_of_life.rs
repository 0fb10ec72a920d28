//! Renews the status lease for as long as the server answers, and calls the process unready when it does not.

use std::sync::Arc;

use podfit_cluster::admin::Health;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_cluster::process::{Shutdown, stopped};
use tokio::sync::watch;

use crate::certificates::live::Live;
use crate::lease::StatusLease;
use crate::probe::Probe;

/// Failed self-probes in a row until the process calls itself unready: one may be bad luck.
const PATIENCE: u32 = 3;

/// What a sign of life is based on.
pub struct Proof {
    /// Asks our own server.
    pub probe: Probe,
    /// The certificate in force.
    pub live: Arc<Live>,
    /// Whether the API server knows that certificate.
    pub registered: watch::Receiver<bool>,
    /// Whether another VPA acts: then nobody is to count on this one.
    pub other_vpa: OtherVpa,
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

/// Renews the lease each time that the server has answered its own probe. A server that keeps failing it calls itself
/// unready, so that the API server is sent to another.
pub struct SignOfLife {
    lease: StatusLease,
    proof: Proof,
    health: Health,
    failures: u32,
    trouble: String,
}

impl SignOfLife {
    /// Has not failed yet.
    pub fn new(lease: StatusLease, proof: Proof, health: Health) -> Self {
        Self {
            lease,
            proof,
            health,
            failures: 0,
            trouble: String::new(),
        }
    }

    /// From the first registration on, until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            // An error means that the upkeep has ended, and so does this.
            _ = self.proof.registered.wait_for(|registered| *registered) => {}
            () = stopped(&shutdown) => return,
        }
        loop {
            self.beat(&shutdown).await;
            tokio::select! {
                () = tokio::time::sleep(self.lease.duration) => {}
                () = stopped(&shutdown) => return,
            }
        }
    }

    /// One probe, and one renewal if it was answered.
    pub async fn beat(&mut self, shutdown: &Shutdown) {
        let proven = self.proof.probe().await;
        if *shutdown.borrow() {
            return; // unready for good, whatever this probe said
        }
        self.failures = if proven.is_ok() { 0 } else { self.failures + 1 };
        self.health.set_ready(self.failures < PATIENCE);
        let renewed = match proven {
            Ok(()) => {
                self.health.active();
                self.renew().await
            }
            Err(error) => Err(error),
        };
        let lease = &self.lease.name;
        let error = renewed.err().unwrap_or_default();
        if error.is_empty() && !self.trouble.is_empty() {
            tracing::info!(lease, "the status lease is renewed again");
        } else if error != self.trouble {
            tracing::error!(lease, error, "the status lease is not renewed");
        }
        self.trouble = error;
    }

    async fn renew(&self) -> Result<(), String> {
        if !*self.proof.registered.borrow() {
            return Err("the API server does not know the certificate in force".into());
        }
        if self.proof.other_vpa.is_active() {
            return Err("another VPA is active, or it is not known yet whether one is".into());
        }
        self.lease.renew().await.map_err(|error| error.to_string())
    }
}
