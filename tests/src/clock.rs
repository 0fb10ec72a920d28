//! A clock of a program's own, which tests set while it runs: Debian's libfaketime.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::cluster::{repository, run, script};
use crate::process::Program;

/// How far a program's wall clock is from the machine's. Time passes for it as for all.
pub struct OwnClock {
    file: PathBuf,
}

impl OwnClock {
    /// Gives a program that was not started yet a clock, which is right so far.
    ///
    /// The library comes before the C library's functions, so it has no power over the static programs of the images: this
    /// takes the one that `cargo build` makes.
    pub async fn of(program: &mut Program) -> Result<Self> {
        let library = run(&mut Command::new(script("libfaketime")), "").await?;
        program.executable = dynamic(&program.executable).await?;
        let file = program.log.with_extension("clock");
        let clock = Self { file };
        clock.set("+0")?;
        program.environment.extend([
            ("LD_PRELOAD".into(), library.trim().into()),
            (
                "FAKETIME_TIMESTAMP_FILE".into(),
                clock.file.display().to_string(),
            ),
            // Else the file is read every ten seconds only.
            ("FAKETIME_NO_CACHE".into(), "1".into()),
            // A machine's clock that is set leaves this one alone.
            ("DONT_FAKE_MONOTONIC".into(), "1".into()),
        ]);
        Ok(clock)
    }

    /// From now on it is off by that: `+1d`, `-10y`.
    pub fn set(&self, offset: &str) -> Result<()> {
        // Renamed, as the program may read it at any moment.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("{offset}\n"))?;
        fs::rename(&new, &self.file).with_context(|| self.file.display().to_string())
    }
}

/// The same program, linked to the C library.
async fn dynamic(executable: &Path) -> Result<PathBuf> {
    let name = executable.file_name().context("a program has no name")?;
    let mut build = Command::new("cargo");
    build.args(["build", "--locked", "--quiet", "--package"]);
    build.arg(name).current_dir(repository());
    // Of the cargo that runs this test: ring is compiled anew whenever these differ.
    for (variable, _) in std::env::vars() {
        if variable.starts_with("CARGO_MANIFEST_") || variable.starts_with("CARGO_PKG_") {
            build.env_remove(variable);
        }
    }
    let status = build.stdin(Stdio::null()).status().await?;
    ensure!(status.success(), "{} could not be built", name.display());
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| repository().join("target"));
    Ok(target.join("debug").join(name))
}
