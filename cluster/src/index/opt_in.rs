//! The labels that ask for VPAs: those of workloads, which are watched anyway, and those of namespaces.

use std::sync::Arc;

use kube::{Resource, ResourceExt};
use podfit_core::opt_in::Labels;
use podfit_core::ownership::ControllerKey;
use podfit_core::vpa::Vpa;
use tokio::sync::Notify;

use super::Index;
use crate::watch::Change;

/// Who is told, and whether Goldilocks' labels count.
#[derive(Clone, Debug)]
pub(super) struct OptInWatch {
    pub changed: Arc<Notify>,
    pub goldilocks: bool,
}

impl OptInWatch {
    fn labels(&self, object: &impl Resource) -> Option<Labels> {
        let all = object.meta().labels.as_ref()?;
        Labels::read(|name| all.get(name).map(String::as_str), self.goldilocks)
    }
}

impl Index {
    /// Labels are read from now on. For whoever lists once, nobody needs to be told.
    pub(super) fn read_labels(&mut self, goldilocks: bool) -> Arc<Notify> {
        let changed = Arc::new(Notify::new());
        self.opt_in = Some(OptInWatch {
            changed: Arc::clone(&changed),
            goldilocks,
        });
        changed
    }

    pub(super) fn tell_opt_in(&self) {
        if let Some(watch) = &self.opt_in {
            watch.changed.notify_one();
        }
    }

    /// Statuses change all the time, and do not matter.
    pub(super) fn tell_of_vpa(&self, new: &Vpa) {
        let known = self.vpas.get(&new.namespace, &new.name);
        let same =
            known.is_some_and(|known| known.target == new.target && known.managed == new.managed);
        if !same {
            self.tell_opt_in();
        }
    }

    /// To be called before the workload is known.
    pub(super) fn labels_of_workload(&mut self, key: &ControllerKey, object: &impl Resource) {
        let Some(watch) = &self.opt_in else { return };
        let changed = self.labelled.workload(key, watch.labels(object));
        let is_new = self.owners.get(key).is_none();
        if changed || is_new && self.labelled.names_namespace(&key.namespace) {
            self.tell_opt_in();
        }
    }

    pub(super) fn namespace<K: Resource>(&mut self, change: Change<K>) {
        let Some(watch) = &self.opt_in else { return };
        let changed = match change {
            Change::Apply(object) => self
                .labelled
                .namespace(&object.name_any(), watch.labels(&object)),
            Change::Delete(object) => self.labelled.namespace(&object.name_any(), None),
            Change::Listed(there) => {
                self.labelled
                    .retain_namespaces(|name| there.contains(&(String::new(), name.to_owned())));
                self.labelled.namespaces_known = true;
                true
            }
        };
        if changed {
            self.tell_opt_in();
        }
    }
}
