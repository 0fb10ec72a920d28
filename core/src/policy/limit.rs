//! The limit that goes with a request.

use super::limits::LimitPolicy;
use super::note::Note;
use crate::pod::EffectiveResources;
use crate::quantity::{Resource, ResourceList};

/// What a container has of one resource, in base units; what is zero counts as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    pub resource: Resource,
    pub request: Option<i64>,
    pub limit: Option<i64>,
    /// The namespace's `LimitRange` default, which stands in for an absent limit.
    pub default_limit: Option<i64>,
}

/// What becomes of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewLimit {
    Stays,
    Removed,
    Is(i64),
}

impl Own {
    pub fn new(own: EffectiveResources, default_limit: ResourceList, resource: Resource) -> Self {
        let present = |list: ResourceList| list.get(resource).filter(|amount| *amount != 0);
        Self {
            resource,
            request: present(own.requests),
            limit: present(own.limits),
            default_limit: present(default_limit),
        }
    }

    /// The limit beside a new `request`, and what there is to say about it.
    pub fn limit_beside(
        self,
        request: Option<i64>,
        policy: LimitPolicy,
    ) -> (NewLimit, Option<Note>) {
        let resource = self.resource;
        if policy == LimitPolicy::Ratio {
            return match self.proportional(request) {
                Ok((limit, note)) => (NewLimit::Is(limit), note),
                Err(note) => (NewLimit::Stays, Some(note)),
            };
        }
        let Some(request) = request.filter(|amount| *amount != 0) else {
            return (NewLimit::Stays, None);
        };
        match policy {
            LimitPolicy::Ratio | LimitPolicy::Keep => (NewLimit::Stays, None),
            LimitPolicy::None => (NewLimit::Removed, Some(Note::NoLimit(resource))),
            LimitPolicy::Equal => (
                NewLimit::Is(request),
                Some(Note::LimitEqual(resource, request)),
            ),
            LimitPolicy::Headroom(headroom) => {
                let limit = request.saturating_add(headroom);
                (
                    NewLimit::Is(limit),
                    Some(Note::LimitHeadroom(resource, limit)),
                )
            }
        }
    }

    /// The limit that keeps its proportion to the request; an error when there is nothing to keep it to.
    fn proportional(self, request: Option<i64>) -> Result<(i64, Option<Note>), Note> {
        let resource = self.resource;
        let limit = self
            .limit
            .or(self.default_limit)
            .ok_or(Note::NoOriginalLimit(resource))?;
        let request = request
            .filter(|amount| *amount != 0)
            .ok_or(Note::NoRecommendedRequest(resource))?;
        Ok(match self.request {
            Some(of) if of != limit => match scale(limit, request, of) {
                Ok(scaled) => (scaled, None),
                Err(_) => (i64::MAX, Some(Note::LimitOverflow(resource))),
            },
            _ => (request, None),
        })
    }

    /// The greatest request whose limit is no more than `most`, and so the least whose limit is no less. `None` when the
    /// limit does not follow the request.
    pub fn request_at(self, most: i64, policy: LimitPolicy) -> Option<i64> {
        match policy {
            LimitPolicy::Keep | LimitPolicy::None => None,
            LimitPolicy::Equal => Some(most),
            // Where there is no room for the headroom, the request may be all of it.
            LimitPolicy::Headroom(room) => {
                Some(Some(most - room).filter(|r| *r > 0).unwrap_or(most))
            }
            LimitPolicy::Ratio => {
                let limit = self.limit.or(self.default_limit).filter(|l| *l > 0)?;
                match self.request.filter(|r| *r > 0) {
                    None => Some(most),
                    Some(request) => Some(scale(most, request, limit).unwrap_or(i64::MAX)),
                }
            }
        }
    }
}

/// `amount · numerator / denominator`, rounded down, exact; an error when it does not fit. Zero denominators leave
/// `amount` as it is.
pub(super) fn scale(
    amount: i64,
    numerator: i64,
    denominator: i64,
) -> Result<i64, std::num::TryFromIntError> {
    if denominator == 0 {
        return Ok(amount);
    }
    // The product of two i64 always fits an i128.
    (i128::from(amount) * i128::from(numerator))
        .div_euclid(i128::from(denominator))
        .try_into()
}

#[cfg(test)]
mod tests;
