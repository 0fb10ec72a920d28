//! The law of imports: core <- cluster <- binaries <- tests, and nothing of a cluster or a process in core.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each package may name of the workspace. A package that is not listed fails the test until it is put here.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("podfit-core", &[]),
    ("podfit-cluster", &["podfit-core"]),
    ("podfit-recommender", &["podfit-core", "podfit-cluster"]),
    ("podfit-updater", &["podfit-core", "podfit-cluster"]),
    ("podfit-webhook", &["podfit-core", "podfit-cluster"]),
    ("kubectl-podfit", &["podfit-core", "podfit-cluster"]),
    ("podfit-tests", &["podfit-core"]),
    ("ml-workload", &[]),
];

/// What core must stay free of, however indirectly.
const NOT_IN_CORE: [&str; 9] = [
    "kube",
    "kube-client",
    "k8s-openapi",
    "tokio",
    "actix-web",
    "actix-http",
    "hyper",
    "reqwest",
    "tracing",
];

/// What core's own code must not call: it gets the time as an argument and reads no file or environment.
const NOT_CALLED_IN_CORE: [&str; 6] = [
    "SystemTime",
    "Instant::now",
    "std::env",
    "std::fs",
    "std::net",
    "std::thread",
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--locked"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn packages_import_downwards_only() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version=1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() >= 6, "{} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(n, _)| *n == name)
            .unwrap_or_else(|| panic!("{name} has no line in MAY_USE"));
        // `path` is set for packages of the workspace; dev- and build-dependencies count, too.
        for dependency in package["dependencies"].as_array().unwrap() {
            let used = dependency["name"].as_str().unwrap();
            assert!(
                dependency["path"].is_null() || allowed.contains(&used),
                "{name} must not use {used}"
            );
        }
    }
}

#[test]
fn core_knows_nothing_of_clusters_and_runtimes() {
    let tree = cargo(&[
        "tree",
        "-p",
        "podfit-core",
        "-e",
        "normal,build",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let used: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        used.contains("podfit-core") && used.len() > 1,
        "not a tree: {tree}"
    );
    for forbidden in NOT_IN_CORE {
        assert!(!used.contains(forbidden), "core uses {forbidden}:\n{tree}");
    }
}

#[test]
fn core_asks_neither_clock_nor_system() {
    let mut folders = vec![workspace().join("core/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            // Unit tests stand at a file's end, or in a file of their own, and may read test data.
            let code = text.split("#[cfg(test)]").next().unwrap();
            if path.file_name().unwrap() == "tests.rs" {
                continue;
            }
            for forbidden in NOT_CALLED_IN_CORE {
                assert!(
                    !code.contains(forbidden),
                    "{} uses {forbidden}",
                    path.display()
                );
            }
        }
    }
    assert!(files > 10, "only {files} files in core/src");
}
