//! Which pods are acted on side by side, and which one after another.

use std::collections::HashMap;

use podfit_core::disruption::{Action, Decision};

use super::Outcome;

/// The decisions to act on by VPA and direct owner of the pod, each group in its order.
pub fn groups(decisions: &[Decision]) -> Vec<Vec<&Decision>> {
    let mut groups: Vec<Vec<&Decision>> = Vec::new();
    let mut places = HashMap::new();
    for decision in decisions.iter().filter(|d| d.action != Action::Skip) {
        let Decision { pod, vpa, .. } = decision;
        let key = (&vpa.namespace, &vpa.name, &pod.owner);
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(decision),
            None => groups.push(vec![decision]),
        }
    }
    groups
}

/// What budgets said of pods of one group in this loop: of those that are not ready, and of those that are. The next one alike
/// would hear the same.
#[derive(Default)]
pub struct Said([Option<String>; 2]);

impl Said {
    /// What the eviction of a pod would be answered.
    pub fn to(&self, decision: &Decision) -> Option<&str> {
        let ready = usize::from(decision.pod.ready_since.is_some());
        self.0[ready].as_deref().filter(|_| decision.evicts())
    }

    /// Remembers what a budget said.
    pub fn note(&mut self, decision: &Decision, outcome: &Outcome) {
        if let Outcome::Budget(words) = outcome {
            self.0[usize::from(decision.pod.ready_since.is_some())] = Some(words.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use podfit_core::disruption::UpdateReason;
    use podfit_core::pod::{OwnerRef, Pod};
    use podfit_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_budget_is_asked_once_for_pods_that_are_alike() {
        let decision = |ready: bool, action| Decision {
            pod: Arc::new(Pod {
                ready_since: ready.then(Timestamp::default),
                ..Pod::default()
            }),
            vpa: Arc::default(),
            action,
            reason: UpdateReason::UpToDate,
        };
        let evict = |ready| decision(ready, Action::Evict(vec![]));
        let mut said = Said::default();
        said.note(&evict(true), &Outcome::Done);
        assert_eq!(said.to(&evict(true)), None);
        said.note(&evict(true), &Outcome::Budget("no".into()));
        assert_eq!(said.to(&evict(true)), Some("no"));
        assert_eq!(said.to(&evict(false)), None);
        assert_eq!(said.to(&decision(true, Action::Resize(vec![]))), None);
    }

    /// Section 9, item 21: upstream serves one pod after another.
    #[test]
    fn groups_are_served_side_by_side_and_each_in_its_order() {
        let decision = |pod: &str, owner: &str, action| Decision {
            pod: Arc::new(Pod {
                name: pod.into(),
                owner: Some(OwnerRef {
                    api_version: "".into(),
                    kind: "".into(),
                    name: owner.into(),
                }),
                ..Pod::default()
            }),
            vpa: Arc::default(),
            action,
            reason: UpdateReason::UpToDate,
        };
        let evict = || Action::Evict(vec![]);
        let decisions = [
            decision("0", "a", Action::Skip),
            decision("1", "a", evict()),
            decision("2", "b", evict()),
            decision("3", "a", evict()),
        ];
        let groups = groups(&decisions);
        let names = |group: &Vec<&Decision>| -> String {
            group.iter().map(|d| d.pod.name.as_str()).collect()
        };
        assert_eq!(groups.iter().map(names).collect::<Vec<_>>(), ["13", "2"]);
    }
}
