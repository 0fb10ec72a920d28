//! A cluster that `tests/local-cluster` starts.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::audit::{self, Request};

/// A running cluster. It stays up; `tests/local-cluster/down --name NAME` ends it.
pub struct Cluster {
    /// Its name, which no other cluster on this machine has.
    pub name: String,
    /// Its loopback network without the last number: `127.66.0`.
    pub net: String,
    /// With all rights; only scenarios use it, never podfit.
    pub client: Client,
    state: PathBuf,
    /// Held while this process uses the cluster, so that two test runs do not meet on it.
    _lock: File,
}

impl Cluster {
    /// Starts the cluster, or what is missing of it, and takes it for this process alone.
    pub async fn up(name: &str, parts: &[&str]) -> Result<Self> {
        Self::up_with_flags(name, parts, "").await
    }

    /// The same with more flags for API server, scheduler and controller manager, when these are started by this.
    pub async fn up_with_flags(name: &str, parts: &[&str], flags: &str) -> Result<Self> {
        let state_root = std::env::var("PODFIT_STATE").unwrap_or_else(|_| "/tmp".into());
        let lock = File::create(Path::new(&state_root).join(format!("podfit-{name}.lock")))?;
        lock.try_lock()
            .with_context(|| format!("another test run uses the cluster {name}"))?;
        start(name, parts, flags).await?;
        let state = Path::new(&state_root).join(format!("podfit-{name}"));
        let net = fs::read_to_string(state.join("net"))?.trim().to_owned();
        let kubeconfig = Kubeconfig::read_from(state.join("admin.kubeconfig"))?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Self {
            name: name.into(),
            net,
            client: Client::try_from(config)?,
            state,
            _lock: lock,
        })
    }

    /// Ends a cluster and removes its state; an error when there is none.
    pub async fn down(name: &str) -> Result<()> {
        run(Command::new(script("down")).args(["--name", name]), "")
            .await
            .map(drop)
    }

    /// An address of the cluster's network.
    pub fn address(&self, last: u8) -> String {
        format!("{}.{last}", self.net)
    }

    /// All that service accounts of podfit's namespace have asked for since the cluster began.
    pub fn podfits_requests(&self) -> Result<Vec<Request>> {
        audit::requests(&self.state.join("audit.log"))
    }

    /// Those that write, refused tries included.
    pub fn podfits_writes(&self) -> Result<Vec<Request>> {
        let mut requests = self.podfits_requests()?;
        requests.retain(|r| !["get", "list", "watch"].contains(&r.verb.as_str()));
        Ok(requests)
    }

    /// Runs kubectl as admin with `input` on its standard input; its output.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        run(
            Command::new(program("kubectl"))
                .args(arguments)
                .env("KUBECONFIG", self.kubeconfig()),
            input,
        )
        .await
    }

    /// Runs helm as admin; its output.
    pub async fn helm(&self, arguments: &[&str]) -> Result<String> {
        run(
            Command::new(program("helm"))
                .args(arguments)
                .env("KUBECONFIG", self.kubeconfig()),
            "",
        )
        .await
    }

    /// Asks one of the cluster's own programs to end. `up` would start it again.
    pub async fn stop(&self, part: &str) -> Result<()> {
        self.signal(part, "TERM").await
    }

    /// Ends one of the cluster's own programs at once.
    pub async fn kill(&self, part: &str) -> Result<()> {
        self.signal(part, "KILL").await
    }

    async fn signal(&self, part: &str, signal: &str) -> Result<()> {
        let file = self.state.join("pids").join(part);
        let text = fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))?;
        let id = text.split(' ').next().unwrap_or_default();
        let command = format!("kill -{signal} {id}");
        run(Command::new("sh").args(["-c", &command]), "")
            .await
            .map(drop)
    }

    /// Starts what does not run of the cluster's own programs, after [`Cluster::kill`].
    pub async fn start_again(&self) -> Result<()> {
        start(&self.name, &[], "").await
    }

    /// The folder with the cluster's certificates and keys.
    pub fn pki(&self) -> PathBuf {
        self.state.join("pki")
    }

    /// The admin's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state.join("admin.kubeconfig")
    }

    /// Writes a kubeconfig with a token of a service account, which has that account's rights and no others.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self
            .kubectl(
                &[
                    "-n",
                    namespace,
                    "create",
                    "token",
                    name,
                    "--duration=6h",
                    "-o",
                    "jsonpath={.status.token}",
                ],
                "",
            )
            .await?;
        let file = self.state.join(format!("{namespace}-{name}.kubeconfig"));
        let mut text = serde_json::to_value(Kubeconfig::read_from(self.kubeconfig())?)?;
        for user in text["users"].as_array_mut().into_iter().flatten() {
            user["user"] = serde_json::json!({ "token": token.trim() });
        }
        fs::write(&file, text.to_string())?;
        Ok(file)
    }
}

async fn start(name: &str, parts: &[&str], flags: &str) -> Result<()> {
    let mut up = Command::new(script("up"));
    up.args(["--name", name, "--flags", flags]);
    if !parts.is_empty() {
        up.args(["--with", &parts.join(",")]);
    }
    let status = up
        .stdin(Stdio::null())
        .status()
        .await
        .context("tests/local-cluster/up")?;
    ensure!(
        status.success(),
        "the cluster {name} could not be started: tests/local-cluster/up said why"
    );
    Ok(())
}

/// Builds programs of `tests/local-cluster`, by part; those that are there cost nothing.
pub async fn build(parts: &[&str]) -> Result<()> {
    let mut build = Command::new(script("build"));
    let status = build.args(parts).stdin(Stdio::null()).status().await?;
    ensure!(status.success(), "{parts:?} could not be built");
    Ok(())
}

/// A script of `tests/local-cluster`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/local-cluster").join(name)
}

/// A program that `tests/local-cluster/build` made.
pub fn program(name: &str) -> PathBuf {
    let cache = std::env::var("PODFIT_CACHE").map_or_else(
        |_| Path::new(&std::env::var("HOME").unwrap_or_default()).join(".cache/podfit"),
        PathBuf::from,
    );
    cache.join("bin").join(name)
}

/// The folder for logs and other files of the tests on this cluster; it outlives the cluster.
pub fn log_folder(cluster: &Cluster) -> Result<PathBuf> {
    let folder = repository().join("target/end-to-end").join(&cluster.name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The top of the working copy.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
}

/// Runs a command to its end; an error with all it said when it fails.
pub async fn run(command: &mut Command, input: &str) -> Result<String> {
    let shown = format!("{:?}", command.as_std());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    let feed = tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    let output = child.wait_with_output().await?;
    let _ = feed.await; // a command that ended early need not have read everything
    if !output.status.success() {
        bail!(
            "{shown}: {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
