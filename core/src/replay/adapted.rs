//! Sizing by the estimator `adaptive`.

use super::{Band, Sample, Sizer, Sizes};
use crate::adaptive::Cpu;
use crate::time::Timestamp;

/// One container sized by `adaptive`.
pub struct Adapted {
    cpu: Cpu,
}

impl Adapted {
    /// Nothing is known yet. `cpu_promise` is the part of the time in which CPU usage may be over the target.
    pub fn new(cpu_promise: f64) -> Self {
        Self {
            cpu: Cpu::new(cpu_promise),
        }
    }
}

impl Sizer for Adapted {
    fn observe(&mut self, sample: &Sample) {
        if let Some(cores) = sample.cpu {
            self.cpu.add(cores, sample.at, 1.0);
        }
    }

    fn size(&mut self, now: Timestamp) -> Sizes {
        self.cpu.advance(now);
        Sizes {
            cpu: self.cpu.target().map(|target| {
                let followed = self.cpu.followed();
                Band {
                    target,
                    lower: followed.map(|followed| followed.lower),
                    upper: followed.map(|followed| followed.upper),
                }
            }),
            memory: None,
        }
    }
}
