//! Limits that keep their proportion to the request.

use super::note::Note;
use crate::pod::EffectiveResources;
use crate::quantity::{Resource, ResourceList};

/// The limits that go with `recommended` requests in a container that has `original` ones.
///
/// `default_limit` is the namespace's `LimitRange` default, which stands in for an absent limit. When neither resource
/// gets a limit there is nothing to remark either, as upstream.
pub fn proportional_limit(
    original: EffectiveResources,
    recommended: ResourceList,
    default_limit: ResourceList,
) -> (ResourceList, Vec<Note>) {
    let mut limits = ResourceList::default();
    let mut notes = Vec::new();
    for resource in Resource::ALL {
        let present = |list: ResourceList| list.get(resource).filter(|amount| *amount != 0);
        let Some(limit) = present(original.limits).or_else(|| present(default_limit)) else {
            notes.push(Note::NoOriginalLimit(resource));
            continue;
        };
        let Some(request) = present(recommended) else {
            notes.push(Note::NoRecommendedRequest(resource));
            continue;
        };
        let scaled = match present(original.requests) {
            Some(of) if of != limit => scale(limit, request, of),
            _ => Ok(request),
        };
        notes.extend(scaled.err().map(|_| Note::LimitOverflow(resource)));
        limits.set(resource, Some(scaled.unwrap_or(i64::MAX)));
    }
    if limits.is_empty() {
        notes.clear();
    }
    (limits, notes)
}

/// `amount · numerator / denominator`, rounded down, exact; an error when it does not fit. Zero denominators leave
/// `amount` as it is.
pub(super) fn scale(
    amount: i64,
    numerator: i64,
    denominator: i64,
) -> Result<i64, std::num::TryFromIntError> {
    if denominator == 0 {
        return Ok(amount);
    }
    // The product of two i64 always fits an i128.
    (i128::from(amount) * i128::from(numerator))
        .div_euclid(i128::from(denominator))
        .try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: i64 = 1_000_000_000;

    /// Vectors 10.5, in base units (millicores or bytes): resource, limit, request, recommended, default; result, note.
    #[test]
    fn limits_keep_their_proportion() {
        use Resource::{Cpu, Memory};
        let mut rows = vec![
            (Cpu, 2000, 1500, 1000, 0, Some(1333), false),
            (Memory, 200, 150, 100, 0, Some(133), false),
            (
                Cpu,
                10 * G * 1000,
                1,
                10 * G * 1000,
                0,
                Some(i64::MAX),
                true,
            ),
            // Upstream's row has a request of one thousandth of a byte, which the API rounds up to a byte.
            (Memory, 10 * G, 1, 10 * G, 0, Some(i64::MAX), true),
            // Not upstream's: the largest amounts there are.
            (Memory, i64::MAX, 1, i64::MAX, 0, Some(i64::MAX), true),
            (
                Memory,
                i64::MAX,
                i64::MAX - 1,
                i64::MAX - 1,
                0,
                Some(i64::MAX),
                false,
            ),
        ];
        for resource in Resource::ALL {
            rows.extend([
                (resource, 2, 1, 10, 0, Some(20), false),
                (resource, 0, 1, 10, 2, Some(20), false),
                (resource, 2, 0, 10, 0, Some(10), false),
                (resource, 1, 1, 10, 0, Some(10), false),
            ]);
        }
        for (resource, limit, request, recommended, default, want, overflow) in rows {
            let list = |amount: i64| {
                let mut list = ResourceList::default();
                list.set(resource, (amount != 0).then_some(amount));
                list
            };
            let original = EffectiveResources {
                requests: list(request),
                limits: list(limit),
            };
            let (limits, notes) = proportional_limit(original, list(recommended), list(default));
            assert_eq!(
                limits.get(resource),
                want,
                "{limit} {request} {recommended} {default}"
            );
            assert_eq!(
                notes.contains(&Note::LimitOverflow(resource)),
                overflow,
                "{limit} {request} {recommended}"
            );
        }
    }

    #[test]
    fn a_missing_limit_or_recommendation_is_remarked_only_beside_a_limit() {
        let both = |cpu: i64, memory: i64| {
            let mut list = ResourceList::default();
            list.set(Resource::Cpu, (cpu != 0).then_some(cpu));
            list.set(Resource::Memory, (memory != 0).then_some(memory));
            list
        };
        let original = |cpu, memory| EffectiveResources {
            requests: both(1, 1),
            limits: both(cpu, memory),
        };
        let rows = [
            (
                original(0, 2),
                both(10, 10),
                both(0, 20),
                vec![Note::NoOriginalLimit(Resource::Cpu)],
            ),
            (
                original(2, 2),
                both(10, 0),
                both(20, 0),
                vec![Note::NoRecommendedRequest(Resource::Memory)],
            ),
            (original(0, 0), both(10, 10), both(0, 0), vec![]),
            (original(2, 2), both(0, 0), both(0, 0), vec![]),
        ];
        for (original, recommended, limits, notes) in rows {
            assert_eq!(
                proportional_limit(original, recommended, ResourceList::default()),
                (limits, notes)
            );
        }
    }

    #[test]
    fn scaling_by_nothing_changes_nothing() {
        assert_eq!(scale(1, 20, 0), Ok(1));
        assert!(scale(i64::MAX, i64::MAX, 1).is_err());
    }
}
