//! Sizing by the estimator `adaptive`.

use super::{Band, Sample, Sizer, Sizes};
use crate::adaptive::Cpu;
use crate::time::Timestamp;

/// One container sized by `adaptive`.
pub struct Adapted {
    cpu: Cpu,
    /// The part of the time in which CPU usage may be over the target.
    cpu_promise: f64,
}

impl Adapted {
    /// Nothing is known yet.
    pub fn new(cpu_promise: f64) -> Self {
        Self {
            cpu: Cpu::default(),
            cpu_promise,
        }
    }
}

impl Sizer for Adapted {
    fn observe(&mut self, sample: &Sample) {
        if let Some(cores) = sample.cpu {
            self.cpu.add(cores, sample.at, self.cpu_promise);
        }
    }

    fn size(&mut self, now: Timestamp) -> Sizes {
        self.cpu.advance(now, self.cpu_promise);
        Sizes {
            cpu: self.cpu.target().map(Band::at),
            memory: None,
        }
    }
}
