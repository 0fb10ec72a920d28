//! The MutatingWebhookConfiguration through which the API server asks us: made when it is missing, mended when it is
//! wrong, never deleted, so that there is no moment without it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_cluster::calls::{CallError, Calls};

/// Upstream's names, so that there is one or the other in a cluster, not both.
pub const CONFIGURATION: &str = "vpa-webhook-config";
/// The webhook's name in the configuration.
pub const WEBHOOK: &str = "vpa.k8s.io";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const OURSELVES: &str = "podfit-webhook";

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
    /// At a fixed place.
    Url {
        /// A host name or an IP address.
        host: String,
        /// Its port.
        port: u16,
    },
}

impl Endpoint {
    /// From `--webhook-address` and `--webhook-port`: the address may begin with `https://`, and an empty port is
    /// `default_port`.
    pub fn at(address: &str, port: &str, default_port: u16) -> Result<Self, String> {
        let host = address.strip_prefix("https://").unwrap_or(address);
        let host = host
            .trim_end_matches('/')
            .trim_matches(|c| c == '[' || c == ']');
        let is_name = host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
        if host.is_empty() || !(is_name || host.parse::<IpAddr>().is_ok()) {
            return Err(format!(
                "--webhook-address `{address}` is not a host; write it like 10.0.0.5 or https://webhook.example"
            ));
        }
        let port = match port {
            "" => default_port,
            port => port
                .parse()
                .map_err(|_| format!("--webhook-port `{port}` is not a port"))?,
        };
        Ok(Self::Url {
            host: host.to_owned(),
            port,
        })
    }

    /// The names that the certificate must be for. The first is the one that the API server asks for.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Service {
                namespace, name, ..
            } => vec![
                format!("{name}.{namespace}.svc"),
                name.clone(),
                format!("{name}.{namespace}"),
                format!("{name}.{namespace}.svc.cluster.local"),
            ],
            Self::Url { host, .. } => vec![host.clone()],
        }
    }

    fn client_config(&self, ca_bundle: &str) -> WebhookClientConfig {
        let ca_bundle = Some(ByteString(ca_bundle.as_bytes().to_vec()));
        match self {
            Self::Service {
                namespace,
                name,
                port,
            } => WebhookClientConfig {
                ca_bundle,
                service: Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    path: None,
                    port: Some(i32::from(*port)),
                }),
                url: None,
            },
            Self::Url { host, port } => WebhookClientConfig {
                ca_bundle,
                service: None,
                url: Some(match host.parse() {
                    Ok(IpAddr::V6(address)) => format!("https://[{address}]:{port}"),
                    _ => format!("https://{host}:{port}"),
                }),
            },
        }
    }
}

/// What is registered.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Where we are.
    pub endpoint: Endpoint,
    /// How long the API server waits, 1 to 30.
    pub timeout_seconds: i32,
    /// Whether a pod is refused when we do not answer.
    pub fail: bool,
    /// Labels for the configuration.
    pub labels: BTreeMap<String, String>,
    /// The only namespace looked at; empty for all.
    pub only_namespace: String,
    /// Namespaces not looked at.
    pub ignored_namespaces: Vec<String>,
    /// Where we run.
    pub own_namespace: String,
}

