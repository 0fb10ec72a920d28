//! Manifests of workloads and VPAs.

use serde_json::{Value, json};

/// The label by which a workload's pods are found.
pub const APP: &str = "app";

/// A workload with one container called `app`.
#[derive(Clone, Debug)]
pub struct Workload {
    name: String,
    kind: &'static str,
    replicas: u32,
    requests: Value,
    limits: Value,
    annotations: Value,
    arguments: Vec<String>,
    on_real_node: bool,
}

impl Workload {
    /// A Deployment of one replica that asks for nothing.
    pub fn deployment(name: &str) -> Self {
        Self {
            name: name.into(),
            kind: "Deployment",
            replicas: 1,
            requests: json!({}),
            limits: json!({}),
            annotations: json!({}),
            arguments: vec!["pause".into()],
            on_real_node: false,
        }
    }

    /// The same as a Job.
    pub fn job(name: &str) -> Self {
        Self {
            kind: "Job",
            ..Self::deployment(name)
        }
    }

    /// How many pods.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// What the container requests.
    pub fn requests(mut self, cpu: &str, memory: &str) -> Self {
        self.requests = json!({"cpu": cpu, "memory": memory});
        self
    }

    /// The container's limits.
    pub fn limits(mut self, cpu: &str, memory: &str) -> Self {
        self.limits = json!({"cpu": cpu, "memory": memory});
        self
    }

    /// What the container is to be seen using on a simulated node.
    pub fn simulated_usage(mut self, cpu: &str, memory: &str) -> Self {
        self.annotations["usage.podfit.dev/cpu"] = cpu.into();
        self.annotations["usage.podfit.dev/memory"] = memory.into();
        self
    }

    /// Runs on the real node, as `podfit-workload use` with these arguments.
    pub fn really_using(mut self, arguments: &[&str]) -> Self {
        self.arguments = [&["use"], arguments]
            .concat()
            .iter()
            .map(|a| (*a).to_owned())
            .collect();
        self.on_real_node = true;
        self
    }

    /// The object.
    pub fn manifest(&self) -> Value {
        let mut pod = json!({
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "app",
                "image": "localhost/podfit-workload:1",
                "imagePullPolicy": "Never",
                "args": self.arguments,
                "resources": {"requests": self.requests, "limits": self.limits},
            }],
        });
        if self.on_real_node {
            pod["nodeSelector"] = json!({"podfit.dev/node": "real"});
            pod["tolerations"] = json!([{"key": "podfit.dev/real-node"}]);
        }
        let labels = json!({APP: self.name});
        let template = json!({
            "metadata": {"labels": labels, "annotations": self.annotations},
            "spec": pod,
        });
        let mut object = json!({
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {"name": self.name},
            "spec": {"template": template},
        });
        if self.kind == "Job" {
            object["apiVersion"] = "batch/v1".into();
            object["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
            object["spec"]["parallelism"] = self.replicas.into();
            object["spec"]["completions"] = self.replicas.into();
        } else {
            object["spec"]["replicas"] = self.replicas.into();
            object["spec"]["selector"] = json!({"matchLabels": labels});
        }
        object
    }

    /// A VPA of the same name that sizes it.
    pub fn vpa(&self, update_mode: &str) -> Value {
        let api_version = if self.kind == "Job" {
            "batch/v1"
        } else {
            "apps/v1"
        };
        json!({
            "apiVersion": "autoscaling.k8s.io/v1",
            "kind": "VerticalPodAutoscaler",
            "metadata": {"name": self.name},
            "spec": {
                "targetRef": {"apiVersion": api_version, "kind": self.kind, "name": self.name},
                "updatePolicy": {"updateMode": update_mode},
            },
        })
    }

    /// A PodDisruptionBudget of the same name for its pods.
    pub fn budget(&self, max_unavailable: u32) -> Value {
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": self.name},
            "spec": {"maxUnavailable": max_unavailable, "selector": {"matchLabels": {APP: self.name}}},
        })
    }
}
