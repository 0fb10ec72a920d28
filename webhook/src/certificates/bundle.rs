//! CA bundles as PEM text: the newest first, then older ones that are still trusted.

use podfit_core::time::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::material::Facts;

const END: &str = "-----END CERTIFICATE-----";

/// The newest certificate; empty when there is none.
pub fn first(bundle: &str) -> String {
    let first = bundle
        .split_inclusive(END)
        .next()
        .unwrap_or_default()
        .trim();
    if first.is_empty() {
        String::new()
    } else {
        format!("{first}\n")
    }
}

/// All but the newest.
pub fn rest(bundle: &str) -> String {
    bundle.split_inclusive(END).skip(1).collect()
}

/// `newest` followed by those of `older` that have not expired at `now`, each once; what is unreadable is dropped.
pub fn join(newest: &str, older: &str, now: Timestamp) -> String {
    let mut all = vec![newest.trim()];
    for pem in older.split_inclusive(END).map(str::trim) {
        if is_alive(pem, now) && !all.contains(&pem) {
            all.push(pem);
        }
    }
    all.iter()
        .fold(String::new(), |text, pem| text + pem + "\n")
}

fn is_alive(pem: &str, now: Timestamp) -> bool {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
    der.and_then(|der| Facts::of(&der, "CA").ok())
        .is_some_and(|facts| facts.not_after > now)
}
