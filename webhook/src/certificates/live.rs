//! The certificate in force, swapped while the server runs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::material::Material;

/// Holds the [`Material`] in force. Handshakes read it without a lock; connections already open keep what they began with.
#[derive(Debug, Default)]
pub struct Live {
    current: ArcSwapOption<Material>,
}

impl Live {
    /// What is in force; `None` before the first certificate came.
    pub fn current(&self) -> Option<Arc<Material>> {
        self.current.load_full()
    }

    /// Puts `material` in force for handshakes from now on.
    pub fn replace(&self, material: Arc<Material>) {
        self.current.store(Some(material));
    }
}

impl ResolvesServerCert for Live {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current
            .load()
            .as_ref()
            .map(|material| Arc::clone(&material.certified))
    }
}
