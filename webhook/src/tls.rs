//! How TLS is spoken: versions and cipher suites by upstream's flags, certificates from [`Live`].

use std::sync::Arc;

use clap::ValueEnum;
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::certificates::live::Live;

/// The oldest TLS version spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MinTlsVersion {
    /// 1.2 and 1.3.
    #[default]
    #[value(name = "tls1_2", alias = "")]
    Tls12,
    /// 1.3 alone.
    #[value(name = "tls1_3")]
    Tls13,
}

/// ring, with only those suites for TLS 1.2 that `names` lists (by Go's names, separated by commas or colons). Suites of
/// TLS 1.3 stay, as in Go. Unknown names are told and left out; when nothing known is left, all suites stay.
pub fn provider(names: &str) -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let wanted: Vec<_> = names
        .split([',', ':'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    // Go leaves the hash out of the names of some suites.
    let goes_by = |suite: &SupportedCipherSuite, name: &str| {
        let own = suite.suite().as_str().unwrap_or_default();
        own == name || own.strip_suffix("_SHA256") == Some(name)
    };
    let all = provider.cipher_suites.clone();
    let (known, unknown): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|name| all.iter().any(|suite| goes_by(suite, name)));
    if !unknown.is_empty() {
        tracing::warn!(
            ?unknown,
            "left out cipher suites that this program does not have"
        );
    }
    if !known.is_empty() {
        provider.cipher_suites.retain(|suite| {
            suite.tls13().is_some() || known.iter().any(|name| goes_by(suite, name))
        });
    }
    Arc::new(provider)
}

/// A server configuration that shows whatever certificate `live` holds at the moment of a handshake.
pub fn server_config(
    provider: Arc<CryptoProvider>,
    min_version: MinTlsVersion,
    live: Arc<Live>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&SupportedProtocolVersion] = match min_version {
        MinTlsVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        MinTlsVersion::Tls13 => &[&version::TLS13],
    };
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let mut config = config.with_no_client_auth().with_cert_resolver(live);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_chosen_by_gos_names() {
        let all = ring::default_provider().cipher_suites.len();
        let tls13 = ring::default_provider()
            .cipher_suites
            .iter()
            .filter(|s| s.tls13().is_some())
            .count();
        let cases = [
            ("", all),
            ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", tls13 + 1),
            (
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
                tls13 + 2,
            ),
            (
                "TLS_RSA_WITH_RC4_128_SHA, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
                tls13 + 1,
            ),
            ("TLS_RSA_WITH_RC4_128_SHA", all),
        ];
        for (names, count) in cases {
            assert_eq!(provider(names).cipher_suites.len(), count, "{names:?}");
        }
    }
}
