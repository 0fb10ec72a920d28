//! All HPAs, indexed by what they scale: a cluster without any costs a look at an empty map.

use std::collections::HashMap;
use std::sync::Arc;

use super::HorizontalAutoscaler;
use crate::ownership::ControllerKey;

/// All HPAs, by name and by target, whether the target is there or not.
#[derive(Clone, Debug, Default)]
pub struct Horizontals {
    by_name: HashMap<(String, String), Arc<HorizontalAutoscaler>>,
    by_target: HashMap<ControllerKey, Vec<Arc<HorizontalAutoscaler>>>,
}

fn target_of(hpa: &HorizontalAutoscaler) -> Option<ControllerKey> {
    let target = hpa.target.as_ref()?;
    Some(ControllerKey::of(&hpa.namespace, target))
}

impl Horizontals {
    /// Adds or replaces an HPA.
    pub fn apply(&mut self, hpa: HorizontalAutoscaler) {
        let name = (hpa.namespace.clone(), hpa.name.clone());
        // Its status is written every few seconds, mostly with what is not kept here.
        if self.by_name.get(&name).is_some_and(|known| **known == hpa) {
            return;
        }
        self.delete(&name.0, &name.1);
        let hpa = Arc::new(hpa);
        if let Some(target) = target_of(&hpa) {
            let of_target = self.by_target.entry(target).or_default();
            of_target.push(Arc::clone(&hpa));
            of_target.sort_by(|a, b| a.name.cmp(&b.name));
        }
        self.by_name.insert(name, hpa);
    }

    /// Forgets an HPA.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        let Some(old) = self.by_name.remove(&(namespace.into(), name.into())) else {
            return;
        };
        let Some(target) = target_of(&old) else {
            return;
        };
        if let Some(hpas) = self.by_target.get_mut(&target) {
            hpas.retain(|hpa| hpa.name != name);
            if hpas.is_empty() {
                self.by_target.remove(&target);
            }
        }
    }

    /// Forgets every HPA for whose namespace and name `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(&(String, String)) -> bool) {
        let gone: Vec<_> = self
            .by_name
            .keys()
            .filter(|key| !keep(key))
            .cloned()
            .collect();
        for (namespace, name) in gone {
            self.delete(&namespace, &name);
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<HorizontalAutoscaler>> {
        self.by_name.values()
    }

    /// One by name.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<HorizontalAutoscaler>> {
        self.by_name.get(&(namespace.into(), name.into()))
    }

    /// Those that scale `target`, in order of their names.
    pub fn of(&self, target: &ControllerKey) -> &[Arc<HorizontalAutoscaler>] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// Those that scale any of the controllers in `chain`.
    pub fn of_chain(&self, chain: &[ControllerKey]) -> Vec<Arc<HorizontalAutoscaler>> {
        if self.is_empty() {
            return Vec::new();
        }
        let all = chain.iter().flat_map(|key| self.of(key));
        all.cloned().collect()
    }
}
