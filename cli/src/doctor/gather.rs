//! Asks the cluster for all that `doctor` judges.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use podfit_cluster::api::time::now;
use podfit_cluster::calls::Calls;
use podfit_cluster::probe::{self, NotProven};
use podfit_cluster::prometheus::PrometheusOptions;
use podfit_core::time::Timestamp;
use x509_parser::pem::Pem;

use super::admission::{CONFIGURATION, configuration_of};
use super::facts::{Chain, Facts};
use super::rights::{Missing, Work, questions};
use crate::connection::Connection;
use crate::installation::{COMPONENTS, Installation};
use crate::objects::{self, Answer};
use crate::progress::Progress;
use crate::workloads;

/// How many rights are asked about at once.
const AT_ONCE: usize = 8;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// All facts. What cannot be asked is a fact, too.
pub async fn facts(
    connection: &Connection,
    prometheus: &PrometheusOptions,
    progress: &Progress,
) -> Facts {
    let calls = &connection.calls;
    let ask = |path: &'static str| objects::get(calls, path);
    let list = |path: &'static str| objects::list(calls, path);
    progress.say("asking the API server what it has");
    let (vpa, checkpoint) = ("verticalpodautoscalers", "verticalpodautoscalercheckpoints");
    let definition = async |kind: &'static str| {
        let path = format!("{DEFINITIONS}/{kind}.autoscaling.k8s.io");
        (kind, objects::get(calls, &path).await)
    };
    let (version, core, vpa_api, vpa, checkpoint, metrics) = tokio::join!(
        ask("/version"),
        ask("/api/v1"),
        ask("/apis/autoscaling.k8s.io/v1"),
        definition(vpa),
        definition(checkpoint),
        list("/apis/metrics.k8s.io/v1beta1/pods"),
    );
    progress.say("looking at podfit");
    let installation = Installation::find(calls, &connection.podfit_namespace).await;
    let flag = installation.flag("recommender", "vpa-object-namespace", "");
    let looked_at = connection.namespace.as_deref().unwrap_or(&flag);
    let hpas = in_namespace(
        "/apis/autoscaling/v2",
        looked_at,
        "horizontalpodautoscalers",
    );
    let scaled_objects = in_namespace("/apis/keda.sh/v1alpha1", looked_at, "scaledobjects");
    let (deployments, leases, webhooks, hpas, scaled_objects) = tokio::join!(
        list("/apis/apps/v1/deployments"),
        leases(calls, &installation.namespace),
        list("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"),
        objects::list(calls, &hpas),
        objects::list(calls, &scaled_objects),
    );
    progress.say("trying out a new pod");
    let (endpoints, chain, certificate) = tokio::join!(
        endpoints(calls, &webhooks),
        chain(calls, &installation.namespace),
        certificate(calls, &installation),
    );
    let mut rights = BTreeMap::new();
    for component in COMPONENTS {
        progress.say(&format!("asking for the {component}'s rights"));
        if let Some(account) = installation.account(component) {
            let in_shadow = installation.is_shadow(component);
            let work = Work {
                in_shadow,
                opts_in: !in_shadow && installation.opts_in(),
                keda: matches!(scaled_objects, Answer::Found(_)),
            };
            let place = (component, account.as_str());
            rights.insert(component, missing(calls, &installation, place, work).await);
        }
    }
    let (index, not_read) = workloads::list(connection, &installation, progress).await;
    progress.say("asking Prometheus, and for pods of nobody");
    let (prometheus, bare_pods) = tokio::join!(
        super::prometheus::ask(&installation, prometheus, &index),
        super::bare_pods::ask(calls, &index),
    );
    Facts {
        at: now(),
        version,
        core,
        crds: [vpa, checkpoint],
        vpa_api,
        metrics,
        prometheus,
        installation,
        deployments,
        leases,
        webhooks,
        endpoints,
        chain,
        certificate,
        rights,
        index,
        not_read,
        bare_pods,
        hpas,
        scaled_objects,
    }
}

/// The objects of the namespace whose workloads are looked at, or of all when it is empty: what an HPA of another scales would
/// be missed among them.
fn in_namespace(api: &str, namespace: &str, plural: &str) -> String {
    match namespace {
        "" => format!("{api}/{plural}"),
        one => format!("{api}/namespaces/{one}/{plural}"),
    }
}

/// All leases; podfit's own where others may not be listed.
async fn leases(calls: &Calls, namespace: &str) -> Answer {
    const API: &str = "/apis/coordination.k8s.io/v1";
    match objects::list(calls, &format!("{API}/leases")).await {
        Answer::Denied(_) => {
            objects::list(calls, &format!("{API}/namespaces/{namespace}/leases")).await
        }
        answer => answer,
    }
}

