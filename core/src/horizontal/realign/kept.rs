//! What is kept with an HPA of the scale points that podfit found.

use std::fmt;
use std::time::Duration;

use super::{Anchor, Requested, ScalePoint};
use crate::horizontal::HorizontalAutoscaler;
use crate::quantity::Resource;

/// The annotation of an HPA, or of the ScaledObject that it is made from, with the scale points of its metrics.
pub const SCALE_POINT_ANNOTATION: &str = "podfit.dev/scale-point";

/// Which requests an HPA's metric divides by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Covers {
    /// Of what.
    pub resource: Resource,
    /// Of which container; `None`: of all of a pod.
    pub container: Option<String>,
}

impl Covers {
    /// `cpu`, `memory`, `cpu/<container>` or `memory/<container>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, container) = match text.split_once('/') {
            Some((_, "")) => return None,
            Some((name, container)) => (name, Some(container.to_owned())),
            None => (text, None),
        };
        let resource = Resource::ALL.into_iter().find(|r| r.name() == name)?;
        Some(Self {
            resource,
            container,
        })
    }

    /// True for a container whose requests count.
    pub fn covers(&self, container: &str) -> bool {
        self.container.as_deref().is_none_or(|one| one == container)
    }

    /// True when some request counts for both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.resource == other.resource
            && (self.container.is_none()
                || other.container.is_none()
                || self.container == other.container)
    }
}

/// As [`Covers::parse`] reads it.
impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.name())?;
        match &self.container {
            Some(container) => write!(f, "/{container}"),
            None => Ok(()),
        }
    }
}

/// What an HPA carries of podfit's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of its metrics of CPU or memory by utilisation: what is known of each.
    pub anchors: Vec<(Covers, Anchor)>,
    /// Why the annotation cannot be read. Then nothing is done until somebody corrects it, or takes it away.
    pub problem: Option<String>,
    /// What applies its manifest again and again, so that another target would not last: `Argo CD`, `Flux`.
    pub managed_by: Option<&'static str>,
}

impl Kept {
    /// What is known of a metric.
    pub fn anchor(&self, covers: &Covers) -> Option<Anchor> {
        let mut all = self.anchors.iter();
        all.find(|(of, _)| of == covers).map(|(_, anchor)| *anchor)
    }

    /// True when it carries the annotation, readable or not.
    pub fn is_annotated(&self) -> bool {
        !self.anchors.is_empty() || self.problem.is_some()
    }
}

/// Why the target of a metric does not move with the requests, so that these are left to the HPA.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAligned {
    /// Not yet, or not for now: podfit-updater takes it.
    #[error("the requests that its target was chosen for are not known yet")]
    NoScalePoint,
    /// The annotation says nothing that podfit understands.
    #[error(
        "its annotation podfit.dev/scale-point cannot be read ({0}): correct it, or remove it to have it made anew"
    )]
    Unreadable(String),
    /// It would be set back.
    #[error("{0} applies its manifest, and would set another target back")]
    Managed(&'static str),
    /// One request cannot be right for two targets.
    #[error("several targets are for the same requests")]
    SeveralTargets,
    /// A target cannot follow in time.
    #[error("its scale-down stabilisation window of {} s is shorter than the {} s that a target may take to follow", .0.as_secs(), LEAST_WINDOW.as_secs())]
    ShortWindow(Duration),
    /// A step of one percent is too much.
    #[error("a target of {0} % is too coarse to be moved in whole percent")]
    TooCoarse(i64),
}

/// When requests go up the HPA wants fewer pods until its target follows, in the updater's next loop. Its stabilisation
/// window must be longer than that.
const LEAST_WINDOW: Duration = Duration::from_mins(2);

/// Whether the target of an HPA's metric can move with the requests it `covers`, from `in_force` (percent).
pub fn aligned(
    hpa: &HorizontalAutoscaler,
    covers: Covers,
    in_force: i64,
) -> Result<Aligned, NotAligned> {
    movable(hpa)?;
    let anchor = hpa.kept.anchor(&covers).ok_or(NotAligned::NoScalePoint)?;
    // Whoever set another target meant it for the same requests.
    let found = Anchor::find(Some(anchor), in_force, Requested::NoPods);
    let (anchor, _) = found.map_err(|_| NotAligned::TooCoarse(in_force))?;
    Ok(Aligned {
        covers,
        point: anchor.point,
        in_force,
    })
}

/// Whether any target of an HPA can be moved.
pub fn movable(hpa: &HorizontalAutoscaler) -> Result<(), NotAligned> {
    if let Some(problem) = &hpa.kept.problem {
        return Err(NotAligned::Unreadable(problem.clone()));
    }
    if let Some(program) = hpa.kept.managed_by {
        return Err(NotAligned::Managed(program));
    }
    match hpa.down_stabilization {
        Some(window) if window < LEAST_WINDOW => Err(NotAligned::ShortWindow(window)),
        _ => Ok(()),
    }
}

/// A metric whose target moves with the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aligned {
    /// Which requests.
    pub covers: Covers,
    /// What its owner chose.
    pub point: ScalePoint,
    /// Its target now, percent.
    pub in_force: i64,
}

impl Aligned {
    /// What a pod is to request in the containers that the metric covers, when `recommended` is. Memory that is needed is
    /// given beyond the bounds, too: a pod that is killed for memory serves nobody.
    pub fn goal(&self, recommended: i64) -> i64 {
        let wanted = self.point.wanted(recommended).request;
        match self.covers.resource {
            Resource::Cpu => wanted,
            Resource::Memory => wanted.max(recommended),
        }
    }
}
