//! The recommender's conditions of a VPA: which hold, merged with what others wrote.

use podfit_core::horizontal::Told;
use podfit_core::time::Timestamp;
use podfit_core::vpa::{Condition, Vpa};

/// The types this component owns; all others are left as they are.
const OWNED: [&str; 6] = [
    "ConfigDeprecated",
    "ConfigUnsupported",
    "HorizontalAutoscaler",
    "LowConfidence",
    "NoPodsMatched",
    "RecommendationProvided",
];

/// Upstream's words, and what they leave open.
const WAITS: &str = "No pods match this VPA object; the next one is given what is recommended, which does not age meanwhile";

/// What one loop found out about a VPA.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// Why its target cannot be sized, if so.
    pub unsupported: Option<String>,
    /// How many live pods it has.
    pub pods: usize,
    /// True when there is a recommendation for at least one container.
    pub provided: bool,
    /// True when that stays as it is while there are no pods.
    pub waits: bool,
    /// What shaped that, in a line; may be empty.
    pub summary: String,
    /// How little it is based on, if so.
    pub low_confidence: Option<String>,
    /// What there is to say of HPAs that scale its pods.
    pub horizontal: Option<Told>,
}

impl Findings {
    /// Says again what is said of a recommendation that stays as it is.
    pub fn keep(&mut self, vpa: &Vpa) {
        let said = |kind: &str| {
            let holds = |c: &&Condition| c.kind == kind && c.status == "True";
            vpa.conditions.iter().find(holds).map(|c| c.message.clone())
        };
        self.summary = said("RecommendationProvided").unwrap_or_default();
        self.low_confidence = said("LowConfidence");
    }
}

/// The conditions to be published: sorted by type, transition times moved only where the status changed.
pub fn merge(vpa: &Vpa, findings: &Findings, now: Timestamp) -> Vec<Condition> {
    let mut conditions = wanted(findings);
    for condition in &mut conditions {
        let before = vpa
            .conditions
            .iter()
            .find(|c| c.kind == condition.kind && c.status == condition.status);
        condition.last_transition = before.and_then(|c| c.last_transition).or(Some(now));
        condition.observed_generation = Some(vpa.generation);
    }
    let others = vpa
        .conditions
        .iter()
        .filter(|c| !OWNED.contains(&c.kind.as_str()));
    conditions.extend(others.cloned());
    conditions.sort_by(|a, b| a.kind.cmp(&b.kind));
    conditions
}

fn wanted(findings: &Findings) -> Vec<Condition> {
    let no_pods = match (findings.pods, findings.waits) {
        (0, true) => Some(("NoPodsMatched", WAITS)),
        (0, false) => Some(("NoPodsMatched", "No pods match this VPA object")),
        _ => None,
    };
    let provided = match (findings.provided, no_pods) {
        (true, _) => condition("RecommendationProvided", "True", ("", &findings.summary)),
        (false, Some(why)) => condition("RecommendationProvided", "False", why),
        (false, None) => condition("RecommendationProvided", "False", ("", "")),
    };
    let unsupported = findings.unsupported.as_ref();
    let low = findings.low_confidence.as_ref();
    let horizontal = findings.horizontal.as_ref();
    let conditions = [
        unsupported.map(|why| condition("ConfigUnsupported", "True", ("", why))),
        horizontal
            .map(|told| condition("HorizontalAutoscaler", "True", (told.code, &told.message))),
        low.map(|why| condition("LowConfidence", "True", ("ShortHistory", why))),
        no_pods.map(|why| condition("NoPodsMatched", "True", why)),
        Some(provided),
    ];
    conditions.into_iter().flatten().collect()
}

/// True when `new` conditions are worth a write. That a generation is missing is not: a definition of an older upstream
/// drops the field, and it would be written again and again.
pub fn differ(present: &[Condition], new: &[Condition]) -> bool {
    let same = |(old, new): (&Condition, &Condition)| {
        let generation = old.observed_generation.and(new.observed_generation);
        let new = Condition {
            observed_generation: generation,
            ..new.clone()
        };
        *old == new
    };
    present.len() != new.len() || !present.iter().zip(new).all(same)
}

