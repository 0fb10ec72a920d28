//! Out-of-memory kills as evidence: how much memory they show to be needed, and until when.
//!
//! The first kill asks for the usual bump over what the container was allowed. A container that dies again soon, although
//! it was given more, climbs: each such kill asks for a larger bump than the one before. Kills at a size that was not
//! enough already say nothing new, so that a container held at its `maxAllowed` raises nothing by dying there.

use std::time::Duration;

use super::{CLOCK_TOLERANCE, HistoryConfig};
use crate::quantity::{Bytes, MAX_AMOUNT, scale_amount};
use crate::time::Timestamp;

/// A kill at a larger size, this soon after the one before, shows that the bump was too small.
const CLIMB_WITHIN: Duration = Duration::from_hours(1);

/// While a container climbs, what exceeds 1 of the bump's ratio doubles with each kill, up to this ratio:
/// by default 1.2, 1.4, 1.8, and 2 from then on.
const MAX_RATIO: f64 = 2.0;

/// A climb ends at so many times the size of its first kill, or of the highest use that was measured, if that is more:
/// what needs still more is broken, or is known to its owner, who sets `minAllowed`.
const MAX_CLIMB: f64 = 8.0;

/// One out-of-memory kill of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill<'a> {
    /// When it happened.
    pub at: Timestamp,
    /// What the container was allowed: its limit, else its request; of an evicted one what it used.
    pub allowed: Bytes,
    /// The pod template that its pod was made of.
    pub template: Option<&'a str>,
}

/// The least memory that out-of-memory kills have shown to be needed.
///
/// It stands beside the histogram, where one kill among many replicas' peaks would drown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomFloor {
    /// The least memory.
    pub bytes: Bytes,
    /// When the last kill happened that supports it.
    pub at: Timestamp,
    /// The largest size at which a container was killed: what it was allowed, or its peak.
    pub killed_at: Bytes,
    /// The size of the first kill of this climb.
    pub first: Bytes,
    /// How often a larger size was not enough either.
    pub climbs: u32,
    /// The pod template under which the last kill happened; `None` when that is not known.
    pub template: Option<String>,
}

/// A running pod, as far as it says something of a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningPod<'a> {
    /// The pod template it was made of.
    pub template: Option<&'a str>,
    /// When it started.
    pub since: Timestamp,
}

impl OomFloor {
    /// One of which only the size and the last kill are known.
    pub fn of(bytes: Bytes, at: Timestamp) -> Self {
        Self {
            bytes,
            at,
            killed_at: bytes,
            first: bytes,
            climbs: 0,
            template: None,
        }
    }

    /// True when no amount is out of range and the kill has happened by `now`.
    pub(crate) fn is_possible(&self, now: Timestamp) -> bool {
        let amounts = [self.bytes, self.killed_at, self.first];
        amounts.iter().all(|b| (0..=MAX_AMOUNT).contains(&b.0)) && self.at <= now + CLOCK_TOLERANCE
    }

    /// True while the last kill is not older than a history lives.
    pub fn holds(&self, config: &HistoryConfig, now: Timestamp) -> bool {
        now.since(self.at) < config.lifetime()
    }

    /// True when a new template shows that the floor is not needed any more: no pod of the template that was killed
    /// runs, and one of another template has run for a memory interval since the last kill. Then its own peak is in the
    /// histogram. A kill under the new template would have made the floor its own.
    pub fn is_outlived(
        &self,
        running: &[RunningPod<'_>],
        config: &HistoryConfig,
        now: Timestamp,
    ) -> bool {
        let Some(killed) = self.template.as_deref() else {
            return false;
        };
        let another = |pod: &RunningPod<'_>| pod.template.is_some_and(|t| t != killed);
        let long =
            |pod: &RunningPod<'_>| now.since(pod.since.max(self.at)) >= config.memory_interval;
        running.iter().all(another) && running.iter().any(long)
    }

    /// What is known after a kill of a container that used `used`; usage of `measured` at most was ever measured.
    pub(super) fn after(
        known: Option<&Self>,
        kill: &Kill<'_>,
        (used, measured): (Bytes, Bytes),
        config: &HistoryConfig,
    ) -> Self {
        let known = known.filter(|floor| floor.holds(config, kill.at));
        // Another template begins anew, but not below what the one before needed.
        let climb = known.filter(|floor| floor.template.as_deref() == kill.template);
        let recent = climb.filter(|floor| kill.at.since(floor.at) < CLIMB_WITHIN);
        let climbs = recent.map_or(0, |floor| floor.climbs + u32::from(used > floor.killed_at));
        let first = climb.map_or(used, |floor| floor.first);
        let needed = config
            .bumped(used, climbs)
            .min(config.most_after(first, measured));
        Self {
            bytes: known.map_or(needed, |floor| floor.bytes.max(needed)),
            at: known.map_or(kill.at, |floor| floor.at.max(kill.at)),
            killed_at: climb.map_or(used, |floor| floor.killed_at.max(used)),
            first,
            climbs,
            template: kill.template.map(str::to_owned),
        }
    }

    /// True when the last kill asks for more than a climb may come to: it will not be raised further.
    pub fn is_capped(&self, config: &HistoryConfig) -> bool {
        self.bytes < config.bumped(self.killed_at, self.climbs)
    }

    /// The higher of two, supported by the later kill.
    pub(super) fn merged(self, other: Self) -> Self {
        let bytes = self.bytes.max(other.bytes);
        let later = if other.at > self.at { other } else { self };
        Self { bytes, ..later }
    }
}

impl HistoryConfig {
    /// Where a climb ends that began with a kill at `first`, of a container of which `measured` was measured at most.
    pub(crate) fn most_after(&self, first: Bytes, measured: Bytes) -> Bytes {
        let most = scale_amount(first.max(measured).0, MAX_CLIMB);
        Bytes(most).max(self.bumped(first, 0))
    }

    /// What a container needs that was killed while it used `used`, after it climbed so often.
    pub(crate) fn bumped(&self, used: Bytes, climbs: u32) -> Bytes {
        let excess = (self.oom_bump_up_ratio - 1.0) * f64::from(climbs).exp2();
        let ratio = (1.0 + excess).min(MAX_RATIO.max(self.oom_bump_up_ratio));
        let by_ratio = scale_amount(used.0, ratio);
        Bytes(
            used.0
                .saturating_add(self.oom_min_bump_up.0)
                .max(by_ratio)
                .min(MAX_AMOUNT),
        )
    }
}

#[cfg(test)]
mod tests;
