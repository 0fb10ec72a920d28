//! Flags: where Prometheus is, and what its metrics are called. Upstream's names; what is not given, the preset says.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use http::{HeaderName, HeaderValue, Uri};

use super::preset::Preset;
use super::query::{Labels, Queries};
use crate::flag_values::positive;
use crate::options::GoDuration;

/// Where Prometheus is, how to ask it, and what its metrics are called.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Prometheus history")]
pub struct PrometheusOptions {
    /// How Prometheus was installed. Says where it is, what the kubelets' job and its labels are called, and a resolution;
    /// the flags below say otherwise. Turns history from Prometheus on.
    #[arg(long, env = "PODFIT_PROMETHEUS_PRESET", value_enum)]
    pub prometheus_preset: Option<Preset>,

    /// Base of the API's address, with a path where it has one: `https://mimir.example.com/prometheus`. Turns history from
    /// Prometheus on. Not given: the preset's; without one `http://prometheus.monitoring.svc`.
    #[arg(long, env = "PODFIT_PROMETHEUS_ADDRESS", value_parser = address, value_name = "URL")]
    pub prometheus_address: Option<Uri>,

    /// Do not check the server's certificate.
    #[arg(long, env = "PODFIT_PROMETHEUS_INSECURE", num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub prometheus_insecure: bool,

    /// PEM file with the authorities that the server's certificate may come from; read again as it changes. Not given:
    /// the operating system's.
    #[arg(long, env = "PODFIT_PROMETHEUS_CA_FILE", value_name = "FILE")]
    pub prometheus_ca_file: Option<PathBuf>,

    /// A header for each request, for example `X-Scope-OrgID: tenant`. May be given several times.
    #[arg(long, env = "PODFIT_PROMETHEUS_HEADER", value_parser = header, value_name = "NAME: VALUE")]
    pub prometheus_header: Vec<(HeaderName, HeaderValue)>,

    /// How long one query may take.
    #[arg(long, env = "PODFIT_PROMETHEUS_QUERY_TIMEOUT", default_value = "5m", value_parser = positive, value_name = "DURATION")]
    pub prometheus_query_timeout: GoDuration,

    /// User for basic authentication; also from `PROMETHEUS_USERNAME`.
    #[arg(
        long,
        env = "PROMETHEUS_USERNAME",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub username: String,

