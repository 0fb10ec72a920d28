//! The runs of a container, as a table.

use std::fmt::Write as _;

use serde_json::Value;

/// The last runs, newest first, and what is known of others.
pub fn text(runs: &Value) -> String {
    let last = runs["last"].as_array().map_or(&[][..], Vec::as_slice);
    let count = |name: &str| runs[name].as_u64().unwrap_or(0);
    let mut text = format!("  {} of the last {} runs", last.len(), count("most"));
    for (name, words) in [
        ("underWay", "under way"),
        ("unmeasured", "too short to be measured"),
    ] {
        if count(name) > 0 {
            let _ = write!(text, ", {} {words}", count(name));
        }
    }
    text.push('\n');
    if last.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "    {:<20}  {:<20}  {:>8}  {:>10}  killed at",
        "started", "ended", "cpu p90", "memory"
    );
    for run in last.iter().rev() {
        let field = |name: &str| run[name].as_str().unwrap_or("-");
        let line = format!(
            "    {:<20}  {:<20}  {:>8}  {:>10}  {}",
            field("started"),
            field("ended"),
            field("cpu"),
            field("memory"),
            run["killedAt"].as_str().unwrap_or_default()
        );
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_run_comes_first_and_kills_are_told() {
        let run = |hour: u32, memory: Option<&str>, killed: Option<&str>| {
            json!({
                "started": format!("2026-11-26T{hour:02}:00:00Z"), "ended": format!("2026-11-26T{hour:02}:30:00Z"),
                "cpu": memory.map(|_| "250m"), "memory": memory, "killedAt": killed, "samples": 3,
            })
        };
        let runs = json!({
            "most": 20, "underWay": 1, "unmeasured": 4,
            "last": [run(1, Some("900Mi"), None), run(2, None, Some("1Gi"))],
        });
        let expected = "  2 of the last 20 runs, 1 under way, 4 too short to be measured
    started               ended                  cpu p90      memory  killed at
    2026-11-26T02:00:00Z  2026-11-26T02:30:00Z         -           -  1Gi
    2026-11-26T01:00:00Z  2026-11-26T01:30:00Z      250m       900Mi
";
        assert_eq!(text(&runs), expected);
        let none = json!({"most": 20, "underWay": 0, "unmeasured": 0, "last": []});
        assert_eq!(text(&none), "  0 of the last 20 runs\n");
    }
}
