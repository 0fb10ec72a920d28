//! The command line as upstream's flag library takes it.

/// The process' arguments with underscores in flag names turned into dashes, and Go's single dash into two, since
/// upstream's flag library takes both.
pub fn arguments() -> Vec<String> {
    std::env::args()
        .map(|argument| normalize(&argument))
        .collect()
}

fn normalize(argument: &str) -> String {
    let Some(flag) = argument
        .strip_prefix("--")
        .or_else(|| argument.strip_prefix('-').filter(|f| f.len() > 1))
    else {
        return argument.into();
    };
    if argument.starts_with('-')
        && !argument.starts_with("--")
        && !flag.contains('=')
        && flag.len() < 3
        && flag != "v"
    {
        return argument.into(); // -h, -V
    }
    match flag.split_once('=') {
        Some((name, value)) => format!("--{}={value}", name.replace('_', "-")),
        None => format!("--{}", flag.replace('_', "-")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_may_be_written_as_upstream_takes_them() {
        let cases = [
            ("--recommender_interval=5s", "--recommender-interval=5s"),
            ("-recommender-interval=a_b", "--recommender-interval=a_b"),
            ("--v=4", "--v=4"),
            ("-v=4", "--v=4"),
            ("-h", "-h"),
            ("value_with_underscore", "value_with_underscore"),
        ];
        for (given, normalized) in cases {
            assert_eq!(normalize(given), normalized);
        }
    }
}
