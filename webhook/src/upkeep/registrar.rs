//! Keeps certificate and registration in step: callers must trust what is shown to them.

use std::time::Duration;

use podfit_cluster::api::time;
use podfit_cluster::calls::Calls;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_cluster::process::{Shutdown, stopped};
use tokio::sync::watch;

use super::certificates::Certificates;
use crate::registration::Registration;

/// How often certificate and registration are looked at.
const PERIOD: Duration = Duration::from_secs(30);

/// How often while the registration fails.
const EAGER_PERIOD: Duration = Duration::from_secs(2);

/// Looks after both.
pub struct Registrar {
    /// What is shown.
    pub certificates: Certificates,
    /// What is registered. `None`: somebody else does it.
    pub registration: Option<Registration>,
    /// Makes the requests.
    pub calls: Calls,
    /// Tells whether the API server knows the certificate in force.
    pub registered: watch::Sender<bool>,
    /// Whether another VPA acts. While one lives, its registration is left alone; what it left behind is taken over.
    pub other_vpa: OtherVpa,
}

impl Registrar {
    /// Looks after both until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = String::new();
        tokio::select! {
            () = self.other_vpa.known() => {}
            () = stopped(&shutdown) => return,
        }
        loop {
            let stood_aside = self.other_vpa.holds_a_lease();
            let error = self.register().await.err().unwrap_or_default();
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
                // Until this one is registered, nobody sizes new pods.
                () = self.other_vpa.holds_no_lease(), if stood_aside => {}
                () = stopped(&shutdown) => return,
            }
            self.certificates.refresh(time::now()).await;
        }
    }

    /// Brings the registration up to date with the certificate in force.
    pub async fn register(&self) -> Result<(), String> {
        if self.other_vpa.holds_a_lease() {
            self.registered.send_replace(false);
            return Ok(());
        }
        let outcome = match (&self.registration, self.certificates.current()) {
            (Some(registration), Some(material)) => {
                let bundle = &material.source.ca_bundle;
                let ensured = registration.ensure(&self.calls, bundle).await;
                ensured.map_err(|error| error.to_string())
            }
            _ => Ok(()),
        };
        self.registered.send_replace(outcome.is_ok());
        outcome
    }
}
