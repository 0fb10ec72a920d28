//! The Dockerfile, as far as it can be judged without a container engine.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

fn read(file: &str) -> String {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(workspace.join(file)).unwrap()
}

#[test]
fn it_compiles_with_the_toolchain_of_everybody_else() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).unwrap();
    let from = format!("FROM docker.io/library/rust:{channel}-slim-bookworm AS build\n");
    assert!(read("Dockerfile").contains(&from), "{from}");
}

#[test]
fn it_has_a_stage_for_each_image_of_the_chart() {
    let dockerfile = read("Dockerfile");
    let values = read("charts/podfit/values.yaml");
    let mut count = 0;
    for line in values.lines() {
        if let Some(name) = line.trim().strip_prefix("repository: ") {
            let stage = format!("FROM base AS {name}\n");
            assert!(dockerfile.contains(&stage), "{stage}");
            count += 1;
        }
    }
    assert_eq!(count, 3);
}
