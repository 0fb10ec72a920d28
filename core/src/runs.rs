//! What is known of a container in units of runs: one run is one pod, from its start to its end.
//!
//! A service is sampled for as long as it lives, and its samples fade with time. Of work that comes and goes each run counts
//! once, however long it took: a family that ran twenty times in an hour is as well known as one that ran nightly for
//! three weeks, and a month without a run changes nothing.
//!
//! Of each run its memory peak is kept, for memory runs out at the peak, and the 90th percentile of its CPU samples: CPU that
//! is short for a tenth of the run makes it a little longer, and its start-up burst is no measure of the whole.

mod floor;
mod levels;
mod stored;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::Hasher;

pub use stored::StoredError;

use self::levels::Levels;
use crate::quantity::{Bytes, Millicores, Resource};
use crate::time::Timestamp;

/// So many runs that are under way are looked at. Of more pods at a time, these are enough to learn from.
pub const MOST_OPEN: usize = 1000;

/// How many runs are remembered where nobody says otherwise.
pub const KEPT: u16 = 20;

/// A pod, for its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOf<'a> {
    /// The pod's uid.
    pub uid: &'a str,
    /// When it started, or was created.
    pub started: Timestamp,
}

/// How a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its work is done, or nobody knows.
    Whole,
    /// It failed, and not for memory: what it used says how much is needed at least, and no more than that.
    Failed,
}

/// What one run used of one container: some 110 bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The pod's uid, hashed.
    id: u64,
    /// When it started.
    pub started: Timestamp,
    /// When it ended; of one under way, the last that is known of it.
    pub until: Timestamp,
    /// The most memory that was measured.
    pub memory: Option<Bytes>,
    /// When it was last killed for memory, and what it was allowed then: its limit, else its request.
    pub killed: Option<(Timestamp, Bytes)>,
    /// How many CPU samples there were.
    pub samples: u32,
    /// The highest of them.
    highest: Millicores,
    /// All of them while it is under way; of one that ended the percentile is all that is left.
    levels: Levels,
}

impl Run {
    fn new(of: RunOf<'_>) -> Self {
        Self {
            id: id(of.uid),
            started: of.started,
            until: of.started,
            memory: None,
            killed: None,
            samples: 0,
            highest: Millicores(0),
            levels: Levels::default(),
        }
    }

    /// The 90th percentile of its CPU samples; `None` without any.
    pub fn cpu(&self) -> Option<Millicores> {
        let level = self.levels.percentile_90().unwrap_or(self.highest);
        (self.samples > 0).then(|| level.min(self.highest))
    }

    /// What it counts for: its percentile of CPU, its peak of memory; in base units.
    pub fn figure(&self, resource: Resource) -> Option<i64> {
        match resource {
            Resource::Cpu => self.cpu().map(|cpu| cpu.0),
            Resource::Memory => self.memory.map(|memory| memory.0),
        }
    }

    fn says_something(&self) -> bool {
        self.samples > 0 || self.memory.is_some() || self.killed.is_some()
    }

    /// Forgets all samples but what came of them.
    fn close(&mut self, at: Timestamp) {
        self.until = self.until.max(at);
        self.highest = self.cpu().unwrap_or_default();
        self.levels = Levels::default();
    }
}

/// The runs of one container: the last ones, and those under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    /// So many are remembered, one or more.
    most: usize,
    /// Those that ended, the last to end at the back.
    last: VecDeque<Run>,
    /// Those under way.
    open: Vec<Run>,
    /// How many ended without a sample: they were shorter than the metrics' interval.
    unmeasured: u32,
    /// Ends until then were taken in, and are told again after a restart.
    told_until: Option<Timestamp>,
}

impl Runs {
    /// None yet; the last `most` will be remembered.
    pub fn new(most: u16) -> Self {
        Self {
            most: usize::from(most).max(1),
            last: VecDeque::new(),
            open: Vec::new(),
            unmeasured: 0,
            told_until: None,
        }
    }

    /// How many are remembered at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Those that ended, oldest first.
    pub fn ended(&self) -> impl DoubleEndedIterator<Item = &Run> + ExactSizeIterator {
        self.last.iter()
    }

    /// Those under way of which anything is known.
    pub fn under_way(&self) -> impl Iterator<Item = &Run> {
        self.open.iter().filter(|run| run.says_something())
    }

    /// How many ended before anything of them was measured.
    pub fn unmeasured(&self) -> u32 {
        self.unmeasured
    }

    /// True when nothing is known of any run.
    pub fn is_empty(&self) -> bool {
        self.last.is_empty() && self.under_way().next().is_none()
    }

    /// When the first of those that are remembered started.
    pub fn since(&self) -> Option<Timestamp> {
        let all = self.last.iter().chain(&self.open);
        all.map(|run| run.started).min()
    }

    /// What whole runs count for, lowest first. One under way may still grow, so it is none of them.
    pub fn figures(&self, resource: Resource) -> Vec<i64> {
        let figures = self.last.iter().filter_map(|run| run.figure(resource));
        let mut figures: Vec<_> = figures.collect();
        figures.sort_unstable();
        figures
    }

