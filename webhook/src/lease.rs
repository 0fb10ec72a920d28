//! The status lease: renewed while our own server answers as the API server would need it to. The updater evicts nothing
//! while nobody renews it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::process::{Shutdown, stopped};
use tokio::sync::watch;

use crate::certificates::live::Live;
use crate::probe::Probe;

/// Renews the lease.
pub struct StatusLease {
    /// Makes the requests.
    pub calls: Calls,
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// How often.
    pub interval: Duration,
    /// What proves that we answer.
    pub probe: Probe,
    /// The certificate in force.
    pub live: Arc<Live>,
    /// True once the API server knows of us.
    pub registered: watch::Receiver<bool>,
}

impl StatusLease {
    /// Probes and renews until shutdown.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = None;
        let registered = async {
            // An error means that the upkeep has ended, and then so does this.
            let _ = self.registered.wait_for(|registered| *registered).await;
        };
        tokio::select! {
            () = registered => {}
            () = stopped(&shutdown) => return,
        }
        loop {
            let problem = self.round().await.err();
            if problem != trouble {
                match &problem {
                    Some(error) => {
                        tracing::warn!(lease = self.name, error, "the status lease is not renewed")
                    }
                    None => tracing::info!(lease = self.name, "the status lease is renewed again"),
                }
                trouble = problem;
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                () = stopped(&shutdown) => return,
            }
        }
    }

    async fn round(&self) -> Result<(), String> {
        if !*self.registered.borrow() {
            return Err("the API server does not know the certificate in force yet".into());
        }
        let material = self.live.current().ok_or("there is no certificate yet")?;
        let asked = self.probe.ask(&material).await;
        asked.map_err(|error| format!("this webhook does not answer itself: {error}"))?;
        match self.renew().await {
            // Another replica renewed it at the same time, which says as much.
            Err(error) if !error.is_conflict() => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    async fn renew(&self) -> Result<(), CallError> {
        let api: Api<Lease> = Api::namespaced(self.calls.client().clone(), &self.namespace);
        let options = PostParams::default();
        let found = self
            .calls
            .run("get the status lease", api.get_opt(&self.name))
            .await?;
        if let Some(mut lease) = found {
            lease.spec = Some(self.spec());
            let update = api.replace(&self.name, &options, &lease);
            self.calls.run("renew the status lease", update).await?;
        } else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec()),
            };
            let create = api.create(&options, &lease);
            self.calls.run("create the status lease", create).await?;
        }
        Ok(())
    }

    fn spec(&self) -> LeaseSpec {
        let seconds = self.interval.as_secs().max(1);
        LeaseSpec {
            holder_identity: Some(holder()),
            lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
            renew_time: Some(MicroTime(jiff::Timestamp::now())),
            ..LeaseSpec::default()
        }
    }
}

/// The pod's name, which is its host name as well.
fn holder() -> String {
    std::env::var("POD_NAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map_or_else(|| "podfit-webhook".into(), |name| name.trim().to_owned())
}
