//! CPU time that is really used, and memory that is really held.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often a steady user of CPU looks at the clock. Short beside the 100 ms in which the kernel counts a CPU limit.
const PACE: Duration = Duration::from_millis(10);

/// CPU time that was missed for longer than this, for want of CPU, is not made up for.
const MOST_OWED: Duration = Duration::from_secs(1);

/// Memory that is asked for is taken in pieces of this many bytes.
const MIB: usize = 1 << 20;

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Keeps this thread busy until it had so much CPU time, however long the kernel takes to give it.
pub fn burn(amount: Duration) {
    let enough = cpu_time() + amount;
    while cpu_time() < enough {
        for i in 0..10_000u32 {
            black_box(i);
        }
    }
}

/// Uses so many cores from now on, in threads of its own.
pub fn burn_steadily(cores: f64) {
    let mut left = cores;
    while left > 0.0 {
        let part = left.min(1.0);
        left -= part;
        thread::spawn(move || {
            let (mut owed, mut last) = (Duration::ZERO, Instant::now());
            loop {
                let now = Instant::now();
                owed = (owed + (now - last).mul_f64(part)).min(MOST_OWED);
                last = now;
                let before = cpu_time();
                burn(owed);
                owed = owed.saturating_sub(cpu_time().saturating_sub(before));
                thread::sleep(PACE);
            }
        });
    }
}

/// Memory that counts as used: every page of it was written.
#[derive(Debug, Default)]
pub struct Memory {
    pieces: Vec<Vec<u8>>,
}

impl Memory {
    /// Holds so many MiB.
    pub fn of(mib: usize) -> Self {
        let mut memory = Self::default();
        memory.resize(mib);
        memory
    }

    /// Takes more, or gives back. In small pieces: a limit is hit while it grows, as by a real program.
    pub fn resize(&mut self, mib: usize) {
        self.pieces.truncate(mib);
        while self.pieces.len() < mib {
            // Not zeros: pages of zeros are not there before somebody writes to them.
            self.pieces.push(black_box(vec![1; MIB]));
        }
    }

    /// MiB that are held.
    pub fn mib(&self) -> usize {
        self.pieces.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_burnt_is_cpu_time() {
        let before = cpu_time();
        burn(Duration::from_millis(30));
        let used = cpu_time().saturating_sub(before);
        assert!(used >= Duration::from_millis(30), "{used:?}");
        assert!(used < Duration::from_millis(300), "{used:?}");
    }

    #[test]
    fn memory_grows_and_shrinks() {
        let mut memory = Memory::of(3);
        assert_eq!(memory.mib(), 3);
        for mib in [5, 5, 1, 0, 2] {
            memory.resize(mib);
            assert_eq!(memory.mib(), mib);
        }
    }
}
