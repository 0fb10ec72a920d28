//! Sizing as the recommender does: the same history, the same estimator.

use std::time::Duration;

use super::{Band, Sample, Sizer, Sizes};
use crate::backfill::live_samples;
use crate::estimator::{Estimate, EstimatorConfig, container_minimum, estimate};
use crate::history::{ContainerHistory, PodContainerWindow};
use crate::quality::in_units;
use crate::quantity::{Bytes, Millicores, Resource};
use crate::time::Timestamp;

/// The history of one container, and how it becomes numbers.
pub struct Recorded {
    config: EstimatorConfig,
    history: ContainerHistory,
    window: PodContainerWindow,
    /// As how many live samples one of these counts.
    weight: u32,
}

impl Recorded {
    /// An empty history. Samples are averages over `step`: each counts as the live samples of that time would.
    pub fn new(config: EstimatorConfig, step: Duration) -> Self {
        let history = ContainerHistory::new(&config.history, Timestamp::default());
        Self {
            config,
            history,
            window: PodContainerWindow::default(),
            weight: live_samples(step),
        }
    }

    fn band(&self, resource: Resource, now: Timestamp) -> Option<Band> {
        let minimum = container_minimum(self.config.pod_minimum, resource, 1);
        let floor = match resource {
            Resource::Cpu => None,
            Resource::Memory => self.history.oom_floor(&self.config.history, now),
        };
        let Estimate {
            target,
            lower_bound,
            upper_bound,
        } = estimate(&self.history, resource, &self.config, minimum, floor);
        let amount =
            |derivation: &crate::explanation::Derivation| in_units(resource, derivation.amount());
        Some(Band {
            target: amount(&target?),
            lower: lower_bound.as_ref().map(amount),
            upper: upper_bound.as_ref().map(amount),
        })
    }
}

impl Sizer for Recorded {
    fn observe(&mut self, sample: &Sample) {
        let at = (sample.at, sample.at);
        let (history, window) = (&mut self.history, &mut self.window);
        // What the live recommender refuses, it refuses here.
        if let Some(cpu) = sample.cpu {
            let _ = window.add_cpu_average(history, Millicores::from_cores(cpu), at, self.weight);
        }
        if let Some(memory) = sample.memory {
            let _ = window.add_memory(history, Bytes(memory as i64), at, &self.config.history);
        }
    }

    fn size(&mut self, now: Timestamp) -> Sizes {
        self.history.advance(now);
        Sizes {
            cpu: self.band(Resource::Cpu, now),
            memory: self.band(Resource::Memory, now),
        }
    }
}
