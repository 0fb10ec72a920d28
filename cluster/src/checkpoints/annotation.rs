//! What stands in the annotation `podfit.dev/history` of a stored history.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::{OomFloor, OpenWindow};
use podfit_core::quantity::Bytes;
use podfit_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Beside, Target};

/// Open windows are stored of so many pods, those with the highest peaks. More would make the annotation too large
/// (256 KiB are allowed), and say no more about what the container needs.
pub(super) const STORED_WINDOWS: usize = 100;

/// The annotation's content. Times are milliseconds since the Unix epoch, amounts are bytes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Annotation {
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_floor: Option<Floor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    open_windows: BTreeMap<String, Window>,
    #[serde(skip_serializing_if = "is_zero")]
    orphaned_millis: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_past: bool,
    /// What the estimator `adaptive` keeps, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    adaptive: Option<String>,
    /// What that tells classes from, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    adaptive_days: Option<String>,
    /// Runs, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<String>,
}

/// An out-of-memory floor.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Floor {
    #[serde(rename_all = "camelCase")]
    Whole {
        bytes: i64,
        at: i64,
        killed_at: i64,
        first: i64,
        climbs: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        template: Option<String>,
    },
    /// As it was first stored: bytes and time.
    Pair(i64, i64),
}

impl From<&OomFloor> for Floor {
    fn from(floor: &OomFloor) -> Self {
        Self::Whole {
            bytes: floor.bytes.0,
            at: floor.at.unix_millis(),
            killed_at: floor.killed_at.0,
            first: floor.first.0,
            climbs: floor.climbs,
            template: floor.template.clone(),
        }
    }
}

impl From<Floor> for OomFloor {
    fn from(floor: Floor) -> Self {
        match floor {
            Floor::Pair(bytes, at) => Self::of(Bytes(bytes), Timestamp::from_unix_millis(at)),
            Floor::Whole {
                bytes,
                at,
                killed_at,
                first,
                climbs,
                template,
            } => Self {
                bytes: Bytes(bytes),
                at: Timestamp::from_unix_millis(at),
                killed_at: Bytes(killed_at),
                first: Bytes(first),
                climbs,
                template,
            },
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Window {
    end: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_peak: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oom_peak: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_cpu: Option<i64>,
}

// Serde passes a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Annotation {
    pub fn of(content: &Checkpoint, beside: &Beside) -> Self {
        let mut highest: Vec<_> = beside.open.iter().collect();
        highest
            .sort_by_key(|(_, window)| std::cmp::Reverse(window.memory_peak.max(window.oom_peak)));
        highest.truncate(STORED_WINDOWS);
        let window = |w: &OpenWindow| Window {
            end: w.end.unix_millis(),
            memory_peak: w.memory_peak.map(|b| b.0),
            oom_peak: w.oom_peak.map(|b| b.0),
            last_memory: w.last_memory.map(Timestamp::unix_millis),
            last_cpu: w.last_cpu.map(Timestamp::unix_millis),
        };
        Self {
            target: beside.target.clone(),
            orphaned_millis: millis(beside.orphaned),
            has_past: content.has_past,
            adaptive: encoded(content.adaptive.as_ref()),
            adaptive_days: encoded(content.adaptive_days.as_ref()),
            runs: encoded(content.runs.as_ref()),
            oom_floor: content.oom_floor.as_ref().map(Floor::from),
            open_windows: highest
                .into_iter()
                .map(|(uid, w)| (uid.clone(), window(w)))
                .collect(),
        }
    }

    /// What the estimator `adaptive` kept, if that can be read.
    pub fn adaptive(&self) -> Option<Vec<u8>> {
        decoded(self.adaptive.as_ref())
    }

    /// What that tells classes from, if it can be read.
    pub fn adaptive_days(&self) -> Option<Vec<u8>> {
        decoded(self.adaptive_days.as_ref())
    }

    /// The runs, if they can be read.
    pub fn runs(&self) -> Option<Vec<u8>> {
        decoded(self.runs.as_ref())
    }

    pub fn beside(self) -> Beside {
        Beside {
            open: self.open(),
            orphaned: Duration::from_millis(self.orphaned_millis),
            target: self.target,
        }
    }

    fn open(&self) -> BTreeMap<String, OpenWindow> {
        let bytes = |amount: Option<i64>| amount.filter(|b| *b >= 0).map(Bytes);
        let time = |millis: Option<i64>| millis.map(Timestamp::from_unix_millis);
        let window = |w: &Window| OpenWindow {
            end: Timestamp::from_unix_millis(w.end),
            memory_peak: bytes(w.memory_peak),
            oom_peak: bytes(w.oom_peak),
            last_memory: time(w.last_memory),
            last_cpu: time(w.last_cpu),
        };
        self.open_windows
            .iter()
            .map(|(uid, w)| (uid.clone(), window(w)))
            .collect()
    }
}

fn encoded(bytes: Option<&Vec<u8>>) -> Option<String> {
    bytes.map(|bytes| STANDARD.encode(bytes))
}

fn decoded(text: Option<&String>) -> Option<Vec<u8>> {
    STANDARD.decode(text?).ok()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
