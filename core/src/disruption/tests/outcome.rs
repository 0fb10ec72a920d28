//! What evictions led to, and what follows from it.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::{LimitRangeItem, ScaleDown};

const MIN: Duration = Duration::from_mins(1);

/// Some workloads, each of two pods that are far from their recommendation.
struct World {
    cases: Vec<Case>,
    memory: Memory,
    config: Config,
    now: Timestamp,
    pods_made: usize,
}

impl World {
    fn new(workloads: usize) -> Self {
        let case = |i: usize| {
            let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, vec![]);
            case.vpa.name = format!("vpa-{i}");
            case.pods = ["a", "b"]
                .map(|name| pod(&format!("{i}-{name}"), FAR))
                .into();
            case.replicas = ConfiguredReplicas::Known(2);
            case
        };
        Self {
            cases: (0..workloads).map(case).collect(),
            memory: Memory::default(),
            config: Config {
                breaker_factor: 0.0,
                limits: Limits::new(Profile::Upstream),
                ..Config::new(Profile::Safe)
            },
            now: hours(24),
            pods_made: 0,
        }
    }

    fn snapshot(&self) -> Snapshot {
        let workloads = self.cases.iter().flat_map(|case| case.snapshot().workloads);
        Snapshot {
            workloads: workloads.collect(),
            ..Snapshot::default()
        }
    }

    /// One loop: what is newly missed, and the names of the VPAs of which a pod is evicted and replaced by `replacement`.
    fn one_loop(&mut self, replacement: impl Fn(&mut Pod)) -> (Vec<NotApplied>, Vec<String>) {
        let snapshot = self.snapshot();
        self.memory.observe(&snapshot, self.now);
        let missed = self
            .memory
            .outcomes
            .judge(&snapshot, &self.config, self.now);
        let decisions = plan(&snapshot, &self.memory, &self.config, self.now);
        let mut evicted = Vec::new();
        for decision in &decisions {
            let Action::Evict(changes) = &decision.action else {
                continue;
            };
            let of_vpa = |w: &&Workload| w.vpa.name == decision.vpa.name;
            let workload = snapshot.workloads.iter().find(of_vpa).unwrap();
            self.memory
                .outcomes
                .evicted(workload, &[changes.as_slice()], self.now);
            self.pods_made += 1;
            let mut new = pod(&format!("new-{}", self.pods_made), FAR);
            replacement(&mut new);
            let case = self
                .cases
                .iter_mut()
                .find(|c| c.vpa.name == decision.vpa.name);
            let pods = &mut case.unwrap().pods;
            pods.retain(|pod| pod.uid != decision.pod.uid);
            pods.push(new);
            evicted.push(decision.vpa.name.clone());
        }
        (missed, evicted)
    }

    fn reasons(&self) -> Vec<&'static str> {
        codes(&plan(
            &self.snapshot(),
            &self.memory,
            &self.config,
            self.now,
        ))
    }
}

fn untouched(_: &mut Pod) {}

fn annotate(pod: &mut Pod) {
    let updates = (UPDATES.to_owned(), "by vpa".to_owned());
    pod.annotations = Some(vec![updates]);
}

const UPDATES: &str = "vpaUpdates";

fn as_asked(pod: &mut Pod) {
    annotate(pod);
    pod.containers[0].requests = list(TARGET);
}

#[test]
fn each_eviction_in_vain_doubles_the_time_to_the_next_one_of_the_workload() {
    let mut world = World::new(1);
    let mut evictions = Vec::new();
    let mut told = Vec::new();
    for minute in 0..60 {
        let (missed, evicted) = world.one_loop(untouched);
        told.extend(missed.iter().map(|_| minute));
        evictions.extend(evicted.iter().map(|_| minute));
        world.now = world.now + MIN;
    }
    assert_eq!(evictions, [0, 5, 15, 35]);
    assert_eq!(told, [1, 6, 16, 36], "each is told once");
    let missed = world.memory.outcomes.missed(&world.cases[0].vpa).unwrap();
    assert_eq!(
        (missed.pod.as_str(), &missed.fault),
        ("new-4", &Fault::NotSized)
    );
    assert_eq!(world.reasons(), ["ReplacementNotSized"; 2]);
    world.config.profile = Profile::Upstream;
    assert_eq!(world.reasons()[0], "OutsideBounds", "upstream goes on");
    world.config.profile = Profile::Safe;
    world.cases[0].vpa.update_mode = UpdateMode::InPlaceOrRecreate;
    assert_eq!(
        world.reasons(),
        ["OutsideBounds"; 2],
        "resizing needs no webhook"
    );
}

