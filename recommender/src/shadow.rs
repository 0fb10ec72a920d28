//! What a shadow would publish, beside what another recommender has published.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podfit_cluster::metrics::register;
use podfit_core::quality::change;
use podfit_core::quantity::Resource;
use podfit_core::vpa::{ContainerRecommendation, Vpa};
use prometheus::{GaugeVec, Opts, Registry};

/// Whose number a series shows.
const PODFIT: &str = "podfit";
const PUBLISHED: &str = "published";

/// Numbers side by side, as metrics and for explanations. Cheap to clone.
#[derive(Clone)]
pub struct Shadow {
    targets: GaugeVec,
    differences: GaugeVec,
    /// What would be published, by VPA.
    latest: Arc<Mutex<HashMap<Name, Vec<ContainerRecommendation>>>>,
}

/// Namespace and name of a VPA.
type Name = (String, String);

impl Shadow {
    /// Makes and registers its metrics: up to six series for each container of a VPA, which only a shadow has.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str, more: &[&str]| {
            let labels = [&["namespace", "vpa", "container", "resource"], more].concat();
            register(registry, GaugeVec::new(Opts::new(name, help), &labels)?)
        };
        tracing::info!("in shadow: computing for every VPA, writing nothing");
        Ok(Self {
            targets: gauge(
                "podfit_shadow_target",
                "Targets in cores and bytes: podfit's, and the one that stands published.",
                &["source"],
            )?,
            differences: gauge(
                "podfit_shadow_relative_difference",
                "How far podfit's target lies above the published one, as a fraction of that.",
                &[],
            )?,
            latest: Arc::default(),
        })
    }

    /// A loop begins: what is not compared in it is gone.
    pub fn clear(&self) {
        self.targets.reset();
        self.differences.reset();
        self.latest().clear();
    }

    /// Shows what would be published for a VPA beside what is.
    pub fn compare(&self, vpa: &Vpa, ours: &[ContainerRecommendation]) {
        let published = vpa.recommendation.as_deref().unwrap_or_default();
        for container in published {
            self.show(vpa, container, PUBLISHED);
        }
        for container in ours {
            self.show(vpa, container, PODFIT);
            let name = &container.container_name;
            let Some(other) = published.iter().find(|c| c.container_name == *name) else {
                continue;
            };
            for resource in Resource::ALL {
                let amounts = [other, container].map(|c| c.target.get(resource));
                if let [Some(other), Some(ours)] = amounts
                    && let Some(fraction) = change(other, ours)
                {
                    let labels = [&vpa.namespace, &vpa.name, name.as_str(), resource.name()];
                    self.differences.with_label_values(&labels).set(fraction);
                }
            }
        }
        let name = (vpa.namespace.clone(), vpa.name.clone());
        self.latest().insert(name, ours.to_vec());
    }

    /// What the last loop would have published for a VPA.
    pub fn would_publish(&self, vpa: &Vpa) -> Option<Vec<ContainerRecommendation>> {
        let name = (vpa.namespace.clone(), vpa.name.clone());
        self.latest().get(&name).cloned()
    }

    fn show(&self, vpa: &Vpa, container: &ContainerRecommendation, source: &str) {
        for resource in Resource::ALL {
            let Some(amount) = container.target.get(resource) else {
                continue;
            };
            let units = match resource {
                Resource::Cpu => amount as f64 / 1000.0,
                Resource::Memory => amount as f64,
            };
            let name = container.container_name.as_str();
            let labels = [&vpa.namespace, &vpa.name, name, resource.name(), source];
            self.targets.with_label_values(&labels).set(units);
        }
    }

    fn latest(&self) -> MutexGuard<'_, HashMap<Name, Vec<ContainerRecommendation>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use podfit_core::quantity::{Bytes, Millicores, ResourceList};
    use prometheus::TextEncoder;

    use super::*;

    fn recommendation(name: &str, cpu: i64, memory: Option<i64>) -> ContainerRecommendation {
        ContainerRecommendation {
            container_name: name.into(),
            target: ResourceList {
                cpu: Some(Millicores(cpu)),
                memory: memory.map(Bytes),
            },
            ..ContainerRecommendation::default()
        }
    }

    #[test]
    fn numbers_stand_side_by_side() {
        let registry = Registry::new();
        let shadow = Shadow::new(&registry).unwrap();
        let vpa = Vpa {
            namespace: "shop".into(),
            name: "web".into(),
            recommendation: Some(vec![
                recommendation("app", 200, Some(1000)),
                recommendation("old", 50, None),
            ]),
            ..Vpa::default()
        };
        let ours = [
            recommendation("app", 250, None),
            recommendation("new", 70, None),
        ];
        shadow.compare(&vpa, &ours);
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let of = |container: &str, resource: &str, more: &str| {
            format!(
                "{{container=\"{container}\",namespace=\"shop\",resource=\"{resource}\"{more},vpa=\"web\"}}"
            )
        };
        let (podfit, published) = (",source=\"podfit\"", ",source=\"published\"");
        let want = [
            ("difference", of("app", "cpu", ""), "0.25"),
            ("target", of("app", "cpu", podfit), "0.25"),
            ("target", of("app", "cpu", published), "0.2"),
            ("target", of("app", "memory", published), "1000"),
            ("target", of("new", "cpu", podfit), "0.07"),
            ("target", of("old", "cpu", published), "0.05"),
        ];
        let mut lines: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        lines.sort_unstable();
        let mut want = want.map(|(kind, labels, number)| {
            let kind = kind.replace("difference", "relative_difference");
            format!("podfit_shadow_{kind}{labels} {number}")
        });
        want.sort_unstable();
        assert_eq!(lines, want);
        assert_eq!(shadow.would_publish(&vpa).unwrap(), ours);
        shadow.clear();
        assert_eq!(shadow.would_publish(&vpa), None);
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        assert_eq!(text, "");
    }
}
