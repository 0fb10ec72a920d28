//! A webhook under test: how it is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use hyper::body::Bytes;
use podfit_tests::bench::plan::Candidate;
use podfit_tests::cluster::{Cluster, log_folder, program};
use podfit_tests::process::{Process, Program};
use podfit_tests::wait::{secs, until};

use crate::load::Target;

/// A webhook that answers.
pub struct Running {
    /// Which one.
    pub candidate: Candidate,
    /// The process.
    pub process: Process,
    /// Where it takes reviews.
    pub target: Target,
    /// The same as a URL.
    pub url: String,
}

impl Running {
    /// Starts a webhook, on `core` alone where one is given, and waits until it answers `review` with a patch.
    pub async fn start(
        candidate: Candidate,
        cluster: &Arc<Cluster>,
        programs: &Path,
        core: Option<&str>,
        review: &Bytes,
    ) -> Result<Self> {
        let (name, address) = match candidate {
            Candidate::Podfit => ("podfit-webhook", cluster.address(12)),
            Candidate::Upstream => ("vpa-admission-controller", cluster.address(13)),
        };
        let pki = cluster.pki();
        let file = |name: &str| pki.join(name).display().to_string();
        let mut arguments = vec![
            format!("--kubeconfig={}", cluster.kubeconfig().display()),
            format!("--address={address}:8944"),
            "--port=8000".into(),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--tls-cert-file={}", file("serving.crt")),
            format!("--tls-private-key={}", file("serving.key")),
            "--register-webhook=false".into(),
        ];
        let executable = match candidate {
            Candidate::Podfit => {
                arguments.push(format!("--bind-address={address}"));
                arguments.push("--act-beside-another-vpa=true".into());
                programs.join(name)
            }
            Candidate::Upstream => program(name),
        };
        let (executable, arguments) = match core {
            Some(core) => on_core(core, &executable, arguments),
            None => (executable, arguments),
        };
        let process = Program {
            name: name.into(),
            executable,
            arguments,
            // LISTEN_HOST: see tests/local-cluster/build.
            environment: vec![
                ("NAMESPACE".into(), "kube-system".into()),
                ("LISTEN_HOST".into(), address.clone()),
            ],
            log: log_folder(cluster)?.join(format!("{name}.log")),
            address: format!("{address}:8944"),
        };
        let mut process = process.start()?;
        let socket: SocketAddr = format!("{address}:8000").parse()?;
        let target = Target::new(socket, &std::fs::read(pki.join("ca.crt"))?)?;
        until(&format!("{name} answers"), secs(60), async || {
            process.ensure_alive()?;
            target.ask(review).await
        })
        .await?;
        Ok(Self {
            candidate,
            process,
            target,
            url: format!("https://{address}:8000/"),
        })
    }
}

/// The same by way of `taskset`, which becomes the program once it has bound itself. Both webhooks look how many cores they
/// have when they start.
fn on_core(core: &str, executable: &Path, arguments: Vec<String>) -> (PathBuf, Vec<String>) {
    let executable = executable.display().to_string();
    let mut all = vec!["--cpu-list".into(), core.into(), executable];
    all.extend(arguments);
    ("taskset".into(), all)
}
