//! The annotation `podfit.dev/scale-down` at admission.

use super::*;
use crate::policy::ScaleDown;
use crate::window::Maintenance;
use UpdateMode::{InPlace, Recreate};

const OWN: Amounts = (4000, 4 * GI);

fn sized(target: Amounts, scale_down: ScaleDown, update_mode: UpdateMode) -> Vpa {
    Vpa {
        update_mode,
        scale_down,
        ..vpa(&[("a", target)], free())
    }
}

fn requests(pod: &Pod) -> Amounts {
    let own = pod.containers[0].requests;
    let of = |r| own.get(r).unwrap_or(0);
    (of(Resource::Cpu), of(Resource::Memory))
}

#[test]
fn a_new_pod_is_not_given_less_than_it_may_be() {
    let slow = (3600, 4 * GI - 4 * GI / 10);
    let rows = [
        (ScaleDown::Free, Recreate, (1000, GI), (1000, GI)),
        (ScaleDown::Never, Recreate, (1000, GI), OWN),
        (ScaleDown::Never, InPlace, (8000, GI), (8000, OWN.1)),
        (ScaleDown::Window, Recreate, (1000, GI), OWN),
        (ScaleDown::Slow, InPlace, (1000, GI), slow),
        (ScaleDown::Slow, InPlace, (3900, 8 * GI), (3900, 8 * GI)),
        // Its next step would begin here again.
        (ScaleDown::Slow, Recreate, (1000, GI), (1000, GI)),
    ];
    for (scale_down, mode, target, want) in rows {
        let vpa = sized(target, scale_down, mode);
        let first = pod(vec![container("a", OWN, (8000, 8 * GI))]);
        let admission = admit(&first, &vpa, &[]);
        let first = admitted(&first, &admission);
        assert_eq!(requests(&first), want, "{scale_down:?} {mode:?} {target:?}");
        // The API server asks again when another webhook changed the pod.
        let again = admit(&first, &vpa, &[]);
        assert_eq!(
            again,
            Admission::default(),
            "{scale_down:?} {mode:?} {target:?}"
        );
    }
}

#[test]
fn a_window_is_a_window() {
    let vpa = Vpa {
        maintenance: Maintenance::parse("Thu 01:00-05:00 UTC"),
        ..sized((1000, GI), ScaleDown::Window, Recreate)
    };
    // The epoch was a Thursday.
    for (hour, want) in [(0, OWN), (1, (1000, GI)), (5, OWN)] {
        let now = Timestamp::from_unix_seconds(hour * 3600);
        let new = pod(vec![container("a", OWN, NOTHING)]);
        let admission = super::super::admit(&new, &vpa, &[], &Settings::default(), now);
        assert_eq!(requests(&admitted(&new, &admission)), want, "{hour} h");
    }
}

#[test]
fn it_says_so() {
    let vpa = sized((8000, GI), ScaleDown::Never, Recreate);
    let admission = admit(&pod(vec![container("a", OWN, NOTHING)]), &vpa, &[]);
    assert_eq!(
        remarks(&admission.containers[0]),
        ["memory not scaled down: podfit.dev/scale-down"]
    );
}

/// The API server would refuse more.
#[test]
fn a_limit_range_wins() {
    let most = LimitRangeItem {
        scope: LimitRangeScope::Container,
        min: list(NOTHING),
        max: list((0, 2 * GI)),
        default: list(NOTHING),
        max_ratio: Ratios::default(),
    };
    let vpa = sized((1000, 3 * GI), ScaleDown::Never, Recreate);
    let own = pod(vec![container("a", OWN, OWN)]);
    let got = admitted(&own, &admit(&own, &vpa, &[most]));
    assert_eq!(requests(&got), (4000, 2 * GI));
}
