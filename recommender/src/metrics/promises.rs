//! What the estimator `adaptive` promises, and how it keeps that.

use podfit_cluster::metrics::register;
use podfit_core::adaptive::Promises;
use podfit_core::history::ContainerHistory;
use podfit_core::quantity::Resource;
use prometheus::{GaugeVec, Opts, Registry};

/// Promised and kept, of both resources.
#[derive(Clone)]
pub struct Kept(GaugeVec);

impl Kept {
    /// Makes and registers it.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let parts = Opts::new(
            "podfit_recommender_over_target_ratio",
            "Estimator adaptive: the part of the time (cpu), or of days (memory), with usage over the target: what is promised, and \
             the mean over containers of what it came to lately (with a half-life of two weeks). No container, no `achieved`.",
        );
        Ok(Self(register(
            registry,
            GaugeVec::new(parts, &["resource", "which"])?,
        )?))
    }

    /// Shows both for all of these.
    pub fn show<'a>(
        &self,
        targets: &Promises,
        histories: impl Iterator<Item = &'a ContainerHistory>,
    ) {
        let mut achieved = [(0.0, 0.0); 2];
        for adaptive in histories.filter_map(ContainerHistory::adaptive) {
            let parts = [adaptive.cpu.kept(), adaptive.memory.kept()];
            for ((sum, of), part) in achieved.iter_mut().zip(parts) {
                if let Some(part) = part {
                    *sum += part;
                    *of += 1.0;
                }
            }
        }
        let promised = [targets.cpu_time, targets.memory_days];
        self.0.reset();
        for (resource, (promised, (sum, of))) in Resource::ALL
            .into_iter()
            .zip(promised.into_iter().zip(achieved))
        {
            if of > 0.0 {
                self.set(resource, "promised", promised);
                self.set(resource, "achieved", sum / of);
            }
        }
    }

    fn set(&self, resource: Resource, which: &str, part: f64) {
        self.0
            .with_label_values(&[resource.name(), which])
            .set(part);
    }
}
