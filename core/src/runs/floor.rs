//! What runs that were killed for memory show to be needed by the next one.
//!
//! The first kill asks for the usual bump over what the run was allowed. A run that was given more and is killed, too,
//! climbs: each in a row asks for a larger bump than the one before, up to so many times what the first kill had, or what a
//! run that was not killed used. A kill counts for as long as its run is remembered, whatever the clock says.

use super::{Run, Runs};
use crate::history::{HistoryConfig, OomFloor};
use crate::quantity::Bytes;

impl Runs {
    /// The least memory of the next run, if a run was killed.
    pub fn floor(&self, config: &HistoryConfig) -> Option<OomFloor> {
        let mut runs: Vec<_> = self.last.iter().chain(&self.open).collect();
        runs.sort_by_key(|run| run.started);
        let alive = |run: &&&Run| run.killed.is_none();
        let measured = runs.iter().filter(alive).filter_map(|run| run.memory).max();
        let mut floor: Option<OomFloor> = None;
        let mut in_a_row = false;
        for run in runs {
            let Some((at, allowed)) = run.killed else {
                // One under way may still be killed.
                in_a_row &= self.open.iter().any(|open| open.id == run.id);
                continue;
            };
            let used = allowed.max(run.memory.unwrap_or_default());
            let climb = floor.as_ref().filter(|_| in_a_row);
            let climbs = climb.map_or(0, |floor| floor.climbs + u32::from(used > floor.killed_at));
            let first = climb.map_or(used, |floor| floor.first);
            let most = config.most_after(first, measured.unwrap_or_default());
            let needed = config.bumped(used, climbs).min(most);
            let before = floor.as_ref().map_or(Bytes(0), |floor| floor.bytes);
            let killed_at = floor
                .as_ref()
                .map_or(used, |floor| floor.killed_at.max(used));
            floor = Some(OomFloor {
                bytes: needed.max(before),
                at,
                killed_at,
                first,
                climbs,
                template: None,
            });
            in_a_row = true;
        }
        floor
    }
}
