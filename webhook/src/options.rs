//! The webhook's flags: upstream's names and defaults (the time-out apart), and a few of our own.
//!
//! They have no environment twins: for a Service named `podfit-webhook` Kubernetes sets `PODFIT_WEBHOOK_PORT=tcp://...` and
//! `PODFIT_WEBHOOK_SERVICE_PORT` in every pod beside it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser};
use podfit_cluster::admin::parse_address;
use podfit_cluster::options::{
    ClusterOptions, GoDuration, LogOptions, Profile, namespace_or_own, own_namespace,
};
use podfit_core::quantity::Millicores;

use crate::certificates::files::CertificateFiles;
use crate::registration::{Endpoint, Registration, namespaces};
use crate::tls::MinTlsVersion;

/// Sizes new pods at admission, and checks VerticalPodAutoscalers.
#[derive(Clone, Debug, Parser)]
#[command(name = "podfit-webhook", version = podfit_cluster::version!().to_string(), args_override_self = true)]
pub struct Options {
    /// How to reach the cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,
    /// Where requests come in.
    #[command(flatten)]
    pub server: ServerOptions,
    /// Certificates.
    #[command(flatten)]
    pub certificates: CertificateOptions,
    /// Registration with the API server.
    #[command(flatten)]
    pub registration: RegistrationOptions,
    /// The sign of life.
    #[command(flatten)]
    pub lease: LeaseOptions,
    /// New pods.
    #[command(flatten)]
    pub pods: PodOptions,
    /// Logs.
    #[command(flatten)]
    pub logs: LogOptions,

    /// Serve nothing: test the installed webhook, with a workload made for show in this namespace, and end. Fails naming
    /// the link of the chain that is broken. `helm test` does this.
    #[arg(long, value_name = "NAMESPACE", help_heading = "Test")]
    pub self_test: Option<String>,

    /// Where /metrics, /healthz (also as /health-check) and /readyz are served, as [IP]:PORT.
    #[arg(long, default_value = ":8944", value_parser = parse_address, value_name = "ADDRESS", help_heading = "Logs, metrics and health")]
    pub address: SocketAddr,
}

/// Where requests come in.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// The port that admission requests are taken on.
    #[arg(long, default_value_t = 8000, value_name = "PORT")]
    pub port: u16,

    /// The IP address that admission requests are taken on. Not given: all.
    #[arg(long, value_name = "IP")]
    pub bind_address: Option<IpAddr>,

    /// How long to go on answering after being asked to stop, so that the API server learns of it first.
    #[arg(long, default_value = "5s", value_name = "DURATION")]
    pub shutdown_delay: GoDuration,

    /// The oldest TLS version spoken.
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    pub min_tls_version: MinTlsVersion,

    /// Cipher suites for TLS 1.2 by Go's names, separated by commas. Empty: all that are safe.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAMES"
    )]
    pub tls_ciphers: String,
}

/// Certificates.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Certificates")]
pub struct CertificateOptions {
    /// The Secret in which the webhook keeps the certificate that it makes and renews itself. It is used unless
    /// certificate files are given or lie under /etc/tls-certs.
    #[arg(long, default_value = "podfit-webhook-tls", value_name = "NAME")]
    pub certificate_secret: String,

    /// PEM file with the CA that callers are to trust. Not given: /etc/tls-certs/caCert.pem,
    /// if it is there.
    #[arg(long, value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,

    /// PEM file with the certificate to show. Not given: /etc/tls-certs/serverCert.pem,
    /// if it is there.
    #[arg(long, value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,

    /// PEM file with its private key. Not given: /etc/tls-certs/serverKey.pem,
    /// if it is there.
    #[arg(long, value_name = "FILE")]
    pub tls_private_key: Option<PathBuf>,

    /// Accepted for upstream's manifests: certificate files are always read again when they change.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, hide = true)]
    pub reload_cert: bool,
}

/// New pods.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Pods")]
pub struct PodOptions {
    /// The most CPU that a startup boost leads to, as a quantity. Not given, or 0: any.
    #[arg(long, value_parser = parse_cpu, value_name = "QUANTITY")]
    pub max_allowed_cpu_boost: Option<Millicores>,
}

fn parse_cpu(text: &str) -> Result<Millicores, String> {
    match Millicores::parse(text) {
        Ok(cpu) if cpu.0 >= 0 => Ok(cpu),
        Ok(_) => Err("must not be negative; write a number of cores such as 2 or 500m".into()),
        Err(why) => Err(why.to_string()),
    }
}

/// Registration with the API server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Registration with the API server")]
pub struct RegistrationOptions {
    /// Keep the MutatingWebhookConfiguration vpa-webhook-config right. Of one that Helm or another manager made, only
    /// the CA bundle.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub register_webhook: bool,

    /// The Service, in the namespace of the variable NAMESPACE, through which the API server calls. Its name is also in
    /// the certificate.
    #[arg(long, default_value = "vpa-webhook", value_name = "NAME")]
    pub webhook_service: String,

    /// The port of that Service.
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    pub webhook_service_port: u16,

    /// Have the API server call an address instead of a Service.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub register_by_url: bool,

    /// That address: a host name or IP, with or without https:// before it.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "HOST"
    )]
    pub webhook_address: String,

    /// The port at that address. Empty: the one of --port.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PORT"
    )]
    pub webhook_port: OptionalPort,

    /// How long the API server waits for an answer, 1 to 30 seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..=30), value_name = "SECONDS")]
    pub webhook_timeout_seconds: i32,

    /// Refuse pods when the webhook does not answer, rather than start them as they are.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub webhook_failure_policy_fail: bool,

    /// Labels on the MutatingWebhookConfiguration, as KEY:VALUE,KEY:VALUE.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "LABELS"
    )]
    pub webhook_labels: String,
}

