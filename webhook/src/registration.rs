//! Tells the API server to call us: one `MutatingWebhookConfiguration`, made or mended, never deleted.
//!
//! An object that carries `app.kubernetes.io/managed-by` belongs to whoever that is (Helm, in our chart): only its CA
//! bundle is kept right.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
    ServiceReference, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::options::ClusterOptions;
pub use podfit_cluster::other_vpa::CONFIGURATION;
use podfit_cluster::other_vpa::{is_ours, registration_mark};
use podfit_cluster::probe::PROBE;
use serde_json::{Value, json};

/// Upstream's name of the webhook in it; users see it in refusals.
pub const WEBHOOK: &str = "vpa.k8s.io";

/// Which pods the API server asks about: those of a controller, and those that name their family, for no VPA can mean
/// another. All others start without waiting for us: bare pods, and mirrors of static pods, which their node controls. The
/// chart has the same text.
const PODS_OF_A_CONTROLLER: &str = "request.resource.resource != 'pods' || (has(object.metadata.ownerReferences) && \
    object.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind != 'Node')) || \
    (has(object.metadata.labels) && 'podfit.dev/family' in object.metadata.labels)";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// How the API server reaches us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Through a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// Directly.
    Url(String),
}

/// What is to be registered.
#[derive(Clone, Debug)]
pub struct Registration {
    /// How the API server reaches us.
    pub endpoint: Endpoint,
    /// How long it waits, 1 to 30 seconds.
    pub timeout_seconds: i32,
    /// Refuse pods when we do not answer, rather than start them as they are.
    pub fail: bool,
    /// Labels on the object.
    pub labels: BTreeMap<String, String>,
    /// Which namespaces' objects are sent.
    pub namespaces: LabelSelector,
    /// The namespace of which nothing is sent but probes.
    pub probes_only: Option<String>,
    /// Ask again about a pod that another webhook changed after us, for example by adding a sidecar.
    pub reinvoke: bool,
}

/// What to do about the object that is there.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// It is as it should be.
    Nothing,
    /// There is none.
    Create(Box<MutatingWebhookConfiguration>),
    /// A merge patch under the resourceVersion that was read.
    Patch {
        /// The patch.
        patch: Value,
        /// True when the CA bundle is all that differs.
        only_ca: bool,
    },
}

impl Registration {
    /// Makes the object what it should be, with `ca_bundle` (PEM) in it.
    pub async fn ensure(&self, calls: &Calls, ca_bundle: &str) -> Result<(), CallError> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(calls.client().clone());
        let found = calls
            .run("get the webhook configuration", api.get_opt(CONFIGURATION))
            .await?;
        let written = match self.step(found, ca_bundle) {
            Step::Nothing => return Ok(()),
            Step::Create(object) => calls
                .run(
                    "create the webhook configuration",
                    api.create(&PostParams::default(), &object),
                )
                .await
                .map(|_| {
                    tracing::info!(configuration = CONFIGURATION, "registered the webhook");
                }),
            Step::Patch { patch, only_ca } => {
                let (options, patch) = (PatchParams::default(), Patch::Merge(patch));
                let request = api.patch(CONFIGURATION, &options, &patch);
                calls
                    .run("patch the webhook configuration", request)
                    .await
                    .map(|_| {
                        if only_ca {
                            // Upstream's words: its end-to-end test waits for them.
                            tracing::info!(
                                configuration = CONFIGURATION,
                                "Successfully patched webhook with new client CA"
                            );
                        } else {
                            tracing::info!(
                                configuration = CONFIGURATION,
                                "brought the webhook's registration up to date"
                            );
                        }
                    })
            }
        };
        match written {
            // Another replica, or a person: the next round looks again.
            Err(error) if error.is_conflict() => {
                tracing::debug!(error = %error, "the webhook configuration changed meanwhile");
                Ok(())
            }
            other => other,
        }
    }

    /// What is to be done about `found`.
    pub fn step(&self, found: Option<MutatingWebhookConfiguration>, ca_bundle: &str) -> Step {
        let wanted = self.webhook(ca_bundle);
        let Some(found) = found else {
            return Step::Create(Box::new(MutatingWebhookConfiguration {
                metadata: ObjectMeta {
                    name: Some(CONFIGURATION.into()),
                    labels: Some(self.labels.clone()).filter(|labels| !labels.is_empty()),
                    annotations: Some(registration_mark()),
                    ..ObjectMeta::default()
                },
                webhooks: Some(vec![wanted]),
            }));
        };
        let ours = is_ours(&found.metadata);
        let labels = found.metadata.labels.unwrap_or_default();
        let foreign = labels.contains_key(MANAGED_BY) && !self.labels.contains_key(MANAGED_BY);
        if foreign && !ours {
            // Another VPA's, which somebody else installed: neither its webhook nor its CA is ours to change.
            return Step::Nothing;
        }
        let mut webhooks = found.webhooks.unwrap_or_default();
        let Some(present) = webhooks.iter_mut().find(|webhook| webhook.name == WEBHOOK) else {
            webhooks.push(wanted);
            return patch(
                found.metadata.resource_version.as_deref(),
                Some(&self.labels),
                &webhooks,
                false,
            );
        };
        let mut mended = present.clone();
        mended
            .client_config
            .ca_bundle
            .clone_from(&wanted.client_config.ca_bundle);
        let labelled = foreign
            || ours
                && self
                    .labels
                    .iter()
                    .all(|(key, value)| labels.get(key) == Some(value));
        let only_ca = foreign || (mended == wanted && labelled);
        if !foreign {
            mended = wanted;
        }
        if *present == mended && labelled {
            return Step::Nothing;
        }
        *present = mended;
        let new_labels = if foreign { None } else { Some(&self.labels) };
        patch(
            found.metadata.resource_version.as_deref(),
            new_labels,
            &webhooks,
            only_ca,
        )
    }

    /// Our entry, with everything the API server would default spelled out, so that an unchanged one compares equal.
    fn webhook(&self, ca_bundle: &str) -> MutatingWebhook {
        let mut client_config = WebhookClientConfig {
            ca_bundle: Some(ByteString(ca_bundle.as_bytes().to_vec())),
            ..WebhookClientConfig::default()
        };
        match &self.endpoint {
            Endpoint::Url(url) => client_config.url = Some(url.clone()),
            Endpoint::Service {
                namespace,
                name,
                port,
            } => {
                client_config.service = Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    port: Some((*port).into()),
                    path: None,
                });
            }
        }
        MutatingWebhook {
            name: WEBHOOK.into(),
            admission_review_versions: vec!["v1".into()],
            side_effects: "None".into(),
            failure_policy: Some(if self.fail { "Fail" } else { "Ignore" }.into()),
            match_policy: Some("Equivalent".into()),
            reinvocation_policy: Some(if self.reinvoke { "IfNeeded" } else { "Never" }.into()),
            timeout_seconds: Some(self.timeout_seconds),
            namespace_selector: Some(self.namespaces.clone()),
            object_selector: Some(LabelSelector::default()),
            rules: Some(vec![
                rule("", "v1", "pods", &["CREATE"]),
                rule(
                    "autoscaling.k8s.io",
                    "*",
                    "verticalpodautoscalers",
                    &["CREATE", "UPDATE"],
                ),
            ]),
            match_conditions: Some(
                std::iter::once(MatchCondition {
                    name: "pods-of-a-controller".into(),
                    expression: PODS_OF_A_CONTROLLER.into(),
                })
                .chain(self.probes_only.as_deref().map(probes_only))
                .collect(),
            ),
            client_config,
        }
    }
}

