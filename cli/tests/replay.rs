//! `kubectl podfit replay` on recorded usage, as a user runs it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const SAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/usage/sample.csv.gz"
);

fn replay(usage: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-podfit"));
    command.arg("replay").arg("--usage").arg(usage).args(flags);
    command.output().unwrap()
}

fn succeeded(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{name}"))
}

/// The lines of a plain copy of the sample.
fn sample() -> Vec<String> {
    let output = Command::new("gzip").args(["-dc", SAMPLE]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn write(name: &str, lines: &[String]) -> PathBuf {
    let path = temporary(name);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

fn recommended(usage: &Path, name: &str, flags: &[&str]) -> Vec<String> {
    let path = temporary(name);
    let to = path.to_str().unwrap();
    succeeded(&replay(
        usage,
        &[&["--recommendations", to], flags].concat(),
    ));
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_table_compares_estimators_source_by_source() {
    let text = succeeded(&replay(
        Path::new(SAMPLE),
        &["--estimator", "histogram,krr,oracle"],
    ));
    for expected in [
        "CPU, as recommended",
        "Memory, as recommended",
        "OOM-DAYS",
        "UPDATES/DAY",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let rows = text.lines().filter(|line| line.starts_with("sample "));
    assert_eq!(rows.count(), 6, "three estimators, two resources:\n{text}");
}

#[test]
fn figures_of_each_series_are_for_programs() {
    let text = succeeded(&replay(
        Path::new(SAMPLE),
        &["--estimator", "oracle,last-hour", "-o", "json"],
    ));
    let json: Value = serde_json::from_str(&text).unwrap();
    let series = json["series"].as_array().unwrap();
    assert_eq!(series.len(), 11);
    for one in series {
        let [oracle, last_hour] = [0, 1].map(|n| &one["results"][n]["cpu"]);
        let over = |figures: &Value| figures["timeOver"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&over(last_hour)), "{one}");
        // It knows the next day; what lies beyond a longer gap it does not.
        assert!(over(oracle) < 0.01, "{one}");
    }
}

#[test]
fn the_class_of_each_series_is_told_with_its_confidence() {
    let lines = ["series,timestamp_s,cpu_cores,memory_bytes".to_owned()]
        .into_iter()
        .chain((0..15 * 24).flat_map(|hour| {
            let tide = if hour % 24 < 9 { 3.0 } else { 0.5 };
            let at = 1_764_201_600 + hour * 3600;
            let memory = 1_000_000_000 + 2_000_000 * hour;
            [
                format!("office,{at},{tide},{memory}"),
                format!("young,{at},1,").replace("young", if hour < 48 { "young" } else { "old" }),
            ]
        }));
    let path = write("classes.csv", &lines.collect::<Vec<_>>());
    let page = temporary("classes.html");
    let flags = ["-o", "json", "--report", page.to_str().unwrap()];
    let json: Value = serde_json::from_str(&succeeded(&replay(&path, &flags))).unwrap();
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("<figcaption>cpu: periodic (24 h), 94 % sure; "));
    let text = succeeded(&replay(&path, &[]));
    let row = |words: &[&str]| {
        let mut rows = text.lines().map(|line| line.split_whitespace());
        rows.any(|mut row| words.iter().all(|word| row.next() == Some(word)))
    };
    assert!(row(&["cpu", "steady", "1"]), "{text}");
    assert!(
        row(&["cpu", "periodic", "(24", "h)", "1", "1", "0", "-"]),
        "{text}"
    );
    let told = |series: &str, resource: &str| {
        let all = json["series"].as_array().unwrap();
        let one = all.iter().find(|one| one["series"] == series).unwrap();
        let class = &one["class"][resource];
        let confidence = class["confidence"].as_f64().unwrap();
        (class["name"].as_str().unwrap().to_owned(), confidence)
    };
    assert_eq!(told("office", "cpu"), ("Periodic".into(), 0.9375));
    let (class, confidence) = told("office", "memory");
    assert!(
        class == "Ramping" && confidence > 0.9,
        "{class} {confidence}"
    );
    assert_eq!(told("young", "cpu"), ("Unknown".into(), 0.0));
    assert_eq!(told("old", "cpu").0, "Steady");
}

#[test]
fn at_equal_violation_whoever_needs_more_room_wastes_more() {
    let flags = [
        "--estimator",
        "histogram,histogram-p98",
        "--matched",
        "-o",
        "md",
    ];
    let text = succeeded(&replay(Path::new(SAMPLE), &flags));
    assert!(
        text.contains("### At equal violation: CPU over target at most 1 % of the time"),
        "{text}"
    );
    let slack = |estimator: &str| -> f64 {
        let at = text.find("at most 1 % of the time").unwrap();
        let row = text[at..]
            .lines()
            .find(|line| line.contains(&format!("| {estimator} |")))
            .unwrap();
        row.split('|')
            .nth(6)
            .unwrap()
            .trim()
            .trim_end_matches(" %")
            .parse()
            .unwrap()
    };
    assert!(slack("histogram-p98") < slack("histogram"), "{text}");
}

#[test]
fn what_switching_would_change_is_told_for_each_workload_and_for_all() {
    let flags = ["--estimator", "histogram,adaptive", "--apply-preview"];
    let text = succeeded(&replay(Path::new(SAMPLE), &flags));
    let begin = text.find("What switching would change").unwrap();
    let rows: Vec<Vec<&str>> = text[begin..]
        .lines()
        .skip(3)
        .map(|line| line.split_whitespace().collect())
        .take_while(|row: &Vec<&str>| !row.is_empty())
        .collect();
    assert_eq!(rows.len(), 12, "{text}");
    assert_eq!(rows[11][0], "(all)");
    // Those that change most come first: in millicores, before and after.
    let millicores = |cell: &str| match cell.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().unwrap(),
        None => cell.parse::<f64>().unwrap() * 1000.0,
    };
    let moved: Vec<f64> = rows[..11]
        .iter()
        .map(|row| (millicores(row[2]) - millicores(row[1])).abs())
        .collect();
    assert!(moved.is_sorted_by(|a, b| a >= b), "{moved:?}");
    assert!(moved[0] > 0.0);
    let refused = replay(Path::new(SAMPLE), &["--apply-preview"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--estimator histogram,adaptive"));
}

#[test]
fn sizes_come_from_what_was_before() {
    let lines = sample();
    let whole = recommended(Path::new(SAMPLE), "whole.csv", &[]);
    assert_eq!(
        whole[0],
        "series,timestamp_s,cpu_target_cores,memory_target_bytes,cpu_lower_cores,cpu_upper_cores,memory_lower_bytes,memory_upper_bytes"
    );
    // The file ends in the middle of the fifth series.
    let cut = lines.len() / 2;
    let part = recommended(&write("cut.csv", &lines[..cut]), "part.csv", &[]);
    assert!(part.len() > 100);
    assert_eq!(whole[..part.len()], part[..]);
}

#[test]
fn a_file_may_say_what_is_requested() {
    let mut lines =
        vec!["series,timestamp_s,cpu_cores,cpu_request_cores,memory_request_bytes".to_owned()];
    for minute in 0..120 {
        let request = match minute {
            0 => "4",
            60 => "2",
            _ => "",
        };
        lines.push(format!("a,{},1,{request},", minute * 60));
        lines.push(format!("b,{},1,,", minute * 60));
    }
    let path = write("requests.csv", &lines);
    let text = succeeded(&replay(&path, &["-o", "json"]));
    let json: Value = serde_json::from_str(&text).unwrap();
    let series = &json["series"];
    assert_eq!(
        series[0]["request"]["cpu"], 2.0,
        "the last counts: {series}"
    );
    assert_eq!(series[0]["results"][1]["cpu"]["target"], 2.0);
    assert!(series[1]["request"]["cpu"].is_null());
    // Where nothing is known of requests, nothing is told of them.
    let text = succeeded(&replay(Path::new(SAMPLE), &["--matched"]));
    assert!(!text.contains("request"), "{text}");
}

#[test]
fn series_may_be_mixed() {
    let lines = sample();
    let mut mixed = lines[1..].to_vec();
    let time = |line: &String| line.split(',').nth(1).unwrap().parse::<i64>().unwrap();
    mixed.sort_by_key(time);
    mixed.insert(0, lines[0].clone());
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    assert_eq!(
        sorted(recommended(
            &write("mixed.csv", &mixed),
            "of-mixed.csv",
            &[]
        )),
        sorted(recommended(Path::new(SAMPLE), "of-sorted.csv", &[]))
    );
}

#[test]
fn flags_of_the_recommender_count() {
    let first = |flags: &[&str], name| -> f64 {
        let rows = recommended(Path::new(SAMPLE), name, flags);
        let last = rows.iter().rfind(|row| row.starts_with("azure")).unwrap();
        last.split(',').nth(2).unwrap().parse().unwrap()
    };
    let usual = first(&[], "usual.csv");
    let generous = first(
        &[
            "--target-cpu-percentile",
            "1",
            "--recommendation-margin-fraction",
            "1",
        ],
        "generous.csv",
    );
    assert!(generous > 2.0 * usual, "{usual} {generous}");
}

#[test]
fn bad_rows_are_told_and_strict_fails() {
    let mut lines = sample();
    lines.insert(10, "nab-x,soon,1,".into());
    lines.insert(20, lines[19].clone());
    let path = write("bad.csv", &lines);
    let output = replay(&path, &[]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    succeeded(&output);
    assert!(
        told.contains("1 row left out: timestamp is no number (line 11)"),
        "{told}"
    );
    assert!(
        told.contains("1 row left out: not later than the row before of its series (line 21)"),
        "{told}"
    );
    let output = replay(&path, &["--strict"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--strict"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    for flags in [
        &[
            "--estimator",
            "histogram,krr",
            "--recommendations",
            "/dev/null",
        ][..],
        &["--groups", "/dev/null"],
        &["--estimator", "best"],
    ] {
        assert!(
            !replay(Path::new(SAMPLE), flags).status.success(),
            "{flags:?}"
        );
    }
    let output = replay(Path::new("/nowhere.csv"), &[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot open /nowhere.csv"));
}