#[test]
fn a_replacement_as_asked_ends_the_pause() {
    let mut world = World::new(1);
    world.one_loop(untouched);
    world.now = world.now + MIN;
    assert_eq!(world.one_loop(untouched).1, [""; 0]);
    // Somebody mends the webhook, and deletes the pod.
    as_asked(world.cases[0].pods.last_mut().unwrap());
    world.now = world.now + MIN;
    let (missed, evicted) = world.one_loop(as_asked);
    assert_eq!((missed, evicted), (vec![], vec!["vpa-0".to_owned()]));
    world.now = world.now + MIN;
    world.one_loop(as_asked);
    assert_eq!(world.memory.outcomes.missed(&world.cases[0].vpa), None);
}

/// What a replacement may be when 1 and 1Gi were asked and 2 and 2Gi are recommended by now.
#[test]
fn a_replacement_may_carry_anything_from_what_was_asked_to_what_is_recommended_by_now() {
    type Change = fn(&mut Pod);
    let rows: [(Amounts, Change, &str); 10] = [
        ((1000, GI), annotate, ""),
        ((2000, 2 * GI), annotate, ""),
        ((1500, GI), annotate, ""),
        ((950, GI - 50 * MI), annotate, ""),
        ((2150, 2 * GI), annotate, ""),
        (FAR, annotate, "OtherRequest"),
        ((1000, 512 * MI), annotate, "OtherRequest"),
        ((0, GI), annotate, "OtherRequest"),
        ((1000, GI), untouched, "NotSized"),
        (
            (4000, GI),
            |pod| {
                annotate(pod);
                pod.containers[0].before_boost = Some(Box::default());
            },
            "",
        ),
    ];
    for (requests, change, want) in rows {
        let mut world = World::new(1);
        world.one_loop(|pod| {
            change(pod);
            pod.containers[0].requests = list(requests);
        });
        world.cases[0].vpa.recommendation = Some(vec![recommendation("c", [(2000, 2 * GI); 3])]);
        let snapshot = world.snapshot();
        let missed = world
            .memory
            .outcomes
            .judge(&snapshot, &world.config, world.now);
        let fault = missed.first().map_or("", |missed| missed.fault.code());
        assert_eq!(fault, want, "{requests:?}");
    }
}

/// What a LimitRange makes of the recommendation is as asked, although the plan knew another LimitRange.
#[test]
fn a_replacement_that_a_limit_range_binds_is_as_asked() {
    let mut world = World::new(1);
    world.one_loop(|pod| {
        annotate(pod);
        pod.containers[0].requests = list((700, GI));
        pod.containers[0].limits = list((700, 0));
    });
    let mut snapshot = world.snapshot();
    let max = LimitRangeItem {
        scope: crate::policy::LimitRangeScope::Container,
        min: list(NOTHING),
        max: list((700, 0)),
        default: list(NOTHING),
        max_ratio: crate::policy::Ratios::default(),
    };
    let ranges = vec![max];
    snapshot.limit_ranges.insert("ns".into(), ranges);
    let missed = world
        .memory
        .outcomes
        .judge(&snapshot, &world.config, world.now);
    assert_eq!(missed, []);
}

/// `podfit.dev/scale-down`: a new pod may keep what its template asks for; less than asked it never gets.
#[test]
fn a_replacement_that_is_not_to_shrink_may_have_more() {
    for (scale_down, requests, want) in [
        (ScaleDown::Never, (3000, GI), 0),
        (ScaleDown::Never, FAR, 1),
        (ScaleDown::Free, (3000, GI), 1),
    ] {
        let mut world = World::new(1);
        world.cases[0].vpa.scale_down = scale_down;
        world.one_loop(|pod| {
            annotate(pod);
            pod.containers[0].requests = list(requests);
        });
        let snapshot = world.snapshot();
        let missed = world
            .memory
            .outcomes
            .judge(&snapshot, &world.config, world.now);
        assert_eq!(missed.len(), want, "{scale_down:?} {requests:?}");
    }
}

