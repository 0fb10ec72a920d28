//! How each recommended number came about, from the samples to what is published.
//!
//! An estimate is a [`Derivation`]: the percentile it starts from, and each step that changed it. The recommendation
//! and its reasons are read from derivations, so that an explanation never tells another story than the numbers.

use std::fmt;
use std::time::Duration;

use crate::adaptive::{Followed, Peaks, Told};
use crate::estimator::Confidence;
use crate::history::OomFloor;
use crate::quantity::Resource;
use crate::runs::{Run, Runs};
use crate::time::Timestamp;

/// Why one container is recommended what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerExplanation {
    /// Its name.
    pub container: String,
    /// How many CPU samples were ever added. Upstream counts only those, and so does confidence.
    pub samples: u64,
    /// The time of the first CPU sample.
    pub first_sample: Option<Timestamp>,
    /// The time of the last CPU sample.
    pub last_sample: Option<Timestamp>,
    /// The runs that it rests on, where the workload is one of runs.
    pub runs: Option<RunsExplanation>,
    /// What out-of-memory kills have shown, while that holds.
    pub oom_floor: Option<OomFloorExplanation>,
    /// CPU and memory, in this order.
    pub resources: [ResourceExplanation; 2],
}

/// An out-of-memory floor that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct OomFloorExplanation {
    /// The floor.
    pub floor: OomFloor,
    /// When it ends if no other kill happens; `None` where it holds for as long as the killed run is remembered.
    pub until: Option<Timestamp>,
    /// The last kill asks for more than what it is raised to: so far, and no further.
    pub capped: bool,
}

/// The runs of a container.
#[derive(Clone, Debug, PartialEq)]
pub struct RunsExplanation {
    /// How many are remembered at most.
    pub most: usize,
    /// Those that ended, oldest first.
    pub ended: Vec<Run>,
    /// How many are under way of which something is known.
    pub under_way: usize,
    /// How many ended before anything of them was measured.
    pub unmeasured: u32,
}

impl RunsExplanation {
    pub(crate) fn of(runs: &Runs) -> Self {
        Self {
            most: runs.most(),
            ended: runs.ended().cloned().collect(),
            under_way: runs.under_way().count(),
            unmeasured: runs.unmeasured(),
        }
    }
}

/// Why a container is recommended so much of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceExplanation {
    /// Which one.
    pub resource: Resource,
    /// False when the VPA's policy leaves this resource alone: nothing is published then.
    pub controlled: bool,
    /// After this time a sample counts half.
    pub half_life: Duration,
    /// Memory: one peak is kept per pod and this much time. CPU: each sample counts.
    pub window: Option<Duration>,
    /// How much history there is, of how much that is wanted.
    pub confidence: Confidence,
    /// What kind of workload it is by this resource, where the estimator `adaptive` looks at it.
    pub class: Option<Told>,
    /// CPU: the mean of the samples, in millicores; `None` without one, and of memory, whose samples are peaks.
    pub mean: Option<i64>,
    /// `None` without a sample or a kill.
    pub target: Option<Derivation>,
    /// `None` without a sample.
    pub lower_bound: Option<Derivation>,
    /// `None` without a sample, and while a single sample bounds nothing.
    pub upper_bound: Option<Derivation>,
}

/// One number and how it came about. Amounts are in base units: millicores or bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivation {
    /// Which percentile of the samples it starts from, 0 to 1.
    pub percentile: f64,
    /// That percentile; `None` without a sample, when something else says how much is needed.
    pub raw: Option<i64>,
    /// What changed it, in order.
    pub steps: Vec<Step>,
}

/// One change of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What changed it.
    pub cause: Cause,
    /// What it became.
    pub to: i64,
}

/// What changed a number. Amounts are in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cause {
    /// Headroom, as a fraction of the number.
    Margin(f64),
    /// A short history widens bounds by this factor.
    Confidence(f64),
    /// A bound of a young history stays within this factor of what was seen.
    Seen(f64),
    /// So few runs widen every number: the next may differ.
    FewRuns(usize),
    /// Out-of-memory kills have shown that so much is needed, margin included.
    OutOfMemory(i64),
    /// The container's share of the pod's minimum.
    Minimum(i64),
    /// Rounded up to a multiple of this.
    Rounding(i64),
    /// Rounded to two decimals of a binary unit.
    Humanized,
    /// Rounded up to whole cores.
    IntegerCpu,
    /// The policy's `minAllowed`.
    MinAllowed(i64),
    /// The policy's `maxAllowed`.
    MaxAllowed(i64),
    /// The recommender's maximum for containers without a `maxAllowed`.
    GlobalMax(i64),
    /// Estimator `adaptive`: what the cheapest rule comes to with its margin.
    Adaptive(Followed),
    /// Estimator `adaptive`: what the peaks of the last days come to.
    Peaks(Peaks),
    /// Estimator `adaptive`: the highest of the last 24 hours.
    Recent,
    /// Estimator `adaptive`: no more than this part of the time was above it.
    Exceeded(f64),
}

