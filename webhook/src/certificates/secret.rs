//! The Secret in which all replicas share one self-managed certificate.
//!
//! Any replica may renew it; the first writer wins (create, or PUT under resourceVersion), and the others read what it
//! wrote. Nothing is locked and nobody leads.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_cluster::calls::{CallError, Calls};
use podfit_core::time::Timestamp;

use super::material::PemTriple;
use super::rotation::{Renewal, Rotation, RotationError, Stored};

/// Keys of the Secret, as cert-manager names them, and one more for the CA's key.
const CA_BUNDLE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// How often a lost race is run again; two replicas never lose that often in a row.
const TRIES: usize = 5;

/// Reads, makes and renews the shared certificate.
pub struct SharedSecret {
    /// Makes the requests.
    pub calls: Calls,
    /// Where the Secret lies.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Decides when to renew.
    pub rotation: Rotation,
}

/// Why there is no certificate now.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API refused.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No certificate could be made.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// Others kept writing in between.
    #[error("the Secret changed under every one of {TRIES} tries to renew it")]
    Contended,
}

impl SharedSecret {
    /// The certificate to serve at `now`, renewed first when that is due. `in_force` is the CA bundle that this replica
    /// serves under until then; empty at the start.
    pub async fn read(&self, in_force: &str, now: Timestamp) -> Result<PemTriple, SecretError> {
        for _ in 0..TRIES {
            let found = self
                .calls
                .run("get the certificate Secret", self.api().get_opt(&self.name))
                .await?;
            let stored = found.as_ref().map(stored).unwrap_or_default();
            let Some(renewal) = self.rotation.due(&stored, in_force, now)? else {
                return Ok(stored.triple);
            };
            let reason = renewal.reason;
            let triple = renewal.stored.triple.clone();
            match self.write(found, renewal).await {
                Ok(_) => {
                    tracing::info!(
                        secret = self.name,
                        namespace = self.namespace,
                        reason,
                        "wrote the webhook's certificate"
                    );
                    return Ok(triple);
                }
                // Another replica was faster: what it wrote is read in the next round.
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(SecretError::Contended)
    }

    async fn write(&self, found: Option<Secret>, renewal: Renewal) -> Result<Secret, CallError> {
        let (api, options) = (self.api(), PostParams::default());
        if let Some(mut secret) = found {
            // The metadata read carries the resourceVersion, so the PUT fails when somebody else wrote since.
            secret
                .data
                .get_or_insert_default()
                .extend(data(renewal.stored));
            return self
                .calls
                .run(
                    "renew the certificate Secret",
                    api.replace(&self.name, &options, &secret),
                )
                .await;
        }
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".into()),
            data: Some(data(renewal.stored)),
            ..Secret::default()
        };
        self.calls
            .run(
                "create the certificate Secret",
                api.create(&options, &secret),
            )
            .await
    }

    fn api(&self) -> Api<Secret> {
        Api::namespaced(self.calls.client().clone(), &self.namespace)
    }
}

/// What a Secret holds; what is missing, or is no text, is empty.
fn stored(secret: &Secret) -> Stored {
    let data = secret.data.as_ref();
    let text = |key: &str| {
        let bytes = data.and_then(|data| data.get(key));
        bytes
            .and_then(|bytes| String::from_utf8(bytes.0.clone()).ok())
            .unwrap_or_default()
    };
    Stored {
        triple: PemTriple {
            ca_bundle: text(CA_BUNDLE),
            certificate: text(CERTIFICATE),
            key: text(KEY),
        },
        authority_key: text(CA_KEY),
    }
}

fn data(stored: Stored) -> BTreeMap<String, ByteString> {
    let Stored {
        triple,
        authority_key,
    } = stored;
    [
        (CA_BUNDLE, triple.ca_bundle),
        (CA_KEY, authority_key),
        (CERTIFICATE, triple.certificate),
        (KEY, triple.key),
    ]
    .map(|(key, text)| (key.into(), ByteString(text.into_bytes())))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_what_was_written_and_keeps_what_is_whole() {
        let triple = PemTriple {
            ca_bundle: "a".into(),
            certificate: "b".into(),
            key: "c".into(),
        };
        let written = Stored {
            triple,
            authority_key: "d".into(),
        };
        let mut secret = Secret {
            data: Some(data(written.clone())),
            ..Secret::default()
        };
        assert_eq!(stored(&secret), written);
        let keyless = Stored {
            authority_key: String::new(),
            ..written
        };
        secret
            .data
            .as_mut()
            .unwrap()
            .insert(CA_KEY.into(), ByteString(vec![0xff]));
        assert_eq!(stored(&secret), keyless);
        secret.data.as_mut().unwrap().remove(CA_KEY);
        assert_eq!(stored(&secret), keyless);
        assert_eq!(stored(&Secret::default()), Stored::default());
    }
}