#[test]
fn a_pod_that_was_resized_since_says_nothing_of_its_admission() {
    let mut world = World::new(1);
    world.one_loop(|pod| {
        let resized = (IN_PLACE_ANNOTATION.to_owned(), "true".to_owned());
        pod.annotations = Some(vec![resized]);
    });
    world.now = world.now + MIN;
    assert_eq!(world.one_loop(untouched).0, []);
}

#[test]
fn faults_are_sentences() {
    let fault = Fault::OtherRequest {
        container: "app".into(),
        resource: crate::quantity::Resource::Memory,
        asked: GI,
        has: None,
    };
    assert_eq!(
        fault.to_string(),
        "came back from an eviction with another memory request in container app than the 1Gi that was asked for: none. \
         Does something else change new pods?"
    );
}

/// With 50 workloads and a chain that applies nothing: one eviction each, then none until new pods are sized again.
#[test]
fn evictions_stop_everywhere_once_three_workloads_were_missed() {
    let mut world = World::new(50);
    assert_eq!(world.one_loop(untouched).1.len(), 50);
    for _ in 0..60 {
        world.now = world.now + MIN;
        assert_eq!(world.one_loop(untouched).1, [""; 0]);
        assert!(world.memory.outcomes.is_stopped());
    }
    let told = plan(&world.snapshot(), &world.memory, &world.config, world.now);
    assert_eq!(
        told[0].reason.to_string(),
        "nothing is evicted until new pods are seen to be sized again: those of ns/vpa-0, ns/vpa-1, ns/vpa-10 and 47 more \
         were not"
    );
    world.memory.outcomes.proven();
    assert_eq!(
        world.one_loop(as_asked).1.len(),
        50,
        "their pauses are over"
    );
    world.now = world.now + MIN;
    assert_eq!(world.one_loop(as_asked).1.len(), 50);
    assert!(!world.memory.outcomes.is_stopped());
}

#[test]
fn two_workloads_or_three_in_a_longer_time_stop_nothing() {
    let mut world = World::new(2);
    world.one_loop(untouched);
    world.now = world.now + MIN;
    world.one_loop(untouched);
    assert!(!world.memory.outcomes.is_stopped());

    let mut world = World::new(3);
    let mut later: Vec<_> = world.cases.drain(1..).collect();
    for _ in 0..3 {
        world.one_loop(untouched);
        world.now = world.now + MIN * 11;
        world.one_loop(untouched);
        world.cases.extend(later.pop());
        world.cases[0].pods.truncate(0);
    }
    assert!(!world.memory.outcomes.is_stopped());
}

proptest! {
    /// Whatever becomes of the replacements: between an eviction that was seen to lead to nothing and the next of its
    /// workload lie five minutes, and nothing is evicted while all is stopped.
    #[test]
    fn no_workload_is_evicted_again_right_after_an_eviction_in_vain(
        steps in proptest::collection::vec(select(vec![0_u8, 1, 2]), 1..40),
        workloads in 1_usize..5,
    ) {
        let mut world = World::new(workloads);
        let mut in_vain: HashMap<String, Timestamp> = HashMap::new();
        for step in steps {
            let was_stopped = world.memory.outcomes.is_stopped();
            if step == 2 {
                world.memory.outcomes.proven();
            }
            let (missed, evicted) = world.one_loop(if step == 0 { untouched } else { annotate_and_size });
            prop_assert!(!was_stopped || step == 2 || evicted.is_empty());
            for missed in missed {
                in_vain.insert(missed.vpa.name.clone(), world.now);
            }
            for name in evicted {
                if let Some(at) = in_vain.remove(&name) {
                    prop_assert!(world.now.since(at) >= MIN * 4, "{name}");
                }
            }
            world.now = world.now + MIN;
        }
    }
}

/// Sized, and soon to be changed again: so that there is always something to do.
fn annotate_and_size(pod: &mut Pod) {
    as_asked(pod);
    pod.name.push_str("-sized");
}
