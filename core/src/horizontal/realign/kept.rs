//! What is kept with an HPA of the scale points that podfit found.

use std::fmt;

use super::{Anchor, ScalePoint};
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
