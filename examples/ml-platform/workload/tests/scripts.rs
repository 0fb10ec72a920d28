//! The scripts of the walk-through, as far as they can be judged without a cluster: `kubectl` is a stand-in.

#![allow(clippy::unwrap_used, reason = "a test")]

mod process;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use process::{PROGRAM, Server, text};

const SCRIPTS: [&str; 4] = [
    "setup_environment.sh",
    "load_generator.sh",
    "test_autoscaling.sh",
    "cost_report.sh",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts")
}

fn script(name: &str) -> Command {
    Command::new(folder().join(name))
}

/// A folder whose `kubectl` runs a text; it is removed with this value.
struct StandIn(PathBuf);

impl StandIn {
    fn new(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("podfit-stand-in-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder).and("kubectl", text)
    }

    /// Another program beside it.
    fn and(self, name: &str, text: &str) -> Self {
        let program = self.0.join(name);
        std::fs::write(&program, format!("#!/usr/bin/env bash\n{text}")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    /// What is in a file that a stand-in wrote.
    fn written(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_default()
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        script(name)
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.0.display()))
            .output()
            .unwrap()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Functions of the scripts themselves: runs this text after their sources.
fn in_bash(text: &str) -> String {
    let text = format!("set -euo pipefail\n. ./walk_through.sh\n. ./test_checks.sh\n{text}");
    let output = Command::new("bash")
        .args(["-c", &text])
        .current_dir(folder())
        .output()
        .unwrap();
    process::text(&output.stdout) + &process::text(&output.stderr)
}

#[test]
fn each_explains_itself() {
    for name in SCRIPTS {
        let help = script(name).arg("--help").output().unwrap();
        let said = text(&help.stdout);
        assert!(help.status.success(), "{name}");
        assert!(said.contains(&format!("\n  {name}")), "{said}");
        let wrong = script(name).arg("--wrong").output().unwrap();
        assert_eq!(wrong.status.code(), Some(2), "{name}");
        assert!(
            text(&wrong.stderr).contains("there is no --wrong"),
            "{name}"
        );
    }
}

#[test]
fn wrong_words_are_refused() {
    for (name, words, why) in [
        ("load_generator.sh", &["a", "1"][..], "three words"),
        ("load_generator.sh", &["a", "0", "1"], "the rate"),
        ("load_generator.sh", &["a", "1/s", "1"], "the rate"),
        ("load_generator.sh", &["a", "1", "-1"], "there is no -1"),
        ("load_generator.sh", &["a", "1", "x"], "the minutes"),
        (
            "load_generator.sh",
            &["a", "1", "1", "--path", "x"],
            "begins with /",
        ),
        (
            "load_generator.sh",
            &["a", "1", "1", "--from", "x"],
            "cluster or here",
        ),
        (
            "load_generator.sh",
            &["a", "1", "1", "--url"],
            "needs a value",
        ),
        ("test_autoscaling.sh", &["--patience", "x"], "takes seconds"),
        ("test_autoscaling.sh", &["no-such-check"], "--list"),
        ("setup_environment.sh", &["--skip", "keda,x"], "no part 'x'"),
    ] {
        let output = script(name).args(words).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name} {words:?}: {said}");
        assert!(said.contains(why), "{name} {words:?}: {said}");
    }
}

#[test]
fn load_comes_from_here_with_the_program_or_with_curl() {
    let server = Server::start();
    let url = server.url("/infer?cpu_ms=1");
    let program = Path::new(PROGRAM).parent().unwrap().display().to_string();
    // Only what every system has.
    let bare = "/usr/bin:/bin";
    for (path, how) in [
        (format!("{program}:{bare}"), "20 requests/s for 0.05 min\n"),
        (bare.to_owned(), "20 requests/s for 0.05 min, with curl\n"),
    ] {
        let load = script("load_generator.sh")
            .args(["any", "20", "0.05", "--url", &url])
            .env("PATH", path)
            .output()
            .unwrap();
        let said = text(&load.stdout);
        assert!(load.status.success(), "{said}{}", text(&load.stderr));
        assert!(said.starts_with(how), "{said}");
        let total = said.lines().last().unwrap();
        assert!(total.starts_with("in all, in "), "{total}");
        assert!(total.contains(" 0 failed; latency p50 "), "{total}");
    }
    let counted = server.metric("http_requests_total{code=\"200\"}");
    assert!((40.0..=122.0).contains(&counted), "{counted} were counted");
}

#[test]
fn costs_are_added_up() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cost");
    let report = script("cost_report.sh")
        .args([
            "--from",
            ".",
            "--before",
            "before",
            "--prices",
            "prices.csv",
        ])
        .current_dir(&kept)
        .output()
        .unwrap();
    let said = text(&report.stdout);
    assert!(report.status.success(), "{said}{}", text(&report.stderr));
    // Two pods of web and one of run: 2 x 0.2 + 1 cores, 2 x 256 + 1024 MiB. `lone` requests nothing.
    for line in [
        "requested:   1.400 cores x 0.1 x 730 h + 1.500 GiB x 0.01 x 730 h = 102.20 + 10.95 = 113.15",
        "used:        2.250 cores x 0.1 x 730 h + 1.750 GiB x 0.01 x 730 h = 164.25 + 12.78 = 177.03",
        "recommended: 2.200 cores x 0.1 x 730 h + 2.500 GiB x 0.01 x 730 h = 160.60 + 18.25 = 178.85",
        "with what is recommended: 65.70 more a month",
        "used of what is requested: CPU 161 %, memory 117 %",
        // Before, web's pods requested 500m and 512Mi: 0.6 cores and 0.5 GiB more.
        "requested before 160.60, now 113.15: 47.45 USD a month less (30 %)",
        "1 containers have no figure of use yet: what they request stands for it",
    ] {
        assert!(said.lines().any(|l| l == line), "no {line} in\n{said}");
    }
    let web = said.lines().find(|l| l.starts_with("web/server ")).unwrap();
    let web: Vec<_> = web.split_whitespace().collect();
    let expected = "web/server 2 0.400 0.250 0.200 512 256 512 32.85 20.07 18.25";
    assert_eq!(web.join(" "), expected);
}

#[test]
fn without_prices_there_is_no_cost() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cost");
    for prices in ["no-such-file", "used.tsv"] {
        let report = script("cost_report.sh")
            .args(["--from", ".", "--prices", prices])
            .current_dir(&kept)
            .output()
            .unwrap();
        assert!(!report.status.success(), "{prices}");
        assert!(text(&report.stderr).contains("price"), "{prices}");
    }
}