impl Registration {
    /// Makes the configuration right for `ca_bundle`. True when it had to be written.
    pub async fn ensure(&self, calls: &Calls, ca_bundle: &str) -> Result<bool, CallError> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(calls.client().clone());
        let options = PostParams::default();
        let found = calls
            .run("get the webhook configuration", api.get_opt(CONFIGURATION))
            .await?;
        let wanted = self.wanted(found.as_ref(), ca_bundle);
        let written = match found {
            None => {
                let create = api.create(&options, &wanted);
                calls.run("create the webhook configuration", create).await
            }
            Some(found) if found == wanted => return Ok(false),
            // Under the resourceVersion that was read: a change by somebody else in between is not undone.
            Some(_) => {
                let update = api.replace(CONFIGURATION, &options, &wanted);
                calls.run("update the webhook configuration", update).await
            }
        };
        written.map(|_| true)
    }

    /// The configuration as it should be. Others' webhooks in it stay, and of one that somebody else manages everything
    /// but the CA bundle.
    fn wanted(
        &self,
        found: Option<&MutatingWebhookConfiguration>,
        ca_bundle: &str,
    ) -> MutatingWebhookConfiguration {
        let mut wanted = found
            .cloned()
            .unwrap_or_else(|| MutatingWebhookConfiguration {
                metadata: ObjectMeta {
                    name: Some(CONFIGURATION.into()),
                    ..ObjectMeta::default()
                },
                webhooks: None,
            });
        let labels = wanted.metadata.labels.get_or_insert_default();
        let managed_by_others = labels.get(MANAGED_BY).is_some_and(|who| who != OURSELVES);
        if !managed_by_others {
            labels.extend(self.labels.clone());
            labels.insert(MANAGED_BY.into(), OURSELVES.into());
        }
        let webhooks = wanted.webhooks.get_or_insert_default();
        match webhooks.iter_mut().find(|webhook| webhook.name == WEBHOOK) {
            Some(ours) if managed_by_others => {
                ours.client_config.ca_bundle = Some(ByteString(ca_bundle.as_bytes().to_vec()));
            }
            Some(ours) => *ours = self.webhook(ca_bundle),
            None => webhooks.push(self.webhook(ca_bundle)),
        }
        wanted
    }

    /// Everything that the API server would fill in stands here, so that what it stores equals what was written.
    fn webhook(&self, ca_bundle: &str) -> MutatingWebhook {
        MutatingWebhook {
            admission_review_versions: vec!["v1".into()],
            client_config: self.endpoint.client_config(ca_bundle),
            failure_policy: Some(if self.fail { "Fail" } else { "Ignore" }.into()),
            match_conditions: None,
            match_policy: Some("Equivalent".into()),
            name: WEBHOOK.into(),
            namespace_selector: Some(self.namespace_selector()),
            object_selector: Some(LabelSelector::default()),
            reinvocation_policy: Some("Never".into()),
            rules: Some(vec![
                rule("", "v1", "pods", &["CREATE"]),
                rule(
                    "autoscaling.k8s.io",
                    "*",
                    "verticalpodautoscalers",
                    &["CREATE", "UPDATE"],
                ),
            ]),
            side_effects: "None".into(),
            timeout_seconds: Some(self.timeout_seconds),
        }
    }

    fn namespace_selector(&self) -> LabelSelector {
        let (operator, values) = if self.only_namespace.is_empty() {
            let mut values: Vec<String> = self.ignored_namespaces.clone();
            values.retain(|namespace| !namespace.is_empty());
            if self.fail && !values.contains(&self.own_namespace) {
                // Or a webhook that is down could never come back: its own pods would wait for it.
                values.push(self.own_namespace.clone());
            }
            ("NotIn", values)
        } else {
            ("In", vec![self.only_namespace.clone()])
        };
        if values.is_empty() {
            return LabelSelector::default();
        }
        LabelSelector {
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: "kubernetes.io/metadata.name".into(),
                operator: operator.into(),
                values: Some(values),
            }]),
            match_labels: None,
        }
    }
}

fn rule(group: &str, version: &str, resource: &str, operations: &[&str]) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![group.into()]),
        api_versions: Some(vec![version.into()]),
        operations: Some(operations.iter().map(|&o| o.into()).collect()),
        resources: Some(vec![resource.into()]),
        scope: Some("*".into()),
    }
}

/// Labels from `key1:value1,key2:value2`, perhaps in quotes. As upstream: none at all, and a warning, when one is wrong.
pub fn labels(text: &str) -> BTreeMap<String, String> {
    let text = text.trim_matches(|c| c == '"' || c == '\'').trim();
    if text.is_empty() {
        return BTreeMap::new();
    }
    let pair = |part: &str| {
        let (key, value) = part.split_once(':')?;
        let (key, value) = (key.trim(), value.trim());
        (!key.is_empty() && !value.contains(':')).then(|| (key.to_owned(), value.to_owned()))
    };
    text.split(',')
        .map(pair)
        .collect::<Option<_>>()
        .unwrap_or_else(|| {
            tracing::warn!(
                labels = text,
                "--webhook-labels is not like key1:value1,key2:value2; no labels set"
            );
            BTreeMap::new()
        })
}