fn condition(kind: &str, status: &str, (reason, message): (&str, &str)) -> Condition {
    Condition {
        kind: kind.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        ..Condition::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::rows;

    const EARLIER: Timestamp = Timestamp::from_unix_seconds(100);
    const NOW: Timestamp = Timestamp::from_unix_seconds(200);

    #[test]
    fn provided_and_no_pods() {
        for row in rows(include_str!("../testdata/conditions.csv")) {
            let findings = Findings {
                pods: usize::from(row[0] == "yes"),
                provided: row[1] == "yes",
                ..Findings::default()
            };
            let merged = merge(&Vpa::default(), &findings, NOW);
            let said: Vec<_> = merged
                .iter()
                .map(|c| format!("{}/{}/{}/{}", c.kind, c.status, c.reason, c.message))
                .collect();
            assert_eq!(said, row[2..]);
        }
    }

    #[test]
    fn without_pods_it_is_said_what_the_next_one_gets() {
        let findings = Findings {
            provided: true,
            waits: true,
            ..Findings::default()
        };
        let merged = merge(&Vpa::default(), &findings, NOW);
        let [no_pods, provided] = merged.as_slice() else {
            panic!("{merged:?}")
        };
        assert_eq!(
            (no_pods.kind.as_str(), no_pods.message.as_str()),
            ("NoPodsMatched", WAITS)
        );
        assert_eq!(provided.status, "True");
    }

    /// A VPA of the third generation, of which conditions were judged in the second.
    fn judged_before() -> Vpa {
        let conditions = [
            "UpdateBlocked",
            "RecommendationProvided",
            "ConfigDeprecated",
        ];
        Vpa {
            generation: 3,
            conditions: conditions
                .map(|kind| Condition {
                    last_transition: Some(EARLIER),
                    observed_generation: Some(2),
                    ..condition(kind, "True", ("", ""))
                })
                .into(),
            ..Vpa::default()
        }
    }

    #[test]
    fn transition_times_move_with_the_status_and_others_conditions_stay() {
        let merged = |provided| {
            let findings = Findings {
                unsupported: Some("x".into()),
                pods: 1,
                provided,
                low_confidence: Some("y".into()),
                ..Findings::default()
            };
            merge(&judged_before(), &findings, NOW)
                .into_iter()
                .map(|c| (c.kind, c.last_transition, c.observed_generation))
                .collect::<Vec<_>>()
        };
        let expected = |provided_since| {
            [
                ("ConfigUnsupported", NOW, 3),
                ("LowConfidence", NOW, 3),
                ("RecommendationProvided", provided_since, 3),
                ("UpdateBlocked", EARLIER, 2),
            ]
            .map(|(kind, at, generation)| (kind.to_owned(), Some(at), Some(generation)))
        };
        assert_eq!(merged(true), expected(EARLIER));
        assert_eq!(merged(false), expected(NOW));
    }

    /// A restart, before stored histories are looked at.
    #[test]
    fn what_stays_published_keeps_its_conditions() {
        let findings = Findings {
            pods: 1,
            provided: true,
            summary: "app: cpu percentile 90".into(),
            low_confidence: Some("app has no CPU samples".into()),
            ..Findings::default()
        };
        let conditions = merge(&Vpa::default(), &findings, EARLIER);
        let vpa = Vpa {
            conditions: conditions.clone(),
            ..Vpa::default()
        };
        let mut kept = Findings {
            pods: 1,
            provided: true,
            ..Findings::default()
        };
        kept.keep(&vpa);
        assert_eq!(merge(&vpa, &kept, NOW), conditions);
    }

    #[test]
    fn hpas_are_told_while_they_are_there() {
        let told = |code, message: &str| Findings {
            horizontal: Some(Told {
                code,
                message: message.into(),
            }),
            ..Findings::default()
        };
        let first = merge(&Vpa::default(), &told("Yields", "HPA web"), EARLIER);
        let vpa = Vpa {
            conditions: first.clone(),
            ..Vpa::default()
        };
        let same = merge(&vpa, &told("Yields", "HPA web"), NOW);
        assert!(!differ(&first, &same));
        let other = merge(&vpa, &told("NoConflict", "HPA web"), NOW);
        let of = |conditions: &[Condition]| {
            let found = conditions.iter().find(|c| c.kind == "HorizontalAutoscaler");
            found.map(|c| (c.reason.clone(), c.last_transition))
        };
        assert!(differ(&first, &other));
        assert_eq!(of(&other), Some(("NoConflict".into(), Some(EARLIER))));
        assert_eq!(of(&merge(&vpa, &Findings::default(), NOW)), None);
    }

    #[test]
    fn conditions_are_written_when_somebody_could_tell() {
        let vpa = judged_before();
        let old = merge(&vpa, &Findings::default(), EARLIER);
        let changed = |change: fn(&mut Condition)| {
            let mut new = old.clone();
            new.iter_mut().for_each(change);
            new
        };
        let dropped = changed(|c| c.observed_generation = None);
        let cases = [
            (&old, old.clone(), false),
            (&old, changed(|c| c.message = "other".into()), true),
            (&old, changed(|c| c.observed_generation = Some(4)), true),
            (&old, old[1..].to_vec(), true),
            (&dropped, old.clone(), false),
        ];
        for (old, new, expected) in cases {
            assert_eq!(differ(old, &new), expected, "{new:?}");
        }
    }
}
