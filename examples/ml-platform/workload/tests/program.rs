//! The program as a process: a server, its clients, its batch workers.

#![allow(clippy::unwrap_used, reason = "a test")]

mod process;

use std::process::Command;

use process::{PROGRAM, Server, text};

#[test]
fn clients_are_answered_and_counted() {
    let server = Server::start();
    let load = Command::new(PROGRAM)
        .args(["load", &server.url("/infer?cpu_ms=1&hold_ms=20")])
        .args(["--rate", "50", "--minutes", "0.05"])
        .output();
    let load = load.unwrap();
    let said = text(&load.stdout);
    assert!(load.status.success(), "{said}");
    let total = said.lines().last().unwrap();
    // 50/s for 3 s; less on a busy machine, but never more.
    assert!(total.contains(" 0 failed; latency p50 "), "{total}");
    let rate = total.split(": ").nth(1).unwrap().split(' ').next().unwrap();
    let rate: f64 = rate.parse().unwrap();
    assert!((5.0..=51.0).contains(&rate), "{total}");
    let counted = server.metric("http_requests_total{code=\"200\"}");
    assert!((15.0..=151.0).contains(&counted), "{counted} were counted");
    assert!(
        server.metric("active_connections") >= 1.0,
        "the asker's own"
    );
}

#[test]
fn a_load_that_nobody_answers_fails() {
    let load = Command::new(PROGRAM)
        .args(["load", "http://127.0.0.1:9/"])
        .args(["--rate", "20", "--minutes", "0.02"])
        .output();
    let load = load.unwrap();
    assert!(!load.status.success());
    assert!(text(&load.stderr).contains("127.0.0.1:9 does not answer"));
}

#[test]
fn a_worker_drains_the_queue() {
    let server = Server::start();
    server.send("PUT", "/queue?length=5");
    let mut worker = Command::new(PROGRAM)
        .args(["batch", "--queue", &server.url(""), "--cpu-ms", "1"])
        .args(["--mib", "1"])
        .spawn()
        .unwrap();
    let drained = process::until(|| server.metric("inference_queue_length") == 0.0);
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(drained, "items are left");
}

#[test]
fn a_run_ends_by_itself() {
    let run = Command::new(PROGRAM)
        .args(["train", "--minutes", "0.02", "--mib", "4", "--epochs", "1"])
        .output();
    let run = run.unwrap();
    assert!(run.status.success());
    assert!(text(&run.stdout).ends_with("trained: 1 epochs\n"));
}
