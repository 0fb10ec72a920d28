//! When a self-managed certificate or its CA is to be replaced: a function of what is stored and the time.
//!
//! A CA is replaced in two steps, so that callers trust the new one before a server shows a certificate of it:
//! first the new CA joins the bundle (the old certificate stays), and after [`Schedule::overlap`] the new CA signs.
//! An old CA leaves the bundle when it has expired.

use std::sync::Arc;
use std::time::Duration;

use podfit_core::time::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::authority::{self, CLOCK_SKEW, KeyedCertificate};
use super::bundle;
use super::material::{self, BadMaterial, Facts, Material, PemTriple};

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

/// What the Secret holds: the triple that is served, and the key of the newest CA. A part that is missing is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// No certificate could be made; in practice a name that is not a DNS name.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct RotationError(#[from] rcgen::Error);

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
    ///
    /// `in_force` is the CA bundle that this replica still serves under (empty at the start). When a CA must be made from
    /// nothing, those stay trusted, since other replicas show certificates of them until they have read the new content.
    pub fn due(
        &self,
        stored: &Stored,
        in_force: &str,
        now: Timestamp,
    ) -> Result<Option<Renewal>, RotationError> {
        let newest = match self.newest_authority(stored, now) {
            Ok(newest) => newest,
            Err(reason) => {
                let older = [stored.triple.ca_bundle.as_str(), in_force].join("\n");
                return self.anew(reason, &older, now).map(Some);
            }
        };
        let staged = now.since(newest.facts.not_before + CLOCK_SKEW) < self.schedule.overlap;
        let (names, reason) = match self.certificate_state(stored, &newest, now) {
            CertificateState::Unusable => (
                self.names.clone(),
                "the certificate is missing, unreadable or unusable",
            ),
            // The names it has stay: another replica, of a release that is going or coming, may have asked for them.
            CertificateState::LacksNames(others) => {
                (union(&self.names, others), "the certificate lacks a name")
            }
            CertificateState::Ageing(reason) if !staged => (self.names.clone(), reason),
            _ if newest.facts.not_after.since(now) < self.schedule.authority_margin => {
                return self.stage_authority(stored, now).map(Some);
            }
            _ => return Ok(None),
        };
        let triple = self.sign(
            &newest.keyed,
            &names,
            &bundle::rest(&stored.triple.ca_bundle),
            now,
        )?;
        Ok(Some(Renewal {
            stored: Stored {
                triple,
                authority_key: newest.keyed.key,
            },
            reason,
        }))
    }

    /// The CA that signs, or why there is none that can.
    fn newest_authority(&self, stored: &Stored, now: Timestamp) -> Result<Authority, &'static str> {
        if *stored == Stored::default() {
            return Err("no certificate is stored yet");
        }
        let certificate = bundle::first(&stored.triple.ca_bundle);
        let keyed = KeyedCertificate {
            certificate,
            key: stored.authority_key.clone(),
        };
        let facts = self
            .authority_facts(&keyed)
            .map_err(|_| "the stored CA or its key is unreadable")?;
        if facts.not_after <= now {
            return Err("the CA has expired");
        }
        if facts.not_before > now {
            return Err("the CA is not valid yet: compare the clocks of the nodes");
        }
        Ok(Authority { keyed, facts })
    }

    fn authority_facts(&self, authority: &KeyedCertificate) -> Result<Facts, BadMaterial> {
        let parsed = material::certificates(&authority.certificate, "CA")?;
        let key = PrivateKeyDer::from_pem_slice(authority.key.as_bytes()).map_err(|source| {
            BadMaterial::Pem {
                part: "CA key",
                source,
            }
        })?;
        let certified =
            CertifiedKey::from_der(parsed, key, &self.provider).map_err(BadMaterial::Key)?;
        Facts::of(certified.end_entity_cert().map_err(BadMaterial::Key)?, "CA")
    }

    fn certificate_state(
        &self,
        stored: &Stored,
        newest: &Authority,
        now: Timestamp,
    ) -> CertificateState {
        let Ok(checked) = Material::check(stored.triple.clone(), &self.provider, now) else {
            return CertificateState::Unusable;
        };
        if self
            .names
            .iter()
            .any(|name| !checked.facts.names.contains(name))
        {
            return CertificateState::LacksNames(checked.facts.names);
        }
        if checked.facts.not_after.since(now) < self.schedule.certificate_margin {
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

    /// A new CA that signs at once: no CA is left that could sign meanwhile.
    fn anew(
        &self,
        reason: &'static str,
        older: &str,
        now: Timestamp,
    ) -> Result<Renewal, RotationError> {
        let authority = authority::new_authority(now, self.schedule.authority_life)?;
        let triple = self.sign(&authority, &self.names, older, now)?;
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
        authority: &KeyedCertificate,
        names: &[String],
        older: &str,
        now: Timestamp,
    ) -> Result<PemTriple, RotationError> {
        let life = self.schedule.certificate_life;
        let leaf = authority::new_server_certificate(authority, names, now, life)?;
        let ca_bundle = bundle::join(&authority.certificate, older, now);
        Ok(PemTriple {
            ca_bundle,
            certificate: leaf.certificate,
            key: leaf.key,
        })
    }

    fn stage_authority(&self, stored: &Stored, now: Timestamp) -> Result<Renewal, RotationError> {
        let authority = authority::new_authority(now, self.schedule.authority_life)?;
        let ca_bundle = bundle::join(&authority.certificate, &stored.triple.ca_bundle, now);
        let triple = PemTriple {
            ca_bundle,
            ..stored.triple.clone()
        };
        Ok(Renewal {
            stored: Stored {
                triple,
                authority_key: authority.key,
            },
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
    LacksNames(Vec<String>),
    Unusable,
}

/// `own` first, then what `others` has beside them.
fn union(own: &[String], others: Vec<String>) -> Vec<String> {
    let more = others.into_iter().filter(|name| !own.contains(name));
    own.iter().cloned().chain(more).collect()
}

#[cfg(test)]
mod tests;
