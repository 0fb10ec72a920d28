//! What the flags of podfit's programs say, read from their Deployments.

use clap::{CommandFactory, FromArgMatches};

/// The flags that `T` knows, of those in `arguments`; others are passed over. Defaults where they make no sense.
pub fn read<T: CommandFactory + FromArgMatches>(arguments: &[String]) -> Result<T, clap::Error> {
    let command = T::command().args_override_self(true);
    let known = |name: &str| {
        let mut flags = command.get_arguments();
        flags.any(|flag| flag.get_long() == Some(name))
    };
    let mut kept = vec![String::new()];
    let mut takes_next = false;
    for argument in arguments {
        let Some(flag) = argument.trim_start_matches('-').split('=').next() else {
            continue;
        };
        let flag = flag.replace('_', "-");
        if !argument.starts_with('-') {
            if takes_next {
                kept.push(argument.clone());
            }
            takes_next = false;
        } else if known(&flag) {
            let value = argument
                .split_once('=')
                .map(|(_, value)| format!("={value}"));
            takes_next = value.is_none();
            kept.push(format!("--{flag}{}", value.unwrap_or_default()));
        } else {
            takes_next = false;
        }
    }
    let matches = command.clone().try_get_matches_from(kept)?;
    T::from_arg_matches(&matches)
}

/// The value of one flag, the last where it is repeated.
pub fn value<'a>(arguments: &'a [String], name: &str) -> Option<&'a str> {
    let of = |argument: &'a String| {
        let (flag, value) = argument.trim_start_matches('-').split_once('=')?;
        (flag.replace('_', "-") == name).then_some(value)
    };
    arguments.iter().rev().find_map(of)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use podfit_cluster::options::{ClusterOptions, Profile};

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        cluster: ClusterOptions,
    }

    #[test]
    fn flags_of_others_are_passed_over() {
        let given = [
            "--address=:1",
            "-profile=safe",
            "--vpa_object_namespace",
            "shop",
            "--lease",
            "x",
            "--profile=upstream",
        ]
        .map(String::from);
        let flags: Flags = read(&given).unwrap();
        assert_eq!(flags.cluster.vpa_object_namespace, "shop");
        assert_eq!(flags.cluster.profile, Profile::Upstream);
        assert_eq!(value(&given, "profile"), Some("upstream"));
        assert_eq!(value(&given, "lease"), None);
    }
}