impl Derivation {
    /// It starts at `raw`, a percentile of the samples.
    pub(crate) fn new(percentile: f64, raw: Option<i64>) -> Self {
        Self {
            percentile,
            raw,
            // Margin, minimum, and one of all others.
            steps: Vec::with_capacity(3),
        }
    }

    /// What it has become.
    pub fn amount(&self) -> i64 {
        self.steps.last().map_or(self.raw.unwrap_or(0), |s| s.to)
    }

    /// What it was before the VPA's policy and the global maximum.
    pub fn uncapped(&self) -> i64 {
        let last = self.steps.iter().rev().find(|s| !s.cause.is_cap());
        last.map_or(self.raw.unwrap_or(0), |s| s.to)
    }

    /// Makes it `to`. What changes nothing is no step.
    pub(crate) fn change(&mut self, cause: Cause, to: i64) {
        if to != self.amount() || self.raw.is_none() && self.steps.is_empty() {
            self.steps.push(Step { cause, to });
        }
    }
}

impl Cause {
    /// True for the VPA's policy and the global maximum, which `uncappedTarget` is free of.
    pub fn is_cap(self) -> bool {
        matches!(
            self,
            Self::MinAllowed(_) | Self::MaxAllowed(_) | Self::GlobalMax(_)
        )
    }

    /// `amount` within this cap; other causes leave it as it is.
    pub(crate) fn capped(self, amount: i64) -> i64 {
        match self {
            Self::MinAllowed(min) => amount.max(min),
            Self::MaxAllowed(max) | Self::GlobalMax(max) => amount.min(max),
            _ => amount,
        }
    }

    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Margin(_) => "Margin",
            Self::Confidence(_) => "Confidence",
            Self::Seen(_) => "Seen",
            Self::FewRuns(_) => "FewRuns",
            Self::OutOfMemory(_) => "OutOfMemory",
            Self::Minimum(_) => "Minimum",
            Self::Rounding(_) => "Rounding",
            Self::Humanized => "Humanized",
            Self::IntegerCpu => "IntegerCpu",
            Self::MinAllowed(_) => "MinAllowed",
            Self::MaxAllowed(_) => "MaxAllowed",
            Self::GlobalMax(_) => "GlobalMax",
            Self::Adaptive(_) => "Adaptive",
            Self::Peaks(_) => "Peaks",
            Self::Recent => "Recent",
            Self::Exceeded(_) => "Exceeded",
        }
    }
}

/// How an estimator's promise was kept, where that is known.
fn kept(f: &mut fmt::Formatter<'_>, part: Option<f64>, of: &str) -> fmt::Result {
    match part {
        Some(part) => write!(f, "; lately usage was over it {:.1} % {of}", part * 100.0),
        None => Ok(()),
    }
}

/// A phrase for people.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Margin(fraction) => write!(f, "{:.0} % margin", fraction * 100.0),
            Self::Confidence(factor) => {
                write!(f, "times {factor:.3}, as the history is short")
            }
            Self::Seen(factor) => write!(f, "within {factor} times of what was seen so far"),
            Self::FewRuns(1) => f.write_str("rests on one run"),
            Self::FewRuns(count) => write!(f, "rests on {count} runs"),
            Self::OutOfMemory(_) => f.write_str("killed for memory with less"),
            Self::Minimum(_) => f.write_str("share of the pod's minimum"),
            Self::Rounding(step) => write!(f, "rounded up to a multiple of {step}"),
            Self::Humanized => f.write_str("rounded to two decimals"),
            Self::IntegerCpu => f.write_str("rounded up to whole cores"),
            Self::MinAllowed(_) => f.write_str("minAllowed"),
            Self::MaxAllowed(_) => f.write_str("maxAllowed"),
            Self::GlobalMax(_) => f.write_str("the recommender's maximum"),
            Self::Adaptive(followed) => {
                write!(
                    f,
                    "{}, times {:.2}: cheapest of all that was tried on its own past, {:.0} % unused and {:.1} % of the time over",
                    followed.expert,
                    followed.margin.multiple,
                    followed.margin.slack * 100.0,
                    followed.margin.time_over * 100.0
                )?;
                kept(f, followed.kept, "of the time")
            }
            Self::Peaks(peaks) => {
                let (days, percent) = (peaks.days, (peaks.part - 1.0) * 100.0);
                if percent < 0.0 {
                    write!(
                        f,
                        "{:.0} % below the highest of {days} daily peaks: so rare a peak costs more room than it is worth",
                        -percent
                    )?;
                } else {
                    write!(f, "{percent:.0} % above the highest of {days} daily peaks")?;
                }
                kept(f, peaks.kept, "of days")
            }
            Self::Recent => f.write_str("the highest of the last 24 hours"),
            Self::Exceeded(0.0) => f.write_str("the highest that it was compared with"),
            Self::Exceeded(part) => write!(
                f,
                "below it {:.1} % of the time would be over",
                part * 100.0
            ),
        }
    }
}
