//! What podfit needs of the cluster: versions, definitions, usage.

use std::time::Duration;

use podfit_cluster::api::time;
use serde_json::Value;

use super::check::Check;
use super::facts::Facts;
use crate::objects::Answer;

/// The oldest Kubernetes that podfit runs on, and the first that resizes pods in place.
const OLDEST: (u64, u64) = (1, 28);

/// Usage that is older than this is none.
const STALE: Duration = Duration::from_mins(5);

const APPLY_CRDS: &str =
    "helm show crds charts/podfit | kubectl apply --server-side --force-conflicts -f -";

/// Fields of VPAs that podfit reads or writes, as their schema has them.
const VPA_FIELDS: [&[&str]; 5] = [
    &["spec", "targetRef"],
    &["spec", "updatePolicy", "updateMode"],
    &["spec", "resourcePolicy", "containerPolicies"],
    &["spec", "recommenders"],
    &["status", "conditions"],
];

const CHECKPOINT_FIELDS: [&[&str]; 3] = [
    &["spec", "vpaObjectName"],
    &["status", "cpuHistogram"],
    &["status", "memoryHistogram"],
];

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    checks.push(version(&facts.version));
    checks.push(in_place(&facts.core));
    for (kind, crd) in &facts.crds {
        checks.push(definition(kind, crd, &facts.vpa_api));
    }
    checks.push(metrics(facts));
}

fn version(answer: &Answer) -> Check {
    const WHAT: &str = "Kubernetes";
    let Some(version) = answer.found() else {
        return Check::unknown(WHAT, answer.unknown().unwrap_or("no version"));
    };
    let number = |name: &str| {
        let digits = version[name].as_str().unwrap_or_default();
        let digits = digits.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse().unwrap_or(0)
    };
    let found: (u64, u64) = (number("major"), number("minor"));
    let name = version["gitVersion"].as_str().unwrap_or("unknown");
    if found < OLDEST {
        return Check::fail(
            WHAT,
            format!("{name} is too old"),
            "podfit needs Kubernetes 1.28 or later",
        );
    }
    Check::ok(WHAT, name)
}

fn in_place(core: &Answer) -> Check {
    const WHAT: &str = "in-place resize";
    let Some(resources) = core.found() else {
        return Check::unknown(WHAT, core.unknown().unwrap_or("no resources"));
    };
    let mut resources = resources["resources"].as_array().into_iter().flatten();
    if resources.any(|resource| resource["name"] == "pods/resize") {
        return Check::ok(WHAT, "pods can be resized while they run");
    }
    Check::warn(
        WHAT,
        "the API server has no pods/resize",
        "pods are evicted instead; from Kubernetes 1.33 on they are resized in place",
    )
}

fn definition(kind: &'static str, crd: &Answer, api: &Answer) -> Check {
    let what = if kind == "verticalpodautoscalers" {
        "VPA definition"
    } else {
        "checkpoint definition"
    };
    let crd = match crd {
        Answer::Found(crd) => crd,
        Answer::Absent => {
            return Check::fail(
                what,
                format!("{kind}.autoscaling.k8s.io is not installed"),
                APPLY_CRDS,
            );
        }
        // Definitions may be read by few; that the kind is served can be seen by all.
        Answer::Denied(why) | Answer::Failed(why) => {
            let resources = api.found().and_then(|api| api["resources"].as_array());
            let mut resources = resources.into_iter().flatten();
            return if resources.any(|resource| resource["name"] == kind) {
                Check::ok(
                    what,
                    format!("served at v1; its schema was not checked: {why}"),
                )
            } else {
                Check::fail(what, format!("{kind} are not served at v1"), APPLY_CRDS)
            };
        }
    };
    let versions = || crd["spec"]["versions"].as_array().into_iter().flatten();
    let Some(v1) = versions().find(|v| v["name"] == "v1" && v["served"] == true) else {
        return Check::fail(what, "v1 is not served", APPLY_CRDS);
    };
    let missing = missing_fields(kind, &v1["schema"]["openAPIV3Schema"]);
    if !missing.is_empty() {
        let finding = format!(
            "its schema lacks {}: they are dropped when written",
            missing.join(", ")
        );
        return Check::warn(what, finding, APPLY_CRDS);
    }
    let served: Vec<_> = versions()
        .filter(|v| v["served"] == true)
        .filter_map(|v| v["name"].as_str())
        .collect();
    Check::ok(what, format!("served at {}", served.join(", ")))
}

fn missing_fields(kind: &str, schema: &Value) -> Vec<String> {
    let field = |path: &[&str]| {
        let step = |schema: &'_ Value, name: &&str| schema["properties"][*name].clone();
        path.iter().fold(schema.clone(), |at, name| step(&at, name))
    };
    let fields: &[&[&str]] = if kind == "verticalpodautoscalers" {
        &VPA_FIELDS
    } else {
        &CHECKPOINT_FIELDS
    };
    let mut missing: Vec<_> = fields
        .iter()
        .filter(|path| field(path).is_null())
        .map(|path| path.join("."))
        .collect();
    let modes = &field(VPA_FIELDS[1])["enum"];
    if let Some(modes) = modes.as_array() {
        let absent = ["InPlaceOrRecreate", "InPlace"]
            .into_iter()
            .filter(|mode| !modes.iter().any(|m| m == mode));
        missing.extend(absent.map(|mode| format!("update mode {mode}")));
    }
    missing
}

fn metrics(facts: &Facts) -> Check {
    const WHAT: &str = "metrics API";
    const LOOK: &str =
        "install metrics-server, or look at its log: `kubectl top pods -A` must print numbers";
    match &facts.metrics {
        Answer::Denied(why) => return Check::unknown(WHAT, why),
        Answer::Failed(why) => {
            return Check::fail(WHAT, format!("it does not answer: {why}"), LOOK);
        }
        Answer::Absent => return Check::fail(WHAT, "metrics.k8s.io is not served", LOOK),
        Answer::Found(_) => {}
    }
    let times = facts
        .metrics
        .items()
        .filter_map(|pod| time::parse(pod["timestamp"].as_str()?));
    let (count, newest) = (facts.metrics.items().count(), times.max());
    match newest {
        None => Check::warn(WHAT, "it answers, and knows no pod", LOOK),
        Some(newest) if facts.at.since(newest) > STALE => {
            let age = facts.at.since(newest).as_secs();
            Check::fail(WHAT, format!("its newest numbers are {age} s old"), LOOK)
        }
        Some(newest) => {
            let age = facts.at.since(newest).as_secs();
            Check::ok(WHAT, format!("{count} pods seen, numbers {age} s old"))
        }
    }
}
