//! A plan as text, Markdown, CSV and JSON.

use std::fmt::Write as _;

use podfit_cluster::api::quantity::to_json;
use podfit_core::disruption::Decision;
use podfit_core::quantity::Resource;
use serde_json::{Value, json};

use super::prices::Prices;
use super::summary::{Amounts, Summary, changes, word};
use crate::table::{Table, signed};

/// Tables for people.
pub fn text(summary: &Summary, prices: Option<&Prices>) -> String {
    all(summary, prices, "", Table::text)
}

/// The same for a page.
pub fn markdown(summary: &Summary, prices: Option<&Prices>) -> String {
    all(summary, prices, "\n", Table::markdown)
}

fn all(
    summary: &Summary,
    prices: Option<&Prices>,
    gap: &str,
    table: impl Fn(&Table) -> String,
) -> String {
    let mut text = String::new();
    for remark in &summary.remarks {
        let _ = writeln!(text, "note: {remark}{gap}");
    }
    let (pods, workloads) = (summary.pods(), summary.workloads.len());
    let [evicted, resized, left] = summary.counts();
    let _ = writeln!(
        text,
        "{pods} pods under {workloads} VPAs that change running pods: {evicted} evicted now, {resized} resized, {left} left alone\n"
    );
    if pods == 0 {
        return text;
    }
    text += &table(&reasons(summary));
    text.push('\n');
    text += &table(&workload_table(summary));
    let _ = writeln!(
        text,
        "\nNow: {}{gap}\nIn the end, once budgets let all of it happen: {}",
        told(summary.now),
        told(summary.in_the_end)
    );
    for large in &summary.too_large {
        let _ = writeln!(text, "{gap}Does not fit: {large}");
    }
    if let Some(prices) = prices {
        let (now, end) = (
            prices.arithmetic(summary.now),
            prices.arithmetic(summary.in_the_end),
        );
        let _ = writeln!(text, "{gap}\nNow: {now}{gap}\nIn the end: {end}");
    }
    text
}

fn told(amounts: Amounts) -> String {
    let one = |resource: Resource, amount: i64| match amount {
        0 => format!("no change of {}", resource.name()),
        _ if amount < 0 => format!("{} of {} freed", resource.show(-amount), resource.name()),
        _ => format!("{} of {} added", resource.show(amount), resource.name()),
    };
    format!(
        "{}, {}",
        one(Resource::Cpu, amounts.cpu),
        one(Resource::Memory, amounts.memory)
    )
}

fn reasons(summary: &Summary) -> Table {
    let mut table = Table::new(&["ACTION", "PODS", "REASON", "FOR EXAMPLE"]).right(&[1]);
    let mut reasons: Vec<_> = summary.reasons.iter().collect();
    reasons.sort_by_key(|((action, _), (pods, _))| (*action, std::cmp::Reverse(*pods)));
    for ((action, reason), (pods, words)) in reasons {
        let cells = [*action, &pods.to_string(), reason, words];
        table.row(cells.map(String::from).into());
    }
    table
}

fn workload_table(summary: &Summary) -> Table {
    let header = [
        "NAMESPACE",
        "VPA",
        "MODE",
        "PODS",
        "EVICT",
        "RESIZE",
        "CPU",
        "MEMORY",
        "CPU IN THE END",
        "MEMORY IN THE END",
        "LEFT ALONE",
    ];
    let mut table = Table::new(&header).right(&[3, 4, 5, 6, 7, 8, 9]);
    for workload in &summary.workloads {
        let left = workload
            .left
            .map(|(reason, pods)| format!("{pods} {reason}"));
        table.row(vec![
            workload.namespace.clone(),
            workload.vpa.clone(),
            workload.mode.into(),
            workload.pods.to_string(),
            workload.evicted.to_string(),
            workload.resized.to_string(),
            signed(Resource::Cpu, workload.now.cpu),
            signed(Resource::Memory, workload.now.memory),
            signed(Resource::Cpu, workload.in_the_end.cpu),
            signed(Resource::Memory, workload.in_the_end.memory),
            left.unwrap_or_default(),
        ]);
    }
    table
}

/// A line a workload; amounts in millicores and bytes.
pub fn csv(summary: &Summary) -> String {
    let mut text = String::from(
        "namespace,vpa,mode,pods,evict,resize,cpu_millicores,memory_bytes,cpu_millicores_in_the_end,memory_bytes_in_the_end,left_alone,left_alone_reason\n",
    );
    for w in &summary.workloads {
        let (reason, left) = w.left.unwrap_or_default();
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{left},{reason}",
            w.namespace,
            w.vpa,
            w.mode,
            w.pods,
            w.evicted,
            w.resized,
            w.now.cpu,
            w.now.memory,
            w.in_the_end.cpu,
            w.in_the_end.memory,
        );
    }
    text
}

/// Everything, each pod with its reason.
pub fn json(summary: &Summary, prices: Option<&Prices>) -> Value {
    let amounts =
        |amounts: Amounts| json!({"cpuMillicores": amounts.cpu, "memoryBytes": amounts.memory});
    let reasons = summary.reasons.iter().map(|((action, reason), (pods, words))| {
        json!({"action": action, "reason": reason, "pods": pods, "example": words})
    });
    let workloads = summary.workloads.iter().map(|w| {
        let left = w
            .left
            .map(|(reason, pods)| json!({"reason": reason, "pods": pods}));
        json!({
            "namespace": w.namespace, "vpa": w.vpa, "updateMode": w.mode, "pods": w.pods,
            "evict": w.evicted, "resize": w.resized, "leftAlone": left,
            "now": amounts(w.now), "inTheEnd": amounts(w.in_the_end),
        })
    });
    let cost = prices.map(|prices| {
        json!({
            "currency": prices.currency,
            "nowPerMonth": prices.monthly(summary.now),
            "inTheEndPerMonth": prices.monthly(summary.in_the_end),
        })
    });
    let [evicted, resized, left] = summary.counts();
    json!({
        "remarks": summary.remarks,
        "evict": evicted,
        "resize": resized,
        "skip": left,
        "now": amounts(summary.now),
        "inTheEnd": amounts(summary.in_the_end),
        "cost": cost,
        "doesNotFit": summary.too_large,
        "reasons": reasons.collect::<Vec<_>>(),
        "workloads": workloads.collect::<Vec<_>>(),
        "pods": summary.decisions.iter().map(decision).collect::<Vec<_>>(),
    })
}

/// One pod's.
pub fn decision(decision: &Decision) -> Value {
    let changes = changes(&decision.action).iter().map(|change| {
        json!({
            "container": change.name,
            "requests": to_json(&change.requests),
            "limits": to_json(&change.limits),
        })
    });
    json!({
        "namespace": decision.pod.namespace,
        "pod": decision.pod.name,
        "vpa": decision.vpa.name,
        "action": word(&decision.action),
        "reason": decision.reason.code(),
        "message": decision.reason.to_string(),
        "containers": changes.collect::<Vec<_>>(),
    })
}
