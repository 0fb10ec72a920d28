//! Metrics as a list. A collector tells all of itself before it counted anything, which what it shows does not.

use std::cell::RefCell;

use prometheus::Registry;
use prometheus::core::Collector;
use prometheus::proto::MetricType;

use crate::metrics::registry;
use crate::other_vpa::Lookout;
use crate::request_metrics::RequestMetrics;
use crate::version::Version;

/// A metric as it was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Names of its labels.
    pub labels: Vec<String>,
    /// What it says.
    pub help: String,
}

thread_local! {
    /// What this thread has registered.
    static NOTED: RefCell<Vec<Family>> = const { RefCell::new(Vec::new()) };
}

/// Notes what is registered.
pub(crate) fn note(collector: &impl Collector) {
    let shown = collector.collect();
    let families = collector.desc().into_iter().map(|desc| {
        let kind = shown.iter().find(|family| family.name() == desc.fq_name);
        let constant = desc
            .const_label_pairs
            .iter()
            .map(|pair| pair.name().to_owned());
        Family {
            name: desc.fq_name.clone(),
            kind: kind
                .map_or("gauge", |family| word(family.get_field_type()))
                .into(),
            labels: constant
                .chain(desc.variable_labels.iter().cloned())
                .collect(),
            help: desc.help.clone(),
        }
    });
    NOTED.with_borrow_mut(|noted| noted.extend(families));
}

fn word(kind: MetricType) -> &'static str {
    match kind {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        MetricType::GAUGE => "gauge",
        MetricType::SUMMARY | MetricType::UNTYPED => "untyped",
    }
}

/// What a program registers that has these metrics of its own beside those that all programs have.
pub fn families(
    own: impl FnOnce(&Registry) -> Result<(), prometheus::Error>,
) -> Result<Vec<Family>, prometheus::Error> {
    NOTED.take();
    let registry = registry(Version::new("", None))?;
    own(&registry)?;
    Lookout::metric(&registry)?;
    RequestMetrics::new(&registry)?;
    Ok(NOTED.take())
}

/// What a page in the text format shows: each metric with the labels of its first series.
pub fn from_text(page: &str) -> Vec<Family> {
    let after = |start: String| {
        page.lines()
            .find_map(move |line| line.strip_prefix(&start).map(str::to_owned))
    };
    let helps = page
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    helps
        .map(|(name, help)| {
            let labels = after(format!("{name}{{")).unwrap_or_default();
            let names = labels
                .split("\",")
                .filter_map(|label| label.split_once('='));
            Family {
                name: name.to_owned(),
                kind: after(format!("# TYPE {name} ")).unwrap_or_default(),
                labels: names.map(|(name, _)| name.to_owned()).collect(),
                help: help.to_owned(),
            }
        })
        .collect()
}

/// Whose names begin how, in the order of the page. The last takes all others.
const ORIGINS: [(&str, &str); 3] = [
    ("podfit's own", "podfit_"),
    ("As in upstream", "vpa_"),
    (
        "Of the process and its requests, as Go's programs have them",
        "",
    ),
];

/// All of them, by origin and name.
pub fn list(families: &[Family]) -> String {
    let mut left: Vec<_> = families.iter().collect();
    left.sort_by_key(|family| &family.name);
    let mut text = String::new();
    for (origin, prefix) in ORIGINS {
        let these: Vec<_> = left
            .extract_if(.., |family| family.name.starts_with(prefix))
            .collect();
        if !these.is_empty() {
            text += &format!("\n### {origin}\n\n");
            text.extend(these.into_iter().map(entry));
        }
    }
    text
}

fn entry(
    Family {
        name,
        kind,
        labels,
        help,
    }: &Family,
) -> String {
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let by = if labels.is_empty() { "" } else { ", by " };
    format!(
        "- **`{name}`** {kind}{by}{}\\\n  {help}\n",
        labels.join(" ")
    )
}
