//! The webhook's sign of life: a Lease, which the updater reads before it evicts anything.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_cluster::api::time::now;
use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::other_vpa::{is_others, mark_lease};

/// Tries per renewal, with a pause of 100 ms that triples: upstream's figures.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The Lease to renew.
pub struct StatusLease {
    /// Makes the requests.
    pub calls: Calls,
    /// Where it lies.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who renews it.
    pub holder: String,
    /// How long a renewal is good for.
    pub duration: Duration,
}

impl StatusLease {
    /// Renews it once, and makes it when it is not there. That another replica was faster is as good as having done it.
    /// A shadow shows no sign of life: nobody is to count on it.
    pub async fn renew(&self) -> Result<(), CallError> {
        if self.calls.is_shadow() {
            return Ok(());
        }
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.write().await {
                Err(error) if !error.is_conflict() => {
                    tracing::debug!(error = %error, "cannot renew the status lease yet");
                }
                done_or_overtaken => return done_or_overtaken.or(Ok(())),
            }
            tokio::time::sleep(pause).await;
            pause *= 3;
        }
        self.write().await.or_else(|error| {
            if error.is_conflict() {
                Ok(())
            } else {
                Err(error)
            }
        })
    }

    async fn write(&self) -> Result<(), CallError> {
        let (api, options) = (self.api(), PostParams::default());
        let found = self
            .calls
            .run("get the status lease", api.get_opt(&self.name))
            .await?;
        if found.as_ref().is_some_and(|lease| is_others(lease, now())) {
            // Written over, it would look like podfit's, and nobody would see that another VPA is there.
            return Ok(());
        }
        let lease = self.renewed(found.clone());
        if found.is_some() {
            self.calls
                .run(
                    "renew the status lease",
                    api.replace(&self.name, &options, &lease),
                )
                .await?;
        } else {
            self.calls
                .run("create the status lease", api.create(&options, &lease))
                .await?;
        }
        Ok(())
    }

    /// The lease as it is to be written now. It has a renew time from the start, so readers need not guess from its age.
    fn renewed(&self, found: Option<Lease>) -> Lease {
        let mut lease = found.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        });
        mark_lease(&mut lease.metadata, &self.holder);
        let now = MicroTime(jiff::Timestamp::now());
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        spec.holder_identity = Some(self.holder.clone());
        spec.lease_duration_seconds =
            Some(i32::try_from(self.duration.as_secs().max(1)).unwrap_or(i32::MAX));
        spec.renew_time = Some(now);
        lease
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.calls.client().clone(), &self.namespace)
    }
}
