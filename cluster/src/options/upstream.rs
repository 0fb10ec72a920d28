//! Upstream's flags as a table, to hold a command line against.

use clap::Command;

/// `component,flag,default,default of podfit,why another one`. Where a reason stands without a default, podfit's is empty.
const TABLE: &str = include_str!("upstream-flags.csv");

/// In what a command differs from upstream's flags of these components (`common`, `leader-election`, …), one line each. What
/// the table allows is no difference.
pub fn differences(command: &Command, components: &[&str]) -> Vec<String> {
    let differs = |known: Known| {
        let expected = if known.why.is_empty() {
            known.default
        } else {
            known.other
        };
        difference(command, known.flag, expected)
    };
    known(components).into_iter().filter_map(differs).collect()
}

/// A flag of upstream's.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Its name, without dashes.
    pub flag: &'static str,
    /// Upstream's default.
    pub default: &'static str,
    /// podfit's, where it is another one.
    pub other: &'static str,
    /// Why it is; empty where it is not.
    pub why: &'static str,
}

/// The flags of these components of upstream's.
pub fn known(components: &[&str]) -> Vec<Known> {
    let rows = TABLE.lines().skip(1).map(|row| {
        let mut fields = row.splitn(5, ',');
        [(); 5].map(|()| fields.next().unwrap_or_default())
    });
    rows.filter(|[component, ..]| components.contains(component))
        .map(|[_, flag, default, other, why]| Known {
            flag,
            default,
            other,
            why,
        })
        .collect()
}

fn difference(command: &Command, flag: &str, expected: &str) -> Option<String> {
    let Some(argument) = command.get_arguments().find(|a| a.get_long() == Some(flag)) else {
        return Some(format!("--{flag} is missing"));
    };
    let values: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|value| value.to_string_lossy())
        .collect();
    let default = values.join(",");
    (default != expected).then(|| format!("--{flag} is `{default}` by default, not `{expected}`"))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Args};

    use super::*;
    use crate::options::{ClusterOptions, LeaderElectionOptions, LogOptions};

    #[test]
    fn shared_flags_are_upstreams() {
        let command = ClusterOptions::augment_args(Command::new("x"));
        let command = LeaderElectionOptions::augment_args(LogOptions::augment_args(command));
        assert_eq!(
            differences(&command, &["common", "leader-election"]),
            [] as [String; 0]
        );
    }

    #[test]
    fn a_missing_flag_and_another_default_are_found() {
        let command = Command::new("x").arg(Arg::new("v").long("v").default_value("3"));
        let found = differences(&command, &["common"]);
        assert_eq!(found[0], "--kubeconfig is missing");
        assert!(found.contains(&"--v is `3` by default, not `4`".to_owned()));
    }
}
