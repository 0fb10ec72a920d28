//! Flags of usage from external.metrics.k8s.io.

use podfit_cluster::external_metrics::ExternalMetrics;

/// Usage from another place than metrics.k8s.io.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "External metrics")]
pub struct ExternalOptions {
    /// Read usage from external.metrics.k8s.io in place of metrics.k8s.io: for each pod the metrics below, whose label of
    /// --container-name-label names the container.
    #[arg(long, env = "PODFIT_USE_EXTERNAL_METRICS", num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub use_external_metrics: bool,

    /// The external metric of cores in use.
    #[arg(
        long,
        env = "PODFIT_EXTERNAL_METRICS_CPU_METRIC",
        default_value = "",
        hide_default_value = true,
        value_name = "METRIC"
    )]
    pub external_metrics_cpu_metric: String,

    /// The external metric of bytes in use.
    #[arg(
        long,
        env = "PODFIT_EXTERNAL_METRICS_MEMORY_METRIC",
        default_value = "",
        hide_default_value = true,
        value_name = "METRIC"
    )]
    pub external_metrics_memory_metric: String,
}

impl ExternalOptions {
    /// What is to be read from there; `None` when nothing is.
    pub fn metrics(&self, container_label: &str) -> anyhow::Result<Option<ExternalMetrics>> {
        if !self.use_external_metrics {
            return Ok(None);
        }
        let named = |name: &String| (!name.is_empty()).then(|| name.clone());
        let metrics = ExternalMetrics {
            cpu: named(&self.external_metrics_cpu_metric),
            memory: named(&self.external_metrics_memory_metric),
            container_label: container_label.to_owned(),
        };
        anyhow::ensure!(
            metrics.cpu.is_some() || metrics.memory.is_some(),
            "--use-external-metrics needs --external-metrics-cpu-metric, --external-metrics-memory-metric, or both"
        );
        Ok(Some(metrics))
    }
}
