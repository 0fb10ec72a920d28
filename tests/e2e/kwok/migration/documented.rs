//! The commands of docs/migrate.md, run as they stand there: the shell's words are the page's.

use std::cell::RefCell;
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::cluster::{Cluster, program, repository};
use podfit_tests::podfit::programs;
use tokio::process::Command;

/// How commands begin that are not run here, and why.
const NOT_RUN: [(&str, &str); 3] = [
    (
        "kubectl -n podfit logs deployment/podfit-updater | grep 'in shadow'",
        "no pod is due, so there is no such line",
    ),
    (
        "kubectl -n NAMESPACE scale deployment",
        "upstream's chart is not at hand: docs/decisions/0074 tells of a try by hand",
    ),
    ("helm get manifest RELEASE", "as the one before"),
];

/// The page's commands that were not run yet.
pub struct Documented {
    cluster: Arc<Cluster>,
    left: RefCell<Vec<String>>,
    /// What the page sets for the commands after it.
    variables: String,
}

impl Documented {
    /// Reads the page.
    pub fn read(cluster: &Arc<Cluster>) -> Result<Self> {
        let page = std::fs::read_to_string(repository().join("docs/migrate.md"))?;
        let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
        let lines = lines.map(|line| line.split(" # ").next().unwrap_or_default().trim());
        let commands = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
        let (variables, left): (Vec<_>, Vec<_>) =
            commands.map(str::to_owned).partition(|command| {
                command
                    .split_once('=')
                    .is_some_and(|(name, _)| name.chars().all(char::is_alphanumeric))
            });
        ensure!(left.len() > 10, "only these commands were found: {left:#?}");
        Ok(Self {
            cluster: Arc::clone(cluster),
            left: left.into(),
            variables: variables.join("\n"),
        })
    }

    /// The first one left that begins like this.
    fn take(&self, begins: &str) -> Result<String> {
        let mut left = self.left.borrow_mut();
        let at = left.iter().position(|command| command.starts_with(begins));
        let at = at.with_context(|| format!("docs/migrate.md has no {begins:?} (any more)"))?;
        Ok(left.remove(at))
    }

    /// Runs the one that begins like this, with `more` behind it: its exit code, and what it wrote.
    pub async fn ends(&self, begins: &str, more: &str) -> Result<(i32, String)> {
        let command = format!("{} {more}", self.take(begins)?);
        self.shell(&command, "").await
    }

    /// The same of one that must succeed.
    pub async fn run(&self, begins: &str, more: &str) -> Result<String> {
        let (code, said) = self.ends(begins, more).await?;
        ensure!(code == 0, "{begins} …: exit code {code}: {said}");
        Ok(said)
    }

    /// For a simulated pod, which has no port: gives `fetched` to what stands behind the pipe of the command that asks for it. It
    /// must find something.
    pub async fn filter(&self, begins: &str, fetched: &str) -> Result<String> {
        let command = self.take(begins)?;
        let (_, filter) = command.split_once(" | ").unwrap_or(("", "cat"));
        let (code, found) = self.shell(filter, fetched).await?;
        ensure!(
            code == 0 && !found.is_empty(),
            "{command} finds nothing in {fetched}"
        );
        Ok(found)
    }

    /// An error when the page has a command that was neither run nor is known not to be.
    pub fn ensure_all_done(&self) -> Result<()> {
        for (begins, why) in NOT_RUN {
            self.take(begins).context(why)?;
        }
        let left = self.left.borrow();
        // The manifest is asked for twice.
        let left: Vec<_> = left
            .iter()
            .filter(|c| !NOT_RUN.iter().any(|(begins, _)| c.starts_with(begins)))
            .collect();
        ensure!(
            left.is_empty(),
            "commands of docs/migrate.md that no test runs: {left:#?}"
        );
        Ok(())
    }

    async fn shell(&self, command: &str, input: &str) -> Result<(i32, String)> {
        let bin = program("kubectl");
        let bin = bin.parent().context("no folder of programs")?.display();
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{bin}:{path}", programs().await?.display());
        let script = format!("{}\n{command}", self.variables);
        let file = podfit_tests::cluster::log_folder(&self.cluster)?.join("input");
        std::fs::write(&file, input)?;
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(repository())
            .env("PATH", path)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .stdin(Stdio::from(std::fs::File::open(&file)?))
            .output()
            .await?;
        let mut said = String::from_utf8(output.stdout)?;
        said += &String::from_utf8(output.stderr)?;
        let code = output.status.code().context("it was killed")?;
        Ok((code, said))
    }
}
