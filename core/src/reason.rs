//! Why numbers are what they are, and why pods are updated or not: the closed list, each with a stable code and a
//! sentence.

use std::fmt;

pub use crate::disruption::UpdateReason;

use crate::adaptive::Told;
use crate::explanation::Cause;
use crate::history::OomFloor;
use crate::quantity::Resource;

/// Why a recommendation is what it is.
#[derive(Clone, Debug, PartialEq)]
pub enum RecommendationReason {
    /// The target is a percentile of the samples with the margin on top.
    Percentile {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// The percentile, 0 to 1.
        percentile: f64,
        /// The margin, as a fraction.
        margin: f64,
        /// The target in base units.
        target: i64,
    },
    /// The target is what the estimator `adaptive` found cheapest.
    Adaptive {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// What it follows, and what that would have come to.
        cause: Cause,
        /// What kind of workload it is.
        class: Told,
        /// The target in base units.
        target: i64,
    },
    /// The target is what the last runs used, with room on top.
    Runs {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// Which percentile of runs, 0 to 1; of memory the highest.
        percentile: f64,
        /// How many runs there are.
        runs: usize,
        /// What they used, in base units.
        raw: i64,
        /// The target in base units.
        target: i64,
    },
    /// Runs that were given more and more were killed for memory all the same: so much is given, and no more.
    ClimbEnded {
        /// The container.
        container: String,
        /// The evidence.
        floor: OomFloor,
    },
    /// The percentile is less than the container's share of the pod's minimum.
    Minimum {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// The minimum in base units.
        target: i64,
    },
    /// Out-of-memory kills show that more is needed than the samples do.
    OutOfMemory {
        /// The container.
        container: String,
        /// The evidence.
        floor: OomFloor,
        /// The target in base units.
        target: i64,
    },
    /// Policy or a global maximum changed the target.
    Capped {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
        /// Before, in base units.
        from: i64,
        /// After, in base units.
        to: i64,
    },
    /// Nothing is recommended: there is no sample of that resource yet.
    NoSamples {
        /// The container.
        container: String,
        /// The resource.
        resource: Resource,
    },
    /// Nothing is recommended: the policy says Off.
    PolicyOff {
        /// The container.
        container: String,
    },
}

impl RecommendationReason {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Percentile { .. } => "Percentile",
            Self::Adaptive { .. } => "Adaptive",
            Self::Runs { .. } => "Runs",
            Self::ClimbEnded { .. } => "ClimbEnded",
            Self::Minimum { .. } => "Minimum",
            Self::OutOfMemory { .. } => "OutOfMemory",
            Self::Capped { .. } => "Capped",
            Self::NoSamples { .. } => "NoSamples",
            Self::PolicyOff { .. } => "PolicyOff",
        }
    }
}

impl fmt::Display for RecommendationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile {
                container,
                resource,
                percentile,
                margin,
                target,
            } => write!(
                f,
                "{container}: {} {} is percentile {:.0} of its samples and {:.0} % on top",
                resource.name(),
                resource.show(*target),
                percentile * 100.0,
                margin * 100.0
            ),
            Self::Adaptive {
                container,
                resource,
                cause,
                class,
                target,
            } => write!(
                f,
                "{container}: {} {} is {cause}; class: {class}",
                resource.name(),
                resource.show(*target)
            ),
            Self::Runs {
                container,
                resource,
                percentile,
                runs,
                raw,
                target,
            } => {
                let room = (*target as f64 / (*raw).max(1) as f64 - 1.0) * 100.0;
                let (name, amount) = (resource.name(), resource.show(*target));
                let runs = of_runs(*runs, *percentile);
                write!(
                    f,
                    "{container}: {name} {amount} {runs} and {room:.0} % on top"
                )
            }
            Self::ClimbEnded { container, floor } => write!(
                f,
                "{container}: memory is not raised beyond {}: runs that were given more and more, from {} on, were killed all \
                 the same. If it needs more, set minAllowed",
                Resource::Memory.show(floor.bytes.0),
                Resource::Memory.show(floor.first.0)
            ),
            Self::Minimum {
                container,
                resource,
                target,
            } => {
                write!(
                    f,
                    "{container}: {} {} is its share of the pod's minimum",
                    resource.name(),
                    resource.show(*target)
                )
            }
            Self::OutOfMemory {
                container,
                floor,
                target,
            } => {
                write!(
                    f,
                    "{container}: memory {}, since it was killed for memory at {}",
                    Resource::Memory.show(*target),
                    Resource::Memory.show(floor.killed_at.0)
                )
            }
            Self::Capped {
                container,
                resource,
                from,
                to,
            } => write!(
                f,
                "{container}: {} {} instead of {}, as policy allows",
                resource.name(),
                resource.show(*to),
                resource.show(*from)
            ),
            Self::NoSamples {
                container,
                resource,
            } => write!(
                f,
                "{container}: no {} is recommended before the first sample of it",
                resource.name()
            ),

            Self::PolicyOff { container } => write!(f, "{container}: its policy has mode Off"),
        }
    }
}

fn of_runs(runs: usize, percentile: f64) -> String {
    match runs {
        1 => "rests on one run".into(),
        _ if percentile >= 1.0 => format!("is the most of {runs} runs"),
        _ => format!("is percentile {:.0} of {runs} runs", percentile * 100.0),
    }
}
