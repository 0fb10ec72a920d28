//! Flags of opting in with a label.

use clap::Args;

/// Whether labels are followed, and how fast.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Opting in")]
pub struct OptInOptions {
    /// Make and keep a VPA for each workload that asks for it with the label `podfit.dev/autosize`, or whose namespace does.
    /// Off: nothing is made, changed or removed. The recommender called `default` alone does it.
    #[arg(long, env = "PODFIT_OPT_IN", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub opt_in: bool,

    /// How many VPAs are made, changed or removed a second at most. Not above 0: no limit but that of all API requests.
    #[arg(
        long,
        env = "PODFIT_OPT_IN_RATE_LIMIT",
        default_value_t = 10.0,
        value_name = "N"
    )]
    pub opt_in_rate_limit: f64,

    /// Follow Goldilocks' labels, too: `goldilocks.fairwinds.com/enabled` and `goldilocks.fairwinds.com/vpa-update-mode`.
    #[arg(long, env = "PODFIT_GOLDILOCKS_LABELS", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub goldilocks_labels: bool,
}