    /// Password for basic authentication; better from `PROMETHEUS_PASSWORD`.
    #[arg(
        long,
        env = "PROMETHEUS_PASSWORD",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true,
        value_name = "WORD"
    )]
    pub password: String,

    /// Bearer token. Wins over user and password.
    #[arg(
        long,
        env = "PODFIT_PROMETHEUS_BEARER_TOKEN",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub prometheus_bearer_token: String,

    /// File with the bearer token, read for each request, so that it may change. Wins over the token itself.
    #[arg(long, env = "PODFIT_PROMETHEUS_BEARER_TOKEN_FILE", value_name = "FILE")]
    pub prometheus_bearer_token_file: Option<PathBuf>,

    /// How far back usage is asked for.
    #[arg(
        long,
        env = "PODFIT_HISTORY_LENGTH",
        default_value = "8d",
        value_name = "DURATION"
    )]
    pub history_length: PrometheusDuration,

    /// The time that one point stands for. Not given: the preset's 5m; without one 1h.
    #[arg(long, env = "PODFIT_HISTORY_RESOLUTION", value_name = "DURATION")]
    pub history_resolution: Option<PrometheusDuration>,

    /// Name of the counter of CPU seconds.
    #[arg(long, env = "PODFIT_HISTORY_CPU_METRIC", default_value = "container_cpu_usage_seconds_total", value_parser = name, value_name = "METRIC")]
    pub history_cpu_metric: String,

    /// Name of the gauge of memory in use.
    #[arg(long, env = "PODFIT_HISTORY_MEMORY_METRIC", default_value = "container_memory_working_set_bytes", value_parser = name, value_name = "METRIC")]
    pub history_memory_metric: String,

    /// `job` of the kubelets' container metrics; empty for any. Not given: the preset's; without one kubernetes-cadvisor.
    #[arg(long, env = "PODFIT_PROMETHEUS_CADVISOR_JOB_NAME", value_name = "JOB")]
    pub prometheus_cadvisor_job_name: Option<String>,

    /// What all series must have, in PromQL: `cluster="production"` where one store has several clusters.
    #[arg(
        long,
        env = "PODFIT_PROMETHEUS_MATCHERS",
        default_value = "",
        hide_default_value = true,
        value_name = "MATCHERS"
    )]
    pub prometheus_matchers: String,

    /// Label with a container's namespace. Not given: `namespace`.
    #[arg(long, env = "PODFIT_CONTAINER_NAMESPACE_LABEL", value_parser = name, value_name = "LABEL")]
    pub container_namespace_label: Option<String>,

    /// Label with a container's pod. Not given: the preset's `pod`; without one `pod_name`.
    #[arg(long, env = "PODFIT_CONTAINER_POD_NAME_LABEL", value_parser = name, value_name = "LABEL")]
    pub container_pod_name_label: Option<String>,

    /// Label with a container's name, in external metrics as well. Not given: the preset's `container`; without one `name`.
    #[arg(long, env = "PODFIT_CONTAINER_NAME_LABEL", value_parser = name, value_name = "LABEL")]
    pub container_name_label: Option<String>,

    /// Accepted for upstream's manifests: which pods are a workload's is known from their owners.
    #[arg(long, hide = true, default_value = "pod_label_")]
    pub pod_label_prefix: String,

    /// Accepted for upstream's manifests, as above.
    #[arg(long, hide = true, default_value = r#"up{job="kubernetes-pods"}"#)]
    pub metric_for_pod_labels: String,

    /// Accepted for upstream's manifests, as above.
    #[arg(long, hide = true, default_value = "kubernetes_namespace")]
    pub pod_namespace_label: String,

    /// Accepted for upstream's manifests, as above.
    #[arg(long, hide = true, default_value = "kubernetes_pod_name")]
    pub pod_name_label: String,
}

/// Flags, checked, with the preset's words for what was not given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base of the API's address.
    pub address: Uri,
    /// Do not check the server's certificate.
    pub insecure: bool,
    /// Authorities that its certificate may come from.
    pub ca_file: Option<PathBuf>,
    /// For each request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who asks.
    pub credentials: Credentials,
    /// How long one query may take.
    pub timeout: Duration,
    /// How far back usage is asked for.
    pub length: Duration,
    /// What is asked.
    pub queries: Queries,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// The bearer of a token.
    Token(String),
    /// The bearer of the token in a file.
    TokenFile(PathBuf),
    /// User and password.
    Basic(String, String),
}

/// Flags that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Three ways to say who asks.
    #[error(
        "--prometheus-bearer-token, --prometheus-bearer-token-file and --username are all given; keep one of them"
    )]
    Credentials,
    /// One point for more than all.
    #[error(
        "--history-length={0} is shorter than --history-resolution={1}; make it a multiple of it"
    )]
    Length(PrometheusDuration, PrometheusDuration),
}

impl PrometheusOptions {
    /// True when a flag says where Prometheus is.
    pub fn is_given(&self) -> bool {
        self.prometheus_preset.is_some() || self.prometheus_address.is_some()
    }

    /// What a container's name is called in metrics.
    pub fn container_label(&self) -> &str {
        let [_, _, container] = self.preset().defaults().labels;
        self.container_name_label.as_deref().unwrap_or(container)
    }

    fn preset(&self) -> Preset {
        self.prometheus_preset.unwrap_or(Preset::Custom)
    }

