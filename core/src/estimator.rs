//! From a history to numbers: percentile, margin, confidence. Each step a small function, each truncating to whole
//! units as upstream's do, so that the results agree to the millicore and the byte.

mod percentiles;
mod runs;

use std::str::FromStr;
use std::time::Duration;

pub use self::percentiles::{
    CPU_PERCENTILE_ANNOTATION, MEMORY_PERCENTILE_ANNOTATION, OwnPercentiles, PercentileError,
    parse_percentile,
};

pub use self::runs::ENOUGH_RUNS;
use crate::adaptive::LEAST_HOURS;
use crate::explanation::{Cause, Derivation, Step};
use crate::histogram::power;
use crate::history::{ContainerHistory, HistoryConfig, OomFloor};
use crate::quantity::{Bytes, Millicores, Resource, ResourceList, amount_from_float, scale_amount};

/// Below this the condition `LowConfidence` holds, and no running pod is shrunk because its requests lie above their
/// upper bounds: a quarter of the confidence interval, six hours by default.
pub const LOW_CONFIDENCE: f64 = 0.25;

/// The annotation of a VPA that names its estimator.
pub const ESTIMATOR_ANNOTATION: &str = "podfit.dev/estimator";

/// How a history becomes a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// A percentile of the histogram and a margin: upstream's.
    #[default]
    Histogram,
    /// What would have cost least on the container's own past, at the promised rate of breaches. Until it has a day of it as
    /// `Histogram`.
    Adaptive,
}

/// No estimator has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither histogram nor adaptive")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        match text.trim() {
            "histogram" => Ok(Self::Histogram),
            "adaptive" => Ok(Self::Adaptive),
            _ => Err(UnknownMethod(text.into())),
        }
    }
}

/// How estimates are made. Defaults are upstream's.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimatorConfig {
    /// How a history becomes a number, where its VPA names no other way.
    pub method: Method,
    /// Percentiles of CPU samples.
    pub cpu: Percentiles,
    /// Percentiles of memory peaks.
    pub memory: Percentiles,
    /// Headroom added to every percentile, as a fraction of it.
    pub margin: f64,
    /// With this much history the CPU bounds have a confidence of one.
    pub cpu_confidence_interval: Duration,
    /// With this much history the memory bounds have a confidence of one.
    pub memory_confidence_interval: Duration,
    /// Profile `safe`, while confidence is below one: the upper bound is at most so many times the highest that was
    /// ever seen, margin included, and the lower bound at least one such part of its percentile. Upstream's bounds begin
    /// at nothing and at 100 terabytes.
    pub seen_factor: f64,
    /// The least recommended for a pod; its containers share it.
    pub pod_minimum: ResourceList,
    /// The most recommended for a container whose policy has no `maxAllowed`.
    pub global_max: ResourceList,
    /// CPU is rounded up to a multiple of this.
    pub round_cpu: Millicores,
    /// Memory is rounded up to a multiple of this.
    pub round_memory: Bytes,
    /// True when memory is rounded to two decimals of a binary unit.
    pub humanize_memory: bool,
    /// True when a VPA's annotations can ask for whole cores.
    pub integer_cpu: bool,
    /// How histories are kept, which says how long a kill counts.
    pub history: HistoryConfig,
}

/// Which percentiles become target and bounds, each from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    /// Of the target.
    pub target: f64,
    /// Of the lower bound.
    pub lower: f64,
    /// Of the upper bound.
    pub upper: f64,
}

impl Default for Percentiles {
    fn default() -> Self {
        Self {
            target: 0.9,
            lower: 0.5,
            upper: 0.95,
        }
    }
}

impl Default for EstimatorConfig {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        Self {
            method: Method::default(),
            cpu: Percentiles::default(),
            memory: Percentiles::default(),
            margin: 0.15,
            cpu_confidence_interval: day,
            memory_confidence_interval: day,
            seen_factor: 10.0,
            pod_minimum: ResourceList {
                cpu: Some(Millicores(25)),
                memory: Some(Bytes(250 << 20)),
            },
            global_max: ResourceList::default(),
            round_cpu: Millicores(1),
            round_memory: Bytes(1),
            humanize_memory: false,
            integer_cpu: false,
            history: HistoryConfig::default(),
        }
    }
}

impl EstimatorConfig {
    fn is_safe(&self) -> bool {
        self.history.profile.is_safe()
    }

    fn percentiles(&self, resource: Resource) -> Percentiles {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }

    /// How much history the history of a container is, of how much this configuration wants for a resource's bounds.
    pub fn confidence(&self, history: &ContainerHistory, resource: Resource) -> Confidence {
        let interval = match resource {
            Resource::Cpu => self.cpu_confidence_interval,
            Resource::Memory => self.memory_confidence_interval,
        };
        Confidence::of(history, interval)
    }
}

