//! Looks for another VPA again and again, and tells who must stand aside.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, ListParams};
use prometheus::{IntGauge, Registry};
use tokio::sync::watch;

use super::{CONFIGURATION, Facts, LEASES, Sign};
use crate::admin::Health;
use crate::api::time::now;
use crate::calls::{CallError, Calls};
use crate::events::Events;
use crate::metrics::register;
use crate::options::own_namespace;
use crate::process::{Shutdown, stopped};

/// How often. A renewal counts for a minute.
const PERIOD: Duration = Duration::from_secs(15);

/// How often what was not answered is asked again.
const EAGER_PERIOD: Duration = Duration::from_secs(1);

/// Where upstream is installed by its own manifests.
const UPSTREAMS_NAMESPACE: &str = "kube-system";

/// What is known of another VPA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not looked yet.
    #[default]
    Unknown,
    /// None acts.
    None,
    /// One does.
    Active(Sign),
}

/// Whether another VPA acts, as last seen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OtherVpa(watch::Receiver<State>);

impl OtherVpa {
    /// None, for good: it is not looked for.
    pub fn never() -> Self {
        let (sender, receiver) = watch::channel(State::None);
        // Keeps the channel open for as long as somebody looks.
        tokio::spawn(async move { sender.closed().await });
        Self(receiver)
    }

    /// True while podfit must not act: another VPA does, or it is not known yet whether one does.
    pub fn is_active(&self) -> bool {
        *self.0.borrow() != State::None
    }

    /// True while one is seen to be alive, rather than to have left its registration behind.
    pub fn holds_a_lease(&self) -> bool {
        matches!(*self.0.borrow(), State::Active(Sign::Lease { .. }))
    }

    /// Resolves while none is seen to be alive, whatever it has left behind.
    pub async fn holds_no_lease(&self) {
        self.wait(|state| !matches!(state, State::Active(Sign::Lease { .. })))
            .await;
    }

    /// Resolves once it was looked.
    pub async fn known(&self) {
        self.wait(|state| *state != State::Unknown).await;
    }

    /// Resolves while podfit must not act.
    pub async fn active(&self) {
        self.wait(|state| *state != State::None).await;
    }

    /// Resolves while podfit may act.
    pub async fn none(&self) {
        self.wait(|state| *state == State::None).await;
    }

    async fn wait(&self, for_what: impl Fn(&State) -> bool) {
        if self.0.clone().wait_for(for_what).await.is_err() {
            // Nobody looks any more: the process ends.
            std::future::pending::<()>().await;
        }
    }
}

/// Looks, and says what it finds: in the log, in an event on its own pod, as a metric and where readiness is asked.
pub struct Lookout {
    calls: Calls,
    events: Events,
    health: Health,
    active: IntGauge,
    state: watch::Sender<State>,
}

impl Lookout {
    /// Begins to look, until `shutdown`.
    pub fn start(
        calls: &Calls,
        events: Events,
        health: &Health,
        registry: &Registry,
        shutdown: Shutdown,
    ) -> Result<OtherVpa, prometheus::Error> {
        let (state, seen) = watch::channel(State::Unknown);
        let lookout = Self {
            calls: calls.clone(),
            events,
            health: health.clone(),
            active: Self::metric(registry)?,
            state,
        };
        tokio::spawn(lookout.run(shutdown));
        Ok(OtherVpa(seen))
    }

    /// Makes and registers its metric.
    pub fn metric(registry: &Registry) -> Result<IntGauge, prometheus::Error> {
        let active = IntGauge::new(
            "podfit_other_vpa_active",
            "1 while another VPA acts in this cluster, and podfit therefore does not.",
        )?;
        register(registry, active)
    }

    async fn run(self, shutdown: Shutdown) {
        let mut trouble = String::new();
        let mut round = Round::default();
        loop {
            let asked = self.ask(&mut round).await;
            let pause = match asked {
                Ok(()) => {
                    trouble.clear();
                    self.tell(std::mem::take(&mut round).facts().sign(now()));
                    PERIOD
                }
                // What was seen before holds on.
                Err(error) => {
                    let text = error.to_string();
                    if text != trouble {
                        tracing::warn!(
                            error = text,
                            "cannot see whether another VPA acts; trying again"
                        );
                        trouble = text;
                    }
                    EAGER_PERIOD
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&shutdown) => break,
            }
        }
        // Those who wait for it wait on: the sender lives until the last of them is gone.
        self.state.closed().await;
    }

