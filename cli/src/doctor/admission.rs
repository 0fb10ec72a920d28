//! The way of a new pod through the webhook: registered, trusted, reached, answered.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::check::Check;
use super::facts::{Chain, Facts};
use super::gather::days_left;
use crate::objects::Answer;

/// The name of the configuration, in podfit as in upstream.
pub const CONFIGURATION: &str = "vpa-webhook-config";

const DAY: Duration = Duration::from_hours(24);

/// podfit renews in time; what is closer to its end than this was not.
const SOON: Duration = Duration::from_hours(7 * 24);

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    if facts.installation.is_shadow("webhook") {
        // A configuration of that name is another VPA's.
        checks.push(Check::ok(
            "new pods are sized",
            "not in shadow: no pod is sent to podfit",
        ));
        return;
    }
    let configuration = configuration(facts);
    checks.push(registered(facts, configuration));
    if let Some(configuration) = configuration {
        checks.push(trusted(facts, &configuration["webhooks"][0]));
        checks.extend(endpoints(facts, &configuration["webhooks"][0]));
    }
    checks.push(chain(facts));
    checks.push(certificate(facts));
}

/// The configuration under podfit's name.
pub fn configuration(facts: &Facts) -> Option<&Value> {
    configuration_of(&facts.webhooks, CONFIGURATION)
}

/// The configuration of that name.
pub fn configuration_of<'a>(webhooks: &'a Answer, name: &str) -> Option<&'a Value> {
    let mut all = webhooks.items();
    all.find(|c| c["metadata"]["name"] == name)
}

fn registered(facts: &Facts, configuration: Option<&Value>) -> Check {
    const WHAT: &str = "webhook registered";
    if let Some(why) = facts.webhooks.unknown() {
        return Check::unknown(WHAT, why);
    }
    let Some(configuration) = configuration else {
        return Check::fail(
            WHAT,
            format!(
                "there is no MutatingWebhookConfiguration {CONFIGURATION}: no new pod is sized"
            ),
            "upgrade the release with admissionController.enabled=true; the chart makes it",
        );
    };
    let webhook = &configuration["webhooks"][0];
    let policy = webhook["failurePolicy"].as_str().unwrap_or("Fail");
    let seconds = webhook["timeoutSeconds"].as_i64().unwrap_or(10);
    let finding = format!("{CONFIGURATION}, failurePolicy {policy}, {seconds} s to answer");
    if policy == "Fail" {
        let remedy = "no pod starts while the webhook is away; podfit's chart has Ignore";
        return Check::warn(WHAT, finding, remedy);
    }
    Check::ok(WHAT, finding)
}

fn trusted(facts: &Facts, webhook: &Value) -> Check {
    const WHAT: &str = "webhook's CA bundle";
    const ANEW: &str = "the webhook, or cert-manager, puts it there: look at its log";
    let bundle = webhook["clientConfig"]["caBundle"]
        .as_str()
        .unwrap_or_default();
    if bundle.is_empty() {
        return Check::fail(WHAT, "empty: the API server cannot trust the webhook", ANEW);
    }
    let pem = BASE64_STANDARD
        .decode(bundle)
        .map_err(|error| error.to_string());
    match pem.and_then(|pem| days_left(&pem, facts.at)) {
        Ok(left) if left.is_zero() => Check::fail(WHAT, "it has expired", ANEW),
        Ok(left) if left < SOON => Check::warn(WHAT, days("good for", left), ANEW),
        Ok(left) => Check::ok(WHAT, days("good for", left)),
        Err(why) => Check::fail(WHAT, format!("it cannot be read: {why}"), ANEW),
    }
}

fn days(what: &str, left: Duration) -> String {
    let days = left.as_secs() / DAY.as_secs();
    format!("{what} {days} days")
}

fn endpoints(facts: &Facts, webhook: &Value) -> Option<Check> {
    const WHAT: &str = "webhook's Service";
    let service = &webhook["clientConfig"]["service"];
    let name = format!(
        "{}/{}",
        service["namespace"].as_str().unwrap_or_default(),
        service["name"].as_str().unwrap_or_default()
    );
    let slices = facts.endpoints.as_ref()?;
    if let Some(why) = slices.unknown() {
        return Some(Check::unknown(WHAT, why));
    }
    let endpoints = slices
        .items()
        .flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let ready = endpoints.filter(|e| e["conditions"]["ready"] != false);
    let ready = ready.count();
    if ready > 0 {
        return Some(Check::ok(WHAT, format!("{name}, {ready} ready")));
    }
    let finding = format!("{name} has no pod that is ready");
    if facts.chain.is_ok() {
        let remedy = "the API server reaches the webhook all the same, otherwise than by its pods";
        return Some(Check::warn(WHAT, finding, remedy));
    }
    let remedy = "is the webhook running and ready? Does the Service select its pods?";
    Some(Check::fail(WHAT, finding, remedy))
}

fn chain(facts: &Facts) -> Check {
    const WHAT: &str = "new pods are sized";
    match &facts.chain {
        Ok(()) => Check::ok(
            WHAT,
            "a pod, created for show, came back as the webhook answered",
        ),
        Err(Chain::Broken(why)) => Check::fail(
            WHAT,
            format!("no: {why}"),
            "docs/install.md, \"When the control plane cannot reach pods\"",
        ),
        Err(Chain::NotTried(why)) => Check::warn(
            WHAT,
            format!("not tried: {why}"),
            format!(
                "it takes the right to create pods in namespace {}",
                facts.installation.namespace
            ),
        ),
    }
}

fn certificate(facts: &Facts) -> Check {
    const WHAT: &str = "webhook's certificate";
    const ANEW: &str = "to start anew: kubectl patch secret podfit-webhook-tls --type json -p \
        '[{\"op\": \"remove\", \"path\": \"/data\"}]' in podfit's namespace; or look at cert-manager";
    match &facts.certificate {
        Ok(left) if left.is_zero() => Check::fail(WHAT, "it has expired", ANEW),
        Ok(left) if *left < SOON => Check::warn(WHAT, days("good for", *left), ANEW),
        Ok(left) => Check::ok(WHAT, days("good for", *left)),
        Err(why) => Check::unknown(WHAT, why),
    }
}
