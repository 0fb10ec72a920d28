//! The history of a workload of runs: what of it is told by [`Runs`].

use super::{ContainerHistory, HistoryConfig, Kill, Rejected, check};
use crate::runs::{RunOf, Runs};
use crate::time::Timestamp;

impl ContainerHistory {
    /// Its runs, where the workload is one of runs.
    pub fn runs(&self) -> Option<&Runs> {
        self.runs.as_deref()
    }

    /// The same, to be added to.
    pub fn runs_mut(&mut self) -> Option<&mut Runs> {
        self.runs.as_deref_mut()
    }

    /// Begins to keep runs where `config` says that the workload is one of them, and takes what they say of memory for the
    /// out-of-memory floor.
    pub fn keep_runs(&mut self, config: &HistoryConfig) {
        if config.by_runs && self.runs.is_none() {
            self.runs = Some(Box::new(Runs::new(config.runs)));
        }
        if let Some(runs) = &self.runs {
            self.oom_floor = runs.floor(config);
        }
    }

    /// Adds the runs of another history of the same container.
    pub fn merge_runs(&mut self, other: &Self) {
        match (&mut self.runs, &other.runs) {
            (Some(ours), Some(others)) => ours.merge(others),
            (ours @ None, Some(others)) => *ours = Some(others.clone()),
            (_, None) => {}
        }
    }

    /// Adds the kill of a run; true when that was new.
    pub fn kill_run(
        &mut self,
        of: RunOf<'_>,
        kill: &Kill<'_>,
        now: Timestamp,
        config: &HistoryConfig,
    ) -> Result<bool, Rejected> {
        check(kill.allowed.0, kill.at, now)?;
        let new = self
            .runs_mut()
            .is_some_and(|runs| runs.kill(of, kill.at, kill.allowed));
        if new {
            self.last_activity = self.last_activity.max(kill.at);
            self.keep_runs(config);
        }
        Ok(new)
    }
}
