//! The webhook's flags: upstream's names, defaults and value syntax, each with an environment twin.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use podfit_cluster::admin::parse_address;
use podfit_cluster::options::{
    ClusterOptions, GoDuration, LogOptions, namespace_or_own, own_namespace,
};

use crate::certificates::files::CertificateFiles;
use crate::registration::{Endpoint, Registration};

/// Sizes pods as they are created, and checks VerticalPodAutoscalers as they are written.
///
/// It answers from memory and never stands in a pod's way: whatever goes wrong, the pod starts as it was written and
/// the log says why. It makes its own certificate (or reads one from files), registers itself with the API server, and
/// renews a lease while it is proven to answer, without which the updater evicts nothing.
#[derive(Parser, Clone, Debug)]
#[command(name = "podfit-webhook", version = podfit_cluster::process::VERSION)]
pub struct Options {
    /// Where /metrics, /healthz, /readyz and /health-check are served.
    #[arg(long, env = "PODFIT_ADDRESS", default_value = ":8944", value_parser = parse_address, value_name = "ADDRESS")]
    pub address: SocketAddr,

    /// Where and how admission requests are taken.
    #[command(flatten)]
    pub server: ServerOptions,

    /// Which certificate is shown.
    #[command(flatten)]
    pub certificates: CertificateOptions,

    /// How the API server is told to ask us.
    #[command(flatten)]
    pub registration: RegistrationOptions,

    /// The sign of life.
    #[command(flatten)]
    pub status_lease: StatusLeaseOptions,

    /// How to reach the cluster.
    #[command(flatten)]
    pub cluster: ClusterOptions,

    /// What the process says of itself.
    #[command(flatten)]
    pub logs: LogOptions,
}

/// Where and how admission requests are taken.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    /// The IP address on which admission requests are taken.
    #[arg(
        long,
        env = "PODFIT_BIND_ADDRESS",
        default_value = "0.0.0.0",
        value_name = "IP"
    )]
    pub bind_address: IpAddr,

    /// The port on which admission requests are taken.
    #[arg(long, env = "PODFIT_PORT", default_value_t = 8000, value_name = "PORT")]
    pub port: u16,

    /// Threads that answer. Not given: one for each CPU, four at most.
    #[arg(long, env = "PODFIT_WORKERS", value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    pub workers: Option<u16>,

    /// How long to go on answering after SIGTERM, while the Service's endpoints forget this replica.
    #[arg(
        long,
        env = "PODFIT_SHUTDOWN_DELAY",
        default_value = "5s",
        value_name = "DURATION"
    )]
    pub shutdown_delay: GoDuration,

    /// The oldest TLS version taken.
    #[arg(long, env = "PODFIT_MIN_TLS_VERSION", default_value = "tls1_2", value_parser = ["", "tls1_2", "tls1_3"], hide_possible_values = true, value_name = "tls1_2|tls1_3")]
    pub min_tls_version: String,

    /// Cipher suites for TLS 1.2, by Go's names, separated by comma or colon. Unknown ones are left out. Empty: all that
    /// are safe.
    #[arg(
        long,
        env = "PODFIT_TLS_CIPHERS",
        default_value = "",
        hide_default_value = true,
        value_name = "NAMES"
    )]
    pub tls_ciphers: String,
}

impl ServerOptions {
    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.port)
    }

    /// How many threads answer.
    pub fn workers(&self) -> usize {
        let cpus = || std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
        self.workers.map_or_else(cpus, usize::from)
    }
}

