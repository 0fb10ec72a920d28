//! What podfit's own annotations on a VPA ask for.

use kube::api::ObjectMeta;
use podfit_core::opt_in::{MANAGED_BY_LABEL, MANAGER, Managed, OPTED_IN_ANNOTATION};
use podfit_core::window::{Maintenance, WINDOW_ANNOTATION};

use super::Reader;

impl Reader {
    /// An annotation; `None` when it is absent or not understood.
    pub(super) fn annotation<T, E: std::fmt::Display>(
        &mut self,
        meta: &ObjectMeta,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = meta.annotations.as_ref()?.get(key)?;
        let read = parse(text);
        read.inspect_err(|why| {
            self.problem(
                &format!("metadata.annotations[{key}]"),
                format!("{why}; left out"),
            );
        })
        .ok()
    }

    /// What cannot be understood must not start evictions at a time that nobody wanted.
    pub(super) fn maintenance(&mut self, meta: &ObjectMeta) -> Maintenance {
        let annotations = meta.annotations.as_ref();
        let Some(text) = annotations.and_then(|a| a.get(WINDOW_ANNOTATION)) else {
            return Maintenance::Always;
        };
        let maintenance = Maintenance::parse(text);
        if let Maintenance::NotUnderstood { why } = &maintenance {
            self.problem(
                &format!("metadata.annotations[{WINDOW_ANNOTATION}]"),
                format!("{why}; no pod is disrupted"),
            );
        }
        maintenance
    }
}

/// What podfit wrote on a VPA that it made and still owns. Whoever takes its label, its annotation or its owner away makes it
/// his own.
pub(super) fn managed(meta: &ObjectMeta) -> Option<Managed> {
    let label = meta.labels.as_ref()?.get(MANAGED_BY_LABEL)?;
    let mark = meta.annotations.as_ref()?.get(OPTED_IN_ANNOTATION)?;
    let owned = meta
        .owner_references
        .as_ref()
        .is_some_and(|o| !o.is_empty());
    (label == MANAGER && owned).then(|| Managed { mark: mark.clone() })
}
