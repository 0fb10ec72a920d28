//! Flags of logs and of profiling.

use clap::{Args, ValueEnum};

/// What the process says of itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs, metrics and health")]
pub struct LogOptions {
    /// Log verbosity on upstream's scale: up to 1 warnings, 2 to 4 information, 5 and 6 debug, above that everything.
    /// The environment variable `RUST_LOG` (for example `info,podfit_updater=debug`) is finer and wins.
    #[arg(
        long = "v",
        env = "PODFIT_V",
        default_value_t = 4,
        value_name = "LEVEL"
    )]
    pub verbosity: u8,

    /// How log lines look.
    #[arg(long, env = "PODFIT_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Accepted for upstream's manifests and without effect: /debug/pprof is the Go runtime's. How long each step of a loop
    /// takes is among the metrics.
    #[arg(long, env = "PODFIT_PROFILING", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub profiling: bool,

    /// Flags of upstream's log library.
    #[command(flatten)]
    pub klog: KlogOptions,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Flags of upstream's log library, klog: accepted for upstream's manifests, and without effect, since logs always go to
/// standard error and every line says where it comes from.
#[derive(Args, Clone, Debug)]
#[allow(missing_docs)]
pub struct KlogOptions {
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub add_dir_header: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub alsologtostderr: String,
    #[arg(long, hide = true, default_value = "")]
    pub alsologtostderrthreshold: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    pub legacy_stderr_threshold_behavior: String,
    #[arg(long, hide = true, default_value = "")]
    pub log_backtrace_at: String,
    #[arg(long, hide = true, default_value = "")]
    pub log_dir: String,
    #[arg(long, hide = true, default_value = "")]
    pub log_file: String,
    #[arg(long, hide = true, default_value = "1800")]
    pub log_file_max_size: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true")]
    pub logtostderr: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub one_output: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub skip_headers: String,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub skip_log_headers: String,
    #[arg(long, hide = true, default_value = "info")]
    pub stderrthreshold: String,
    #[arg(long, hide = true, default_value = "")]
    pub vmodule: String,
}
