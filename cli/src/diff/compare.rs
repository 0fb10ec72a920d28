//! Two recommendations for one VPA: how far they lie apart, and where podfit's comes from.

use std::collections::BTreeSet;

use podfit_cluster::api::quantity::amount;
use podfit_core::quality::{buckets_between, change};
use podfit_core::quantity::Resource;
use podfit_core::vpa::{ContainerRecommendation, Vpa};
use serde_json::Value;

use crate::evidence::{Evidence, derivation, recommendation};

/// The targets of one resource of one container. Amounts are in base units: millicores or bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The namespace of the VPA.
    pub namespace: String,
    /// The VPA.
    pub vpa: String,
    /// The container.
    pub container: String,
    /// CPU or memory.
    pub resource: Resource,
    /// What stands in the VPA's status.
    pub published: Option<i64>,
    /// What podfit recommends.
    pub podfit: Option<i64>,
    /// How many pods run with that container.
    pub pods: i64,
    /// Where podfit's number comes from.
    pub reason: Reason,
}

/// Why podfit's number is what it is, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable word for programs: one of those below, or the code of the last step to the number that is neither margin nor
    /// rounding (`OutOfMemory`, `MinAllowed`, ...).
    pub code: String,
    /// A phrase for people.
    pub words: String,
}

impl Reason {
    /// The number is a percentile of what was used, and the history is long enough.
    const PERCENTILE: &'static str = "Percentile";
    /// The same of a short history.
    const SHORT_HISTORY: &'static str = "ShortHistory";
    /// A large drop waits for evidence: what is published stays.
    const HELD: &'static str = "Held";
    /// There is no sample yet; what is published stays.
    const NO_SAMPLES: &'static str = "NoSamples";
    /// The VPA's policy leaves the resource or the container alone.
    const NOT_CONTROLLED: &'static str = "NotControlled";
    /// The recommender's first loop is not over.
    const NOT_YET: &'static str = "NotYet";
    /// The target cannot be sized, or nobody could be asked.
    const PROBLEM: &'static str = "Problem";

    fn new(code: &str, words: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            words: words.into(),
        }
    }
}

impl Number {
    /// How far podfit's lies above the published, as a fraction of that; `None` unless there are both.
    pub fn relative(&self) -> Option<f64> {
        change(self.published?, self.podfit?)
    }

    /// The same in buckets of the histogram.
    pub fn buckets(&self) -> Option<i64> {
        Some(buckets_between(
            self.resource,
            self.published?,
            self.podfit?,
        ))
    }

    /// True when the two lie farther apart than that, or there is but one.
    pub fn moves(&self, tolerance: i64) -> bool {
        self.buckets()
            .is_none_or(|buckets| buckets.abs() > tolerance)
    }

    /// By how much all pods together would request more.
    pub fn more(&self) -> i64 {
        let each = self
            .podfit
            .zip(self.published)
            .map(|(ours, theirs)| ours - theirs);
        each.unwrap_or(0).saturating_mul(self.pods)
    }
}

/// All numbers that are published for a VPA, or that podfit has. `pods`: how many it sizes.
pub fn compare(vpa: &Vpa, explanation: &Value, pods: i64) -> Vec<Number> {
    let podfit = recommendation(explanation);
    let published = vpa.recommendation.as_deref().unwrap_or_default();
    let both = published.iter().chain(podfit.iter().flatten());
    let containers: BTreeSet<_> = both.map(|c| c.container_name.as_str()).collect();
    let target = |of: &[ContainerRecommendation], container: &str, resource| {
        let named = of.iter().find(|c| c.container_name == container);
        named.and_then(|c| c.target.get(resource))
    };
    let mut numbers = Vec::new();
    for container in containers {
        for resource in Resource::ALL {
            let ours = podfit.as_deref().unwrap_or_default();
            let ours = target(ours, container, resource);
            let published = target(published, container, resource);
            if published.is_some() || ours.is_some() {
                let explained = Explained::new(explanation, container, resource);
                numbers.push(Number {
                    namespace: vpa.namespace.clone(),
                    vpa: vpa.name.clone(),
                    container: container.into(),
                    resource,
                    published,
                    podfit: ours,
                    pods,
                    reason: explained.reason(ours, podfit.is_none()),
                });
            }
        }
    }
    numbers
}

/// What is explained of one resource of one container.
struct Explained<'a> {
    /// Of the whole VPA.
    whole: &'a Value,
    container: &'a str,
    resource: Resource,
    /// Of the resource; null when there is nothing.
    of: &'a Value,
}

impl<'a> Explained<'a> {
    fn new(whole: &'a Value, container: &'a str, resource: Resource) -> Self {
        let mut containers = whole["containers"].as_array().into_iter().flatten();
        let named = containers.find(|c| c["name"] == container);
        let of = named.map_or(&Value::Null, |c| &c["resources"][resource.name()]);
        Self {
            whole,
            container,
            resource,
            of,
        }
    }

