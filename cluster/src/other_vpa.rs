//! Whether another VPA installation acts in this cluster. While one does, podfit must not: two that write one status, evict
//! the same pods and size the same new ones undo each other's work.
//!
//! Upstream shows itself by its leases, which its admission controller always renews and its other programs with leader
//! election do, and by its webhook's registration. podfit uses the same names, so what is its own carries a mark: an
//! annotation that upstream neither writes nor removes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ObjectMeta;
use podfit_core::time::Timestamp;

mod lookout;

pub use lookout::{Lookout, OtherVpa};

/// The leases of upstream's three programs. Its Helm chart gives the updater's another name than the program does.
pub const LEASES: [&str; 4] = [
    "vpa-recommender-lease",
    "vpa-updater",
    "vpa-updater-lease",
    "vpa-admission-controller",
];

/// Upstream's registration of its webhook, as its admission controller makes it by itself. Its chart's has the release's name in
/// its own, and is not looked at: the lease of its admission controller tells more.
pub const CONFIGURATION: &str = "vpa-webhook-config";

/// On a lease: who of podfit held it last. Where that is not who holds it now, the holder is not podfit.
const HOLDER: &str = "podfit.dev/holder";

/// On a webhook configuration: it is podfit's.
const REGISTRATION: &str = "podfit.dev/registration";

/// For how long a renewal shows that somebody lives: upstream's updater trusts its admission controller for as long.
const LATELY: Duration = Duration::from_mins(1);

/// What shows that another VPA acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// A lease that somebody else renews.
    Lease {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Who.
        holder: String,
    },
    /// A webhook for pods that is not podfit's.
    Registration,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease {
                namespace,
                name,
                holder,
            } => write!(
                f,
                "{holder} renews lease {namespace}/{name}; stop the other VPA"
            ),
            Self::Registration => write!(
                f,
                "the MutatingWebhookConfiguration {CONFIGURATION} is not podfit's; stop the other VPA and delete it"
            ),
        }
    }
}

/// What was seen of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The leases of these names, of all namespaces that can be read.
    pub leases: Vec<Lease>,
    /// The registration of that name.
    pub configuration: Option<MutatingWebhookConfiguration>,
}

impl Facts {
    /// What shows at `now` that another VPA acts; `None` when nothing does. A lease says more than a registration, which may
    /// have been left behind.
    pub fn sign(&self, now: Timestamp) -> Option<Sign> {
        let lease = self.leases.iter().find(|lease| is_others(lease, now));
        if let Some(lease) = lease {
            let of = |text: &Option<String>| text.clone().unwrap_or_default();
            return Some(Sign::Lease {
                namespace: of(&lease.metadata.namespace),
                name: of(&lease.metadata.name),
                holder: holder(lease).to_owned(),
            });
        }
        let others = |c: &MutatingWebhookConfiguration| asks_about_pods(c) && !is_ours(&c.metadata);
        self.configuration
            .as_ref()
            .is_some_and(others)
            .then_some(Sign::Registration)
    }
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|s| s.holder_identity.as_deref())
        .unwrap_or_default()
}

/// True when somebody who is not podfit renewed `lease` lately.
pub fn is_others(lease: &Lease, now: Timestamp) -> bool {
    let holder = holder(lease);
    let annotations = lease.metadata.annotations.as_ref();
    let podfits = annotations.and_then(|a| a.get(HOLDER));
    let renewed = lease.spec.as_ref().and_then(|s| s.renew_time.as_ref());
    let renewed = renewed.map(|t| Timestamp::from_unix_millis(t.0.as_millisecond()));
    !holder.is_empty()
        && podfits.is_none_or(|podfits| podfits != holder)
        && renewed.is_some_and(|renewed| renewed + LATELY > now)
}

/// Marks a lease that podfit's `holder` writes.
pub fn mark_lease(metadata: &mut ObjectMeta, holder: &str) {
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(HOLDER.into(), holder.into());
}

fn asks_about_pods(configuration: &MutatingWebhookConfiguration) -> bool {
    let webhooks = configuration.webhooks.iter().flatten();
    let mut rules = webhooks.flat_map(|w| w.rules.iter().flatten());
    rules.any(|rule| {
        let resources = rule.resources.iter().flatten();
        resources.clone().any(|r| r == "pods" || r == "*")
    })
}