    /// The highest figure of all runs, those under way included.
    pub fn highest(&self, resource: Resource) -> Option<i64> {
        let all = self.last.iter().chain(&self.open);
        all.filter_map(|run| run.figure(resource)).max()
    }

    /// Adds a CPU sample.
    pub fn add_cpu(&mut self, of: RunOf<'_>, cpu: Millicores, at: Timestamp) {
        if let Some(run) = self.under_way_or_new(of) {
            run.levels.add(cpu);
            run.samples = run.samples.saturating_add(1);
            run.highest = run.highest.max(cpu);
            run.until = run.until.max(at);
        }
    }

    /// Adds a memory sample; true when no run used as much.
    pub fn add_memory(&mut self, of: RunOf<'_>, memory: Bytes, at: Timestamp) -> bool {
        let highest = self.highest(Resource::Memory);
        let Some(run) = self.under_way_or_new(of) else {
            return false;
        };
        run.memory = run.memory.max(Some(memory));
        run.until = run.until.max(at);
        highest.is_none_or(|highest| memory.0 > highest)
    }

    /// Adds a kill for memory of a container that was `allowed` so much; true when that was new.
    pub fn kill(&mut self, of: RunOf<'_>, at: Timestamp, allowed: Bytes) -> bool {
        let ended = self.last.iter().position(|run| run.id == id(of.uid));
        let run = match ended {
            Some(place) => self.last.get_mut(place),
            None if self.was_told(of, at) => None,
            None => self.under_way_or_new(of),
        };
        let Some(run) = run.filter(|run| run.killed.is_none_or(|(known, _)| known < at)) else {
            return false;
        };
        run.killed = Some((at, allowed));
        run.until = run.until.max(at);
        true
    }

    /// A run ended at `at`; true when that was new.
    pub fn end(&mut self, of: RunOf<'_>, how: End, at: Timestamp) -> bool {
        let place = self.open.iter().position(|run| run.id == id(of.uid));
        if let Some(place) = place {
            let run = self.open.swap_remove(place);
            self.take_in(run, how, at);
            return true;
        }
        let known = self.last.iter().any(|run| run.id == id(of.uid)) || self.was_told(of, at);
        if !known {
            self.unmeasured = self.unmeasured.saturating_add(1);
        }
        !known
    }

    /// Ends those whose pods are gone, of which nobody said when: a process that was not there did not see it. True when
    /// there were any. `is_there` is asked by [`id`].
    pub fn end_missing(&mut self, is_there: impl Fn(u64) -> bool) -> bool {
        let gone: Vec<_> = self.open.extract_if(.., |run| !is_there(run.id)).collect();
        let any = !gone.is_empty();
        for run in gone {
            let at = run.until;
            self.take_in(run, End::Whole, at);
        }
        any
    }

    /// Adds the runs that `other` knows of.
    pub fn merge(&mut self, other: &Self) {
        let known = |runs: &Self, id| runs.last.iter().chain(&runs.open).any(|run| run.id == id);
        for run in &other.last {
            // What ended is known better than what was under way.
            self.open.retain(|open| open.id != run.id);
            if !known(self, run.id) {
                self.last.push_back(run.clone());
            }
        }
        for run in &other.open {
            if !known(self, run.id) {
                self.open.push(run.clone());
            }
        }
        let last = self.last.make_contiguous();
        last.sort_by_key(|run| run.until);
        self.forget_oldest();
        self.unmeasured = self.unmeasured.max(other.unmeasured);
        self.told_until = self.told_until.max(other.told_until);
    }

    fn take_in(&mut self, mut run: Run, how: End, at: Timestamp) {
        run.close(at);
        if !run.says_something() {
            self.unmeasured = self.unmeasured.saturating_add(1);
            return;
        }
        // Runs that fail early would else push out those that show what is needed.
        let more = |resource| run.figure(resource) > self.highest(resource);
        if how == End::Failed && run.killed.is_none() && !more(Resource::Memory) {
            return;
        }
        self.last.push_back(run);
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let over = self.last.len().saturating_sub(self.most);
        self.last.drain(..over);
    }

    fn under_way_or_new(&mut self, of: RunOf<'_>) -> Option<&mut Run> {
        let id = id(of.uid);
        let place = self.open.iter().position(|run| run.id == id);
        let place = place.or_else(|| {
            let ended = self.last.iter().any(|run| run.id == id);
            let room = self.open.len() < MOST_OPEN;
            (room && !ended).then(|| {
                self.open.push(Run::new(of));
                self.open.len() - 1
            })
        })?;
        self.open.get_mut(place)
    }

    /// True for what happened so long ago that it was taken in before this process began.
    fn was_told(&self, of: RunOf<'_>, at: Timestamp) -> bool {
        let under_way = self.open.iter().any(|run| run.id == id(of.uid));
        !under_way && self.told_until.is_some_and(|until| at <= until)
    }
}

/// A pod's uid in eight bytes, the same in every process: FNV-1a.
pub fn id(uid: &str) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(uid.as_bytes());
    hasher.finish()
}
