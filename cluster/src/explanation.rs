//! Explanations of recommendations, as JSON: what the recommender answers, and what is made from stored histories when it
//! does not.

pub mod horizontal;

use podfit_core::adaptive::Told;
use podfit_core::explanation::{
    ContainerExplanation, Derivation, OomFloorExplanation, ResourceExplanation, RunsExplanation,
};
use podfit_core::ownership::ControllerKey;
use podfit_core::quantity::{Resource, ResourceList};
use podfit_core::recommendation::Recommended;
use podfit_core::runs::Run;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;
use serde_json::{Map, Value, json};

use crate::api::quantity::to_json as list_to_json;
use crate::api::time;
use crate::api::vpa::recommendation_to_json;

/// Why `vpa` is recommended what it is. `problem`: why its target cannot be sized.
pub fn to_json(
    vpa: &Vpa,
    problem: Option<&str>,
    recommended: &Recommended,
    now: Timestamp,
) -> Value {
    let target = vpa.target.as_ref();
    let key = target.map(|target| ControllerKey::of(&vpa.namespace, target));
    let reasons: Vec<_> = recommended
        .reasons
        .iter()
        .map(ToString::to_string)
        .collect();
    let containers: Vec<_> = recommended
        .explanations
        .iter()
        .map(|c| container(c, now))
        .collect();
    json!({
        "namespace": vpa.namespace,
        "name": vpa.name,
        "at": time::format(now),
        "target": key.map(|key| key.to_string()),
        "problem": problem,
        "published": vpa.recommendation.as_deref().map(recommendation_to_json),
        "reasons": reasons,
        "containers": containers,
    })
}

fn container(explained: &ContainerExplanation, now: Timestamp) -> Value {
    let resources: Map<_, _> = explained
        .resources
        .iter()
        .map(|r| (r.resource.name().to_owned(), resource(r)))
        .collect();
    json!({
        "name": explained.container,
        "samples": explained.samples,
        "firstSample": explained.first_sample.map(time::format),
        "lastSample": explained.last_sample.map(time::format),
        "runs": explained.runs.as_ref().map(runs),
        "outOfMemory": explained.oom_floor.as_ref().map(|floor| oom_floor(floor, now)),
        "resources": resources,
    })
}

fn runs(explained: &RunsExplanation) -> Value {
    let run = |run: &Run| {
        let figure = |resource| Some(quantity(resource, run.figure(resource)?));
        json!({
            "started": time::format(run.started),
            "ended": time::format(run.until),
            "cpu": figure(Resource::Cpu),
            "memory": figure(Resource::Memory),
            "killedAt": run.killed.map(|(_, allowed)| quantity(Resource::Memory, allowed.0)),
            "samples": run.samples,
        })
    };
    json!({
        "most": explained.most,
        "underWay": explained.under_way,
        "unmeasured": explained.unmeasured,
        "last": explained.ended.iter().map(run).collect::<Vec<_>>(),
    })
}

fn oom_floor(explained: &OomFloorExplanation, now: Timestamp) -> Value {
    json!({
        "floor": quantity(Resource::Memory, explained.floor.bytes.0),
        "lastKill": time::format(explained.floor.at),
        "until": explained.until.map(time::format),
        "secondsLeft": explained.until.map(|until| until.since(now).as_secs()),
        "capped": explained.capped,
    })
}

fn resource(explained: &ResourceExplanation) -> Value {
    let number = |number: Option<&Derivation>| Some(derivation(explained.resource, number?));
    let confidence = explained.confidence;
    json!({
        "controlled": explained.controlled,
        "halfLifeSeconds": explained.half_life.as_secs(),
        "windowSeconds": explained.window.map(|window| window.as_secs()),
        "confidence": {
            "value": confidence.value(),
            "low": confidence.is_low(),
            "samples": confidence.samples,
            "ageSeconds": confidence.age.as_secs(),
            "intervalSeconds": confidence.interval.as_secs(),
        },
        "class": explained.class.map(class),
        "meanOfSamples": explained.mean.map(|mean| quantity(explained.resource, mean)),
        "target": number(explained.target.as_ref()),
        "lowerBound": number(explained.lower_bound.as_ref()),
        "upperBound": number(explained.upper_bound.as_ref()),
    })
}

fn class(told: Told) -> Value {
    json!({
        "name": told.class.code(),
        "confidence": told.confidence,
        "words": told.to_string(),
    })
}

/// From the percentile of the samples to the number, step by step.
fn derivation(resource: Resource, number: &Derivation) -> Value {
    let steps: Vec<_> = number
        .steps
        .iter()
        .map(|step| {
            json!({
                "cause": step.cause.code(),
                "why": step.cause.to_string(),
                "to": quantity(resource, step.to),
            })
        })
        .collect();
    json!({
        "percentile": number.percentile,
        "ofSamples": number.raw.map(|raw| quantity(resource, raw)),
        "steps": steps,
        "amount": quantity(resource, number.amount()),
        "uncapped": quantity(resource, number.uncapped()),
    })
}

/// An exact amount as Kubernetes writes it.
fn quantity(resource: Resource, amount: i64) -> Value {
    let mut list = ResourceList::default();
    list.set(resource, Some(amount));
    list_to_json(&list)[resource.name()].take()
}
