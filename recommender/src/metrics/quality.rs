//! Upstream's quality metrics: how the recommendations fit what is used.

use podfit_cluster::metrics::{histogram, register, size_label};
use podfit_core::quality::{Observation, change, judge};
use podfit_core::quantity::Resource;
use podfit_core::vpa::{ContainerRecommendation, UpdateMode};
use prometheus::local::LocalHistogram;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

/// Differences as fractions.
const RELATIVE_BUCKETS: [f64; 29] = [
    -1.0, -0.75, -0.5, -0.25, -0.1, -0.05, -0.025, -0.01, -0.005, -0.0025, -0.001, 0.0, 0.001,
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0,
];

/// What usage samples say of the recommendations they met, by update mode.
#[derive(Clone)]
pub struct Quality {
    relative: HistogramVec,
    missing: IntCounterVec,
    cpu: Amounts,
    memory: Amounts,
    changes: HistogramVec,
}

/// The three histograms in the unit of one resource.
#[derive(Clone)]
struct Amounts {
    over: HistogramVec,
    lower_equal: HistogramVec,
    recommendations: HistogramVec,
    /// Those of memory tell out-of-memory kills apart.
    tells_ooms: bool,
}

impl Amounts {
    fn new(registry: &Registry, resource: Resource) -> Result<Self, prometheus::Error> {
        let (name, unit, first, tells_ooms) = match resource {
            Resource::Cpu => ("cpu", "cores", 0.01, false),
            Resource::Memory => ("mem", "bytes", 1e6, true),
        };
        let buckets = prometheus::exponential_buckets(first, 2.0, 17)?;
        let with_ooms = |labels: &[&'static str]| {
            let ooms = ["is_oom"].into_iter().filter(|_| tells_ooms);
            labels.iter().copied().chain(ooms).collect::<Vec<_>>()
        };
        let make = |name: &str, help: &str, labels: &[&'static str]| {
            register(
                registry,
                histogram(name, help, &with_ooms(labels), &buckets)?,
            )
        };
        Ok(Self {
            over: make(
                &format!("vpa_quality_{name}_recommendation_over_usage_diffs_{unit}"),
                "How far a recommendation lay above a usage sample.",
                &["update_mode", "recommendation_missing"],
            )?,
            lower_equal: make(
                &format!("vpa_quality_{name}_recommendation_lower_equal_usage_diffs_{unit}"),
                "How far a recommendation lay below a usage sample, or none at all.",
                &["update_mode", "recommendation_missing"],
            )?,
            recommendations: make(
                &format!("vpa_quality_{name}_recommendations_{unit}"),
                "What was recommended when a usage sample came.",
                &["update_mode"],
            )?,
            tells_ooms,
        })
    }

    fn child(&self, of: &HistogramVec, labels: &[&'static str], is_oom: bool) -> LocalHistogram {
        let oom = [text(is_oom)].into_iter().filter(|_| self.tells_ooms);
        let labels: Vec<_> = labels.iter().copied().chain(oom).collect();
        of.with_label_values(&labels).local()
    }
}

impl Quality {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let missing = Opts::new(
            "vpa_quality_usage_sample_missing_recommendation_count",
            "Usage samples of containers for which nothing was recommended yet.",
        );
        let by_sample = ["update_mode", "resource", "is_oom"];
        Ok(Self {
            relative: register(
                registry,
                histogram(
                    "vpa_quality_usage_recommendation_relative_diffs",
                    "How far a usage sample lay above its recommendation, as a fraction of that.",
                    &by_sample,
                    &RELATIVE_BUCKETS,
                )?,
            )?,
            missing: register(registry, IntCounterVec::new(missing, &by_sample)?)?,
            cpu: Amounts::new(registry, Resource::Cpu)?,
            memory: Amounts::new(registry, Resource::Memory)?,
            changes: register(
                registry,
                histogram(
                    "vpa_quality_relative_recommendation_changes",
                    "How far a recommendation lay above the one published before, as a fraction of that.",
                    &["update_mode", "resource", "vpa_size_log2"],
                    &RELATIVE_BUCKETS,
                )?,
            )?,
        })
    }

    /// For the samples of one loop.
    pub fn samples(&self) -> Samples<'_> {
        Samples {
            quality: self,
            children: Vec::new(),
        }
    }

    /// Observes a container's recommendation against the one that stands published.
    pub fn observe_change(
        &self,
        old: &ContainerRecommendation,
        new: &ContainerRecommendation,
        (mode, pods): (UpdateMode, usize),
    ) {
        for resource in Resource::ALL {
            let amounts = [old, new].map(|r| r.uncapped_target.get(resource));
            let [Some(old), Some(new)] = amounts else {
                continue;
            };
            if let Some(fraction) = change(old, new) {
                self.changes
                    .with_label_values(&[mode.name(), resource.name(), size_label(pods)])
                    .observe(fraction);
            }
        }
    }

    fn amounts(&self, resource: Resource) -> &Amounts {
        match resource {
            Resource::Cpu => &self.cpu,
            Resource::Memory => &self.memory,
        }
    }
}

/// Observes the samples of one loop. There are many, so labels are resolved once, and numbers handed over at the end: when
/// this is dropped.
pub struct Samples<'a> {
    quality: &'a Quality,
    children: Vec<(Key, Children)>,
}

/// What a sample is, beside its amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The mode of the VPA.
    pub mode: UpdateMode,
    /// Of what it is.
    pub resource: Resource,
    /// True when it stands for an out-of-memory kill.
    pub is_oom: bool,
}

struct Children {
    relative: LocalHistogram,
    missing: IntCounter,
    over: LocalHistogram,
    lower_equal: LocalHistogram,
    lower_equal_missing: LocalHistogram,
    recommendations: LocalHistogram,
}

impl Children {
    fn new(quality: &Quality, key: Key) -> Self {
        let (mode, oom) = (key.mode.name(), key.is_oom);
        let by_sample = [mode, key.resource.name(), text(oom)];
        let amounts = quality.amounts(key.resource);
        Self {
            relative: quality.relative.with_label_values(&by_sample).local(),
            missing: quality.missing.with_label_values(&by_sample),
            over: amounts.child(&amounts.over, &[mode, "false"], oom),
            lower_equal: amounts.child(&amounts.lower_equal, &[mode, "false"], oom),
            lower_equal_missing: amounts.child(&amounts.lower_equal, &[mode, "true"], oom),
            recommendations: amounts.child(&amounts.recommendations, &[mode], oom),
        }
    }

    fn observe(&mut self, observation: Observation) {
        match observation {
            Observation::Missing { usage } => {
                self.missing.inc();
                self.lower_equal_missing.observe(usage);
            }
            Observation::Judged {
                recommended,
                over,
                difference,
                relative,
            } => {
                self.recommendations.observe(recommended);
                self.relative.observe(relative);
                let side = if over {
                    &mut self.over
                } else {
                    &mut self.lower_equal
                };
                side.observe(difference);
            }
        }
    }
}

impl Samples<'_> {
    /// Observes `usage` against what was `recommended`, both in base units.
    pub fn observe(&mut self, key: Key, usage: i64, recommended: Option<i64>) {
        let known = self.children.iter().position(|(known, _)| *known == key);
        let at = known.unwrap_or_else(|| {
            self.children.push((key, Children::new(self.quality, key)));
            self.children.len() - 1
        });
        if let Some((_, children)) = self.children.get_mut(at) {
            children.observe(judge(key.resource, usage, recommended));
        }
    }
}

fn text(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}
