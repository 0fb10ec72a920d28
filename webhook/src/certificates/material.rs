//! A certificate with its key and the CA bundle that verifies it, checked as a whole before anything uses it.

use std::net::IpAddr;
use std::sync::Arc;

use podfit_core::time::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// PEM text as it was read: three parts that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PemTriple {
    /// The certificates that callers must trust: one, or two while a CA is being replaced.
    pub ca_bundle: String,
    /// The certificate to show, followed by intermediates.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A checked [`PemTriple`].
#[derive(Debug)]
pub struct Material {
    /// What it was made of, to notice a change.
    pub source: PemTriple,
    /// What a TLS handshake shows and signs with.
    pub certified: Arc<CertifiedKey>,
    /// What the certificate says of itself.
    pub facts: Facts,
}

/// Why a [`PemTriple`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadMaterial {
    /// Not PEM, or cut short.
    #[error("the {part} is not complete PEM text: {source}")]
    Pem {
        /// Which of the three.
        part: &'static str,
        /// What the reader says.
        source: pem::Error,
    },
    /// PEM text with nothing of use in it.
    #[error("the {part} holds no certificate")]
    Empty {
        /// Which of the three.
        part: &'static str,
    },
    /// The key is of an unknown type, or is not the certificate's.
    #[error("the private key does not fit the certificate: {0}")]
    Key(rustls::Error),
    /// Not a certificate inside.
    #[error("the {part} is not a valid X.509 certificate: {reason}")]
    X509 {
        /// Which of the three.
        part: &'static str,
        /// What the parser says.
        reason: String,
    },
    /// Every CA is outside its validity.
    #[error("every certificate of the CA bundle has expired or is not valid yet")]
    NoValidAuthority,
    /// Outside its validity, or not signed by the CA.
    #[error("the certificate does not verify against its CA bundle: {0}")]
    Untrusted(rustls::Error),
}

impl Material {
    /// Parses and checks: key and certificate fit, the certificate is valid at `now` and signed by one of the bundle.
    /// Names are not checked here: the self-probe does that with the name callers use.
    pub fn check(
        source: PemTriple,
        provider: &Arc<CryptoProvider>,
        now: Timestamp,
    ) -> Result<Self, BadMaterial> {
        let chain = certificates(&source.certificate, "certificate")?;
        let key = PrivateKeyDer::from_pem_slice(source.key.as_bytes()).map_err(|source| {
            BadMaterial::Pem {
                part: "private key",
                source,
            }
        })?;
        let facts = Facts::of(first(&chain, "certificate")?, "certificate")?;
        verify(&source.ca_bundle, &chain, provider, now)?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(BadMaterial::Key)?;
        Ok(Self {
            source,
            certified: Arc::new(certified),
            facts,
        })
    }

    /// Days until the certificate ends; negative once it has.
    pub fn days_left(&self, now: Timestamp) -> f64 {
        (self.facts.not_after.unix_seconds() - now.unix_seconds()) as f64 / 86_400.0
    }
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// DNS names and IP addresses it is for.
    pub names: Vec<String>,
}

impl Facts {
    /// Reads one certificate; `part` names it in errors.
    pub fn of(certificate: &CertificateDer<'_>, part: &'static str) -> Result<Self, BadMaterial> {
        let bad = |reason: String| BadMaterial::X509 { part, reason };
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|e| bad(e.to_string()))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self {
            not_before: Timestamp::from_unix_seconds(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp()),
            names: names.map_or_else(Vec::new, |list| {
                list.value
                    .general_names
                    .iter()
                    .filter_map(name_text)
                    .collect()
            }),
        })
    }
}

/// All certificates of a PEM text, of which there must be one at least.
pub fn certificates(
    pem: &str,
    part: &'static str,
) -> Result<Vec<CertificateDer<'static>>, BadMaterial> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|source| BadMaterial::Pem { part, source })?;
    first(&list, part)?;
    Ok(list)
}

/// The certificates of a CA bundle that are valid at `now`, of which there must be one at least.
///
/// rustls takes a trust anchor whatever its dates, but the API server does not.
pub fn authorities(
    ca_bundle: &str,
    now: Timestamp,
) -> Result<Vec<CertificateDer<'static>>, BadMaterial> {
    let mut valid = Vec::new();
    for certificate in certificates(ca_bundle, "CA bundle")? {
        let facts = Facts::of(&certificate, "CA bundle")?;
        if facts.not_before <= now && now < facts.not_after {
            valid.push(certificate);
        }
    }
    if valid.is_empty() {
        Err(BadMaterial::NoValidAuthority)
    } else {
        Ok(valid)
    }
}

/// The trust store of a CA bundle at `now`.
pub fn roots(ca_bundle: &str, now: Timestamp) -> Result<RootCertStore, BadMaterial> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities(ca_bundle, now)? {
        roots.add(certificate).map_err(BadMaterial::Untrusted)?;
    }
    Ok(roots)
}

/// That `chain` is signed by one of `ca_bundle` and valid at `now`, whatever its names.
pub fn verify(
    ca_bundle: &str,
    chain: &[CertificateDer<'_>],
    provider: &Arc<CryptoProvider>,
    now: Timestamp,
) -> Result<(), BadMaterial> {
    let verifier = WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots(ca_bundle, now)?),
        Arc::clone(provider),
    )
    .build()
    .map_err(|e| BadMaterial::Untrusted(rustls::Error::General(e.to_string())))?;
    let at = UnixTime::since_unix_epoch(now.since(Timestamp::default()));
    // The verifier checks the chain first and the name last, so a refused name means a good chain.
    let any_name = ServerName::IpAddress(IpAddr::from([0, 0, 0, 0]).into());
    let leaf = first(chain, "certificate")?;
    match verifier.verify_server_cert(leaf, chain.get(1..).unwrap_or_default(), &any_name, &[], at)
    {
        Ok(_)
        | Err(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Ok(()),
        Err(error) => Err(BadMaterial::Untrusted(error)),
    }
}

fn first<'a, 'c>(
    chain: &'a [CertificateDer<'c>],
    part: &'static str,
) -> Result<&'a CertificateDer<'c>, BadMaterial> {
    chain.first().ok_or(BadMaterial::Empty { part })
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::IPAddress(octets) => ip(octets).map(|ip| ip.to_string()),
        _ => None,
    }
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests;
