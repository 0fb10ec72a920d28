//! The report of a replay in a real browser, without a network.
//!
//! Needs chromium, which `tests/all` installs: `cargo test -p kubectl-podfit --test report -- --ignored`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/usage/sample.csv.gz"
);

/// The page as the browser has it once its script has run, and what went wrong there.
fn browse(page: &Path) -> (String, String) {
    let output = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--log-level=0",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            page.with_extension("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let wrong = log.lines().filter(|line| line.contains(":CONSOLE"));
    (
        String::from_utf8(output.stdout).unwrap(),
        wrong.collect::<Vec<_>>().join("\n"),
    )
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

#[test]
#[ignore = "needs chromium"]
fn the_page_works_in_a_browser() {
    let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.html");
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-podfit"))
        .args([
            "replay",
            "--usage",
            SAMPLE,
            "--estimator",
            "histogram,krr",
            "--report",
        ])
        .arg(&page)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let (dom, wrong) = browse(&page);
    assert_eq!(wrong, "");
    // All eleven series, sorted by the script, each with CPU and four with memory; a Pareto plot of each resource.
    assert!(
        dom.contains("data-sorted-by=\"waste\""),
        "the script has not run"
    );
    assert!(dom.contains("11 of 11"));
    assert_eq!(count(&dom, "<section class=\"workload\""), 11);
    assert_eq!(count(&dom, "<svg "), 11 + 4 + 2);
    let waste: Vec<f64> = dom
        .split("data-waste=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert!(waste.is_sorted_by(|a, b| a >= b), "{waste:?}");
    // Nothing is loaded from anywhere.
    for loading in ["http://", "https://", "src=", "@import", "url("] {
        assert_eq!(count(&dom, loading), 0, "{loading}");
    }
}
