//! `--self-test`: does the whole chain work, from a VPA to a new pod that is sized? If not, which link is broken?
//!
//! Run by `helm test` as a pod. Nothing is ever started: pods are created for show (server-side dry runs), the one object that
//! owns them wants no replicas, and it and its VPA are removed again.

mod facts;
mod workload;

use std::net::SocketAddr;
use std::time::Duration;

use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::options::own_namespace;
use podfit_cluster::probe::{self, NotProven};

use crate::self_test::workload::Workload;

/// How long a new VPA may take to reach every webhook.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is broken, in the order in which the links hang on one another.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Nobody registered.
    #[error(
        "webhook configuration absent: there is no MutatingWebhookConfiguration {0}; is admissionController.enabled set, and did \
         `helm upgrade` succeed?"
    )]
    NoConfiguration(&'static str),
    /// The webhook has not put its CA in.
    #[error(
        "CA bundle empty: MutatingWebhookConfiguration {0} has no caBundle; the webhook puts it in once it runs \
         (kubectl -n {1} logs -l app.kubernetes.io/component=webhook says what it waits for), or cert-manager does"
    )]
    NoAuthority(&'static str, String),
    /// No such Service.
    #[error("service absent: the webhook configuration names Service {0}, which does not exist")]
    NoService(String),
    /// No pod is ready.
    #[error(
        "service without endpoints: no webhook pod behind Service {0} is ready (kubectl -n {1} get pods -l \
         app.kubernetes.io/component=webhook)"
    )]
    NoEndpoints(String, String),
    /// It does not answer this pod either.
    #[error("webhook error: {0} does not answer as it should: {1}")]
    NoAnswer(SocketAddr, String),
    /// It answers, but not the API server.
    #[error(
        "webhook not reached: it answers this pod, but the API server did not apply its answer in namespace {0}: {1} Can the \
         control plane reach pods (docs/install.md)? Its log has the error after \"failed calling webhook\""
    )]
    NotReached(String, String),
    /// It is not asked about this namespace.
    #[error(
        "namespace excluded: the webhook sizes pods, but is not asked about those of namespace {0}: \
         ignoredVpaObjectNamespaces, vpaObjectNamespace or admissionController.mutatingWebhookConfiguration leave it out; set \
         helmTest.namespace to one that is sized"
    )]
    Excluded(String),
    /// It is asked, and answers, but sizes nothing.
    #[error(
        "VPA not seen: within {PATIENCE:?} no new pod was sized by VerticalPodAutoscaler {0}; may the webhook list VPAs, is the \
         namespace in ignoredVpaObjectNamespaces? (kubectl -n {1} logs -l app.kubernetes.io/component=webhook)"
    )]
    NotSeen(String, String),
    /// The question could not be asked.
    #[error("cannot test: {0}")]
    Call(#[from] CallError),
    /// What was read is not what it should be. It cannot happen.
    #[error("cannot test: {0}")]
    Json(#[from] serde_json::Error),
}

/// The test.
pub struct SelfTest {
    /// For requests.
    pub calls: Calls,
    /// Where a workload is made for show: a namespace whose pods are sized.
    pub namespace: String,
}

impl SelfTest {
    /// Goes along the chain, and tells each link that holds.
    pub async fn run(&self) -> Result<(), Broken> {
        let own = own_namespace();
        let endpoint = facts::registration(&self.calls, &own).await?;
        tracing::info!("the webhook is registered, with a CA");
        if let Err(why) = self.probed(&own).await? {
            // Only now, because a pod of the cluster need not be able to reach what the API server reaches.
            endpoint.answers().await?;
            return Err(Broken::NotReached(own, why));
        }
        tracing::info!("the API server asks the webhook, and applies its answer");
        if self.namespace != own && self.probed(&self.namespace).await?.is_err() {
            return Err(Broken::Excluded(self.namespace.clone()));
        }
        let workload = Workload::create(&self.calls, &self.namespace).await?;
        let sized = self.sized(&workload, own).await;
        workload.delete(&self.calls).await;
        sized?;
        tracing::info!(
            namespace = self.namespace,
            "a new pod is sized as its VPA recommends: all is well"
        );
        Ok(())
    }

    /// Whether the webhook's answer about a pod for show is applied.
    async fn probed(&self, namespace: &str) -> Result<Result<(), String>, Broken> {
        match probe::check(&self.calls, namespace).await {
            Ok(()) => Ok(Ok(())),
            Err(NotProven::NotApplied(why)) => Ok(Err(why.into())),
            // With failure policy Fail the API server says so, in these words.
            Err(NotProven::NotTried(error)) => match error.server_message() {
                Some(text) if text.contains("failed calling webhook") => Ok(Err(text.into())),
                _ => Err(error.into()),
            },
        }
    }

    /// Waits until a new pod of the workload is sized.
    async fn sized(&self, workload: &Workload, own: String) -> Result<(), Broken> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let pod = probe::try_out(&self.calls, &self.namespace, &workload.pod()).await?;
            if workload::is_sized(&pod) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Broken::NotSeen(workload.to_string(), own));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
