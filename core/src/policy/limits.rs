//! What becomes of a limit when its request changes: the VPA's annotation `podfit.dev/limits`.

use crate::quantity::{Bytes, Millicores, QuantityError, Resource};

/// The annotation of a VPA with one policy for both resources (`none`), or one each (`cpu=none,memory=headroom=256Mi`).
pub const LIMITS_ANNOTATION: &str = "podfit.dev/limits";

/// What becomes of one limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitPolicy {
    /// `ratio`: it keeps its proportion to the request, as upstream's `RequestsAndLimits`.
    #[default]
    Ratio,
    /// `keep`: it stays, and the request does not exceed it, as upstream's `RequestsOnly`.
    Keep,
    /// `none`: there is none.
    None,
    /// `equal`: it equals the request.
    Equal,
    /// `headroom=<quantity>`: so much above the request, in millicores or bytes, not negative.
    Headroom(i64),
}

impl LimitPolicy {
    /// The annotation's word for it, without an amount.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Keep => "keep",
            Self::None => "none",
            Self::Equal => "equal",
            Self::Headroom(_) => "headroom",
        }
    }
}

/// A policy per resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitPolicies {
    /// For CPU.
    pub cpu: LimitPolicy,
    /// For memory.
    pub memory: LimitPolicy,
}

/// Why the annotation's text is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// None of the policies.
    #[error(
        "{0:?} is none of ratio, keep, none, equal and headroom=QUANTITY; write one for both resources, or \
         cpu=POLICY,memory=POLICY"
    )]
    Unknown(String),
    /// Millicores are no bytes.
    #[error("headroom needs its resource; write cpu=headroom=QUANTITY or memory=headroom=QUANTITY")]
    HeadroomOfBoth,
    /// The headroom is no amount.
    #[error("the headroom for {resource}: {source}", resource = .resource.name())]
    Quantity {
        /// Of what.
        resource: Resource,
        /// Why not.
        source: QuantityError,
    },
    /// The headroom is below zero.
    #[error("the headroom for {} is negative; write an amount to stay above the request", .0.name())]
    Negative(Resource),
    /// A resource has two policies.
    #[error("{} has two policies; leave one out", .0.name())]
    Twice(Resource),
}

impl LimitPolicies {
    /// The policy of one resource.
    pub fn get(self, resource: Resource) -> LimitPolicy {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
        }
    }

    /// Reads the annotation. A resource that it does not name has [`LimitPolicy::Ratio`].
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        let (mut cpu, mut memory) = (None, None);
        let parts: Vec<_> = text.split(',').map(str::trim).collect();
        for part in &parts {
            let (resource, word) = if let Some(word) = part.strip_prefix("cpu=") {
                (Resource::Cpu, word)
            } else if let Some(word) = part.strip_prefix("memory=") {
                (Resource::Memory, word)
            } else if part.starts_with("headroom=") {
                return Err(LimitsError::HeadroomOfBoth);
            } else if parts.len() == 1 {
                let both = policy(Resource::Cpu, part)?;
                return Ok(Self {
                    cpu: both,
                    memory: both,
                });
            } else {
                return Err(LimitsError::Unknown((*part).into()));
            };
            let policies = match resource {
                Resource::Cpu => &mut cpu,
                Resource::Memory => &mut memory,
            };
            if policies.replace(policy(resource, word)?).is_some() {
                return Err(LimitsError::Twice(resource));
            }
        }
        Ok(Self {
            cpu: cpu.unwrap_or_default(),
            memory: memory.unwrap_or_default(),
        })
    }
}

fn policy(resource: Resource, word: &str) -> Result<LimitPolicy, LimitsError> {
    if let Some(amount) = word.strip_prefix("headroom=") {
        let amount = match resource {
            Resource::Cpu => Millicores::parse(amount).map(|m| m.0),
            Resource::Memory => Bytes::parse(amount).map(|b| b.0),
        };
        let amount = amount.map_err(|source| LimitsError::Quantity { resource, source })?;
        return if amount < 0 {
            Err(LimitsError::Negative(resource))
        } else {
            Ok(LimitPolicy::Headroom(amount))
        };
    }
    match word {
        "ratio" => Ok(LimitPolicy::Ratio),
        "keep" => Ok(LimitPolicy::Keep),
        "none" => Ok(LimitPolicy::None),
        "equal" => Ok(LimitPolicy::Equal),
        _ => Err(LimitsError::Unknown(word.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_read() {
        use LimitPolicy::{Equal, Headroom, Keep, None, Ratio};
        let good = [
            ("ratio", Ratio, Ratio),
            ("keep", Keep, Keep),
            ("none", None, None),
            (" equal ", Equal, Equal),
            ("cpu=none,memory=equal", None, Equal),
            ("memory=equal, cpu=none", None, Equal),
            ("memory=keep", Ratio, Keep),
            (
                "cpu=headroom=500m,memory=headroom=256Mi",
                Headroom(500),
                Headroom(256 << 20),
            ),
            ("memory=headroom=0", Ratio, Headroom(0)),
        ];
        for (text, cpu, memory) in good {
            assert_eq!(
                LimitPolicies::parse(text),
                Ok(LimitPolicies { cpu, memory }),
                "{text}"
            );
        }
        let bad = [
            ("", "\"\" is none of"),
            ("sometimes", "\"sometimes\" is none of"),
            ("cpu=none,equal", "\"equal\" is none of"),
            ("gpu=none", "\"gpu=none\" is none of"),
            ("cpu=", "\"\" is none of"),
            ("headroom=1", "headroom needs its resource"),
            (
                "memory=headroom=lots",
                "the headroom for memory: quantity \"lots\" has no digits",
            ),
            (
                "memory=headroom=-1Mi",
                "the headroom for memory is negative",
            ),
            ("cpu=none,cpu=none", "cpu has two policies"),
        ];
        for (text, why) in bad {
            let error = LimitPolicies::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }
}
