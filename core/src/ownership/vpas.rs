//! All VPAs, indexed by what they target: one pod costs one look-up per controller above it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ControllerKey, is_of_runs};
use crate::vpa::Vpa;

/// All VPAs, by name and by target.
#[derive(Clone, Debug, Default)]
pub struct Vpas {
    by_name: HashMap<(String, String), Arc<Vpa>>,
    by_target: HashMap<ControllerKey, Vec<Arc<Vpa>>>,
}

impl Vpas {
    /// Adds or replaces a VPA.
    pub fn apply(&mut self, vpa: Vpa) {
        self.delete(&vpa.namespace, &vpa.name);
        let vpa = Arc::new(vpa);
        if let Some(target) = &vpa.target {
            self.by_target
                .entry(ControllerKey::of(&vpa.namespace, target))
                .or_default()
                .push(vpa.clone());
        }
        self.by_name
            .insert((vpa.namespace.clone(), vpa.name.clone()), vpa);
    }

    /// Forgets a VPA.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        let Some(old) = self.by_name.remove(&(namespace.into(), name.into())) else {
            return;
        };
        let Some(target) = &old.target else { return };
        let key = ControllerKey::of(namespace, target);
        if let Some(vpas) = self.by_target.get_mut(&key) {
            vpas.retain(|v| v.name != name);
            if vpas.is_empty() {
                self.by_target.remove(&key);
            }
        }
    }

    /// A VPA by name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Vpa>> {
        self.by_name.get(&(namespace.into(), name.into()))
    }

    /// Those for one target, in no order.
    pub fn of_target(&self, target: &ControllerKey) -> &[Arc<Vpa>] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Vpa>> {
        self.by_name.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The VPA that controls pods under `chain`, among those for which `eligible` holds.
    ///
    /// The highest controller with an eligible VPA decides. Of several VPAs for it the oldest wins, then the one whose
    /// name sorts first: upstream's rule. Pods of runs whose family has a VPA are that one's alone, eligible or not: two
    /// VPAs would size one pod by two histories.
    pub fn controlling(
        &self,
        chain: &[ControllerKey],
        eligible: impl Fn(&Vpa) -> bool,
    ) -> Option<&Arc<Vpa>> {
        for key in chain.iter().rev() {
            let of_key = self.by_target.get(key).map_or(&[][..], Vec::as_slice);
            let oldest = of_key
                .iter()
                .filter(|v| eligible(v))
                .min_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
            let claims = is_of_runs(&key.kind) && !of_key.is_empty();
            if oldest.is_some() || claims {
                return oldest;
            }
        }
        None
    }
}
