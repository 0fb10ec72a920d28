//! `/metrics/workloads`: what is recommended for each container of each VPA, and what its pods request now.
//!
//! Apart from `/metrics`, because there are as many series as containers: it is made when asked for, so it costs nothing
//! where nobody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use podfit_cluster::admin::page::Lines;
use podfit_cluster::index::SharedIndex;
use podfit_cluster::lease::Leadership;
use podfit_core::pod::Pod;
use podfit_core::quality::in_units;
use podfit_core::quantity::Resource;
use podfit_core::vpa::Vpa;

use crate::view::{Serves, View};

const RESOURCES: &str = "podfit_workload_resources";
const PODS: &str = "podfit_workload_pods";

/// Where it is read.
pub struct Workloads {
    /// The watched objects.
    pub index: SharedIndex,
    /// Which VPAs are this recommender's.
    pub serves: Serves,
    /// A standby says nothing, so that no series comes twice.
    pub leadership: Leadership,
}

impl Workloads {
    /// The page's lines as of now, in the text format of Prometheus.
    pub fn lines(&self) -> Lines {
        if !self.leadership.is_leader() {
            return Box::new(std::iter::empty());
        }
        let rows = rows(&View::of(&self.index.read(), &self.serves));
        let rows: Arc<[Row]> = rows.into();
        let both = Arc::clone(&rows);
        let head = |name, help| format!("# HELP {name} {help}\n# TYPE {name} gauge\n");
        let pods = (0..rows.len()).map(move |i| rows[i].pods());
        let resources = (0..both.len()).map(move |i| both[i].resources());
        let lines = std::iter::once(head(PODS, "Live pods of a VPA's target."))
            .chain(pods)
            .chain(std::iter::once(head(
                RESOURCES,
                "Of one pod's container, in cores and bytes: its request (of several pods the mean), and the published \
                 target and bounds.",
            )))
            .chain(resources);
        Box::new(lines)
    }
}

/// What is told of one VPA.
struct Row {
    vpa: Arc<Vpa>,
    pods: usize,
    /// By container and resource: how many pods ask for how much together.
    requests: BTreeMap<(String, &'static str), (f64, f64)>,
}

fn rows(view: &View) -> Vec<Row> {
    let row = |served: &crate::view::ServedVpa| {
        let pods: &[Arc<Pod>] = match &served.target {
            Some(target) => view.pods_of(target),
            None => &[],
        };
        let mut requests = BTreeMap::<_, (f64, f64)>::new();
        for container in pods.iter().flat_map(|pod| &pod.containers) {
            for resource in Resource::ALL {
                if let Some(amount) = container.requests.get(resource) {
                    let key = (container.name.clone(), resource.name());
                    let (of, sum) = requests.entry(key).or_default();
                    *of += 1.0;
                    *sum += in_units(resource, amount);
                }
            }
        }
        Row {
            vpa: Arc::clone(&served.vpa),
            pods: pods.len(),
            requests,
        }
    };
    view.vpas.iter().map(row).collect()
}

impl Row {
    /// Named as in upstream's metrics, since Prometheus gives the targets of Kubernetes labels such as `namespace` and
    /// `container`. Kubernetes allows nothing in these names that would have to be escaped.
    fn labels(&self) -> String {
        format!(
            "vpa_namespace=\"{}\",vpa_name=\"{}\"",
            self.vpa.namespace, self.vpa.name
        )
    }

    fn pods(&self) -> String {
        let target = self.vpa.target.as_ref();
        let kind = target.map_or("", |t| &*t.kind);
        let name = target.map_or("", |t| t.name.as_str());
        // Of these two alone the API server checks nothing.
        let bare = |text: &str| text.replace(['"', '\\', '\n'], "_");
        format!(
            "{PODS}{{{},target_kind=\"{}\",target_name=\"{}\",update_mode=\"{}\"}} {}\n",
            self.labels(),
            bare(kind),
            bare(name),
            self.vpa.update_mode.name(),
            self.pods
        )
    }

    fn resources(&self) -> String {
        let labels = self.labels();
        let line = |container: &str, resource: &str, amount: &str, value: f64| {
            format!(
                "{RESOURCES}{{{labels},container_name=\"{container}\",resource=\"{resource}\",amount=\"{amount}\"}} {value}\n"
            )
        };
        let requests = self.requests.iter();
        let mut text: String = requests
            .map(|((container, resource), (of, sum))| {
                line(container, resource, "request", sum / of)
            })
            .collect();
        for of in self.vpa.recommendation.iter().flatten() {
            let lists = [
                ("target", of.target),
                ("lower_bound", of.lower_bound),
                ("upper_bound", of.upper_bound),
            ];
            for (amount, list) in lists {
                for resource in Resource::ALL {
                    if let Some(value) = list.get(resource) {
                        let value = in_units(resource, value);
                        text += &line(&of.container_name, resource.name(), amount, value);
                    }
                }
            }
        }
        text
    }
}

#[cfg(test)]
pub mod tests {
    use podfit_cluster::index::Index;
    use podfit_core::ownership::{Controller, ControllerKey};
    use podfit_core::pod::{Container, OwnerRef};
    use podfit_core::quantity::{Bytes, Millicores, ResourceList};
    use podfit_core::vpa::ContainerRecommendation;

    use super::*;

    fn of(cpu: i64, memory: i64) -> ResourceList {
        ResourceList {
            cpu: Some(Millicores(cpu)),
            memory: Some(Bytes(memory)),
        }
    }

    /// The page where one container has a recommendation. Needs a runtime.
    pub fn page() -> String {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: "web".into(),
        };
        let mut index = Index::default();
        let key = ControllerKey::new("shop", "StatefulSet", "web");
        index.owners.apply(key, Controller::default());
        index.vpas.apply(Vpa {
            namespace: "shop".into(),
            name: "web".into(),
            target: Some(owner.clone()),
            recommendation: Some(vec![ContainerRecommendation {
                container_name: "app".into(),
                target: of(250, 1000),
                lower_bound: of(100, 500),
                upper_bound: ResourceList::default(),
                uncapped_target: of(250, 1000),
            }]),
            ..Vpa::default()
        });
        for (name, cpu) in [("web-0", 500), ("web-1", 1500)] {
            let pod = Pod {
                namespace: "shop".into(),
                name: name.into(),
                owner: Some(owner.clone()),
                containers: vec![Container {
                    name: "app".into(),
                    requests: of(cpu, 2000),
                    ..Container::default()
                }],
                ..Pod::default()
            };
            index
                .pods
                .insert(("shop".into(), name.into()), Arc::new(pod));
        }
        let workloads = Workloads {
            index: index.into(),
            serves: "default".into(),
            leadership: Leadership::unconditional(),
        };
        workloads.lines().collect()
    }

    #[tokio::test]
    async fn each_container_is_told_in_cores_and_bytes() {
        let text = page();
        let app = |resource: &str, amount: &str, value: &str| {
            format!(
                "podfit_workload_resources{{vpa_namespace=\"shop\",vpa_name=\"web\",container_name=\"app\",resource=\"{resource}\",amount=\"{amount}\"}} {value}\n"
            )
        };
        for line in [
            "podfit_workload_pods{vpa_namespace=\"shop\",vpa_name=\"web\",target_kind=\"StatefulSet\",target_name=\"web\",update_mode=\"Recreate\"} 2\n".to_owned(),
            app("cpu", "request", "1"),
            app("memory", "request", "2000"),
            app("cpu", "target", "0.25"),
            app("memory", "lower_bound", "500"),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("upper_bound"), "{text}");
    }
}
