use super::*;
use crate::quantity::{Bytes, Millicores};

fn amount(text: &str) -> Option<i64> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Vectors 10.5.
#[test]
fn limits_keep_their_proportion() {
    let table = include_str!("../../../testdata/limits.csv");
    let rows: Vec<_> = table.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(rows.len(), 1 + 18);
    for row in &rows[1..] {
        let columns: Vec<_> = row.split(',').collect();
        let [
            resource,
            limit,
            request,
            recommended,
            default,
            want,
            overflow,
        ] = columns[..]
        else {
            panic!("columns: {row}")
        };
        let resource = Resource::ALL
            .into_iter()
            .find(|r| r.name() == resource)
            .unwrap();
        let own = Own {
            resource,
            request: amount(request),
            limit: amount(limit),
            default_limit: amount(default),
        };
        let (new, note) = own.limit_beside(amount(recommended), LimitPolicy::Ratio);
        let want = amount(want).map_or(NewLimit::Stays, NewLimit::Is);
        assert_eq!(new, want, "{row}");
        let note_wanted = match (want, overflow) {
            (_, "yes") => Some(Note::LimitOverflow(resource)),
            (NewLimit::Stays, _) if recommended.is_empty() => {
                Some(Note::NoRecommendedRequest(resource))
            }
            (NewLimit::Stays, _) => Some(Note::NoOriginalLimit(resource)),
            _ => None,
        };
        assert_eq!(note, note_wanted, "{row}");
    }
}

#[test]
fn what_is_zero_is_absent() {
    let own = EffectiveResources {
        requests: ResourceList {
            cpu: Some(Millicores(0)),
            memory: Some(Bytes(5)),
        },
        limits: ResourceList::default(),
    };
    let nothing = ResourceList::default();
    assert_eq!(Own::new(own, nothing, Resource::Cpu).request, None);
    assert_eq!(Own::new(own, nothing, Resource::Memory).request, Some(5));
}

#[test]
fn scaling_by_nothing_changes_nothing() {
    assert_eq!(scale(1, 20, 0), Ok(1));
    assert!(scale(i64::MAX, i64::MAX, 1).is_err());
}