/// A port, or nothing: upstream's manifests may give an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalPort(pub Option<u16>);

impl FromStr for OptionalPort {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Ok(Self(None))
        } else {
            text.parse().map(|port| Self(Some(port)))
        }
    }
}

/// The sign of life that the updater reads.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Status lease")]
pub struct LeaseOptions {
    /// Name of the Lease that is renewed while the webhook answers its own probe.
    #[arg(long, default_value = "vpa-admission-controller", value_name = "NAME")]
    pub status_lease_name: String,

    /// Its namespace. Empty: the one in the variable NAMESPACE, else kube-system.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "NAMESPACE"
    )]
    pub status_lease_namespace: String,

    /// How often it is renewed.
    #[arg(long, default_value = "10s", value_parser = parse_interval, value_name = "DURATION")]
    pub status_lease_update_interval: GoDuration,
}

impl Options {
    /// How the API server reaches us. Fails when that is to be an address and none is given.
    pub fn endpoint(&self) -> Result<Endpoint, NoAddress> {
        let registration = &self.registration;
        if !registration.register_by_url {
            return Ok(Endpoint::Service {
                namespace: own_namespace(),
                name: registration.webhook_service.clone(),
                port: registration.webhook_service_port,
            });
        }
        let host = host(&registration.webhook_address);
        if host.is_empty() {
            return Err(NoAddress);
        }
        let port = registration.webhook_port.0.unwrap_or(self.server.port);
        Ok(Endpoint::Url(format!("https://{}:{port}", bracketed(host))))
    }

    /// The name that the API server verifies.
    pub fn server_name(&self) -> String {
        let registration = &self.registration;
        if registration.register_by_url {
            host(&registration.webhook_address).into()
        } else {
            format!("{}.{}.svc", registration.webhook_service, own_namespace())
        }
    }

    /// All names that a certificate of our own is for.
    pub fn certificate_names(&self) -> Vec<String> {
        let (service, namespace) = (&self.registration.webhook_service, own_namespace());
        let mut names = vec![
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ];
        let address = host(&self.registration.webhook_address);
        if !address.is_empty() {
            names.push(address.to_owned());
        }
        names
    }

    /// What is to be registered; `None` when somebody else does it.
    pub fn registration(&self) -> Result<Option<Registration>, NoAddress> {
        let options = &self.registration;
        let endpoint = self.endpoint()?;
        let fail = options.webhook_failure_policy_fail;
        let (namespaces, probes_only) = namespaces(&self.cluster, fail, &own_namespace());
        let registers = options.register_webhook && !self.cluster.shadow;
        Ok(registers.then(|| Registration {
            endpoint,
            timeout_seconds: options.webhook_timeout_seconds,
            fail,
            labels: labels(&options.webhook_labels),
            namespaces,
            probes_only,
            // Upstream's webhook sees each pod once.
            reinvoke: self.cluster.profile == Profile::Safe,
        }))
    }
}

impl CertificateOptions {
    /// The certificate files, when some are named or upstream's are there.
    pub fn files(&self) -> Option<CertificateFiles> {
        let upstream = CertificateFiles::upstream();
        let named = [
            &self.client_ca_file,
            &self.tls_cert_file,
            &self.tls_private_key,
        ]
        .iter()
        .any(|f| f.is_some());
        (named || upstream.exist()).then(|| CertificateFiles {
            client_ca: self.client_ca_file.clone().unwrap_or(upstream.client_ca),
            certificate: self.tls_cert_file.clone().unwrap_or(upstream.certificate),
            key: self.tls_private_key.clone().unwrap_or(upstream.key),
        })
    }
}

impl LeaseOptions {
    /// The Lease's namespace.
    pub fn namespace(&self) -> String {
        namespace_or_own(&self.status_lease_namespace)
    }
}

/// Nothing to register.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--register-by-url needs --webhook-address, the host under which the API server reaches this process"
)]
pub struct NoAddress;

/// The host of an address: without scheme, trailing slash and the brackets of IPv6.
fn host(address: &str) -> &str {
    let host = address
        .strip_prefix("https://")
        .unwrap_or(address)
        .trim_end_matches('/');
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

/// An IPv6 address needs brackets in a URL.
fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.into()
    }
}

/// As upstream: none at all, and a warning, when one of them is wrong.
fn labels(text: &str) -> BTreeMap<String, String> {
    let text = text.trim().trim_matches(['"', '\'']);
    let pair = |pair: &str| match pair.split_once(':') {
        Some((key, value)) if !key.trim().is_empty() => {
            Some((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => None,
    };
    let pairs: Option<_> = text
        .split(',')
        .filter(|part| !part.is_empty())
        .map(pair)
        .collect();
    pairs.unwrap_or_else(|| {
        tracing::warn!(
            labels = text,
            "--webhook-labels is not KEY:VALUE,KEY:VALUE; no labels are set"
        );
        BTreeMap::new()
    })
}

fn parse_interval(text: &str) -> Result<GoDuration, String> {
    let interval: GoDuration = text.parse()?;
    if interval.0.is_zero() {
        Err("must be longer than zero".into())
    } else {
        Ok(interval)
    }
}

#[cfg(test)]
mod tests;