#[test]
fn a_check_of_an_empty_cluster_names_what_is_missing() {
    let empty = StandIn::new("[ \"$*\" = 'get --raw /version' ]");
    let check = empty.run("setup_environment.sh", &["--check"]);
    let said = text(&check.stdout);
    assert!(!check.status.success(), "{said}");
    for part in ["metrics-server", "prometheus", "keda", "podfit", "samples"] {
        let missing = |l: &str| l.starts_with(part) && l.contains(" missing ");
        assert!(said.lines().any(missing), "{part} in\n{said}");
    }
    assert!(text(&check.stderr).contains("5 parts are missing"));
    let check = empty.run("test_autoscaling.sh", &["prerequisites"]);
    assert!(text(&check.stderr).contains("no namespace ml-platform"));
}

#[test]
fn what_is_there_is_left_alone() {
    // Each API is available, each object there, and somebody's lease was renewed in the far future.
    let full = StandIn::new(
        "case \"$*\" in
           *apply*|*create*|*delete*) echo \"$*\" >>\"$0.changes\" ;;
           *leases*) echo podfit/podfit-webhook 2999-01-01T00:00:00Z ;;
           *apiservice*) printf True ;;
           *scaledobject*timezone*) exit 1 ;;
         esac",
    );
    let check = full.run("setup_environment.sh", &["--check", "--skip", "prometheus"]);
    let said = text(&check.stdout);
    assert!(check.status.success(), "{said}{}", text(&check.stderr));
    let count = |word: &str| said.lines().filter(|l| l.contains(word)).count();
    assert_eq!((count(" present "), count(" skipped ")), (5, 1), "{said}");
    assert!(
        said.contains("renews its lease podfit/podfit-webhook"),
        "{said}"
    );
    assert!(!full.0.join("kubectl.changes").exists());
}

/// Nothing is there before Helm made it, and after that all of it answers.
#[test]
fn what_is_missing_comes_by_helm() {
    let cluster = StandIn::new(
        "here=$(dirname \"$0\")
         case \"$*\" in
           'get --raw /version') ;;
           *apiservice*custom.metrics*) [ ! -e $here/prometheus-adapter ] || printf True ;;
           *apiservice*external.metrics*) [ ! -e $here/keda ] || printf True ;;
           *apiservice*) [ ! -e $here/metrics-server ] || printf True ;;
           *leases*) [ ! -e $here/podfit ] || echo podfit/podfit-webhook 2999-01-01T00:00:00Z ;;
           *'get deployment fraud-detector-api'*) [ -e $here/samples ] ;;
           kustomize*) echo \"folder $2; image localhost/podfit-ml-workload:0.1.0\" ;;
           apply*) cat >$here/samples ;;
           *'get job model-training'*|*'get scaledobject '*) exit 1 ;;
         esac",
    )
    .and(
        "helm",
        "echo \"$*\" >>\"$0.log\"; touch \"$(dirname \"$0\")/$3\"",
    );
    let values = ["--podfit-values", "mine.yaml", "--image", "there/ml:2"];
    let prometheus = ["--prometheus", "http://prometheus.here:9090"];
    let setup = cluster.run(
        "setup_environment.sh",
        &[values, ["--timeout", "1m", prometheus[0], prometheus[1]]].concat(),
    );
    let said = text(&setup.stdout);
    assert!(setup.status.success(), "{said}{}", text(&setup.stderr));
    let count = |word: &str| said.lines().filter(|l| l.contains(word)).count();
    assert_eq!((count(" installed "), count(" present ")), (5, 1), "{said}");

    let log = cluster.written("helm.log");
    let calls: Vec<_> = log.lines().collect();
    let starts = [
        "upgrade --install metrics-server metrics-server --repo https://kubernetes-sigs.github.io/metrics-server/ --namespace kube-system ",
        "upgrade --install prometheus-adapter prometheus-adapter --repo https://prometheus-community.github.io/helm-charts --namespace monitoring ",
        "upgrade --install keda keda --repo https://kedacore.github.io/charts --namespace keda ",
        "upgrade --install podfit ",
    ];
    assert_eq!(calls.len(), starts.len(), "{log}");
    for (call, start) in calls.iter().zip(starts) {
        assert!(call.starts_with(start), "{call}");
        assert!(
            call.contains(" --create-namespace --wait --timeout 1m"),
            "{call}"
        );
    }
    let address = "--set prometheus.url=http://prometheus.here --set prometheus.port=9090";
    assert!(calls[1].ends_with(address), "{}", calls[1]);
    assert!(calls[3].ends_with("--values mine.yaml"), "{}", calls[3]);
    // With Prometheus Adapter the HPA is its own.
    let samples = cluster.written("samples");
    assert!(
        samples.ends_with("/manifests; image there/ml:2\n"),
        "{samples}"
    );
}