/// Which certificate is shown.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Certificate")]
pub struct CertificateOptions {
    /// The Secret in which all replicas share the certificate they make by themselves. Used unless certificate files are
    /// given, or lie at their default paths.
    #[arg(
        long,
        env = "PODFIT_CERTIFICATE_SECRET",
        default_value = "podfit-webhook-tls",
        value_name = "NAME"
    )]
    pub certificate_secret: String,

    /// File with the certificate of the authority that signed the server's. [default: /etc/tls-certs/caCert.pem]
    #[arg(long, env = "PODFIT_CLIENT_CA_FILE", value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,

    /// File with the server's certificate and intermediates. [default: /etc/tls-certs/serverCert.pem]
    #[arg(long, env = "PODFIT_TLS_CERT_FILE", value_name = "FILE")]
    pub tls_cert_file: Option<PathBuf>,

    /// File with the private key of that certificate. [default: /etc/tls-certs/serverKey.pem]
    #[arg(long, env = "PODFIT_TLS_PRIVATE_KEY", value_name = "FILE")]
    pub tls_private_key: Option<PathBuf>,

    /// Accepted for upstream's manifests; changed files are always taken up.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", default_value = "true")]
    pub reload_cert: String,
}

impl CertificateOptions {
    /// The files to read; `None` when the certificate is to be self-managed.
    pub fn files(&self) -> Option<CertificateFiles> {
        let defaults = CertificateFiles::upstream();
        let given = [
            &self.client_ca_file,
            &self.tls_cert_file,
            &self.tls_private_key,
        ];
        if given.iter().all(|file| file.is_none()) && !defaults.exist() {
            return None;
        }
        Some(CertificateFiles {
            client_ca: self.client_ca_file.clone().unwrap_or(defaults.client_ca),
            certificate: self.tls_cert_file.clone().unwrap_or(defaults.certificate),
            key: self.tls_private_key.clone().unwrap_or(defaults.key),
        })
    }
}

/// How the API server is told to ask us.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Registration")]
pub struct RegistrationOptions {
    /// Make the MutatingWebhookConfiguration `vpa-webhook-config` and keep it right. When something else manages it, as
    /// Helm does, only its CA bundle is kept right.
    #[arg(long, env = "PODFIT_REGISTER_WEBHOOK", num_args = 0..=1, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub register_webhook: bool,

    /// The Service, in this process' own namespace, through which the API server asks.
    #[arg(
        long,
        env = "PODFIT_WEBHOOK_SERVICE",
        default_value = "vpa-webhook",
        value_name = "NAME"
    )]
    pub webhook_service: String,

    /// Its port.
    #[arg(long, env = "PODFIT_WEBHOOK_SERVICE_PORT", default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..), value_name = "PORT")]
    pub webhook_service_port: u16,

    /// Let the API server ask at --webhook-address and --webhook-port instead of the Service.
    #[arg(long, env = "PODFIT_REGISTER_BY_URL", num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, requires_if("true", "webhook_address"), value_name = "BOOL")]
    pub register_by_url: bool,

    /// The host under which the API server reaches this process, with or without `https://`.
    #[arg(
        long,
        env = "PODFIT_WEBHOOK_ADDRESS",
        default_value = "",
        hide_default_value = true,
        value_name = "HOST"
    )]
    pub webhook_address: String,

    /// The port there. Empty: that of --port.
    #[arg(
        long,
        env = "PODFIT_WEBHOOK_PORT",
        default_value = "",
        hide_default_value = true,
        value_name = "PORT"
    )]
    pub webhook_port: String,

    /// How many seconds the API server waits for an answer.
    #[arg(long, env = "PODFIT_WEBHOOK_TIMEOUT_SECONDS", default_value_t = 2, value_parser = clap::value_parser!(i32).range(1..=30), value_name = "N")]
    pub webhook_timeout_seconds: i32,

    /// Have pods refused while the webhook does not answer, instead of started as they are.
    #[arg(long, env = "PODFIT_WEBHOOK_FAILURE_POLICY_FAIL", num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub webhook_failure_policy_fail: bool,

    /// Labels of the configuration: `key1:value1,key2:value2`.
    #[arg(
        long,
        env = "PODFIT_WEBHOOK_LABELS",
        default_value = "",
        hide_default_value = true,
        value_name = "LABELS"
    )]
    pub webhook_labels: String,
}

