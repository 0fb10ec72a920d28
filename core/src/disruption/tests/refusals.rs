//! Evictions that a PodDisruptionBudget refused.

use super::*;

const WORDS: &str = "The disruption budget web needs 2 healthy pods and has 2 currently";
const CLOSED: Budget = Budget {
    generation: 1,
    allowed: 0,
};

/// Three pods, all ready, the first of which was refused.
fn refused() -> Case {
    let mut pods = pods(3);
    for pod in &mut pods {
        pod.ready_since = Some(Timestamp::default());
    }
    let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods);
    case.config.limits = Limits::new(Profile::Upstream);
    refuse(&mut case);
    case
}

fn refuse(case: &mut Case) {
    let budget = Some(("web".to_owned(), Some(CLOSED)));
    let snapshot = case.snapshot();
    case.memory
        .refusals
        .refused(&case.pods[0], WORDS, budget, (&snapshot, case.now));
}

fn observe(case: &mut Case, budget: Option<Budget>) {
    let snapshot = case.snapshot();
    let budgets: Vec<_> = case.memory.refusals.budgets().collect();
    assert!(budgets.is_empty() || budgets == [("ns", "web")]);
    case.memory.refusals.observe(&snapshot, |_, _| budget);
}

#[test]
fn a_refused_eviction_is_asked_for_again_less_and_less_often() {
    let mut case = refused();
    let start = case.now;
    let mut asked = Vec::new();
    for minute in 1..300 {
        case.now = start + Duration::from_mins(minute);
        observe(&mut case, Some(CLOSED));
        if letters(&case.decisions()) == "E--" {
            asked.push(minute);
            refuse(&mut case);
            refuse(&mut case);
        } else {
            assert_eq!(codes(&case.decisions()), ["PodDisruptionBudget"; 3]);
        }
    }
    assert_eq!(asked, [2, 6, 14, 30, 62, 122, 182, 242]);
    let told = case.decisions().swap_remove(0).reason.to_string();
    assert!(
        told.starts_with(WORDS) && told.ends_with("Next try in 3 min"),
        "{told}"
    );
}

#[test]
fn a_refusal_is_forgotten_when_the_budget_or_the_pods_change() {
    type Change = fn(&mut Case);
    let rows: [(&str, Change, Option<Budget>, bool); 8] = [
        ("nothing", |_| {}, Some(CLOSED), false),
        (
            "allowed",
            |_| {},
            Some(Budget {
                allowed: 1,
                ..CLOSED
            }),
            true,
        ),
        (
            "changed",
            |_| {},
            Some(Budget {
                generation: 2,
                ..CLOSED
            }),
            true,
        ),
        ("deleted", |_| {}, None, true),
        (
            "a pod more",
            |case| case.pods.push(pod("p3", FAR)),
            Some(CLOSED),
            true,
        ),
        (
            "a pod less",
            |case| drop(case.pods.pop()),
            Some(CLOSED),
            true,
        ),
        (
            "a pod not ready",
            |case| case.pods[2].ready_since = None,
            Some(CLOSED),
            true,
        ),
        (
            "another controller's pod",
            |case| {
                case.pods.push(pod("p3", TARGET));
                case.pods[3].owner = Some(owner("StatefulSet"));
            },
            Some(CLOSED),
            false,
        ),
    ];
    for (name, change, budget, forgotten) in rows {
        let mut case = refused();
        case.config.eviction_tolerance = 1.0;
        change(&mut case);
        observe(&mut case, budget);
        assert_eq!(
            case.memory.refusals == Refusals::default(),
            forgotten,
            "{name}"
        );
        let asks = case.decisions().iter().any(Decision::evicts);
        assert_eq!(asks, forgotten, "{name}");
    }
}

/// A budget may let pods go that are not ready, and knows nothing of other controllers.
#[test]
fn other_pods_are_asked_for_all_the_same() {
    let mut case = refused();
    case.pods[1].ready_since = None;
    assert_eq!(letters(&case.decisions()), "-E-");
    case.config.profile = Profile::Upstream;
    assert_eq!(letters(&case.decisions()), "E--", "upstream asks each time");
}
