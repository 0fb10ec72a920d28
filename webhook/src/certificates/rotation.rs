//! When a self-managed certificate or its CA is to be replaced: a function of what is stored and the time.
//!
//! A CA is replaced in two steps, so that callers trust the new one before a server shows a certificate of it:
//! first the new CA joins the bundle (the old certificate stays), and after [`Schedule::overlap`] the new CA signs.
//! An old CA leaves the bundle when it has expired.

use std::sync::Arc;
use std::time::Duration;

use podfit_core::time::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;

use super::authority::{self, CLOCK_SKEW, KeyedCertificate};
use super::material::{self, BadMaterial, Facts, PemTriple};

/// Lives and margins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long a CA lives.
    pub authority_life: Duration,
    /// A CA with less than this left gets a successor. Longer than a certificate's life, so no certificate outlives its CA.
    pub authority_margin: Duration,
    /// How long a server certificate lives.
    pub certificate_life: Duration,
    /// A server certificate with less than this left is replaced.
    pub certificate_margin: Duration,
    /// How long a new CA is in the bundle before it signs: time for every replica to read it and to register it.
    pub overlap: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for Schedule {
    fn default() -> Self {
        Self {
            authority_life: DAY.saturating_mul(730),
            authority_margin: DAY.saturating_mul(180),
            certificate_life: DAY.saturating_mul(90),
            certificate_margin: DAY.saturating_mul(30),
            overlap: Duration::from_hours(1),
        }
    }
}

/// What the Secret holds: the triple that is served, and the key of the newest CA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Served and trusted. The newest CA stands first in the bundle.
    pub triple: PemTriple,
    /// The private key of the newest CA.
    pub authority_key: String,
}

/// What is to be written, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The new content.
    pub stored: Stored,
    /// For the log.
    pub reason: &'static str,
}

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// rcgen refused; in practice a name that is not a DNS name.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// What decides: the names asked for, lives, and the TLS provider that verifies.
#[derive(Debug)]
pub struct Rotation {
    /// DNS names and IP addresses the certificate must be for.
    pub names: Vec<String>,
    /// Lives and margins.
    pub schedule: Schedule,
    /// Verifies signatures.
    pub provider: Arc<CryptoProvider>,
}

