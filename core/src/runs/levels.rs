//! The CPU samples of one run, by their level: four bytes for each level that there was.

use crate::histogram::Buckets;
use crate::quantity::Millicores;

/// How often each level was there, lowest level first. Levels are the histogram's buckets, each 5 % wider than the one below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Levels(pub(super) Vec<(u8, u16)>);

impl Levels {
    pub(super) fn add(&mut self, cpu: Millicores) {
        let level = u8::try_from(Buckets::cpu().find(cpu.cores())).unwrap_or(u8::MAX);
        match self.0.binary_search_by_key(&level, |(level, _)| *level) {
            Ok(place) if self.0[place].1 == u16::MAX => {
                // Weeks of samples: halves keep the proportions.
                self.0
                    .iter_mut()
                    .for_each(|(_, count)| *count = count.div_ceil(2));
                self.0[place].1 += 1;
            }
            Ok(place) => self.0[place].1 += 1,
            Err(place) => self.0.insert(place, (level, 1)),
        }
    }

    /// The upper end of the level below which nine of ten samples are.
    pub(super) fn percentile_90(&self) -> Option<Millicores> {
        let all: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        let rank = (all * 9).div_ceil(10);
        let mut seen = 0;
        let at = self.0.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= rank
        });
        at.map(|(level, _)| Millicores::from_cores(Buckets::cpu().start(usize::from(*level) + 1)))
    }
}
