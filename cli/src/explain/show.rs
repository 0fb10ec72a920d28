//! An explanation for people.

use std::fmt::Write as _;

use podfit_cluster::api::quantity::amount;
use podfit_core::opt_in::settings;
use podfit_core::quantity::Resource;
use serde_json::Value;

use super::bars::{Bar, draw};
use super::{Explained, horizontal, mode_in_words, next, runs};
use crate::evidence::derivation;
use crate::plan::word;

/// More pods than this are counted, not listed.
const PODS_SHOWN: usize = 8;

/// Everything, in the order in which one asks.
pub fn text(explained: &Explained) -> String {
    let (vpa, evidence) = (&explained.vpa, &explained.evidence);
    let mut text = String::new();
    let target = evidence.explanation["target"].as_str().unwrap_or("nothing");
    let _ = writeln!(
        text,
        "VPA {} sizes {target}, {} pods",
        vpa.key(),
        explained.pods
    );
    if let Some(managed) = &vpa.managed {
        let _ = writeln!(text, "made by podfit, as a label asks: {}", managed.mark);
        for (setting, value) in settings(managed.profile()) {
            let _ = writeln!(text, "  {setting}: {value}");
        }
    }
    let _ = writeln!(text, "told by {}", evidence.source);
    for remark in &explained.remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    if let Some(problem) = evidence.explanation["problem"].as_str() {
        let _ = writeln!(text, "it cannot be sized: {problem}");
    }
    let containers = evidence.explanation["containers"].as_array();
    for one in containers.into_iter().flatten() {
        text += &container(one, explained);
    }
    if containers.is_none_or(Vec::is_empty) {
        text += "\nno container has a history yet\n";
    }
    for target in explained.beside.targets(&evidence.explanation) {
        text += &horizontal::text(&target);
    }
    text += &what_follows(explained);
    text
}

fn container(one: &Value, explained: &Explained) -> String {
    let name = one["name"].as_str().unwrap_or_default();
    let mut text = format!("\ncontainer {name}: {} samples", one["samples"]);
    if let (Some(first), Some(last)) = (one["firstSample"].as_str(), one["lastSample"].as_str()) {
        let _ = write!(text, " from {first} to {last}");
    }
    text.push('\n');
    if let Some(floor) = one["outOfMemory"]["floor"].as_str() {
        let field = |name: &str| one["outOfMemory"][name].as_str().unwrap_or_default();
        let until = match field("until") {
            "" => "as long as that run is remembered".to_owned(),
            until => format!("until {until}"),
        };
        let killed = field("lastKill");
        let _ = writeln!(
            text,
            "  killed for memory at {killed}: at least {floor} {until}"
        );
        if one["outOfMemory"]["capped"] == true {
            text += "  not raised further: if it needs more than that, set minAllowed\n";
        }
    }
    if one["runs"].is_object() {
        text += &runs::text(&one["runs"]);
    }
    for resource in Resource::ALL {
        let numbers = &one["resources"][resource.name()];
        if numbers.is_object() {
            let of = (resource, one["runs"].is_object());
            text += &of_resource(name, of, numbers, explained);
        }
    }
    text
}

fn of_resource(
    container: &str,
    (resource, of_runs): (Resource, bool),
    numbers: &Value,
    explained: &Explained,
) -> String {
    let mut text = format!("  {}\n", resource.name());
    if numbers["controlled"] == false {
        text += "    left alone: the VPA's policy does not control it\n";
    }
    if let Some(claim) = explained.beside.claims.on(container, resource) {
        let _ = writeln!(
            text,
            "    recommended and not applied: HPA {} scales on {} % of what is requested (LeftToHpa)",
            claim.hpa.name, claim.utilization
        );
    }
    text += &draw(resource, &bars(container, resource, numbers, explained));
    for (name, number) in [
        ("target", &numbers["target"]),
        ("lower bound", &numbers["lowerBound"]),
        ("upper bound", &numbers["upperBound"]),
    ] {
        if number.is_object() {
            let _ = writeln!(text, "    {name}: {}", derivation(resource, number));
        }
    }
    text += &next::text(explained, (container, resource));
    if let Some(class) = numbers["class"]["words"].as_str() {
        let _ = writeln!(text, "    class: {class}");
    }
    let confidence = &numbers["confidence"];
    if confidence["low"] == true && !of_runs {
        let hours = |field: &str| confidence[field].as_f64().unwrap_or(0.0) / 3600.0;
        let _ = writeln!(
            text,
            "    confidence is low: {:.1} h of history of {:.0} h wanted, so bounds are wide",
            hours("ageSeconds"),
            hours("intervalSeconds")
        );
    }
    text
}

/// Request, percentiles of usage, recommendation.
fn bars(container: &str, resource: Resource, numbers: &Value, explained: &Explained) -> Vec<Bar> {
    let read = |value: &Value| amount(resource, value).ok();
    let mut bars = Vec::new();
    match explained
        .beside
        .requests
        .get(&(container.to_owned(), resource))
    {
        Some((least, most)) if least == most => bars.push(Bar::new("request", *most)),
        Some((least, most)) => {
            bars.push(Bar::new("least request", *least));
            bars.push(Bar::new("most request", *most));
        }
        None => {}
    }
    // Bounds and target start from different percentiles: what was used at each.
    for number in ["lowerBound", "target", "upperBound"] {
        let number = &numbers[number];
        let percentile = number["percentile"].as_f64().map(|p| p * 100.0);
        if let (Some(percentile), Some(used)) = (percentile, read(&number["ofSamples"])) {
            bars.push(Bar::new(&format!("usage, p{percentile:.0}"), used));
        }
    }
    let to = |name: &str| read(&numbers[name]["amount"]);
    bars.extend(to("target").map(|target| Bar::new("recommended", target)));
    if let (Some(lower), Some(upper)) = (to("lowerBound"), to("upperBound")) {
        bars.push(Bar::between("bounds", lower, upper));
    }
    bars
}

/// What is done with the pods, and what is in the way.
fn what_follows(explained: &Explained) -> String {
    let vpa = &explained.vpa;
    let mode = vpa.update_mode;
    let mut text = format!("\nnext: mode {}, {}\n", mode.name(), mode_in_words(mode));
    if let Err(why) = explained.next_pod {
        let _ = writeln!(text, "  new pods are left alone: {why}");
    }
    for decision in explained.decisions.iter().take(PODS_SHOWN) {
        let pod = &decision.pod.name;
        let (action, why) = (word(&decision.action), &decision.reason);
        let _ = writeln!(text, "  {action:<6}  {pod}: {why} ({})", why.code());
    }
    let hidden = explained.decisions.len().saturating_sub(PODS_SHOWN);
    if hidden > 0 {
        let _ = writeln!(
            text,
            "  and {hidden} pods more: kubectl podfit plan -o json"
        );
    }
    let told: Vec<_> = vpa
        .conditions
        .iter()
        .filter(|condition| {
            condition.status == "True" && condition.kind != "RecommendationProvided"
        })
        .collect();
    if !told.is_empty() {
        text += "conditions of the VPA:\n";
    }
    for condition in told {
        let reason = match condition.reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        let _ = writeln!(text, "  {}{reason}: {}", condition.kind, condition.message);
    }
    text
}
