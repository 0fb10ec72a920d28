//! What was done to a container's resources, in the words that upstream puts in the `vpaUpdates` annotation.

use std::fmt;

use crate::quantity::Resource;

/// One remark on one resource of a container. Its `Display` is upstream's text, which users' scripts read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// Raised to the policy's `minAllowed`.
    CappedToMinAllowed(Resource),
    /// Lowered to the policy's `maxAllowed`.
    CappedToMaxAllowed(Resource),
    /// Raised so that request and limit reach the minimum of the namespace's `LimitRange` for containers.
    CappedToLimitRangeMin(Resource),
    /// Lowered so that request and limit keep the maximum of the namespace's `LimitRange` for containers.
    CappedToLimitRangeMax(Resource),
    /// Lowered to the limit, which `controlledValues: RequestsOnly` leaves alone.
    CappedToContainerLimit(Resource),
    /// The container has no limit, so it gets none.
    NoOriginalLimit(Resource),
    /// Nothing is recommended, so the limit cannot follow.
    NoRecommendedRequest(Resource),
    /// The proportional limit does not fit a 64-bit number and became the largest one.
    LimitOverflow(Resource),
    /// The request was set.
    RequestSet(Resource),
    /// The limit was set.
    LimitSet(Resource),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, rest) = match self {
            Self::CappedToMinAllowed(r) => (r, " capped to minAllowed"),
            Self::CappedToMaxAllowed(r) => (r, " capped to maxAllowed"),
            Self::CappedToLimitRangeMin(r) => (r, " capped to fit Min in container LimitRange"),
            Self::CappedToLimitRangeMax(r) => (r, " capped to fit Max in container LimitRange"),
            Self::CappedToContainerLimit(r) => (r, " capped to container limit"),
            Self::NoOriginalLimit(r) => (r, ": limit NOT set since originalLimit is nil or 0"),
            Self::NoRecommendedRequest(r) => {
                (r, ": limit NOT set since recommendedRequest is nil or 0")
            }
            Self::LimitOverflow(r) => (
                r,
                ": failed to keep limit to request ratio; capping limit to int64",
            ),
            Self::RequestSet(r) => (r, " request"),
            Self::LimitSet(r) => (r, " limit"),
        };
        write!(f, "{}{rest}", resource.name())
    }
}
