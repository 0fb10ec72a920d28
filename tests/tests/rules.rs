//! Each right that the chart gives says what it is for, and in which file that is done. Whether rights are enough and none is idle
//! is for `e2e/kwok/rights.rs`, which needs a cluster.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

#[test]
fn every_rule_names_a_file_that_needs_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rules = workspace.join("charts/podfit/templates/_rules.tpl");
    let (mut reason, mut count) = ("", 0);
    for line in std::fs::read_to_string(rules).unwrap().lines() {
        if line.starts_with("# ") {
            reason = line;
        } else if line.starts_with("{{- define") {
            reason = "";
        } else if line.starts_with("- apiGroups:") {
            let file = reason.rsplit_once('[').unwrap_or_default().1;
            let file = file.strip_suffix(']').unwrap_or_default();
            assert!(
                workspace.join(file).is_file(),
                "{line} under {reason:?}: no file of this name"
            );
            count += 1;
        }
    }
    assert!(count > 30, "only {count} rules");
}
