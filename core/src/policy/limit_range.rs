//! A namespace's `LimitRanges`, reduced to what bears on requests and limits.

use crate::quantity::{Resource, ResourceList};

/// What one `LimitRange` item bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitRangeScope {
    /// The sum over the containers of a pod.
    Pod,
    /// Each container.
    Container,
}

/// One item of a `LimitRange` (`spec.limits[]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitRangeItem {
    /// What it bounds.
    pub scope: LimitRangeScope,
    /// The least request and limit.
    pub min: ResourceList,
    /// The greatest request and limit.
    pub max: ResourceList,
    /// The limit of a container that sets none.
    pub default: ResourceList,
    /// How many times its request a limit may be, in thousandths: `maxLimitRequestRatio`.
    pub max_ratio: Ratios,
}

/// A ratio per resource, in thousandths; absent means "any".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ratios {
    /// For CPU.
    pub cpu: Option<i64>,
    /// For memory.
    pub memory: Option<i64>,
}

impl Ratios {
    /// The ratio of one resource.
    pub fn get(self, resource: Resource) -> Option<i64> {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }

    fn least(self, other: Self) -> Self {
        let least = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
        Self {
            cpu: least(self.cpu, other.cpu),
            memory: least(self.memory, other.memory),
        }
    }
}

impl LimitRangeItem {
    /// All items of one scope as one: per resource the highest minimum, the lowest maximum and ratio, and the last default.
    /// `None` when no item says anything.
    pub fn merge(items: &[Self], scope: LimitRangeScope) -> Option<Self> {
        let says_something = |i: &&Self| {
            i.scope == scope
                && !(i.min.is_empty()
                    && i.max.is_empty()
                    && i.default.is_empty()
                    && i.max_ratio == Ratios::default())
        };
        items
            .iter()
            .filter(says_something)
            .copied()
            .reduce(Self::and)
    }

    fn and(self, later: Self) -> Self {
        Self {
            scope: self.scope,
            min: pick(self.min, later.min, i64::max),
            max: pick(self.max, later.max, i64::min),
            default: if later.default.is_empty() {
                self.default
            } else {
                later.default
            },
            max_ratio: self.max_ratio.least(later.max_ratio),
        }
    }
}

/// Per resource the chosen of two amounts, or the only one there is.
fn pick(a: ResourceList, b: ResourceList, choose: fn(i64, i64) -> i64) -> ResourceList {
    let mut picked = ResourceList::default();
    for resource in Resource::ALL {
        picked.set(
            resource,
            match (a.get(resource), b.get(resource)) {
                (Some(a), Some(b)) => Some(choose(a, b)),
                (a, b) => a.or(b),
            },
        );
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::{Bytes, Millicores};

    const NOTHING: ResourceList = ResourceList {
        cpu: None,
        memory: None,
    };

    fn both(cpu: i64, memory: i64) -> ResourceList {
        ResourceList {
            cpu: Some(Millicores(cpu)),
            memory: Some(Bytes(memory)),
        }
    }

    fn item(min: ResourceList, max: ResourceList, default: ResourceList) -> LimitRangeItem {
        LimitRangeItem {
            scope: LimitRangeScope::Container,
            min,
            max,
            default,
            max_ratio: Ratios::default(),
        }
    }

    /// Vectors 10.6.
    #[test]
    fn items_are_merged() {
        let (min, max, default) = (
            |l| item(l, NOTHING, NOTHING),
            |l| item(NOTHING, l, NOTHING),
            |l| item(NOTHING, NOTHING, l),
        );
        let cpu = ResourceList {
            cpu: Some(Millicores(7)),
            memory: None,
        };
        let memory = ResourceList {
            cpu: None,
            memory: Some(Bytes(9)),
        };
        let rows = [
            (vec![], None),
            (vec![item(NOTHING, NOTHING, NOTHING)], None),
            (
                vec![LimitRangeItem {
                    scope: LimitRangeScope::Pod,
                    ..max(both(2, 2))
                }],
                None,
            ),
            (vec![max(both(2, 2))], Some(max(both(2, 2)))),
            (vec![default(both(2, 2))], Some(default(both(2, 2)))),
            (vec![min(both(2, 2))], Some(min(both(2, 2)))),
            (
                vec![max(both(20, 20)), default(both(15, 15)), min(both(10, 10))],
                Some(item(both(10, 10), both(20, 20), both(15, 15))),
            ),
            (
                vec![max(both(15, 15)), max(both(20, 20))],
                Some(max(both(15, 15))),
            ),
            (
                vec![min(both(15, 15)), min(both(10, 10))],
                Some(min(both(15, 15))),
            ),
            // Not upstream's rows: what the first lacks the second fills, and the last default wins.
            (vec![max(cpu), max(memory)], Some(max(both(7, 9)))),
            (
                vec![default(both(1, 1)), default(both(2, 2))],
                Some(default(both(2, 2))),
            ),
        ];
        for (items, want) in rows {
            assert_eq!(
                LimitRangeItem::merge(&items, LimitRangeScope::Container),
                want,
                "{items:?}"
            );
        }
    }
}
