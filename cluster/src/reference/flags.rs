//! Flags as lists, one for each heading of `--help`. As tables they would be wider than any screen.

use clap::builder::{PossibleValue, Str};
use clap::{Arg, Command};

use crate::options::upstream::{self, Known};

/// What upstream says of the flags that a program has.
pub struct Upstream(Vec<Known>);

impl Upstream {
    /// What it says of these components.
    pub fn of(components: &[&str]) -> Self {
        Self(upstream::known(components))
    }

    /// Whether upstream has it, and why its default is another one here.
    fn says(&self, flag: &str) -> String {
        let Some(known) = self.0.iter().find(|known| known.flag == flag) else {
            return "not in upstream".into();
        };
        match (known.why, known.default) {
            ("", _) => "as in upstream".into(),
            (why, "") => format!("in upstream without a default ({why})"),
            (why, default) => format!("in upstream `{default}` ({why})"),
        }
    }
}

/// Name and purpose.
pub fn head(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    format!(
        "# {name}\n\n<!-- Made from the code by `make reference`. -->\n\n{}\n",
        about(command)
    )
}

/// One command: purpose, usage, its own flags, examples.
pub fn command(command: &mut Command) -> String {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let mut text = format!("\n## {name}\n\n{}\n", about(command));
    let usage = command.render_usage().to_string();
    text += &format!("\n    {}\n", usage.trim_start_matches("Usage: "));
    text += &groups(
        command.get_arguments().filter(|arg| !arg.is_global_set()),
        None,
    );
    if let Some(more) = command.get_after_long_help().or(command.get_after_help()) {
        text += &format!("\n```text\n{}\n```\n", more.to_string().trim_end());
    }
    text
}

/// Lists of flags, and of the names of those that have no effect.
pub fn groups<'a>(arguments: impl Iterator<Item = &'a Arg>, upstream: Option<&Upstream>) -> String {
    let (hidden, shown): (Vec<_>, Vec<_>) = arguments
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
        .partition(|arg| arg.is_hide_set());
    let mut headings: Vec<Option<&str>> = Vec::new();
    for arg in &shown {
        if !headings.contains(&arg.get_help_heading()) {
            headings.push(arg.get_help_heading());
        }
    }
    let mut text = String::new();
    for heading in headings {
        if let Some(heading) = heading {
            text += &format!("\n### {heading}\n");
        }
        text.push('\n');
        for arg in shown.iter().filter(|arg| arg.get_help_heading() == heading) {
            text += &entry(arg, upstream);
        }
    }
    if !hidden.is_empty() {
        let names: Vec<_> = hidden
            .iter()
            .map(|arg| format!("`{}`", name(arg)))
            .collect();
        text += &format!(
            "\n### Taken without effect\n\nSo that upstream's manifests work as they are: {}.\n",
            names.join(", ")
        );
    }
    text
}

/// Name and default, what it does, and where else it comes from, each on a line of its own.
fn entry(arg: &Arg, upstream: Option<&Upstream>) -> String {
    let defaults = arg.get_default_values().iter().map(|v| v.to_string_lossy());
    let default = defaults.collect::<Vec<_>>().join(",");
    let mut head = format!("- **`{}`**", with_value(arg));
    if !default.is_empty() && arg.get_action().takes_values() {
        head += &format!(", default `{default}`");
    }
    let env = arg.get_env().map(|env| format!("`{}`", env.display()));
    let upstream = upstream.map(|known| known.says(arg.get_long().unwrap_or_default()));
    let notes: Vec<_> = env.into_iter().chain(upstream).collect();
    let lines = [head, help(arg), notes.join("; ")];
    let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    lines.join("\\\n  ") + "\n"
}

fn name(arg: &Arg) -> String {
    match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => format!("<{}>", values(arg)),
    }
}

fn values(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let names: Vec<_> = names.iter().map(Str::as_str).collect();
    names.join(" ")
}

/// The flag with what its value may be: `--v LEVEL`, `--profile safe|upstream`.
fn with_value(arg: &Arg) -> String {
    if !arg.get_action().takes_values() || arg.is_positional() {
        return name(arg);
    }
    let possible = arg.get_possible_values();
    let names: Vec<_> = possible.iter().map(PossibleValue::get_name).collect();
    let value = match names.as_slice() {
        [] | ["true", "false"] => values(arg),
        names => names.join("|"),
    };
    format!("{} {value}", name(arg))
}

/// The help text as sentences, with what each possible value means.
fn help(arg: &Arg) -> String {
    let text = arg.get_long_help().or(arg.get_help());
    let mut text = sentence(&text.map(ToString::to_string).unwrap_or_default());
    for value in arg.get_possible_values() {
        if let Some(help) = value.get_help() {
            text += &format!(" `{}`: {}", value.get_name(), sentence(&help.to_string()));
        }
    }
    text
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about());
    sentence(&about.map(ToString::to_string).unwrap_or_default())
}

/// clap takes the last full stop off.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', ':']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}
