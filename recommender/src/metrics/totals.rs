//! What all containers under VPAs use, ask for and would get, in one figure each: where the waste is, and how much.

use std::collections::HashSet;

use podfit_cluster::metrics::register;
use podfit_core::quality::in_units;
use podfit_core::quantity::Resource;
use podfit_core::vpa::Vpa;
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use crate::view::View;

/// The sums, and the kills.
#[derive(Clone)]
pub struct Totals {
    resources: GaugeVec,
    kills: IntCounterVec,
}

/// Usage of one reading, summed up. In millicores and bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used([i64; 2]);

impl Used {
    /// Adds one sample.
    pub fn add(&mut self, resource: Resource, amount: i64) {
        self.0[resource as usize] += amount;
    }
}

impl Totals {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let resources = Opts::new(
            "podfit_recommender_resources",
            "Sums over all containers under a VPA, in cores and bytes: what they use, what they request, and what they would \
             request with the target (their request, where nothing is recommended).",
        );
        let kills = Opts::new(
            "podfit_recommender_oom_kills_total",
            "Out-of-memory kills of containers under a VPA, evictions for memory included.",
        );
        Ok(Self {
            resources: register(registry, GaugeVec::new(resources, &["amount", "resource"])?)?,
            kills: register(registry, IntCounterVec::new(kills, &["vpa_namespace"])?)?,
        })
    }

    /// Shows what one reading of the metrics API came to.
    pub fn used(&self, used: Used) {
        for resource in Resource::ALL {
            self.set("usage", resource, used.0[resource as usize]);
        }
    }

    /// Shows what pods ask for and what is recommended for them. Namespaces start with no kill: a rate needs a series that
    /// was there before the first.
    pub fn show(&self, view: &View) {
        let mut seen = HashSet::new();
        let (mut requests, mut targets) = ([0; 2], [0; 2]);
        for (vpa, target) in view.targets() {
            self.kills
                .with_label_values(&[vpa.namespace.as_str()])
                .inc_by(0);
            // Of several VPAs that size one target, the first by name counts.
            if !seen.insert(target) {
                continue;
            }
            for container in view.pods_of(target).iter().flat_map(|pod| &pod.containers) {
                for resource in Resource::ALL {
                    let request = container.requests.get(resource).unwrap_or(0);
                    let wanted = recommended(vpa, &container.name, resource);
                    requests[resource as usize] += request;
                    targets[resource as usize] += wanted.unwrap_or(request);
                }
            }
        }
        for resource in Resource::ALL {
            self.set("request", resource, requests[resource as usize]);
            self.set("target", resource, targets[resource as usize]);
        }
    }

    /// Counts a kill that became evidence.
    pub fn kill(&self, namespace: &str) {
        self.kills.with_label_values(&[namespace]).inc();
    }

    fn set(&self, amount: &str, resource: Resource, value: i64) {
        self.resources
            .with_label_values(&[amount, resource.name()])
            .set(in_units(resource, value));
    }
}

fn recommended(vpa: &Vpa, container: &str, resource: Resource) -> Option<i64> {
    vpa.recommendation_for(container)?.target.get(resource)
}
