use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use prometheus::{IntCounterVec, Opts, Registry};

use super::*;
use crate::metrics::register;
use crate::options::LogOptions;

#[derive(Clone, ValueEnum)]
enum Colour {
    /// Like the sky
    Blue,
    Red,
}

/// Paints.
#[derive(Parser)]
#[command(name = "painter", bin_name = "painter")]
struct Painter {
    /// How many pots
    #[arg(long, default_value_t = 2, env = "PAINTER_POTS", value_name = "N")]
    pots: u8,
    #[command(flatten)]
    wall: Wall,
    #[command(flatten)]
    logs: LogOptions,
}

#[derive(Args)]
#[command(next_help_heading = "Wall")]
struct Wall {
    /// Of what colour
    #[arg(long, value_enum)]
    colour: Option<Colour>,
}

#[test]
fn flags_stand_under_their_headings_with_what_upstream_says_of_them() {
    let page = program(&Painter::command(), &["common"], &[]);
    for part in [
        "# painter\n",
        "\nPaints.\n",
        "- **`--pots N`**, default `2`\\\n  How many pots.\\\n  `PAINTER_POTS`; not in upstream\n",
        "\n### Wall\n\n",
        "- **`--colour blue|red`**\\\n  Of what colour. `blue`: Like the sky.\\\n  not in upstream\n",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    assert!(
        page.contains("- **`--v LEVEL`**, default `4`\\\n"),
        "{page}"
    );
    let (_, hidden) = page.split_once("### Taken without effect").unwrap();
    assert!(hidden.contains("`--vmodule`"), "{hidden}");
}

/// Does things.
#[derive(Parser)]
#[command(name = "tool", bin_name = "tool")]
struct Tool {
    #[command(subcommand)]
    what: What,
    /// Where
    #[arg(long, global = true, value_name = "PLACE")]
    at: Option<String>,
}

#[derive(Subcommand)]
enum What {
    /// Digs.
    #[command(after_help = "Example:\n  tool dig deep")]
    Dig {
        /// How deep
        #[arg(value_name = "DEPTH")]
        depth: String,
    },
}

#[test]
fn commands_have_their_own_flags_and_those_of_all_stand_once() {
    let page = commands(Tool::command());
    let expected = "## tool dig\n\nDigs.\n\n    tool dig [OPTIONS] <DEPTH>\n\n- **`<DEPTH>`**\\\n  How deep.\n\n```text\nExample:\n  tool dig deep\n```\n\n## Flags of every command\n";
    assert!(page.contains(expected), "{page}");
    assert_eq!(page.matches("`--at PLACE`").count(), 1, "{page}");
}

#[test]
fn metrics_have_labels_before_they_count() {
    let metrics = families(|registry: &Registry| {
        let pots = Opts::new("podfit_pots_total", "Pots.").const_label("name", "painter");
        register(registry, IntCounterVec::new(pots, &["colour"])?).map(drop)
    })
    .unwrap();
    let page = program(&Painter::command(), &[], &metrics);
    let entry = "### podfit's own\n\n- **`podfit_build_info`** gauge, by `revision` `version`\\\n";
    assert!(page.contains(entry), "{page}");
    assert!(
        page.contains("- **`podfit_other_vpa_active`** gauge\\\n"),
        "{page}"
    );
    let entry = "- **`podfit_pots_total`** counter, by `name` `colour`\\\n  Pots.\n";
    assert!(page.contains(entry), "{page}");
    for of_all in [
        "- **`rest_client_request_duration_seconds`** histogram, by `host` `verb`\\\n",
        "- **`process_cpu_seconds_total`** counter\\\n",
    ] {
        assert!(page.contains(of_all), "{of_all} is not in\n{page}");
    }
}

#[test]
fn a_page_of_metrics_is_read() {
    let page = "# HELP a_total All.\n# TYPE a_total counter\na_total{b=\"1\",c=\"2\"} 3\n# HELP d One.\n# TYPE d gauge\nd 4\n";
    let family = |name: &str, kind: &str, labels: &[&str], help: &str| Family {
        name: name.into(),
        kind: kind.into(),
        labels: labels.iter().map(ToString::to_string).collect(),
        help: help.into(),
    };
    let expected = [
        family("a_total", "counter", &["b", "c"], "All."),
        family("d", "gauge", &[], "One."),
    ];
    assert_eq!(from_text(page), expected);
}

#[test]
fn a_page_that_is_not_there_is_to_be_made() {
    let error = check("of-nothing", "# Nothing").unwrap_err();
    assert!(error.contains("run `make reference`"), "{error}");
}