/// The addresses of the Service that the webhook configuration names.
async fn endpoints(calls: &Calls, webhooks: &Answer) -> Option<Answer> {
    let configuration = configuration_of(webhooks, CONFIGURATION)?;
    let service = &configuration["webhooks"][0]["clientConfig"]["service"];
    let (namespace, name) = (service["namespace"].as_str()?, service["name"].as_str()?);
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{name}"
    );
    Some(objects::get(calls, &path).await)
}

async fn chain(calls: &Calls, namespace: &str) -> Result<(), Chain> {
    let proven = probe::check(calls, namespace).await;
    proven.map_err(|error| match error {
        NotProven::NotTried(error) => Chain::NotTried(error.to_string()),
        NotProven::NotApplied(why) => Chain::Broken(why.into()),
    })
}

/// As the webhook itself tells it; else from its Secret.
async fn certificate(calls: &Calls, installation: &Installation) -> Result<Duration, String> {
    const METRIC: &str = "podfit_webhook_certificate_days_to_expiry ";
    let pod = installation.ready_pods("webhook").next();
    let mut why = "no pod of the webhook is ready".to_owned();
    if let Some(pod) = pod {
        let path = format!("{}/metrics", installation.proxy("webhook", pod));
        match objects::get_text(calls, &path).await {
            Ok(text) => {
                let mut lines = text.lines();
                let days = lines.find_map(|line| line.strip_prefix(METRIC));
                if let Some(days) = days.and_then(|days| days.trim().parse::<f64>().ok()) {
                    return Ok(Duration::from_secs_f64((days * 86_400.0).max(0.0)));
                }
                why = "its metrics do not tell".into();
            }
            Err(error) => why = error,
        }
    }
    let name = installation.flag("webhook", "certificate-secret", "podfit-webhook-tls");
    let path = format!(
        "/api/v1/namespaces/{}/secrets/{name}",
        installation.namespace
    );
    let secret = objects::get(calls, &path).await;
    let certificate = secret.found().and_then(|secret| {
        let data = secret["data"].as_object()?;
        ["tls.crt", "serverCert.pem"]
            .iter()
            .find_map(|key| data.get(*key)?.as_str())
    });
    let Some(certificate) = certificate else {
        let secret = secret
            .unknown()
            .unwrap_or("its Secret is not there, or empty");
        return Err(format!("{why}; {secret}"));
    };
    let pem = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, certificate);
    days_left(&pem.map_err(|error| error.to_string())?, now())
}

/// For how long all certificates in `pem` are valid yet.
pub fn days_left(pem: &[u8], at: Timestamp) -> Result<Duration, String> {
    let mut least = None;
    for block in Pem::iter_from_buffer(pem) {
        let block = block.map_err(|error| error.to_string())?;
        let certificate = block.parse_x509().map_err(|error| error.to_string())?;
        let ends = certificate.validity().not_after.timestamp();
        let left = Timestamp::from_unix_seconds(ends).since(at);
        least = Some(least.map_or(left, |least: Duration| least.min(left)));
    }
    least.ok_or_else(|| "there is no certificate in it".into())
}

/// The rights that a component lacks.
async fn missing(
    calls: &Calls,
    installation: &Installation,
    (component, account): (&str, &str),
    work: Work,
) -> Result<Vec<Missing>, String> {
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let workloads = installation.flag(component, "vpa-object-namespace", "");
    let place = (installation.namespace.as_str(), account);
    let questions = questions(component, place, &workloads, work);
    let ask = async |question: super::rights::Question| {
        let answer = objects::post(calls, REVIEWS, &question.review).await;
        match (&answer, answer.unknown()) {
            (_, Some(why)) => Err(why.to_owned()),
            (Answer::Found(review), _) if review["status"]["allowed"] == true => Ok(None),
            _ => Ok(Some(question.about)),
        }
    };
    let mut answers = futures::stream::iter(questions).map(ask).buffered(AT_ONCE);
    let mut missing = Vec::new();
    while let Some(answer) = answers.next().await {
        missing.extend(answer?);
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::in_namespace;

    #[test]
    fn autoscalers_are_looked_at_where_their_workloads_are() {
        let path = |namespace| in_namespace("/apis/autoscaling/v2", namespace, "hpas");
        assert_eq!(path(""), "/apis/autoscaling/v2/hpas");
        assert_eq!(path("shop"), "/apis/autoscaling/v2/namespaces/shop/hpas");
    }
}