/// True when a webhook configuration carries podfit's mark.
pub fn is_ours(metadata: &ObjectMeta) -> bool {
    let annotations = metadata.annotations.as_ref();
    annotations.is_some_and(|a| a.contains_key(REGISTRATION))
}

/// The annotations that mark a webhook configuration as podfit's. The chart has the same.
pub fn registration_mark() -> BTreeMap<String, String> {
    [(REGISTRATION.to_owned(), "podfit-webhook".to_owned())].into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    /// A lease that was renewed so many seconds ago.
    fn lease(holder: &str, podfits: Option<&str>, ago: i64) -> Lease {
        let at = k8s_openapi::jiff::Timestamp::from_second(NOW - ago).unwrap();
        let annotations = podfits.map_or(json!({}), |p| json!({ HOLDER: p }));
        serde_json::from_value(json!({
            "metadata": {"namespace": "kube-system", "name": "vpa-updater", "annotations": annotations},
            "spec": {"holderIdentity": holder, "renewTime": format!("{at:.6}")},
        }))
        .unwrap()
    }

    fn configuration(annotations: &Value, resource: &str) -> MutatingWebhookConfiguration {
        serde_json::from_value(json!({
            "metadata": {"name": CONFIGURATION, "annotations": annotations},
            "webhooks": [{
                "name": "vpa.k8s.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "clientConfig": {},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE"]}],
            }],
        }))
        .unwrap()
    }

    #[test]
    fn a_lease_is_others_when_its_holder_is_not_podfit_and_lives() {
        let rows = [
            (lease("a", None, 5), true),
            (lease("a", None, 59), true),
            (lease("a", None, 60), false),
            (lease("", None, 5), false),
            (lease("a", Some("a"), 5), false),
            // Upstream took over a lease that podfit held, and left its annotation.
            (lease("b", Some("a"), 5), true),
            (lease("b", Some("a"), 500), false),
            (Lease::default(), false),
        ];
        let now = Timestamp::from_unix_seconds(NOW);
        for (lease, others) in rows {
            assert_eq!(is_others(&lease, now), others, "{lease:?}");
        }
    }

    #[test]
    fn a_marked_lease_is_podfits() {
        let mut lease = lease("a", None, 5);
        mark_lease(&mut lease.metadata, "a");
        assert!(!is_others(&lease, Timestamp::from_unix_seconds(NOW)));
    }

    #[test]
    fn what_shows_another_vpa_is_told() {
        let now = Timestamp::from_unix_seconds(NOW);
        let told = |leases: &[Lease], configuration: Option<MutatingWebhookConfiguration>| {
            let facts = Facts {
                leases: leases.to_vec(),
                configuration,
            };
            facts.sign(now).map(|sign| sign.to_string())
        };
        assert_eq!(told(&[], None), None);
        let ours = json!(registration_mark());
        assert_eq!(told(&[], Some(configuration(&ours, "pods"))), None);
        let of_vpas = configuration(&json!({}), "verticalpodautoscalers");
        assert_eq!(told(&[], Some(of_vpas)), None);
        let upstreams = configuration(&json!({"a": "b"}), "pods");
        let registration = told(&[], Some(upstreams.clone())).unwrap();
        assert!(registration.contains("vpa-webhook-config"));
        let leases = [lease("p", Some("p"), 1), lease("vpa-updater-7f", None, 1)];
        let lease = told(&leases, Some(upstreams)).unwrap();
        assert!(lease.starts_with("vpa-updater-7f renews lease kube-system/vpa-updater"));
    }

    /// The chart registers, too, and its roles name what is looked at.
    #[test]
    fn the_chart_has_the_same_names() {
        let registration = include_str!("../../charts/podfit/templates/webhook-configuration.yaml");
        assert!(registration.contains(REGISTRATION));
        let rules = include_str!("../../charts/podfit/templates/_rules.tpl");
        assert!(rules.contains(&format!("resourceNames: [{}]", LEASES.join(", "))));
        assert!(rules.contains(&format!("resourceNames: [{CONFIGURATION}]")));
    }
}
