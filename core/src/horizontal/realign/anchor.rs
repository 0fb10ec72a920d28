//! How a scale point is found, kept, and changed by its owner.

use super::ScalePoint;

/// A scale point, and the last target that podfit set for it: kept with the HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// What the owner chose.
    pub point: ScalePoint,
    /// Percent. Another target in force is the owner's doing.
    pub set: i64,
}

/// What the live pods request in the containers that a metric covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// None live.
    NoPods,
    /// Some of the containers request nothing: the HPA cannot work, either.
    Nothing,
    /// So much each.
    Alike(i64),
    /// Not the same each.
    Mixed,
}

impl Requested {
    /// Of the sums of each pod; `None` stands for a pod with a container that requests nothing.
    pub fn of(sums: impl IntoIterator<Item = Option<i64>>) -> Self {
        let mut all = Self::NoPods;
        for sum in sums {
            all = match (all, sum.filter(|sum| *sum > 0)) {
                (_, None) => return Self::Nothing,
                (Self::NoPods, Some(sum)) => Self::Alike(sum),
                (Self::Alike(known), Some(sum)) if known == sum => all,
                (_, Some(_)) => Self::Mixed,
            };
        }
        all
    }
}

/// Why there is no scale point yet. Each is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnchor {
    /// There is nothing to read the request from.
    #[error("no pod lives whose requests the target could be meant for")]
    NoPods,
    /// A utilisation of nothing is none.
    #[error("some of its pods' containers request none of the resource")]
    NothingRequested,
    /// It is not known for which of them the target was chosen.
    #[error(
        "its pods request different amounts, and the target was chosen for one of them: when all are alike, the pair is taken"
    )]
    MixedRequests,
    /// A percent of it is more than the HPA's tolerance.
    #[error("a target of {0} % is too coarse to be moved in whole percent")]
    TooCoarse(i64),
}

/// What became of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorChange {
    /// As it was.
    Kept,
    /// There was none.
    Taken,
    /// The owner chose another target, for the same requests.
    Moved,
}

impl Anchor {
    /// The anchor that holds now, with the target in force (percent).
    ///
    /// Another target than podfit set is what the owner chose anew, and it is for the requests that the old one was for:
    /// those are the ones in the manifests he writes, whatever podfit makes of them. So a manifest that is applied again as
    /// it was changes nothing for good.
    pub fn find(
        stored: Option<Self>,
        in_force: i64,
        requested: Requested,
    ) -> Result<(Self, AnchorChange), NoAnchor> {
        let too_coarse = NoAnchor::TooCoarse(in_force);
        if let Some(anchor) = stored {
            if anchor.set == in_force {
                return Ok((anchor, AnchorChange::Kept));
            }
            let point = ScalePoint::new(in_force, anchor.point.request()).ok_or(too_coarse)?;
            let set = in_force;
            return Ok((Self { point, set }, AnchorChange::Moved));
        }
        let request = match requested {
            Requested::Alike(request) => request,
            Requested::NoPods => return Err(NoAnchor::NoPods),
            Requested::Nothing => return Err(NoAnchor::NothingRequested),
            Requested::Mixed => return Err(NoAnchor::MixedRequests),
        };
        let point = ScalePoint::new(in_force, request).ok_or(too_coarse)?;
        let set = in_force;
        Ok((Self { point, set }, AnchorChange::Taken))
    }
}
