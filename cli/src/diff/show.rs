//! A comparison as text, Markdown, CSV and JSON.

use std::fmt::Write as _;

use podfit_core::quantity::Resource;
use serde_json::{Value, json};

use super::compare::{Comparison, Number};
use crate::table::{Table, signed};

/// For people.
pub fn text(comparison: &Comparison) -> String {
    all(comparison, "", Table::text)
}

/// The same for a page.
pub fn markdown(comparison: &Comparison) -> String {
    all(comparison, "\n", Table::markdown)
}

fn all(comparison: &Comparison, gap: &str, table: impl Fn(&Table) -> String) -> String {
    let mut text = String::new();
    for source in &comparison.sources {
        let _ = writeln!(text, "podfit's numbers told by {source}{gap}");
    }
    for remark in &comparison.remarks {
        let _ = writeln!(text, "note: {remark}{gap}");
    }
    if !comparison.numbers.is_empty() {
        let _ = writeln!(text, "\n{}", table(&number_table(comparison)));
    }
    text + &summary(comparison)
}

fn number_table(comparison: &Comparison) -> Table {
    let header = [
        "NAMESPACE",
        "VPA",
        "CONTAINER",
        "RESOURCE",
        "PUBLISHED",
        "PODFIT",
        "DIFFERENCE",
        "BUCKETS",
        "PODFIT'S REASON",
    ];
    let mut table = Table::new(&header).right(&[4, 5, 6, 7]);
    for number in &comparison.numbers {
        let shown = |amount: Option<i64>| {
            amount.map_or_else(|| "-".into(), |amount| number.resource.show(amount))
        };
        let relative = number.relative();
        let relative = relative.map(|fraction| format!("{:+.1} %", fraction * 100.0));
        let buckets = number.buckets().map(|buckets| format!("{buckets:+}"));
        table.row(vec![
            number.namespace.clone(),
            number.vpa.clone(),
            number.container.clone(),
            number.resource.name().into(),
            shown(number.published),
            shown(number.podfit),
            relative.unwrap_or_default(),
            buckets.unwrap_or_default(),
            number.reason.words.clone(),
        ]);
    }
    table
}

fn summary(comparison: &Comparison) -> String {
    let count = comparison.count();
    let mut text = format!(
        "{} VPAs, {} numbers: {} within the tolerance, {} beyond it, {} that only podfit has, {} that are only published\n",
        comparison.vpas,
        comparison.numbers.len(),
        count.same,
        count.moved,
        count.only_podfit,
        count.only_published
    );
    let [cpu, memory] = Resource::ALL.map(|r| signed(r, comparison.more(r)));
    let _ = writeln!(
        text,
        "Where both have one, running pods would request {cpu} of cpu and {memory} of memory with podfit's"
    );
    text
}

/// A line a number; amounts in millicores and bytes.
pub fn csv(comparison: &Comparison) -> String {
    let mut text = String::from(
        "namespace,vpa,container,resource,published,podfit,relative,buckets,pods,reason\n",
    );
    for n in &comparison.numbers {
        let cell = |number: Option<String>| number.unwrap_or_default();
        let amount = |amount: Option<i64>| cell(amount.map(|a| a.to_string()));
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{}",
            n.namespace,
            n.vpa,
            n.container,
            n.resource.name(),
            amount(n.published),
            amount(n.podfit),
            cell(n.relative().map(|fraction| format!("{fraction:.4}"))),
            amount(n.buckets()),
            n.pods,
            n.reason.code,
        );
    }
    text
}

/// Everything.
pub fn json(comparison: &Comparison) -> Value {
    let number = |n: &Number| {
        json!({
            "namespace": n.namespace, "vpa": n.vpa, "container": n.container,
            "resource": n.resource.name(), "published": n.published, "podfit": n.podfit,
            "relativeDifference": n.relative(), "buckets": n.buckets(), "pods": n.pods,
            "differs": n.moves(comparison.tolerance),
            "reason": n.reason.code, "message": n.reason.words,
        })
    };
    let count = comparison.count();
    json!({
        "vpas": comparison.vpas,
        "tolerance": comparison.tolerance,
        "sources": comparison.sources,
        "remarks": comparison.remarks,
        "same": count.same,
        "moved": count.moved,
        "onlyPodfit": count.only_podfit,
        "onlyPublished": count.only_published,
        "moreCpuMillicores": comparison.more(Resource::Cpu),
        "moreMemoryBytes": comparison.more(Resource::Memory),
        "numbers": comparison.numbers.iter().map(number).collect::<Vec<_>>(),
    })
}
