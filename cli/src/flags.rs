//! What the flags of podfit's programs say, read from their Deployments.

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches};
use serde_json::Value;

/// The flags that `T` knows, of those in `arguments`; others are passed over. Defaults where they make no sense. The environment
/// of this process is another's, and does not count.
pub fn read<T: CommandFactory + FromArgMatches>(arguments: &[String]) -> Result<T, clap::Error> {
    let command = T::command().args_override_self(true);
    let command = command.mut_args(|flag| flag.env(Resettable::Reset));
    let known = |name: &str| {
        let mut flags = command.get_arguments();
        flags.any(|flag| flag.get_long() == Some(name))
    };
    let mut kept = vec![String::new()];
    let mut takes_next = false;
    for argument in arguments {
        if !argument.starts_with('-') {
            if takes_next {
                kept.push(argument.clone());
            }
            takes_next = false;
            continue;
        }
        let name = name(argument);
        if known(&name) {
            let value = argument
                .split_once('=')
                .map(|(_, value)| format!("={value}"));
            takes_next = value.is_none();
            kept.push(format!("--{name}{}", value.unwrap_or_default()));
        } else {
            takes_next = false;
        }
    }
    let matches = command.clone().try_get_matches_from(kept)?;
    T::from_arg_matches(&matches)
}

/// The value of one flag, the last where it is repeated; `true` of one that has none.
pub fn value<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let is_flag = |argument: &&String| argument.starts_with('-') && name(argument) == flag;
    let at = arguments.iter().rposition(|argument| is_flag(&argument))?;
    if let Some((_, value)) = arguments[at].split_once('=') {
        return Some(value);
    }
    let next = arguments.get(at + 1).map(String::as_str);
    next.filter(|next| !next.starts_with('-')).or(Some("true"))
}

/// The name of a flag as it is given: `-v=4` is `v`.
fn name(argument: &str) -> String {
    let name = argument.trim_start_matches('-').split('=').next();
    name.unwrap_or_default().replace('_', "-")
}

/// The flags that a container's variables give, `PODFIT_PROFILE` for `--profile`. Values from elsewhere are not known.
pub fn from_environment(variables: &Value) -> impl Iterator<Item = String> {
    let variables = variables.as_array().into_iter().flatten();
    variables.filter_map(|variable| {
        let name = variable["name"].as_str()?.strip_prefix("PODFIT_")?;
        let name = name.to_lowercase().replace('_', "-");
        Some(format!("--{name}={}", variable["value"].as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use podfit_cluster::options::{ClusterOptions, Profile};
    use serde_json::json;

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
        assert_eq!(value(&given, "lease"), Some("x"));
        assert_eq!(value(&given, "x"), None);
    }

    #[test]
    fn a_flag_alone_is_true() {
        let given = ["--shadow", "--leader-elect=false"].map(String::from);
        assert_eq!(value(&given, "shadow"), Some("true"));
        assert_eq!(value(&given, "leader-elect"), Some("false"));
    }

    #[test]
    fn the_environment_of_a_container_gives_flags() {
        let variables = json!([
            {"name": "NAMESPACE", "value": "podfit"},
            {"name": "PODFIT_VPA_OBJECT_NAMESPACE", "value": "shop"},
            {"name": "PODFIT_PROFILE", "valueFrom": {"fieldRef": {}}},
        ]);
        let given: Vec<_> = from_environment(&variables).collect();
        assert_eq!(given, ["--vpa-object-namespace=shop"]);
    }

    #[derive(Parser)]
    struct OfThisProcess {
        #[arg(long, env = "PATH")]
        path: Option<String>,
    }

    /// The operator's own variables are not the Deployment's.
    #[test]
    fn flags_are_not_read_from_the_environment_here() {
        assert!(OfThisProcess::parse_from([""]).path.is_some());
        assert_eq!(read::<OfThisProcess>(&[]).unwrap().path, None);
    }
}
