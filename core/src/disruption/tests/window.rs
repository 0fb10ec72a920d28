//! Maintenance windows: what waits for them, and what does not.

use super::*;
use crate::window::Maintenance;

/// Two pods far from their recommendation, and another that memory killed; hour 24 is the start of a Friday.
fn case(mode: UpdateMode, requests: Amounts, window: &str) -> Case {
    let mut case = Case::new(
        Profile::Safe,
        mode,
        vec![pod("a", requests), pod("b", requests)],
    );
    case.vpa.maintenance = Maintenance::parse(window);
    case
}

const OPEN: &str = "daily 00:00-01:00";
const CLOSED: &str = "daily 01:00-02:00";
const ODD: &str = "sometimes";
const BIG: Amounts = (TARGET.0 * 9, TARGET.1 * 9);

#[test]
fn disruptions_and_shrinking_wait_for_the_window() {
    use UpdateMode::{InPlaceOrRecreate, Recreate};
    let rows = [
        (Recreate, FAR, OPEN, "E-", "OutsideBounds"),
        (Recreate, FAR, CLOSED, "--", "OutsideWindow"),
        (Recreate, FAR, ODD, "--", "WindowNotUnderstood"),
        (InPlaceOrRecreate, FAR, CLOSED, "RR", "OutsideBounds"),
        (InPlaceOrRecreate, FAR, ODD, "RR", "OutsideBounds"),
        (InPlaceOrRecreate, BIG, OPEN, "RR", "OutsideBounds"),
        (InPlaceOrRecreate, BIG, CLOSED, "--", "OutsideWindow"),
        (InPlaceOrRecreate, BIG, ODD, "--", "WindowNotUnderstood"),
    ];
    for (mode, requests, window, want, code) in rows {
        let mut case = case(mode, requests, window);
        let decisions = case.decisions();
        let told = format!("{mode:?} {requests:?} {window}");
        assert_eq!(letters(&decisions), want, "{told}");
        assert_eq!(decisions[0].reason.code(), code, "{told}");
        case.config.profile = Profile::Upstream;
        case.config.in_place_skip_disruption_budget = true;
        assert!(
            !letters(&case.decisions()).starts_with('-'),
            "{told}: upstream knows no windows"
        );
    }
}

/// The machine's clock was set, and the steady one, by which all else is measured, follows slowly.
#[test]
fn windows_are_held_against_the_clock_that_people_see() {
    let case = case(UpdateMode::Recreate, FAR, CLOSED);
    for (wall_clock, want) in [(case.now, "--"), (hours(25), "E-"), (hours(26), "--")] {
        let snapshot = Snapshot {
            wall_clock,
            ..case.snapshot()
        };
        let decisions = plan(&snapshot, &case.memory, &case.config, case.now);
        assert_eq!(letters(&decisions), want, "{wall_clock}");
    }
}

#[test]
fn what_memory_kills_grows_at_any_time() {
    for (mode, want) in [
        (UpdateMode::Recreate, "E-"),
        (UpdateMode::InPlaceOrRecreate, "R-"),
    ] {
        let mut case = case(mode, FAR, CLOSED);
        for pod in &mut case.pods {
            pod.containers[0].restarts_on_memory_resize = true;
        }
        assert_eq!(
            letters(&case.decisions()),
            "--",
            "{mode:?}: a restart waits"
        );
        case.pods[0].containers[0].status = Some(oom_killed_after(5));
        assert_eq!(letters(&case.decisions()), want, "{mode:?}");
    }
}

#[test]
fn a_resize_outside_of_the_window_takes_nothing_away() {
    let case = case(UpdateMode::InPlaceOrRecreate, (100, 4 * GI), CLOSED);
    let Action::Resize(changes) = case.decisions().swap_remove(0).action else {
        panic!("it needs more CPU")
    };
    assert_eq!(changes[0].requests, list((TARGET.0, 4 * GI)));
}

#[test]
fn the_window_is_named() {
    let told = |window| {
        let decisions = case(UpdateMode::Recreate, FAR, window).decisions();
        decisions[0].reason.to_string()
    };
    assert_eq!(
        told(CLOSED),
        "outside of its maintenance window (annotation podfit.dev/window), which opens at 1970-01-02T01:00:00Z"
    );
    assert!(told(ODD).ends_with(
        "nothing disrupts it: \"sometimes\" is no window; write it like `Sun 01:00-05:00 Europe/Berlin`"
    ));
}
