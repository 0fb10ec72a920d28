//! Flags of the past from Prometheus.

use podfit_cluster::prometheus::PrometheusOptions;

/// Where the past comes from, and how it is asked for.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Prometheus history")]
pub struct BackfillOptions {
    #[command(flatten)]
    pub prometheus: PrometheusOptions,

    /// For how many workloads Prometheus is asked at once, 1 to 16.
    #[arg(long, env = "PODFIT_PROMETHEUS_CONCURRENCY", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16), value_name = "N")]
    pub prometheus_concurrency: u8,
}
