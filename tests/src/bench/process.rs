//! What a process costs.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Ticks of `/proc/PID/stat` in a second; Linux shows 100 to everybody, whatever it counts with.
const TICKS: f64 = 100.0;

/// CPU seconds that a process has used, in user and kernel mode together, to 0.01 s.
pub fn cpu_seconds(id: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in parentheses, may have spaces.
    let (_, fields) = stat
        .rsplit_once(") ")
        .context("/proc/PID/stat without a name")?;
    let ticks = |n: usize| fields.split(' ').nth(n).and_then(|f| f.parse::<f64>().ok());
    let (user, kernel) = ticks(11)
        .zip(ticks(12))
        .context("/proc/PID/stat is short")?;
    Ok((user + kernel) / TICKS)
}

/// The most memory that a process was ever resident with, in MiB.
pub fn peak_mib(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let kib = status.lines().find_map(|line| {
        let rest = line.strip_prefix("VmHWM:")?;
        rest.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    Ok(kib.context("no VmHWM")? / 1024.0)
}

/// Lets all threads of a process run on these cores only: `0,2-3`.
pub fn pin(id: u32, cores: &str) -> Result<()> {
    let id = id.to_string();
    let done = Command::new("taskset")
        .args(["--all-tasks", "--cpu-list", "--pid", cores, &id])
        .output()
        .context("taskset cannot be run; it is in Debian's package util-linux")?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "taskset {cores}: {said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
        let id = std::process::id();
        assert!(peak_mib(id).unwrap() > 1.0);
        let started = cpu_seconds(id).unwrap();
        let mut n = 0_u64;
        while cpu_seconds(id).unwrap() < started + 0.05 {
            n = std::hint::black_box(n + 1);
        }
    }
}