fn rule(group: &str, version: &str, resource: &str, operations: &[&str]) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![group.into()]),
        api_versions: Some(vec![version.into()]),
        resources: Some(vec![resource.into()]),
        operations: Some(
            operations
                .iter()
                .map(|operation| (*operation).into())
                .collect(),
        ),
        scope: Some("*".into()),
    }
}

fn patch(
    resource_version: Option<&str>,
    labels: Option<&BTreeMap<String, String>>,
    webhooks: &[MutatingWebhook],
    only_ca: bool,
) -> Step {
    let mut metadata = json!({"resourceVersion": resource_version});
    if let Some(labels) = labels {
        metadata["annotations"] = json!(registration_mark());
        if !labels.is_empty() {
            metadata["labels"] = json!(labels);
        }
    }
    Step::Patch {
        patch: json!({"metadata": metadata, "webhooks": webhooks}),
        only_ca,
    }
}

/// The namespaces that `options` cover, by the label that every namespace carries; and our own when nothing of it is to be
/// sent but the updater's probes ([`podfit_cluster::probe`]).
///
/// With `fail` that is so, too: the pods of a webhook that is down would wait for it to come up.
pub fn namespaces(
    options: &ClusterOptions,
    fail: bool,
    own: &str,
) -> (LabelSelector, Option<String>) {
    let named = |operator: &str, names: BTreeSet<&str>| LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: NAMESPACE_NAME.into(),
            operator: operator.into(),
            values: Some(names.into_iter().map(String::from).collect()),
        }]),
        match_labels: None,
    };
    let only = options.vpa_object_namespace.as_str();
    if !only.is_empty() {
        let selector = named("In", [only, own].into());
        return (selector, (only != own).then(|| own.into()));
    }
    let ignored = options
        .ignored_vpa_object_namespaces
        .iter()
        .map(String::as_str);
    let mut left_out: BTreeSet<_> = ignored.filter(|name| !name.is_empty()).collect();
    let probes_only = left_out.remove(own) || fail;
    let selector = if left_out.is_empty() {
        LabelSelector::default()
    } else {
        named("NotIn", left_out)
    };
    (selector, probes_only.then(|| own.into()))
}

/// Which objects of `namespace` the API server asks about, and that it asks about those of all others. The chart has the
/// same text.
fn probes_only(namespace: &str) -> MatchCondition {
    MatchCondition {
        name: "own-namespace-probes-only".into(),
        expression: format!(
            "request.namespace != '{namespace}' || (has(object.metadata.labels) && '{PROBE}' in object.metadata.labels)"
        ),
    }
}

#[cfg(test)]
mod tests;
