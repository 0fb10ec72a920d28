//! Leases: leadership with client-go's semantics, and reading the webhook's sign of life.
//!
//! Every write is a PUT under the resourceVersion that was read, so that of two claimants the server lets one win.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_core::time::Timestamp;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts, Registry};
use tokio::sync::watch;

use crate::calls::{CallError, Calls};
use crate::metrics::register;
use crate::options::{LeaderElectionOptions, namespace_or_own};
use crate::other_vpa::mark_lease;
use crate::process::Shutdown;

/// Whether this process leads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<bool>);

impl Leadership {
    /// Leads from the start and for good: leader election is off.
    pub fn unconditional() -> Self {
        let (sender, receiver) = watch::channel(true);
        // Keeps the channel open for as long as the process lives.
        tokio::spawn(async move { sender.closed().await });
        Self(receiver)
    }

    /// True while this process holds the lease.
    pub fn is_leader(&self) -> bool {
        *self.0.borrow()
    }

    /// Adds client-go's metric of leadership to those of the process.
    pub fn show_in(&self, registry: &Registry, name: &str) -> Result<(), prometheus::Error> {
        let help = "1 while this process leads, 0 while it stands by.";
        let opts = Opts::new("leader_election_master_status", help).const_label("name", name);
        let gauge = IntGauge::with_opts(opts)?;
        let leads = self.clone();
        register(registry, Shown { gauge, leads }).map(drop)
    }

    /// Resolves once this process leads.
    pub async fn gained(&self) {
        if self.0.clone().wait_for(|leads| *leads).await.is_err() {
            // The elector is gone: never.
            std::future::pending::<()>().await;
        }
    }

    /// Resolves once this process does not lead (any more).
    pub async fn lost(&self) {
        // An error means the elector is gone, and with it the lease.
        let _ = self.0.clone().wait_for(|leads| !*leads).await;
    }
}

/// Leadership as of when it is asked for.
#[derive(Clone)]
struct Shown {
    gauge: IntGauge,
    leads: Leadership,
}

impl Collector for Shown {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(self.leads.is_leader().into());
        self.gauge.collect()
    }
}

/// Competes for a lease until `stop`, then gives it back so that a standby need not wait for it to run out.
///
/// Time is measured by this process' own clock from when it saw the lease change: clocks of other machines are never
/// compared, as in client-go.
///
/// In a shadow nobody competes: it would be a write, and where nothing is written, each replica may do all it does.
pub fn elect(
    calls: Calls,
    options: &LeaderElectionOptions,
    default_name: &str,
    stop: Shutdown,
) -> (Leadership, tokio::task::JoinHandle<()>) {
    if !options.leader_elect || calls.is_shadow() {
        return (Leadership::unconditional(), tokio::spawn(async {}));
    }
    let name = if options.leader_elect_resource_name.is_empty() {
        default_name
    } else {
        &options.leader_elect_resource_name
    };
    let namespace = namespace_or_own(&options.leader_elect_resource_namespace);
    let (sender, receiver) = watch::channel(false);
    let elector = Elector {
        api: Api::namespaced(calls.client().clone(), &namespace),
        calls,
        name: name.to_owned(),
        identity: identity(),
        duration: options.leader_elect_lease_duration.0,
        renew_deadline: options.leader_elect_renew_deadline.0,
        retry_period: options.leader_elect_retry_period.0,
        observed: None,
    };
    (
        Leadership(receiver),
        tokio::spawn(elector.run(sender, stop)),
    )
}

/// `<host name>_<something unique>`, as upstream writes it.
fn identity() -> String {
    let host = std::env::var("POD_NAME")
        .or_else(|_| {
            std::fs::read_to_string("/proc/sys/kernel/hostname").map(|h| h.trim().to_owned())
        })
        .unwrap_or_else(|_| "podfit".into());
    let nanos = jiff::Timestamp::now().as_nanosecond();
    format!("{host}_{:x}-{:x}", nanos, std::process::id())
}

struct Elector {
    calls: Calls,
    api: Api<Lease>,
    name: String,
    identity: String,
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
    /// The lease as last seen to change, and when.
    observed: Option<(LeaseSpec, Instant)>,
}

