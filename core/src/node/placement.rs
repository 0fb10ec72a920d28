//! On which nodes a pod may run: its `nodeSelector`, required node affinity and tolerations.

use super::{Node, Taint};

/// Where a pod may run. One without any of this runs on every node without taints, and needs no `Placement`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Labels that the node must have.
    pub selector: Vec<(String, String)>,
    /// Required node affinity: all of one of these must hold; empty asks for nothing.
    pub affinity: Vec<Vec<Requirement>>,
    /// Which taints it can stand.
    pub tolerations: Vec<Toleration>,
}

/// What one label of a node must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// It is one of the values.
    In,
    /// It is none of the values, or absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
    /// It is a number above the only value.
    Gt,
    /// It is a number below the only value.
    Lt,
}

/// A taint that a pod can stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// The taint's key; empty means any.
    pub key: String,
    /// The taint's value; `None` means any (operator `Exists`).
    pub value: Option<String>,
    /// The taint's effect; empty means any.
    pub effect: String,
}

impl Toleration {
    fn covers(&self, taint: &Taint) -> bool {
        (self.key.is_empty() || self.key == taint.key)
            && self.value.as_ref().is_none_or(|v| *v == taint.value)
            && (self.effect.is_empty() || self.effect == taint.effect)
    }
}

impl Requirement {
    fn holds(&self, node: &Node) -> bool {
        let label = node.labels.get(&self.key);
        let number = |text: &String| text.parse::<i64>().ok();
        let compared = |holds: fn(i64, i64) -> bool| {
            let pair = label
                .and_then(number)
                .zip(self.values.first().and_then(number));
            pair.is_some_and(|(label, value)| holds(label, value))
        };
        let listed = label.is_some_and(|label| self.values.contains(label));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::Gt => compared(|label, value| label > value),
            Operator::Lt => compared(|label, value| label < value),
        }
    }
}

impl Placement {
    /// True when a pod of this placement can run on `node`.
    pub fn suits(&self, node: &Node) -> bool {
        let tolerated = |taint: &Taint| self.tolerations.iter().any(|t| t.covers(taint));
        self.selector
            .iter()
            .all(|(key, value)| node.labels.get(key) == Some(value))
            && (self.affinity.is_empty()
                || self
                    .affinity
                    .iter()
                    .any(|term| !term.is_empty() && term.iter().all(|r| r.holds(node))))
            && node.taints.iter().all(tolerated)
    }
}
