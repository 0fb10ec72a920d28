//! Certificates as a mounted Secret has them.

use std::path::PathBuf;

use podfit_webhook::certificates::files::CertificateFiles;
use podfit_webhook::certificates::material::PemTriple;

/// Three files in a folder that goes away with this.
pub struct Mount(PathBuf);

impl Mount {
    pub fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("podfit-webhook-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn files(&self) -> CertificateFiles {
        CertificateFiles {
            client_ca: self.0.join("ca"),
            certificate: self.0.join("cert"),
            key: self.0.join("key"),
        }
    }

    pub fn write(&self, triple: &PemTriple) {
        let files = self.files();
        std::fs::write(&files.client_ca, &triple.ca_bundle).unwrap();
        std::fs::write(&files.certificate, &triple.certificate).unwrap();
        std::fs::write(&files.key, &triple.key).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
