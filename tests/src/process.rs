//! A program under test, as a process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use crate::cluster::run;
use crate::scrape::Metrics;
use crate::wait::{secs, until};

/// What to start.
#[derive(Clone, Debug)]
pub struct Program {
    /// For messages and the log's name.
    pub name: String,
    /// The executable.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Environment variables besides our own.
    pub environment: Vec<(String, String)>,
    /// Where `/metrics` and `/readyz` are served: `IP:PORT`.
    pub address: String,
    /// Standard error is appended to this file.
    pub log: PathBuf,
}

/// A running program. Dropping it kills it.
pub struct Process {
    /// What runs.
    pub program: Program,
    child: Child,
}

impl Program {
    /// Starts it. It dies with this process, also when that is killed.
    pub fn start(&self) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.executable)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.executable.display()))?;
        Ok(Process {
            program: self.clone(),
            child,
        })
    }

    /// All that it logged, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Process {
    /// An error when it ended by itself.
    pub fn ensure_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = self.program.log();
            let last: Vec<_> = log.lines().rev().take(5).collect();
            bail!(
                "{} ended: {status}; its last words: {last:#?}",
                self.program.name
            );
        }
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        let what = format!("{} is ready", self.program.name);
        until(&what, secs(60), async || {
            self.ensure_alive()?;
            crate::scrape::get(&self.program.address, "/readyz").await
        })
        .await
        .map(drop)
    }

    /// What it measures of itself.
    pub async fn metrics(&self) -> Result<Metrics> {
        Metrics::of(&self.program.address).await
    }

    /// Sends a signal: `STOP`, `CONT`, `TERM`, `KILL`.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        let id = self.id()?;
        run(
            Command::new("sh").args(["-c", &format!("kill -{signal} {id}")]),
            "",
        )
        .await
        .map(drop)
    }

    /// Asks it to end, as Kubernetes does; an error when it does not within 20 s or not with exit code 0.
    pub async fn stop(mut self) -> Result<()> {
        self.signal("TERM").await?;
        let ended = tokio::time::timeout(secs(20), self.child.wait()).await;
        let status =
            ended.with_context(|| format!("{} does not end on SIGTERM", self.program.name))??;
        anyhow::ensure!(
            status.success(),
            "{} ended with {status} on SIGTERM",
            self.program.name
        );
        Ok(())
    }

    /// Ends it at once, as a lost node would.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Its resident memory in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        resident_mib(self.id()?)
    }
}

/// The resident memory of a process in MiB.
pub fn resident_mib(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status
        .lines()
        .find(|l| l.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("no VmRSS")?
        .parse()?;
    Ok(kib / 1024.0)
}
