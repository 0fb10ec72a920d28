mod laws;
mod plan;
mod reach;

use super::AnchorChange::{Kept as Unchanged, Moved, Taken};
use super::*;

fn point(target: i64, request: i64) -> ScalePoint {
    ScalePoint::new(target, request).unwrap()
}

#[test]
fn request_and_target_make_the_scale_point() {
    // (T0, R0), recommended -> T, R
    let rows = [
        ((70, 1000), 1000, (70, 1000)),
        // Rounded to the next lower whole percent, so never less than recommended.
        ((70, 1000), 990, (70, 1000)),
        ((70, 1000), 985, (71, 986)),
        ((70, 1000), 805, (86, 814)),
        // Bounds of 90 and 50 percent.
        ((70, 1000), 300, (90, 778)),
        ((70, 1000), 0, (90, 778)),
        ((70, 1000), 5000, (50, 1400)),
        // What the owner chose is never out of bounds.
        ((40, 1000), 1000, (40, 1000)),
        ((40, 1000), 2000, (40, 1000)),
        ((40, 1000), 100, (90, 445)),
        ((150, 1000), 100, (150, 1000)),
        ((150, 1000), 9000, (50, 3000)),
        ((80, 512 << 20), 256 << 20, (90, 477218589)),
    ];
    for ((target, request), recommended, want) in rows {
        let got = point(target, request).wanted(recommended);
        let row = (target, request, recommended);
        assert_eq!((got.target, got.request), want, "{row:?}");
    }
    assert_eq!(point(70, 1000).usage(), 700);
}

#[test]
fn the_target_for_pods_of_several_sizes_is_that_of_their_mean() {
    let point = point(70, 1000);
    // (pods, requested), wanted lower -> next
    let rows = [
        ((4, 4000), None, Some(70)),
        ((4, 3500), None, Some(80)),
        ((4, 4600), None, Some(61)),
        ((4, 1000), None, Some(90)),
        ((4, 40000), None, Some(50)),
        ((0, 0), None, None),
        ((4, 0), None, None),
        // Down: by less than a tenth at once, and no further than wanted.
        ((4, 4000), Some(90), Some(74)),
        ((4, 4000), Some(72), Some(72)),
        ((4, 4000), Some(70), Some(70)),
        // The other way there is nothing to lead to.
        ((4, 4000), Some(60), Some(70)),
        // One of four pods went down to what the target allows: the mix went up, and is led from there.
        ((4, 3946), Some(90), Some(75)),
        ((4, 3784), Some(90), Some(79)),
    ];
    for ((pods, requested), down_to, want) in rows {
        let mix = Mix { pods, requested };
        let row = (pods, requested, down_to);
        assert_eq!(point.next_target(mix, down_to), want, "{row:?}");
    }
}

#[test]
fn containers_keep_their_proportions() {
    let rows: [(i64, i64, &[i64], &[i64]); 6] = [
        (1000, 0, &[100, 300], &[250, 750]),
        (1000, 200, &[100, 300], &[200, 600]),
        (100, 0, &[1, 1, 1], &[33, 33, 34]),
        (100, 0, &[0, 50], &[0, 100]),
        // Nothing to share out, or nobody to share.
        (100, 100, &[50], &[50]),
        (100, 0, &[0, 0], &[0, 0]),
    ];
    for (total, fixed, movable, want) in rows {
        assert_eq!(
            share_out(total, fixed, movable),
            want,
            "{total} {movable:?}"
        );
    }
}

#[test]
fn limits_put_a_scale_point_out_of_reach() {
    assert!(!point(70, 1000).is_out_of_reach(1000));
    assert!(!point(90, 1000).is_out_of_reach(1000));
    assert!(point(91, 1000).is_out_of_reach(1000));
    assert!(!point(150, 1000).is_out_of_reach(2000));
    assert!(point(70, 1000).is_out_of_reach(700));
}

#[test]
fn spirals_are_foretold() {
    // Vectors of the algebra: T = 70, m = 0.15 and three workloads, steady to bursty.
    let rows = [
        (70, 1.15, 0.805, Verdict::RunsUp),
        (70, 1.15 * 1.2, 0.966, Verdict::Holds),
        (70, 1.15 * 1.4, 1.127, Verdict::Collapses),
        (90, 1.0, 0.9, Verdict::RunsUp),
        (91, 1.0, 0.91, Verdict::Holds),
        (100, 1.11, 1.11, Verdict::Holds),
        (100, 1.12, 1.12, Verdict::Collapses),
    ];
    for (target, quotient, number, verdict) in rows {
        let got = stability(target, quotient * 400.0, 400.0).unwrap();
        assert!((got.number - number).abs() < 1e-9, "{got:?}");
        assert_eq!(got.verdict, verdict, "{got:?}");
    }
    assert_eq!(stability(70, 100.0, 0.0), None);
    assert_eq!(stability(70, 0.0, 100.0), None);
}