impl Rotation {
    /// The content that should replace `stored` at `now`; `None` when it is good as it is.
    pub fn due(
        &self,
        stored: Option<&Stored>,
        now: Timestamp,
    ) -> Result<Option<Renewal>, RotationError> {
        let Some(stored) = stored else {
            return self.anew("no certificate is stored yet", "", now).map(Some);
        };
        let older = stored.triple.ca_bundle.as_str();
        let Ok(newest) = self.newest_authority(stored) else {
            return self
                .anew("the stored CA or its key is unreadable", older, now)
                .map(Some);
        };
        if newest.facts.not_after <= now {
            return self.anew("the CA has expired", older, now).map(Some);
        }
        let staged = now.since(newest.facts.not_before + CLOCK_SKEW) < self.schedule.overlap;
        match self.certificate_state(stored, &newest, now) {
            CertificateState::Unusable => self
                .sign(
                    stored,
                    &newest,
                    "the certificate is missing, unreadable or unusable",
                    now,
                )
                .map(Some),
            CertificateState::Ageing(reason) if !staged => {
                self.sign(stored, &newest, reason, now).map(Some)
            }
            _ if newest.facts.not_after.since(now) < self.schedule.authority_margin => {
                self.stage_authority(stored, now).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn newest_authority(&self, stored: &Stored) -> Result<Authority, BadMaterial> {
        let certificate = first_pem(&stored.triple.ca_bundle);
        let parsed = material::certificates(&certificate, "CA")?;
        let facts = Facts::of(
            parsed.first().ok_or(BadMaterial::Empty { part: "CA" })?,
            "CA",
        )?;
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(stored.authority_key.as_bytes())
            .map_err(|source| BadMaterial::Pem {
                part: "CA key",
                source,
            })?;
        rustls::sign::CertifiedKey::from_der(parsed, key, &self.provider)
            .map_err(BadMaterial::Key)?;
        Ok(Authority {
            keyed: KeyedCertificate {
                certificate,
                key: stored.authority_key.clone(),
            },
            facts,
        })
    }

    fn certificate_state(
        &self,
        stored: &Stored,
        newest: &Authority,
        now: Timestamp,
    ) -> CertificateState {
        let Ok(checked) = material::Material::check(stored.triple.clone(), &self.provider, now)
        else {
            return CertificateState::Unusable;
        };
        let Some(facts) = checked
            .certified
            .cert
            .first()
            .and_then(|c| Facts::of(c, "certificate").ok())
        else {
            return CertificateState::Unusable;
        };
        if self.names.iter().any(|name| !facts.names.contains(name)) {
            return CertificateState::Unusable;
        }
        if facts.not_after.since(now) < self.schedule.certificate_margin {
            return CertificateState::Ageing("the certificate ends soon");
        }
        match material::verify(
            &newest.keyed.certificate,
            &checked.certified.cert,
            &self.provider,
            now,
        ) {
            Ok(()) => CertificateState::Good,
            Err(_) => CertificateState::Ageing("the certificate is signed by an older CA"),
        }
    }

    /// A new CA that signs at once: nothing that callers trust is left to overlap with.
    fn anew(
        &self,
        reason: &'static str,
        old: &str,
        now: Timestamp,
    ) -> Result<Renewal, RotationError> {
        let authority = authority::new_authority(now, self.schedule.authority_life)?;
        let leaf = authority::new_server_certificate(
            &authority,
            &self.names,
            now,
            self.schedule.certificate_life,
        )?;
        let ca_bundle = bundle(&authority.certificate, old, now);
        let triple = PemTriple {
            ca_bundle,
            certificate: leaf.certificate,
            key: leaf.key,
        };
        Ok(Renewal {
            stored: Stored {
                triple,
                authority_key: authority.key,
            },
            reason,
        })
    }

    fn sign(
        &self,
        stored: &Stored,
        newest: &Authority,
        reason: &'static str,
        now: Timestamp,
    ) -> Result<Renewal, RotationError> {
        let leaf = authority::new_server_certificate(
            &newest.keyed,
            &self.names,
            now,
            self.schedule.certificate_life,
        )?;
        let older: String = stored
            .triple
            .ca_bundle
            .split_inclusive(END)
            .skip(1)
            .collect();
        let ca_bundle = bundle(&newest.keyed.certificate, &older, now);
        let triple = PemTriple {
            ca_bundle,
            certificate: leaf.certificate,
            key: leaf.key,
        };
        Ok(Renewal {
            stored: Stored {
                triple,
                authority_key: stored.authority_key.clone(),
            },
            reason,
        })
    }

    fn stage_authority(&self, stored: &Stored, now: Timestamp) -> Result<Renewal, RotationError> {
        let authority = authority::new_authority(now, self.schedule.authority_life)?;
        let mut renewed = stored.clone();
        renewed.triple.ca_bundle = bundle(&authority.certificate, &stored.triple.ca_bundle, now);
        renewed.authority_key = authority.key;
        Ok(Renewal {
            stored: renewed,
            reason: "the CA ends soon: a new one joins the bundle",
        })
    }
}

struct Authority {
    keyed: KeyedCertificate,
    facts: Facts,
}

enum CertificateState {
    Good,
    Ageing(&'static str),
    Unusable,
}

const END: &str = "-----END CERTIFICATE-----";

/// The first certificate of a bundle, as PEM text.
fn first_pem(bundle: &str) -> String {
    bundle
        .split_inclusive(END)
        .next()
        .map(|pem| format!("{}\n", pem.trim()))
        .unwrap_or_default()
}

/// `newest` followed by those of `older` that have not expired at `now`; what is unreadable is dropped.
fn bundle(newest: &str, older: &str, now: Timestamp) -> String {
    let alive = |pem: &&str| {
        rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes())
            .ok()
            .and_then(|der| Facts::of(&der, "CA").ok())
            .is_some_and(|facts| facts.not_after > now)
    };
    let kept = older.split_inclusive(END).filter(alive);
    let all: Vec<_> = std::iter::once(newest).chain(kept).map(str::trim).collect();
    format!(
        "{}
",
        all.join(
            "
"
        )
    )
}

#[cfg(test)]
mod tests;
