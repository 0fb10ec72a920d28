//! A certificate from mounted files, re-read by content.
//!
//! Files are compared rather than watched: a Secret volume is replaced by renaming a link, which a watch on the file
//! itself sees once and then never again.

use std::path::{Path, PathBuf};

use super::material::PemTriple;

/// Where the three PEM files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The CA bundle that callers are to trust.
    pub client_ca: PathBuf,
    /// The certificate with intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}", path = path.display())]
pub struct UnreadableFile {
    path: PathBuf,
    source: std::io::Error,
}

impl CertificateFiles {
    /// Upstream's paths, under which its manifests mount them.
    pub fn upstream() -> Self {
        let folder = Path::new("/etc/tls-certs");
        Self {
            client_ca: folder.join("caCert.pem"),
            certificate: folder.join("serverCert.pem"),
            key: folder.join("serverKey.pem"),
        }
    }

    /// True when certificate and key are there.
    pub fn exist(&self) -> bool {
        self.certificate.exists() && self.key.exists()
    }

    /// Reads all three. They are a few kilobytes on a memory file system, so this does not leave the thread.
    pub fn read(&self) -> Result<PemTriple, UnreadableFile> {
        Ok(PemTriple {
            ca_bundle: read(&self.client_ca)?,
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
        })
    }
}

fn read(path: &Path) -> Result<String, UnreadableFile> {
    std::fs::read_to_string(path).map_err(|source| UnreadableFile {
        path: path.into(),
        source,
    })
}
