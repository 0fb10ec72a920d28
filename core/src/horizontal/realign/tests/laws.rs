//! What holds for every workload, beside an HPA that is simulated.

use proptest::prelude::*;

use super::super::simulation::{HPA_PERIOD, Stance, UPDATER_PERIOD, Workload, asks};
use super::super::*;
use super::point;
use crate::histogram::{Buckets, Histogram};
use crate::time::Timestamp;

/// The number of days that one half of a history's weight is from.
const HALF_LIFE: std::time::Duration = std::time::Duration::from_hours(24);

/// A workload day by day: mean number of pods, mean request in millicores, target.
fn days(stance: Stance, days: i64) -> Vec<(f64, i64, i64)> {
    const DAY: i64 = 24 * 3600;
    let mut workload = Workload::new(stance, point(70, 1000), (2, 50));
    let mut used = Histogram::new(Buckets::cpu(), HALF_LIFE);
    let mut recommended = 1000;
    let mut told = Vec::new();
    for day in 0..days {
        let mut pods = 0;
        for second in (0..DAY).step_by(HPA_PERIOD as usize) {
            let now = day * DAY + second;
            let of_day = (now as f64 / DAY as f64 * std::f64::consts::TAU).sin();
            // A little noise that repeats with no day.
            let noise = ((now as f64 / 97.0).sin() + (now as f64 / 331.0).cos()) * 0.03;
            let usage = (7000.0 * (1.0 + 0.5 * of_day) * (1.0 + noise)) as i64;
            workload.hpa(now, usage, recommended);
            if second % UPDATER_PERIOD == 0 {
                let each = usage as f64 / workload.pods.len() as f64 / 1000.0;
                used.add(
                    each,
                    workload.pods.len() as f64,
                    Timestamp::from_unix_seconds(now),
                );
                let target = used.percentile(0.9) * 1.15 * 1000.0;
                // Nothing is done on the first day's word.
                if day > 0 {
                    recommended = (target as i64).max(25);
                    workload.updater(recommended);
                }
            }
            pods += workload.pods.len();
        }
        let looks = (DAY / HPA_PERIOD) as f64;
        told.push((
            pods as f64 / looks,
            workload.mean_request(),
            workload.hpa.target,
        ));
    }
    told
}

/// The figures of docs/which.md: `cargo test -p podfit-core two_weeks -- --nocapture`.
#[test]
fn two_weeks_of_one_workload_under_each_stance() {
    let [left, ignored, realigned] =
        [Stance::Yield, Stance::Ignore, Stance::Realign].map(|stance| days(stance, 14));
    println!(
        "day | yield: pods request target | ignore: pods request target | realign: pods request target"
    );
    for (day, ((a, b), c)) in left.iter().zip(&ignored).zip(&realigned).enumerate() {
        let show = |(pods, request, target): &(f64, i64, i64)| {
            format!("{pods:5.1} {request:5}m {target:3}%")
        };
        println!("{:3} | {} | {} | {}", day + 1, show(a), show(b), show(c));
    }
    for (day, ((a, b), c)) in left.iter().zip(&ignored).zip(&realigned).enumerate() {
        let apart = (c.0 - a.0).abs() / a.0;
        assert!(apart < 0.05, "day {day}: {} pods, and not {}", c.0, a.0);
        assert!(day < 7 || b.0 > 1.6 * a.0, "day {day}: {} pods", b.0);
    }
    assert!(ignored[13].0 > 2.0 * left[13].0, "{ignored:?}");
    // Down by what makes an update due, and no more.
    let (_, request, target) = realigned[13];
    assert!(request < 950 && target > 73, "{request} {target}");
}

/// Some pods' requests, each within the bounds of a scale point.
fn sizes(point: ScalePoint) -> impl Strategy<Value = Vec<i64>> {
    let targets = point.targets();
    let each = (*targets.start()..=*targets.end()).prop_map(move |t| point.request_at(t));
    proptest::collection::vec(each, 1..30)
}

fn points() -> impl Strategy<Value = ScalePoint> {
    (COARSEST_TARGET..=150_i64, 100..4000_i64).prop_map(|(t, r)| point(t, r))
}

fn mix(pods: &[i64]) -> Mix {
    Mix {
        pods: pods.len() as i64,
        requested: pods.iter().sum(),
    }
}