impl Elector {
    async fn run(mut self, leads: watch::Sender<bool>, stop: Shutdown) {
        let mut renewed = Instant::now();
        let mut trouble = String::new();
        loop {
            let tried = Instant::now();
            let leading = *leads.borrow();
            let limit = if leading {
                // Given up before another replica may take it, even if the answer never comes.
                self.renew_deadline.saturating_sub(renewed.elapsed())
            } else {
                self.renew_deadline
            };
            match self.try_hold(limit).await {
                Ok(true) => {
                    // Counted from before the request: the server's clock started at the latest then.
                    renewed = tried;
                    trouble.clear();
                    if !leads.send_replace(true) {
                        tracing::info!(lease = self.name, identity = self.identity, "leading");
                    }
                }
                Ok(false) => self.step_down(&leads, "another replica holds the lease"),
                Err(error) => {
                    let text = error.to_string();
                    if text != trouble {
                        tracing::warn!(
                            lease = self.name,
                            error = text,
                            "cannot read or write the lease; trying again"
                        );
                        trouble = text;
                    }
                    if renewed.elapsed() >= self.renew_deadline {
                        self.step_down(&leads, "the lease could not be renewed in time");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.retry_period) => {}
                () = crate::process::stopped(&stop) => break,
            }
        }
        if leads.send_replace(false) {
            self.release().await;
        }
    }

    fn step_down(&self, leads: &watch::Sender<bool>, why: &str) {
        if leads.send_replace(false) {
            tracing::warn!(lease = self.name, why, "no longer leading");
        }
    }

    /// One round of at most `limit`: true when this process holds the lease afterwards.
    async fn try_hold(&mut self, limit: Duration) -> Result<bool, CallError> {
        let timed_out = || CallError::TimedOut {
            what: "hold the lease".into(),
            after: limit,
        };
        tokio::time::timeout(limit, self.read_and_write())
            .await
            .map_err(|_| timed_out())?
    }

    async fn read_and_write(&mut self) -> Result<bool, CallError> {
        let Some(mut lease) = self
            .calls
            .run("get lease", self.api.get_opt(&self.name))
            .await?
        else {
            let mut lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.claim(None)),
            };
            mark_lease(&mut lease.metadata, &self.identity);
            return self.won(
                self.calls
                    .run(
                        "create lease",
                        self.api.create(&PostParams::default(), &lease),
                    )
                    .await,
            );
        };
        let held = lease.spec.clone().unwrap_or_default();
        if !self.may_take(&held) {
            return Ok(false);
        }
        lease.spec = Some(self.claim(Some(&held)));
        mark_lease(&mut lease.metadata, &self.identity);
        let put = PostParams::default();
        self.won(
            self.calls
                .run("update lease", self.api.replace(&self.name, &put, &lease))
                .await,
        )
    }

    /// Another replica that was quicker is no error.
    fn won(&self, written: Result<Lease, CallError>) -> Result<bool, CallError> {
        match written {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => {
                tracing::debug!(lease = self.name, "another replica was quicker");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Ours, nobody's, or unchanged for its whole duration.
    fn may_take(&mut self, held: &LeaseSpec) -> bool {
        let holder = held.holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let (seen, since) = self
            .observed
            .get_or_insert_with(|| (held.clone(), Instant::now()));
        if seen != held {
            (*seen, *since) = (held.clone(), Instant::now());
        }
        let duration = held
            .lease_duration_seconds
            .map_or(self.duration, |s| Duration::from_secs(s.max(0) as u64));
        since.elapsed() >= duration
    }

    fn claim(&self, held: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let ours = held.filter(|h| h.holder_identity.as_ref() == Some(&self.identity));
        let transitions = held.and_then(|h| h.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(
                i32::try_from(self.duration.as_secs()).unwrap_or(i32::MAX),
            ),
            acquire_time: ours
                .and_then(|h| h.acquire_time.clone())
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if held.is_some() && ours.is_none() {
                transitions + 1
            } else {
                transitions
            }),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease up, if it is still ours.
    async fn release(&self) {
        let released = async {
            let mut lease = self
                .calls
                .run("get lease", self.api.get(&self.name))
                .await?;
            let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
            if spec.holder_identity.as_ref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            self.calls
                .run(
                    "release lease",
                    self.api.replace(&self.name, &PostParams::default(), &lease),
                )
                .await
                .map(|_| ())
        };
        // Not worth delaying the exit for: the lease runs out by itself.
        match tokio::time::timeout(Duration::from_secs(2), released).await {
            Ok(Ok(())) => tracing::info!(lease = self.name, "lease released"),
            Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "lease not released"),
            Err(_) => tracing::warn!(lease = self.name, "lease not released in time"),
        }
    }
}

/// Where a component shows that it is alive.
#[derive(Clone, Debug)]
pub struct StatusLease {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// For how long one renewal counts.
    pub timeout: Duration,
}

impl StatusLease {
    /// True when it was renewed (or made) within the time-out; false when not, or when there is none.
    pub async fn is_alive(&self, calls: &Calls, now: Timestamp) -> Result<bool, CallError> {
        let api: Api<Lease> = Api::namespaced(calls.client().clone(), &self.namespace);
        let lease = calls
            .run(
                "get the admission controller's status lease",
                api.get_opt(&self.name),
            )
            .await?;
        Ok(lease.is_some_and(|lease| {
            let created = lease.metadata.creation_timestamp.as_ref().map(|t| t.0);
            let renewed = lease.spec.and_then(|s| s.renew_time).map(|t| t.0);
            let [created, renewed] = [created, renewed]
                .map(|t| t.map(|t| Timestamp::from_unix_millis(t.as_millisecond())));
            self.counts(created, renewed, now)
        }))
    }

    fn counts(
        &self,
        created: Option<Timestamp>,
        renewed: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        let mut signs = [created, renewed].into_iter().flatten();
        signs.any(|sign| sign + self.timeout > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_counts_for_its_time() {
        let lease = StatusLease {
            namespace: String::new(),
            name: String::new(),
            timeout: Duration::from_secs(10),
        };
        let now = Timestamp::from_unix_seconds(1000);
        let table = include_str!("../testdata/status_leases.csv");
        for row in table.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<_> = row.split(',').collect();
            let ago = |cell: &str| Some(now - Duration::from_secs(cell.parse().ok()?));
            let counts = lease.counts(ago(cells[0]), ago(cells[1]), now);
            assert_eq!(counts, cells[2] == "yes", "{row}");
        }
    }
}
