//! What is to stand in a VPA that is asked for.

use std::fmt::Write as _;

use super::{Asked, Autosize, Mode, Traits, WorkloadProfile};
use crate::vpa::UpdateMode;

/// A VPA as it is to be, but for its names.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// How changes reach pods.
    pub update_mode: UpdateMode,
    /// What its profile sets.
    pub traits: Traits,
    /// What was asked for, and a number that changes with anything set here: for the annotation
    /// [`OPTED_IN_ANNOTATION`](super::OPTED_IN_ANNOTATION). A VPA that has it is left as it is, whatever became of its fields
    /// since: that was somebody's will.
    pub mark: String,
}

/// What podfit wrote on a VPA that it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The mark of what was wanted then.
    pub mark: String,
}

impl Managed {
    /// The profile that was asked for.
    pub fn profile(&self) -> Option<WorkloadProfile> {
        let mut words = self.mark.split_whitespace();
        let name = words.find_map(|word| word.strip_prefix("profile="))?;
        WorkloadProfile::from_name(name)
    }
}

/// What is asked for, as a VPA. Without `in_place`, the mode `InPlace` is not to be had: where it would be wanted new pods are
/// sized, and none is evicted.
pub fn wanted(asked: Asked, in_place: bool) -> Wanted {
    let traits = Traits::of(asked.profile);
    let update_mode = match asked.mode {
        Mode::Update(mode) => mode,
        Mode::Autosize(Autosize::Off) => UpdateMode::Off,
        Mode::Autosize(Autosize::Initial) => UpdateMode::Initial,
        Mode::Autosize(Autosize::Recreate) => UpdateMode::Recreate,
        Mode::Autosize(Autosize::InPlace)
            if traits.in_place == UpdateMode::InPlace && !in_place =>
        {
            UpdateMode::Initial
        }
        Mode::Autosize(Autosize::InPlace) => traits.in_place,
    };
    Wanted {
        update_mode,
        traits,
        mark: mark(asked, update_mode, &traits),
    }
}

fn mark(asked: Asked, update_mode: UpdateMode, traits: &Traits) -> String {
    let mut mark = match asked.mode {
        Mode::Autosize(autosize) => {
            let mut names = Autosize::NAMES.iter();
            let name = names.find(|(of, _)| *of == autosize);
            format!("autosize={}", name.map_or("", |(_, name)| *name))
        }
        Mode::Update(mode) => format!("goldilocks={}", mode.name()),
    };
    if let Some(profile) = asked.profile {
        let _ = write!(mark, " profile={}", profile.name());
    }
    let revision = fnv(&format!("{update_mode:?} {traits:?}"));
    let _ = write!(mark, " by={} revision={revision:08x}", asked.by.word());
    mark
}

/// FNV-1a, of 32 bits: the same in every build, which the standard library's hashes do not promise.
pub(super) fn fnv(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}