proptest! {
    /// What is wanted is never less than recommended but for the upper bound of requests, and makes the scale point to
    /// within the rounding of one unit.
    #[test]
    fn wanted_pairs_make_the_scale_point(point in points(), recommended in 1..20_000_i64) {
        let pair = point.wanted(recommended);
        prop_assert!(point.targets().contains(&pair.target));
        if point.request() > 2 * pair.target {
            prop_assert_eq!(point.target_of(pair.request), pair.target);
        }
        let at_most = point.request_at(*point.targets().start());
        prop_assert!(pair.request >= recommended.min(at_most));
        let product = i128::from(pair.target) * i128::from(pair.request);
        let over = product - point.product();
        prop_assert!((0..i128::from(pair.target)).contains(&over), "{pair:?}");
    }

    /// With a target that follows the pods, whatever their sizes, the HPA sees the load that it would see with the requests
    /// and the target that its owner chose, to within half a percent of target, and its own rounding of one.
    #[test]
    fn mixed_sizes_look_like_those_the_owner_chose(
        (point, pods) in points().prop_flat_map(|p| (Just(p), sizes(p))),
        load in 0.1..3.0_f64,
    ) {
        let target = point.mixed_target(mix(&pods)).unwrap();
        let requested: i64 = pods.iter().sum();
        let usage = (point.usage() as f64 * pods.len() as f64 * load) as i64;
        let seen = (100 * usage / requested) as f64 / target as f64;
        let percent = 1.0 / target as f64;
        let load = usage as f64 / (point.product() as f64 / 100.0 * pods.len() as f64);
        prop_assert!(seen <= load * (1.0 + 0.51 * percent) + 0.001, "{seen} {load} {target}");
        prop_assert!(seen >= load * (1.0 - 0.51 * percent) - percent - 0.001, "{seen} {load} {target}");
    }

    /// While each pod uses what it is to use, no step on the way down, nor what pods do then, makes the HPA ask for another
    /// number of them; and the way ends where it was to lead.
    #[test]
    fn no_step_changes_the_number_of_pods(
        (point, mut pods) in points().prop_flat_map(|p| (Just(p), sizes(p))),
        recommended in 1..8000_i64,
        at_once in 1..30_usize,
    ) {
        let wanted = point.wanted(recommended);
        let usage = point.product() as f64 / 100.0 * pods.len() as f64;
        let mut target = point.mixed_target(mix(&pods)).unwrap();
        let mut loops = 0;
        loop {
            let size = wanted.request.max(point.request_at(target));
            let next = |pod: i64| wanted.request.max(point.least_request(pod, target));
            let changed: Vec<_> = pods.iter_mut().filter(|pod| **pod > next(**pod)).take(at_once).collect();
            let changes = changed.len();
            for pod in changed {
                *pod = next(*pod);
            }
            prop_assert_eq!(asks(target, usage as i64, &pods), pods.len() as i64, "{} {:?}", target, pods);
            let waits = pods.iter().any(|pod| *pod > wanted.request && *pod <= size);
            let next = point.next_target(mix(&pods), waits.then_some(wanted.target)).unwrap();
            prop_assert_eq!(asks(next, usage as i64, &pods), pods.len() as i64, "{} {:?}", next, pods);
            if changes == 0 && next == target {
                break;
            }
            target = next;
            loops += 1;
            prop_assert!(loops < 2000);
        }
        prop_assert!(pods.iter().all(|pod| *pod <= wanted.request.max(point.request_at(target))));
        prop_assert!(!pods.iter().any(|pod| *pod > wanted.request), "{pods:?} {wanted:?} {target}");
    }

    #[test]
    fn shares_sum_up(total in 1..100_000_i64, fixed in 0..50_000_i64, movable in proptest::collection::vec(0..5000_i64, 1..6)) {
        let shares = share_out(total, fixed, &movable);
        if total > fixed && movable.iter().sum::<i64>() > 0 {
            prop_assert_eq!(shares.iter().sum::<i64>(), total - fixed);
            for (share, amount) in shares.iter().zip(&movable) {
                prop_assert!((*amount == 0) == (*share == 0) || *share <= 1 || *amount > 0);
            }
        } else {
            prop_assert_eq!(shares, movable);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A day in which load and recommendation wander as they like, with pods changed at once or one by one: the number of
    /// pods stays by what the same HPA makes of unchanged requests. Not equal: within its tolerance an HPA stays where
    /// it is, so two that see the same load to within a percent may be that tolerance apart, a tenth up and a tenth down.
    #[test]
    fn a_day_of_wandering(
        point in points(),
        loads in proptest::collection::vec(0.5..1.7_f64, 24),
        wishes in proptest::collection::vec(0.2..4.0_f64, 8),
        at_once in prop_oneof![Just(1), Just(2), Just(usize::MAX)],
    ) {
        let bounds = (2, 60);
        let mut left = Workload::new(Stance::Yield, point, bounds);
        let mut realigned = Workload { at_once, ..Workload::new(Stance::Realign, point, bounds) };
        let usage = point.product() as f64 / 100.0;
        for second in (0..24 * 3600_i64).step_by(HPA_PERIOD as usize) {
            let hour = (second / 3600) as usize;
            let within = (second % 3600) as f64 / 3600.0;
            let load = loads[hour] * (1.0 - within) + loads[(hour + 1) % 24] * within;
            let used = (usage * 20.0 * load) as i64;
            let wish = (usage * wishes[hour / 3]) as i64;
            left.hpa(second, used, wish);
            realigned.hpa(second, used, wish);
            if second % UPDATER_PERIOD == 0 {
                realigned.updater(wish);
            }
            let (a, b) = (left.pods.len() as f64, realigned.pods.len() as f64);
            prop_assert!((a - b).abs() <= 0.25 * a.max(b) + 1.0, "{second}: {a} {b} {:?}", realigned.hpa);
        }
    }
}
