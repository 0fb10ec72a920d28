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
    /// Raised so that the limit is no more times the request than the namespace's `LimitRange` lets it be, or the limit
    /// lowered to that.
    CappedToLimitRangeRatio(Resource),
    /// Scaled with the pod's other containers, so that their sum fits the namespace's `LimitRange` for pods.
    CappedToPodLimitRange(Resource),
    /// The request stays at the limit that stays: the pod is of the class Guaranteed.
    StaysGuaranteed(Resource),
    /// Rounded to whole cores, as the pod is of the class Guaranteed and had them.
    WholeCores,
    /// What the pod asks for itself is not lowered, or not by so much, as the VPA's annotation asks.
    NotScaledDown(Resource),
    /// Brought to where the target of an HPA can follow, or is.
    Realigned(Resource),
    /// An HPA scales on the utilisation of it.
    LeftToHpa(Resource),
    /// The container has no limit, so it gets none.
    NoOriginalLimit(Resource),
    /// Nothing is recommended, so the limit cannot follow.
    NoRecommendedRequest(Resource),
    /// The proportional limit does not fit a 64-bit number and became the largest one.
    LimitOverflow(Resource),
    /// The container gets no limit, as the VPA's annotation asks.
    NoLimit(Resource),
    /// The VPA's annotation asks for no limit, and a `LimitRange` for one.
    LimitAskedFor(Resource),
    /// The limit was set to the request, as the VPA's annotation asks; in base units.
    LimitEqual(Resource, i64),
    /// The limit was set above the request, as the VPA's annotation asks; in base units.
    LimitHeadroom(Resource, i64),
    /// The request was set.
    RequestSet(Resource),
    /// The limit was set.
    LimitSet(Resource),
}

impl Note {
    /// The resource whose request or limit something bound; `None` when the note tells only what was set, or left.
    pub fn bound(self) -> Option<Resource> {
        match self {
            Self::CappedToMinAllowed(r)
            | Self::CappedToMaxAllowed(r)
            | Self::CappedToLimitRangeMin(r)
            | Self::CappedToLimitRangeMax(r)
            | Self::CappedToContainerLimit(r)
            | Self::CappedToLimitRangeRatio(r)
            | Self::CappedToPodLimitRange(r)
            | Self::StaysGuaranteed(r)
            | Self::NotScaledDown(r)
            | Self::Realigned(r)
            | Self::LimitOverflow(r) => Some(r),
            Self::WholeCores => Some(Resource::Cpu),
            Self::LeftToHpa(_)
            | Self::NoOriginalLimit(_)
            | Self::NoRecommendedRequest(_)
            | Self::NoLimit(_)
            | Self::LimitAskedFor(_)
            | Self::LimitEqual(..)
            | Self::LimitHeadroom(..)
            | Self::RequestSet(_)
            | Self::LimitSet(_) => None,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, rest) = match self {
            Self::WholeCores => return f.write_str("cpu rounded to whole cores"),
            Self::NoLimit(r) => return write!(f, "no {} limit", r.name()),
            Self::LimitEqual(r, amount) => {
                return write!(f, "{} limit {}, as requested", r.name(), r.show(*amount));
            }
            Self::LimitHeadroom(r, amount) => {
                return write!(f, "{} limit {}, with headroom", r.name(), r.show(*amount));
            }
            Self::CappedToLimitRangeRatio(r) => {
                (r, " capped to fit MaxLimitRequestRatio in LimitRange")
            }
            Self::CappedToPodLimitRange(r) => (r, " scaled to fit pod LimitRange"),
            Self::StaysGuaranteed(r) => (r, " request stays at the limit: the pod is Guaranteed"),
            Self::LimitAskedFor(r) => (r, " limit stays: a LimitRange asks for one"),
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
            Self::NotScaledDown(r) => (r, " not scaled down: podfit.dev/scale-down"),
            Self::Realigned(r) => (r, " fitted to the target of an HPA"),
            Self::LeftToHpa(r) => (r, " left to a HorizontalPodAutoscaler"),
            Self::RequestSet(r) => (r, " request"),
            Self::LimitSet(r) => (r, " limit"),
        };
        write!(f, "{}{rest}", resource.name())
    }
}
