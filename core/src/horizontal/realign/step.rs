//! The next target of one metric, and what is kept of it.

use super::{Anchor, Mix, NoAnchor, Requested, ScalePoint};

/// A live pod, as one metric sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// What it requests in the containers that the metric covers, in millicores or bytes; `None` when one requests nothing.
    pub request: Option<i64>,
    /// The target that its recommendation is for, percent; `None` without one.
    pub wanted: Option<i64>,
}

/// One metric of an HPA.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    /// Its target, percent.
    pub in_force: i64,
    /// What is kept of it.
    pub stored: Option<Anchor>,
    /// The live pods of the HPA's target.
    pub pods: &'a [Live],
    /// The target for which pods wait that are to get less; `None` when none does.
    pub waits_for: Option<i64>,
    /// True while a VPA sizes the pods and moves the target with them. Otherwise what was moved goes back.
    pub realigns: bool,
}

/// What a metric is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Percent.
    pub target: i64,
    /// What is to be kept; `None`: nothing any more.
    pub anchor: Option<Anchor>,
}

impl Metric<'_> {
    /// The next target, by the rules of [`ScalePoint::next_target`].
    ///
    /// A target that leads its pods stays for as long as they are to follow. Where nobody realigns any more, new pods request
    /// what their template says again: the target follows them, and once all do it is what its owner chose.
    pub fn next(&self) -> Result<Next, NoAnchor> {
        if !self.realigns && self.stored.is_none() {
            return Ok(Next {
                target: self.in_force,
                anchor: None,
            });
        }
        let requested = Requested::of(self.pods.iter().map(|pod| pod.request));
        let (anchor, _) = Anchor::find(self.stored, self.in_force, requested)?;
        let point = anchor.point;
        if !self.realigns && matches!(requested, Requested::NoPods) {
            return Ok(home(point));
        }
        if !self.realigns && requested == Requested::Alike(point.request()) {
            return Ok(home(point));
        }
        let target = self.mix().and_then(|mix| {
            let down_to = if self.realigns {
                self.waits_for.or_else(|| self.stays(point, mix))
            } else {
                None
            };
            point.next_target(mix, down_to)
        });
        let target = target.unwrap_or(self.in_force);
        let anchor = Some(Anchor { point, set: target });
        Ok(Next { target, anchor })
    }

    /// `None` where some pod requests nothing: then the HPA does nothing, either.
    fn mix(&self) -> Option<Mix> {
        let requested: Option<Vec<_>> = self.pods.iter().map(|pod| pod.request).collect();
        Some(Mix {
            pods: self.pods.len() as i64,
            requested: requested?.iter().sum(),
        })
    }

    /// The target in force, while it leads pods that have not followed yet.
    fn stays(&self, point: ScalePoint, mix: Mix) -> Option<i64> {
        let leads = point.mixed_target(mix)? < self.in_force;
        let allowed = point.request_at(self.in_force);
        let follow = self.pods.iter().any(|pod| pod.request > Some(allowed));
        let all = |pod: &Live| pod.wanted.is_some_and(|wanted| wanted >= self.in_force);
        (leads && follow && self.pods.iter().all(all)).then_some(self.in_force)
    }
}

fn home(point: ScalePoint) -> Next {
    Next {
        target: point.target(),
        anchor: None,
    }
}
