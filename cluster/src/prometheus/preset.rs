//! What the common ways to install Prometheus have in common.

use clap::ValueEnum;

/// A way to install Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The Helm chart kube-prometheus-stack, or Prometheus Operator with its usual monitors.
    KubePrometheusStack,
    /// The Helm chart prometheus of prometheus-community.
    PrometheusCommunity,
    /// The Helm chart victoria-metrics-k8s-stack.
    VictoriaMetrics,
    /// Thanos Query or Grafana Mimir over Prometheus Operator's metrics.
    ThanosMimir,
    /// Upstream's defaults, which the flags below change.
    Custom,
}

/// What a preset says.
pub struct Defaults {
    /// The base of the API's address.
    pub address: &'static str,
    /// `job` of the kubelets' container metrics.
    pub cadvisor_job: &'static str,
    /// More that selects them, as PromQL matchers: a kubelet has metrics of the same name at another path.
    pub matchers: &'static str,
    /// Labels of container metrics: namespace, pod, container.
    pub labels: [&'static str; 3],
    /// The time between two points that are asked for.
    pub resolution: &'static str,
}

impl Preset {
    /// What it says.
    pub const fn defaults(self) -> Defaults {
        let kubelet = Defaults {
            address: "",
            cadvisor_job: "kubelet",
            matchers: r#"metrics_path="/metrics/cadvisor""#,
            labels: ["namespace", "pod", "container"],
            resolution: "5m",
        };
        match self {
            // The Service that the operator makes, whatever the release is called.
            Self::KubePrometheusStack => Defaults {
                address: "http://prometheus-operated.monitoring.svc:9090",
                ..kubelet
            },
            Self::PrometheusCommunity => Defaults {
                address: "http://prometheus-server.monitoring.svc",
                cadvisor_job: "kubernetes-nodes-cadvisor",
                matchers: "",
                ..kubelet
            },
            Self::VictoriaMetrics => Defaults {
                address: "http://vmsingle-victoria-metrics-k8s-stack.monitoring.svc:8428",
                ..kubelet
            },
            Self::ThanosMimir => Defaults {
                address: "http://thanos-query-frontend.monitoring.svc:9090",
                ..kubelet
            },
            Self::Custom => Defaults {
                address: "http://prometheus.monitoring.svc",
                cadvisor_job: "kubernetes-cadvisor",
                matchers: "",
                labels: ["namespace", "pod_name", "name"],
                resolution: "1h",
            },
        }
    }
}