    /// The target that the samples lead to.
    fn computed(&self) -> Option<i64> {
        amount(self.resource, &self.of["target"]["amount"]).ok()
    }

    fn reason(&self, podfit: Option<i64>, first_loop: bool) -> Reason {
        if self.whole.is_null() {
            return Reason::new(Reason::PROBLEM, "nobody could be asked");
        }
        if let Some(problem) = self.whole["problem"].as_str() {
            return Reason::new(Reason::PROBLEM, problem);
        }
        if first_loop {
            return Reason::new(Reason::NOT_YET, "the recommender's first loop is not over");
        }
        if self.of["controlled"] == false {
            let words = "the VPA's policy does not control it";
            return Reason::new(Reason::NOT_CONTROLLED, words);
        }
        let Some(computed) = self.computed() else {
            return self.nothing_computed();
        };
        let words = derivation(self.resource, &self.of["target"]);
        match podfit {
            Some(podfit) if podfit != computed => Reason::new(
                Reason::HELD,
                format!("a large drop waits for a day of evidence: {words}"),
            ),
            _ => Reason::new(self.main_step(), words),
        }
    }

    fn nothing_computed(&self) -> Reason {
        const OFF: &str = "its policy has mode Off";
        let off = format!("{}: {OFF}", self.container);
        let mut reasons = self.whole["reasons"].as_array().into_iter().flatten();
        if reasons.any(|reason| *reason == *off) {
            return Reason::new(Reason::NOT_CONTROLLED, OFF);
        }
        Reason::new(Reason::NO_SAMPLES, "no sample of it yet")
    }

    /// What made the target what it is.
    fn main_step(&self) -> &str {
        const OF_EVERY_NUMBER: [&str; 4] = ["Margin", "Rounding", "Humanized", "IntegerCpu"];
        let steps = self.of["target"]["steps"].as_array().into_iter().flatten();
        let causes = steps.filter_map(|step| step["cause"].as_str());
        let own = causes.rev().find(|cause| !OF_EVERY_NUMBER.contains(cause));
        own.unwrap_or(if self.of["confidence"]["low"] == true {
            Reason::SHORT_HISTORY
        } else {
            Reason::PERCENTILE
        })
    }
}

/// All numbers, and how many are what.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// How many buckets apart is the same.
    pub tolerance: i64,
    /// How many VPAs were compared.
    pub vpas: usize,
    /// Their numbers.
    pub numbers: Vec<Number>,
    /// What could not be read, who told, and which VPAs have no number.
    pub remarks: Vec<String>,
    /// Who told of podfit's numbers.
    pub sources: BTreeSet<String>,
}

impl Comparison {
    /// Nothing yet.
    pub fn new(tolerance: i64, remarks: Vec<String>) -> Self {
        Self {
            tolerance,
            remarks,
            ..Self::default()
        }
    }

    /// Adds a VPA's.
    pub fn add(&mut self, vpa: &Vpa, numbers: Vec<Number>, evidence: &Evidence) {
        self.vpas += 1;
        self.sources.insert(evidence.source.clone());
        if numbers.is_empty() {
            let why = evidence.explanation["problem"].as_str();
            let why = why.unwrap_or("no container has a history yet");
            let remark = format!("VPA {} has a number on neither side: {why}", vpa.key());
            self.remarks.push(remark);
        }
        self.numbers.extend(numbers);
    }

    /// Puts first what moves farthest; numbers that one side lacks before all others.
    pub fn sort(&mut self) {
        let distance = |n: &Number| n.buckets().map_or(i64::MAX, i64::abs);
        self.numbers.sort_by_key(|n| std::cmp::Reverse(distance(n)));
    }

    /// True when a number moves by more than the tolerance, or stands on one side only.
    pub fn differs(&self) -> bool {
        self.numbers.iter().any(|n| n.moves(self.tolerance))
    }

    /// How many numbers of each kind there are.
    pub fn count(&self) -> Count {
        let count = |is: &dyn Fn(&Number) -> bool| self.numbers.iter().filter(|n| is(n)).count();
        let both = |n: &Number| n.published.is_some() && n.podfit.is_some();
        Count {
            same: count(&|n| !n.moves(self.tolerance)),
            moved: count(&|n| both(n) && n.moves(self.tolerance)),
            only_podfit: count(&|n| n.published.is_none()),
            only_published: count(&|n| n.podfit.is_none()),
        }
    }

    /// By how much running pods would request more of a resource, in base units.
    pub fn more(&self, resource: Resource) -> i64 {
        let of = self.numbers.iter().filter(|n| n.resource == resource);
        of.map(Number::more).sum()
    }
}

/// How many numbers are what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Within the tolerance.
    pub same: usize,
    /// Farther apart.
    pub moved: usize,
    /// Nothing is published.
    pub only_podfit: usize,
    /// podfit has none.
    pub only_published: usize,
}