#[test]
fn checks_tell_what_came_of_them() {
    // The namespace is there, and nothing in it.
    let bare =
        StandIn::new("case \"$*\" in 'get --raw /version'|*'get namespace'*) ;; *) exit 1 ;; esac");
    let checks = bare.run("test_autoscaling.sh", &["prerequisites", "cron"]);
    let said = text(&checks.stdout);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(checks.status.code(), Some(1), "{said}");
    assert!(lines[0].starts_with("FAILED prerequisites: missing: metrics.k8s.io"));
    assert_eq!(
        lines[1..],
        [
            "skipped keda-cron: there is no scheduled-training-scaler",
            "0 ok, 1 failed, 1 skipped"
        ]
    );
    let skipped = bare.run("test_autoscaling.sh", &["keda-cron"]);
    assert!(skipped.status.success(), "skipped is not failed");
}

#[test]
fn workers_come_and_go_with_the_queue() {
    for (workers, result, line) in [
        (
            "(q + 9) / 10",
            0,
            "ok keda-to-zero-and-back: 0 -> 10 workers for 100 items -> 0",
        ),
        // KEDA wakes it, and the HPA has no value.
        (
            "q > 0",
            1,
            "FAILED keda-to-zero-and-back: 1 workers for 100 items",
        ),
        // Nobody makes it smaller.
        (
            "10",
            1,
            "FAILED keda-to-zero-and-back: 10 workers for an empty queue",
        ),
    ] {
        let cluster = StandIn::new(&format!(
            "queue=$(dirname \"$0\")/queue
             case \"$*\" in
               *queue?length=*) all=\"$*\"; n=${{all##*length=}}; echo ${{n%% *}} >$queue ;;
               *'get deployment batch-inference'*) q=$(cat $queue); printf %s $(({workers})) ;;
             esac"
        ));
        let check = cluster.run("test_autoscaling.sh", &["keda-to-zero", "--patience", "2"]);
        let said = text(&check.stdout);
        assert_eq!(check.status.code(), Some(result), "{said}");
        assert!(said.starts_with(line), "{said}");
        assert_eq!(
            cluster.written("queue").trim(),
            if result == 0 || workers == "10" {
                "0"
            } else {
                "100"
            }
        );
    }
}

#[test]
fn office_hours_are_nine_to_eighteen_on_working_days() {
    for (day_and_hour, expected) in [
        ("1 09", "yes"),
        ("5 17", "yes"),
        ("3 08", "no"),
        ("3 18", "no"),
        ("6 12", "no"),
        ("7 12", "no"),
    ] {
        let said = in_bash(&format!(
            "date() {{ echo '{day_and_hour}'; }}; office_hours UTC && echo yes || echo no"
        ));
        assert_eq!(said.trim(), expected, "{day_and_hour}");
    }
}

#[test]
fn pods_fit_when_their_requests_are_within_bounds() {
    let bounds = "app 100m 250Mi 50m 200Mi 1 1Gi";
    for (pods, expected) in [
        ("a 100m 250Mi 0\nb 50m 209715200 0", "2 of 2"),
        ("a 49m 250Mi 0\nb 1 1Gi 0", "1 of 2"),
        ("a 100m 199Mi 0", "0 of 1"),
        ("a 1001m 250Mi 0", "0 of 1"),
        // The other one is being made.
        ("a 100m 250Mi 0", "1 of 1"),
        ("", "0 of 0"),
    ] {
        let said = in_bash(&format!(
            "recommended() {{ echo '{bounds}'; }}; pods() {{ echo '{pods}'; }}; wished() {{ echo 2; }}; fitting x
             if all_fit x; then echo all; fi"
        ));
        let all = expected == "2 of 2";
        assert_eq!(said.lines().next(), Some(expected), "{pods}");
        assert_eq!(said.contains("all"), all, "{pods}");
    }
}