/// How much history there is, of how much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confidence {
    /// CPU samples.
    pub samples: u64,
    /// From the first CPU sample to the last.
    pub age: Duration,
    /// The age at which confidence is one, with a sample a minute.
    pub interval: Duration,
}

impl Confidence {
    /// Of a history.
    pub fn of(history: &ContainerHistory, interval: Duration) -> Self {
        let age = match (history.first_sample(), history.last_sample()) {
            (Some(first), Some(last)) => last.since(first),
            _ => Duration::ZERO,
        };
        Self {
            samples: history.total_samples(),
            age,
            interval,
        }
    }

    /// How much of the interval is covered, in time or in one sample a minute, whichever is less. It may exceed one.
    pub fn value(self) -> f64 {
        let interval = self.interval.as_secs_f64();
        let lifespan = self.age.as_secs_f64() / interval;
        lifespan.min(self.samples as f64 / (interval / 60.0))
    }

    /// True when it is below [`LOW_CONFIDENCE`].
    pub fn is_low(self) -> bool {
        self.value() < LOW_CONFIDENCE
    }
}

/// The estimates of one resource of a container, before any policy. Absent ones are not known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// What it should request.
    pub target: Option<Derivation>,
    /// Below this a change is worth a disruption.
    pub lower_bound: Option<Derivation>,
    /// Above this a change is worth a disruption.
    pub upper_bound: Option<Derivation>,
}

/// Estimates one resource, at least `minimum` of it; for memory, kills have shown that `floor` is needed.
///
/// A resource without any sample or kill has no estimate: the minimum would be a guess. Profile `upstream` publishes it.
pub fn estimate(
    history: &ContainerHistory,
    resource: Resource,
    config: &EstimatorConfig,
    minimum: i64,
    floor: Option<&OomFloor>,
) -> Estimate {
    let adaptive = match (config.method, resource) {
        (Method::Histogram, _) => None,
        (Method::Adaptive, Resource::Cpu) => cpu_of_adaptive(history),
        (Method::Adaptive, Resource::Memory) => memory_of_adaptive(history),
    };
    let mut estimate = if let Some(runs) = history.runs() {
        runs::estimate(runs, resource, config, floor)
    } else if let Some(estimate) = adaptive {
        estimate
    } else if has_samples(history, resource) {
        of_samples(history, resource, config)
    } else {
        without_samples(resource, config, floor)
    };
    let Estimate {
        target,
        lower_bound,
        upper_bound,
    } = &mut estimate;
    if let Some(floor) = floor {
        let needed = with_margin(floor.bytes.0, config.margin);
        for derivation in [&mut *target, &mut *upper_bound].into_iter().flatten() {
            let to = derivation.amount().max(needed);
            derivation.change(Cause::OutOfMemory(needed), to);
        }
    }
    for derivation in [target, lower_bound, upper_bound].into_iter().flatten() {
        let to = derivation.amount().max(minimum);
        derivation.change(Cause::Minimum(minimum), to);
    }
    estimate
}

fn of_samples(
    history: &ContainerHistory,
    resource: Resource,
    config: &EstimatorConfig,
) -> Estimate {
    let percentiles = config.percentiles(resource);
    let at = |p: f64| {
        let raw = percentile(history, resource, p);
        let mut derivation = Derivation::new(p, Some(raw));
        derivation.change(
            Cause::Margin(config.margin),
            with_margin(raw, config.margin),
        );
        Some(derivation)
    };
    let mut estimate = Estimate {
        target: at(percentiles.target),
        lower_bound: at(percentiles.lower),
        upper_bound: at(percentiles.upper),
    };
    widen(&mut estimate, history, resource, config);
    estimate
}

/// What the estimator `adaptive` says of CPU; `None` before its first day.
fn cpu_of_adaptive(history: &ContainerHistory) -> Option<Estimate> {
    let adaptive = &history.adaptive()?.cpu;
    if adaptive.hours() < LEAST_HOURS {
        return None;
    }
    let (target, followed) = (adaptive.target()?, adaptive.followed()?);
    let number = |cause, cores: f64| {
        let word = Millicores::from_cores(followed.word).0;
        let mut derivation = Derivation::new(followed.expert.quantile, Some(word));
        derivation.steps.push(Step {
            cause,
            to: Millicores::from_cores(cores).0,
        });
        Some(derivation)
    };
    Some(Estimate {
        target: number(Cause::Adaptive(followed), target),
        lower_bound: number(Cause::Exceeded(adaptive.cap()), followed.lower),
        upper_bound: number(Cause::Exceeded(0.0), followed.upper),
    })
}

