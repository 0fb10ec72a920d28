//! Holds usage samples against what was recommended when they came.

use std::collections::HashMap;

use podfit_cluster::usage::ContainerUsage;
use podfit_core::ownership::ControllerKey;
use podfit_core::policy::for_container;
use podfit_core::quantity::Resource;
use podfit_core::vpa::Vpa;

use crate::metrics::{Key, Quality, Samples};
use crate::oom::Oom;
use crate::view::View;

/// The samples of one loop and the recommendations they meet: the published ones, uncapped.
pub struct Judge<'a> {
    vpas: HashMap<&'a ControllerKey, &'a Vpa>,
    samples: Samples<'a>,
}

impl<'a> Judge<'a> {
    /// For the VPAs in view. Of several that size one target, the first by name counts.
    pub fn new(view: &'a View, quality: &'a Quality) -> Self {
        let mut vpas = HashMap::with_capacity(view.vpas.len());
        for served in &view.vpas {
            if let Some(target) = served.target.as_deref() {
                vpas.entry(target).or_insert(served.vpa.as_ref());
            }
        }
        Self {
            vpas,
            samples: quality.samples(),
        }
    }

    /// Counts usage that became part of a history of `target`; the amount.
    pub fn usage(
        &mut self,
        target: &ControllerKey,
        usage: &ContainerUsage,
        resource: Resource,
    ) -> i64 {
        let amount = match resource {
            Resource::Cpu => usage.cpu.map(|cpu| cpu.0),
            Resource::Memory => usage.memory.map(|memory| memory.0),
        };
        let amount = amount.unwrap_or(0);
        self.judge(target, &usage.name, (resource, amount), false);
        amount
    }

    /// Counts a kill: it stands for usage of what the container had.
    pub fn kill(&mut self, target: &ControllerKey, oom: &Oom) {
        self.judge(
            target,
            &oom.container,
            (Resource::Memory, oom.memory.0),
            true,
        );
    }

    /// Containers whose policy is Off have no recommendation to judge.
    fn judge(
        &mut self,
        target: &ControllerKey,
        container: &str,
        (resource, amount): (Resource, i64),
        is_oom: bool,
    ) {
        let Some(vpa) = self.vpas.get(target) else {
            return;
        };
        if for_container(&vpa.container_policies, container).is_some_and(|p| p.off) {
            return;
        }
        let recommended = vpa
            .recommendation_for(container)
            .and_then(|r| r.uncapped_target.get(resource));
        let key = Key {
            mode: vpa.update_mode,
            resource,
            is_oom,
        };
        self.samples.observe(key, amount, recommended);
    }
}