/// The sign of life.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Status lease")]
pub struct StatusLeaseOptions {
    /// Name of the Lease that is renewed while the webhook answers.
    #[arg(
        long,
        env = "PODFIT_STATUS_LEASE_NAME",
        default_value = "vpa-admission-controller",
        value_name = "NAME"
    )]
    pub status_lease_name: String,

    /// Its namespace. Empty: the one in `NAMESPACE`, else kube-system.
    #[arg(
        long,
        env = "PODFIT_STATUS_LEASE_NAMESPACE",
        default_value = "",
        hide_default_value = true,
        value_name = "NAMESPACE"
    )]
    pub status_lease_namespace: String,

    /// How often it is renewed.
    #[arg(long, env = "PODFIT_STATUS_LEASE_UPDATE_INTERVAL", default_value = "10s", value_parser = positive, value_name = "DURATION")]
    pub status_lease_update_interval: GoDuration,
}

impl StatusLeaseOptions {
    /// The namespace of the lease.
    pub fn namespace(&self) -> String {
        namespace_or_own(&self.status_lease_namespace)
    }
}

impl Options {
    /// How the API server reaches us. Fails when an address was given that is none.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        let given = &self.registration;
        if given.register_by_url {
            Endpoint::at(
                &given.webhook_address,
                &given.webhook_port,
                self.server.port,
            )
        } else {
            Ok(Endpoint::Service {
                namespace: own_namespace(),
                name: given.webhook_service.clone(),
                port: given.webhook_service_port,
            })
        }
    }

    /// What to register; `None` when that is left to somebody else.
    pub fn registration(&self, endpoint: Endpoint) -> Option<Registration> {
        let given = &self.registration;
        given.register_webhook.then(|| Registration {
            endpoint,
            timeout_seconds: given.webhook_timeout_seconds,
            fail: given.webhook_failure_policy_fail,
            labels: crate::registration::labels(&given.webhook_labels),
            only_namespace: self.cluster.vpa_object_namespace.clone(),
            ignored_namespaces: self.cluster.ignored_vpa_object_namespaces.clone(),
            own_namespace: own_namespace(),
        })
    }
}

fn positive(text: &str) -> Result<GoDuration, String> {
    let duration: GoDuration = text.parse()?;
    if duration.0 == Duration::ZERO {
        Err("must be longer than nothing".into())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["podfit-webhook"], arguments].concat())
    }

    #[test]
    fn defaults_are_upstreams() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.server.socket().to_string(), "0.0.0.0:8000");
        assert_eq!(options.address.port(), 8944);
        assert_eq!(
            options.status_lease.status_lease_name,
            "vpa-admission-controller"
        );
        assert_eq!(
            options.status_lease.status_lease_update_interval.0,
            Duration::from_secs(10)
        );
        assert!(options.registration.register_webhook);
        assert!(
            matches!(options.endpoint(), Ok(Endpoint::Service { name, port: 443, .. }) if name == "vpa-webhook")
        );
    }

    #[test]
    fn values_are_taken_as_upstream_takes_them() {
        let options = parse(&[
            "--register-webhook=false",
            "--reload-cert",
            "--webhook-failure-policy-fail=true",
            "--min-tls-version=",
            "--tls-cert-file=/x/crt",
        ])
        .unwrap();
        let endpoint = options.endpoint().unwrap();
        assert!(options.registration(endpoint).is_none());
        let files = options.certificates.files().unwrap();
        assert_eq!(files.certificate, PathBuf::from("/x/crt"));
        assert_eq!(files.key, CertificateFiles::upstream().key);
        for bad in [
            "--min-tls-version=tls1_1",
            "--webhook-timeout-seconds=31",
            "--status-lease-update-interval=0s",
            "--port=70000",
            "--workers=0",
            "--bind-address=localhost",
        ] {
            assert!(parse(&[bad]).is_err(), "{bad}");
        }
    }
}