#[test]
fn an_anchor_is_taken_kept_and_moved_by_its_owner() {
    let anchor = |target, request, set| Anchor {
        point: point(target, request),
        set,
    };
    let stored = Some(anchor(70, 1000, 85));
    let rows = [
        (
            None,
            70,
            Requested::Alike(1000),
            Ok((anchor(70, 1000, 70), Taken)),
        ),
        (None, 70, Requested::Mixed, Err(NoAnchor::MixedRequests)),
        (None, 70, Requested::NoPods, Err(NoAnchor::NoPods)),
        (
            None,
            70,
            Requested::Nothing,
            Err(NoAnchor::NothingRequested),
        ),
        (
            None,
            19,
            Requested::Alike(1000),
            Err(NoAnchor::TooCoarse(19)),
        ),
        // What pods request meanwhile is podfit's doing.
        (
            stored,
            85,
            Requested::Mixed,
            Ok((anchor(70, 1000, 85), Unchanged)),
        ),
        (
            stored,
            85,
            Requested::NoPods,
            Ok((anchor(70, 1000, 85), Unchanged)),
        ),
        (
            stored,
            60,
            Requested::Alike(824),
            Ok((anchor(60, 1000, 60), Moved)),
        ),
        // The old manifest, applied again.
        (
            stored,
            70,
            Requested::Alike(824),
            Ok((anchor(70, 1000, 70), Moved)),
        ),
        (
            stored,
            5,
            Requested::Alike(824),
            Err(NoAnchor::TooCoarse(5)),
        ),
    ];
    for (stored, in_force, requested, want) in rows {
        let row = (stored, in_force, requested);
        assert_eq!(Anchor::find(stored, in_force, requested), want, "{row:?}");
    }
    let rows: [(&[Option<i64>], Requested); 5] = [
        (&[], Requested::NoPods),
        (&[Some(5), Some(5)], Requested::Alike(5)),
        (&[Some(5), Some(6), Some(5)], Requested::Mixed),
        (&[Some(5), None], Requested::Nothing),
        (&[Some(0)], Requested::Nothing),
    ];
    for (sums, want) in rows {
        assert_eq!(Requested::of(sums.iter().copied()), want, "{sums:?}");
    }
}

fn live(request: i64, wanted: i64) -> Live {
    Live {
        request: Some(request),
        wanted: Some(wanted),
    }
}

#[test]
fn the_next_target_of_a_metric() {
    let stored = |set| {
        Some(Anchor {
            point: point(70, 1000),
            set,
        })
    };
    let at = |target| {
        let anchor = stored(target);
        Ok(Next { target, anchor })
    };
    let home = Ok(Next {
        target: 70,
        anchor: None,
    });
    let old = live(1000, 90);
    let (new, raised) = (live(946, 90), live(1400, 50));
    let none = Live::default();
    // stored, target in force, pods, target they wait for, realigns -> target and what is kept
    let rows: [(
        Option<Anchor>,
        i64,
        &[Live],
        Option<i64>,
        bool,
        Result<Next, NoAnchor>,
    ); 17] = [
        // The first look.
        (None, 70, &[old, old], None, true, at(70)),
        (
            None,
            70,
            &[old, new],
            None,
            true,
            Err(NoAnchor::MixedRequests),
        ),
        (None, 70, &[], None, true, Err(NoAnchor::NoPods)),
        (
            None,
            70,
            &[old, none],
            None,
            true,
            Err(NoAnchor::NothingRequested),
        ),
        // Down: the target leads, stays until the pods have followed, and leads on.
        (stored(70), 70, &[old, old], Some(90), true, at(74)),
        (stored(74), 74, &[old, old], None, true, at(74)),
        (stored(74), 74, &[old, new], None, true, at(74)),
        (stored(74), 74, &[new, new], Some(90), true, at(79)),
        // What is recommended went up meanwhile.
        (stored(74), 74, &[old, live(946, 72)], None, true, at(72)),
        // Up: pods go first.
        (stored(70), 70, &[old, raised], None, true, at(58)),
        // Nothing to go by.
        (stored(74), 74, &[], None, true, at(74)),
        (stored(74), 74, &[old, none], None, true, at(74)),
        // Back, with the pods.
        (stored(74), 74, &[new, new], Some(90), false, at(74)),
        (stored(74), 74, &[new, old], None, false, at(72)),
        (stored(72), 72, &[old, old], None, false, home),
        (stored(72), 72, &[], None, false, home),
        (None, 70, &[old, new], None, false, home),
    ];
    for (stored, in_force, pods, waits_for, realigns, want) in rows {
        let metric = Metric {
            in_force,
            stored,
            pods,
            waits_for,
            realigns,
        };
        assert_eq!(metric.next(), want, "{metric:?}");
    }
}

#[test]
fn what_a_metric_covers_is_read_and_written() {
    for text in ["cpu", "memory", "cpu/app", "memory/side-car"] {
        assert_eq!(Covers::parse(text).unwrap().to_string(), text);
    }
    for text in ["", "gpu", "cpu/", "/app"] {
        assert_eq!(Covers::parse(text), None, "{text}");
    }
    let of = |text: &str| Covers::parse(text).unwrap();
    let rows = [
        ("cpu", "cpu", true),
        ("cpu", "cpu/app", true),
        ("cpu/app", "cpu", true),
        ("cpu/app", "cpu/app", true),
        ("cpu/app", "cpu/side", false),
        ("cpu", "memory", false),
    ];
    for (a, b, want) in rows {
        assert_eq!(of(a).overlaps(&of(b)), want, "{a} {b}");
    }
}