    /// The flags, checked, with the preset's words for what was not given. `peaks` asks for memory peaks, where upstream
    /// asks for what was in use at the end of each resolution.
    pub fn settings(&self, peaks: bool) -> Result<Settings, OptionsError> {
        let defaults = self.preset().defaults();
        let resolution = match &self.history_resolution {
            Some(given) => given.clone(),
            None => PrometheusDuration::of(defaults.resolution),
        };
        if self.history_length.duration < resolution.duration {
            return Err(OptionsError::Length(
                self.history_length.clone(),
                resolution,
            ));
        }
        let or =
            |given: &Option<String>, default: &str| given.as_deref().unwrap_or(default).to_owned();
        let [namespace, pod, _] = defaults.labels;
        Ok(Settings {
            address: self
                .prometheus_address
                .clone()
                .unwrap_or_else(|| Uri::from_static(defaults.address)),
            insecure: self.prometheus_insecure,
            ca_file: self.prometheus_ca_file.clone(),
            headers: self.prometheus_header.clone(),
            credentials: self.credentials()?,
            timeout: self.prometheus_query_timeout.0,
            length: self.history_length.duration,
            queries: Queries {
                cpu_metric: self.history_cpu_metric.clone(),
                memory_metric: self.history_memory_metric.clone(),
                job: or(&self.prometheus_cadvisor_job_name, defaults.cadvisor_job),
                path: defaults.matchers,
                matchers: self.prometheus_matchers.trim().to_owned(),
                labels: Labels {
                    namespace: or(&self.container_namespace_label, namespace),
                    pod: or(&self.container_pod_name_label, pod),
                    container: self.container_label().to_owned(),
                },
                resolution,
                peaks,
            },
        })
    }

    fn credentials(&self) -> Result<Credentials, OptionsError> {
        let token = &self.prometheus_bearer_token;
        let file = self.prometheus_bearer_token_file.as_ref();
        let file = file.filter(|file| !file.as_os_str().is_empty());
        match (file, !token.is_empty(), !self.username.is_empty()) {
            (Some(_), true, true) => Err(OptionsError::Credentials),
            (Some(file), ..) => Ok(Credentials::TokenFile(file.clone())),
            (None, true, _) => Ok(Credentials::Token(token.clone())),
            (None, false, true) => Ok(Credentials::Basic(
                self.username.clone(),
                self.password.clone(),
            )),
            (None, false, false) => Ok(Credentials::None),
        }
    }
}

fn address(text: &str) -> Result<Uri, String> {
    let todo = "write it like http://prometheus.monitoring.svc:9090";
    let address: Uri = text.parse().map_err(|error| format!("{error}; {todo}"))?;
    match (address.scheme_str(), address.host(), address.query()) {
        (Some("http" | "https"), Some(_), None) => Ok(address),
        _ => Err(format!("this is no base of an HTTP address; {todo}")),
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let todo = "write it like X-Scope-OrgID: tenant";
    let (name, value) = text.split_once(':').ok_or(todo)?;
    let name = name
        .trim()
        .parse()
        .map_err(|error| format!("{error}; {todo}"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|error| format!("{error}; {todo}"))?;
    Ok((name, value))
}

/// The name of a metric or of a label. Anything else would change the query's meaning.
fn name(text: &str) -> Result<String, String> {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if text.is_empty()
        || text.starts_with(|c: char| c.is_ascii_digit())
        || !text.chars().all(inside)
    {
        return Err("write a name of letters, digits and underscores".into());
    }
    Ok(text.into())
}

/// A duration in Prometheus' syntax: `8d`, `1h30m`, `1w`. Longer than nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusDuration {
    text: String,
    /// How long it is.
    pub duration: Duration,
}

impl PrometheusDuration {
    /// One that is known to be right; a minute where it is not.
    fn of(text: &str) -> Self {
        text.parse().unwrap_or(Self {
            text: "1m".into(),
            duration: Duration::from_mins(1),
        })
    }
}

impl FromStr for PrometheusDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = parse(text).filter(|duration| !duration.is_zero());
        let duration = duration.ok_or_else(|| {
            format!("`{text}` is not a duration of Prometheus; write it like 8d, 1h or 5m")
        })?;
        Ok(Self {
            text: text.into(),
            duration,
        })
    }
}

impl std::fmt::Display for PrometheusDuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Units from the longest to the shortest, each once and in this order, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut millis, mut units) = (text, 0_u64, &UNITS[..]);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let place = units.iter().position(|(unit, _)| *unit == &rest[..end])?;
        millis = millis.checked_add(number.checked_mul(units[place].1)?)?;
        (rest, units) = (&rest[end..], &units[place + 1..]);
    }
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests;