/// The same of memory.
fn memory_of_adaptive(history: &ContainerHistory) -> Option<Estimate> {
    let adaptive = &history.adaptive()?.memory;
    if adaptive.hours() < LEAST_HOURS {
        return None;
    }
    let (target, peaks) = (adaptive.target()?, adaptive.peaks()?);
    let number = |cause, bytes: f64| {
        let mut derivation = Derivation::new(1.0, Some(amount_from_float(peaks.highest)));
        derivation.steps.push(Step {
            cause,
            to: amount_from_float(bytes),
        });
        Some(derivation)
    };
    Some(Estimate {
        target: number(Cause::Peaks(peaks), target),
        lower_bound: number(Cause::Recent, peaks.recent.min(target)),
        upper_bound: number(Cause::Exceeded(0.0), peaks.highest.max(target)),
    })
}

fn has_samples(history: &ContainerHistory, resource: Resource) -> bool {
    match resource {
        Resource::Cpu => !history.cpu().is_empty(),
        Resource::Memory => !history.memory().is_empty(),
    }
}

fn without_samples(
    resource: Resource,
    config: &EstimatorConfig,
    floor: Option<&OomFloor>,
) -> Estimate {
    let percentiles = config.percentiles(resource);
    let empty = |known: bool, p: f64| known.then(|| Derivation::new(p, None));
    let upstream = !config.is_safe();
    Estimate {
        target: empty(upstream || floor.is_some(), percentiles.target),
        lower_bound: empty(upstream, percentiles.lower),
        upper_bound: empty(upstream, percentiles.upper),
    }
}

/// Widens the bounds by how little confidence there is.
fn widen(
    estimate: &mut Estimate,
    history: &ContainerHistory,
    resource: Resource,
    config: &EstimatorConfig,
) {
    let confidence = config.confidence(history, resource).value();
    for (derivation, widening) in [
        (&mut estimate.lower_bound, LOWER),
        (&mut estimate.upper_bound, UPPER),
    ] {
        if let Some(bound) = derivation {
            let to = with_confidence(bound.amount(), confidence, widening);
            bound.change(Cause::Confidence(widening.factor(confidence)), to);
        }
    }
    if !config.is_safe() || confidence >= 1.0 {
        return;
    }
    let cause = Cause::Seen(config.seen_factor);
    let seen = |p: f64| with_margin(percentile(history, resource, p), config.margin);
    if let Some(lower) = &mut estimate.lower_bound {
        let least = scale_amount(seen(lower.percentile), 1.0 / config.seen_factor);
        lower.change(cause, lower.amount().max(least));
    }
    if confidence <= 0.0 {
        // A single sample bounds nothing from above.
        estimate.upper_bound = None;
    }
    if let Some(upper) = &mut estimate.upper_bound {
        let most = scale_amount(seen(1.0), config.seen_factor);
        upper.change(cause, upper.amount().min(most));
    }
}

/// How a bound widens while confidence is low: times `(1 + multiplier / confidence) ^ exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Widening {
    /// How much.
    pub multiplier: f64,
    /// Up when positive, down when negative.
    pub exponent: i32,
}

impl Widening {
    fn factor(self, confidence: f64) -> f64 {
        power(1.0 + self.multiplier / confidence, self.exponent)
    }
}

/// The lower bound's: within one per cent after about five hours.
pub const LOWER: Widening = Widening {
    multiplier: 0.001,
    exponent: -2,
};

/// The upper bound's: twice the percentile after a day, unbounded at first.
pub const UPPER: Widening = Widening {
    multiplier: 1.0,
    exponent: 1,
};

/// The percentile of a resource in its base unit.
pub fn percentile(history: &ContainerHistory, resource: Resource, p: f64) -> i64 {
    match resource {
        Resource::Cpu => Millicores::from_cores(history.cpu().percentile(p)).0,
        Resource::Memory => amount_from_float(history.memory().percentile(p)),
    }
}

/// `amount` and a fraction `margin` of it.
pub fn with_margin(amount: i64, margin: f64) -> i64 {
    amount.saturating_add(scale_amount(amount, margin))
}

/// `amount`, wider by how little confidence there is. Without any it is nothing or the most there is.
pub fn with_confidence(amount: i64, confidence: f64, widening: Widening) -> i64 {
    scale_amount(amount, widening.factor(confidence))
}

/// One container's share of the pod's minimum.
pub fn container_minimum(pod_minimum: ResourceList, resource: Resource, containers: usize) -> i64 {
    scale_amount(
        pod_minimum.get(resource).unwrap_or(0),
        1.0 / containers.max(1) as f64,
    )
}

#[cfg(test)]
mod tests;
