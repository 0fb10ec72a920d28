//! Flags for how far a pod is resized, and for how long that may take.

use crate::flag_values::positive;
use crate::options::GoDuration;

/// How far a pod is resized, and how.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Resizing")]
pub struct ResizeOptions {
    /// Give no pod more than some node that it could run on can hold, and evict none that would then wait for a node.
    /// Needs the right to list and watch nodes. Not given: true in profile safe, false in profile upstream.
    #[arg(long, env = "PODFIT_NODE_FIT", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub node_fit: Option<bool>,

    /// How long the kubelet may defer a resize in place. After that the pod is evicted, or what was asked for is taken
    /// back and tried again later.
    #[arg(long, env = "PODFIT_RESIZE_DEFERRED_TIMEOUT", default_value = "5m", value_parser = positive, value_name = "DURATION")]
    pub resize_deferred_timeout: GoDuration,

    /// How long a resize in place may be in progress, before the same.
    #[arg(long, env = "PODFIT_RESIZE_IN_PROGRESS_TIMEOUT", default_value = "1h", value_parser = positive, value_name = "DURATION")]
    pub resize_in_progress_timeout: GoDuration,

    /// Profile safe: the pods of a workload go down one step in this time at most. Up they go at once.
    #[arg(
        long,
        env = "PODFIT_SHRINK_INTERVAL",
        default_value = "1h",
        value_name = "DURATION"
    )]
    pub shrink_interval: GoDuration,
}