    /// Asks what is not answered yet in this round; an error when some of it is not answered now either.
    async fn ask(&self, round: &mut Round) -> Result<(), CallError> {
        let mut trouble = Ok(());
        for name in LEASES {
            if round.leases.iter().all(|(known, _)| *known != name) {
                match self.leases(name).await {
                    Ok(leases) => round.leases.push((name, leases)),
                    Err(error) => trouble = Err(error),
                }
            }
        }
        if round.configuration.is_none() {
            let api: Api<MutatingWebhookConfiguration> = Api::all(self.calls.client().clone());
            let what = "get the webhook configuration";
            let read = self.calls.run(what, api.get_opt(CONFIGURATION)).await;
            match readable(read) {
                Ok(configuration) => {
                    round.configuration = Some(configuration.flatten().into_iter().collect());
                }
                Err(error) => trouble = Err(error),
            }
        }
        trouble
    }

    /// The leases of that name in all namespaces; where that may not be asked, in our own and in upstream's usual one.
    async fn leases(&self, name: &str) -> Result<Vec<Lease>, CallError> {
        let all: Api<Lease> = Api::all(self.calls.client().clone());
        let named = ListParams::default().fields(&format!("metadata.name={name}"));
        let listed = self.calls.run("list leases", all.list(&named)).await;
        if let Some(list) = readable(listed)? {
            return Ok(list.items);
        }
        let own = own_namespace();
        let mut found = Vec::new();
        for namespace in [own.as_str(), UPSTREAMS_NAMESPACE] {
            let api: Api<Lease> = Api::namespaced(self.calls.client().clone(), namespace);
            let lease = self.calls.run("get lease", api.get_opt(name)).await;
            found.extend(readable(lease)?.flatten());
        }
        Ok(found)
    }

    fn tell(&self, sign: Option<Sign>) {
        let state = sign.map_or(State::None, State::Active);
        let before = self.state.send_replace(state.clone());
        // Of several signs one is told, and which is of no interest: not every change is news.
        let was_active = matches!(before, State::Active(_));
        match state {
            State::Active(sign) => {
                self.active.set(1);
                self.health.set_note(Some(format!(
                    "doing nothing, since another VPA is active: {sign}"
                )));
                if !was_active {
                    let sign = sign.to_string();
                    tracing::warn!(
                        sign,
                        "another VPA is active; doing nothing until it is gone"
                    );
                    let message = format!("podfit does nothing until it is gone: {sign}.");
                    self.events.tell_of_self("AnotherVpaActive", message, true);
                }
            }
            State::None | State::Unknown => {
                self.active.set(0);
                self.health.set_note(None);
                if was_active {
                    tracing::info!("no other VPA is active any more; going on");
                    let message = "No other VPA is active any more: podfit goes on.".into();
                    self.events.tell_of_self("AnotherVpaGone", message, false);
                }
            }
        }
    }
}

/// The answers of one look. One that did not come is asked for again, and not all the others with it: an API server that
/// answers every other request is looked at as well as any.
#[derive(Default)]
struct Round {
    leases: Vec<(&'static str, Vec<Lease>)>,
    /// One, or none.
    configuration: Option<Vec<MutatingWebhookConfiguration>>,
}

impl Round {
    fn facts(self) -> Facts {
        Facts {
            leases: self
                .leases
                .into_iter()
                .flat_map(|(_, leases)| leases)
                .collect(),
            configuration: self.configuration.into_iter().flatten().next(),
        }
    }
}

/// `None` of what may not be read.
fn readable<T>(read: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_was_left_behind_holds_no_lease() {
        let lease = Sign::Lease {
            namespace: "kube-system".into(),
            name: "vpa-updater-lease".into(),
            holder: "a".into(),
        };
        // In each state: may podfit act, and does nobody hold a lease?
        let rows = [
            (State::Unknown, false, true),
            (State::None, true, true),
            (State::Active(Sign::Registration), false, true),
            (State::Active(lease), false, false),
        ];
        for (state, none, no_lease) in rows {
            let (_sender, receiver) = watch::channel(state.clone());
            let other = OtherVpa(receiver);
            assert_eq!(other.none().now_or_never().is_some(), none, "{state:?}");
            let resolved = other.holds_no_lease().now_or_never().is_some();
            assert_eq!(resolved, no_lease, "{state:?}");
        }
    }
}
