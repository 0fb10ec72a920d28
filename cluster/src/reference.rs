//! Reference pages of `docs/`, made from what a program is: its command line and the metrics that it registers. For tests
//! alone, behind the feature `reference`: each program has one that fails when its page says something else.

#![allow(clippy::format_push_string, reason = "a page is small, and reads so")]

mod flags;
mod metrics;

use std::path::{Path, PathBuf};

use clap::Command;

pub use self::flags::Upstream;
pub(crate) use self::metrics::note;
pub use self::metrics::{Family, families, from_text};

/// Set (by `make reference`), pages are written rather than compared.
const WRITE: &str = "PODFIT_WRITE_REFERENCE";

const WORDS: &str = "
## Flags

Written `--flag=value`. Below it stands the environment variable that counts where the flag is not given. A `DURATION` is written
like `90s` or `1h30m`, a `QUANTITY` like `500m` or `2Gi`; a `BOOL` is `true` or `false`, and its flag alone means true.
";

/// The page of a program, to [`check`]: what it is for, its flags by group, its metrics. `components` are its rows in the
/// table of upstream's flags.
pub fn program(command: &Command, components: &[&str], metrics: &[Family]) -> String {
    let mut page = flags::head(command);
    page += WORDS;
    page += &flags::groups(command.get_arguments(), Some(&Upstream::of(components)));
    page += "\n## Metrics\n";
    page + &metrics::list(metrics)
}

/// The page of a program that has commands, to [`check`]: each command with its flags, and the flags that all have.
pub fn commands(mut command: Command) -> String {
    command.build();
    let mut page = flags::head(&command);
    let all = command.get_subcommands_mut();
    for command in all.filter(|c| c.get_name() != "help") {
        page += &flags::command(command);
    }
    page += "\n## Flags of every command\n";
    page + &flags::groups(command.get_arguments(), None)
}

/// Compares a page with the one of that name in `docs/reference`, or writes that. Fails when they differ, saying what to do.
pub fn check(name: &str, page: &str) -> Result<(), String> {
    let path = path(name);
    let page = format!("{}\n", page.trim_end());
    if std::env::var_os(WRITE).is_some() {
        return std::fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()));
    }
    if std::fs::read_to_string(&path).is_ok_and(|there| there == page) {
        return Ok(());
    }
    Err(format!(
        "docs/reference/{name}.md is not what the program says any more; run `make reference` and commit the page"
    ))
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/reference/{name}.md"))
}

#[cfg(test)]
mod tests;
