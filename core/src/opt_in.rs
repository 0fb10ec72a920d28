//! Opting in with a label: which workloads are to have a VPA that podfit makes and owns, what stands in it, and what of that
//! is to be made, changed or removed now.

mod labels;
mod plan;
mod profiles;
mod wanted;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use self::labels::{Asked, Autosize, By, Complaint, Labels, Mode, Wish, wish};
pub use self::plan::{Apply, Plan, Refusal, Remove, Scene, Step, Why, plan};
pub use self::profiles::{SETTINGS, Traits, WorkloadProfile, settings};
pub use self::wanted::{Managed, Wanted, wanted};

use crate::ownership::ControllerKey;

/// The label of a workload, or of a namespace for all workloads in it, that asks for a VPA.
pub const AUTOSIZE_LABEL: &str = "podfit.dev/autosize";
/// The label of a workload or a namespace that says what such a VPA is for.
pub const PROFILE_LABEL: &str = "podfit.dev/profile";
/// The annotation of a VPA that podfit made: what was asked for when it was last written.
pub const OPTED_IN_ANNOTATION: &str = "podfit.dev/opted-in";
/// The label that says who takes care of an object, with [`MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Who takes care of the VPAs that podfit made.
pub const MANAGER: &str = "podfit";
/// Goldilocks' label that asks for a VPA.
pub const GOLDILOCKS_LABEL: &str = "goldilocks.fairwinds.com/enabled";
/// Goldilocks' label for the mode of that.
pub const GOLDILOCKS_MODE_LABEL: &str = "goldilocks.fairwinds.com/vpa-update-mode";

/// The labels of workloads and namespaces that ask for something. Those without any take no room.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    workloads: HashMap<ControllerKey, Labels>,
    namespaces: HashMap<String, Labels>,
    /// True once all namespaces were listed. Before that, and where they may not be read, nothing is removed because a
    /// namespace asks for nothing.
    pub namespaces_known: bool,
}

impl Labelled {
    /// Takes in the labels of a workload; true when they are others than before.
    pub fn workload(&mut self, key: &ControllerKey, labels: Option<Labels>) -> bool {
        if self.workloads.get(key) == labels.as_ref() {
            return false;
        }
        match labels {
            Some(labels) => self.workloads.insert(key.clone(), labels),
            None => self.workloads.remove(key),
        };
        true
    }

    /// The same of a namespace.
    pub fn namespace(&mut self, name: &str, labels: Option<Labels>) -> bool {
        if self.namespaces.get(name) == labels.as_ref() {
            return false;
        }
        match labels {
            Some(labels) => self.namespaces.insert(name.into(), labels),
            None => self.namespaces.remove(name),
        };
        true
    }

    /// Forgets the workloads of `kind` for which `keep` is false; true when there were any.
    pub fn retain_workloads(
        &mut self,
        kind: &str,
        mut keep: impl FnMut(&ControllerKey) -> bool,
    ) -> bool {
        let before = self.workloads.len();
        self.workloads
            .retain(|key, _| key.kind != kind || keep(key));
        self.workloads.len() != before
    }

    /// Forgets the namespaces for which `keep` is false; true when there were any.
    pub fn retain_namespaces(&mut self, mut keep: impl FnMut(&str) -> bool) -> bool {
        let before = self.namespaces.len();
        self.namespaces.retain(|name, _| keep(name));
        self.namespaces.len() != before
    }

    /// True when a namespace asks for something.
    pub fn names_namespace(&self, name: &str) -> bool {
        self.namespaces.contains_key(name)
    }

    /// What is wanted for a workload.
    pub fn wish(&self, key: &ControllerKey) -> Wish {
        wish(self.workloads.get(key), self.namespaces.get(&key.namespace))
    }
}
