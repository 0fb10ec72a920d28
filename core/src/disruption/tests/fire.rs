//! Many loops over a cluster that answers: webhooks that do nothing, and clocks that jump.

use super::*;
use crate::admission::UPDATES_ANNOTATION;
use crate::time::SteadyClock;

const WORKLOADS: usize = 50;
const REPLICAS: usize = 4;
const MINUTE: Duration = Duration::from_mins(1);

/// Sets a clock by so much.
type Set = fn(Timestamp, Duration) -> Timestamp;

/// Workloads that all want a change, and what became of them.
struct Fleet {
    snapshot: Snapshot,
    config: Config,
    memory: Memory,
    /// Whether a webhook sizes new pods.
    sizes: bool,
    /// Evictions of each workload.
    evictions: Vec<usize>,
    born: usize,
}

impl Fleet {
    fn new(profile: Profile, sizes: bool) -> Self {
        let workload = |n: usize| {
            let pods = (0..REPLICAS).map(|i| Pod {
                ready_since: Some(Timestamp::default()),
                ..pod(&format!("w{n}-{i}"), FAR)
            });
            Workload {
                vpa: Arc::new(Vpa {
                    name: format!("w{n}"),
                    ..vpa(UpdateMode::Recreate)
                }),
                pods: pods.map(Arc::new).collect(),
                replicas: HashMap::from([(
                    owner("ReplicaSet"),
                    ConfiguredReplicas::Known(REPLICAS as i64),
                )]),
                ..Workload::default()
            }
        };
        Self {
            snapshot: Snapshot {
                workloads: (0..WORKLOADS).map(workload).collect(),
                ..Snapshot::default()
            },
            config: Config::new(profile),
            memory: Memory::default(),
            sizes,
            evictions: vec![0; WORKLOADS],
            born: 0,
        }
    }

    /// One loop of the updater, whose evictions succeed and whose pods come back at once. How many it evicted.
    fn one_loop(&mut self, now: Timestamp) -> usize {
        let Self { memory, config, .. } = self;
        memory.observe(&self.snapshot, now);
        memory.outcomes.judge(&self.snapshot, config, now);
        let decisions = plan(&self.snapshot, memory, config, now);
        memory.planned(&self.snapshot, &decisions, config);
        let evictions = || {
            let all = decisions.iter();
            all.filter(|d| matches!(d.action, Action::Evict(_)))
        };
        let asked = ContainerChange {
            name: "c".into(),
            requests: list(TARGET),
            ..ContainerChange::default()
        };
        for n in 0..WORKLOADS {
            let before = self.snapshot.workloads[n].clone();
            let of_workload: Vec<_> = evictions().filter(|d| d.vpa == before.vpa).collect();
            for decision in &of_workload {
                self.memory.disrupted(&before, decision);
                let place = before
                    .pods
                    .iter()
                    .position(|pod| pod.uid == decision.pod.uid);
                self.snapshot.workloads[n].pods[place.unwrap()] = Arc::new(self.replacement(now));
            }
            if !of_workload.is_empty() && self.config.is_safe() {
                let asked = vec![std::slice::from_ref(&asked); of_workload.len()];
                self.memory.outcomes.evicted(&before, &asked, now);
            }
            self.evictions[n] += of_workload.len();
        }
        evictions().count()
    }

    fn replacement(&mut self, now: Timestamp) -> Pod {
        self.born += 1;
        let mut new = pod(&format!("new-{}", self.born), FAR);
        (new.started, new.ready_since) = (Some(now), Some(now));
        if self.sizes {
            new.containers[0].requests = list(TARGET);
            new.annotations = Some(vec![(UPDATES_ANNOTATION.to_owned(), "sized".to_owned())]);
        }
        new
    }

    /// A loop each minute from `start`; the evictions of each.
    fn minutes(&mut self, start: Timestamp, count: u32) -> Vec<usize> {
        (0..count)
            .map(|n| self.one_loop(start + MINUTE * n))
            .collect()
    }
}

/// A twentieth of all pods, as many as may be disrupted at one time.
const FIRST: usize = WORKLOADS * REPLICAS / 20;

#[test]
fn a_dead_webhook_costs_no_more_than_the_first_evictions_however_long_it_is_dead() {
    let mut fleet = Fleet::new(Profile::Safe, false);
    let evictions = fleet.minutes(hours(1), 180);
    assert_eq!(evictions[..2], [FIRST, 0]);
    assert_eq!(evictions.iter().sum::<usize>(), FIRST);
    assert!(fleet.evictions.iter().all(|n| *n <= 1));
    // Upstream never stops.
    let mut upstreams = Fleet::new(Profile::Upstream, false);
    upstreams.minutes(hours(1), 10);
    assert_eq!(upstreams.evictions, [20; WORKLOADS]);
}

#[test]
fn a_living_webhook_lets_each_pod_be_evicted_once() {
    let mut fleet = Fleet::new(Profile::Safe, true);
    let evictions = fleet.minutes(hours(1), 30);
    assert_eq!(fleet.evictions, [REPLICAS; WORKLOADS]);
    assert!(evictions.iter().all(|n| *n <= FIRST), "{evictions:?}");
}

#[test]
fn a_clock_that_jumps_makes_no_burst() {
    let day = Duration::from_hours(24);
    let jumps: [(&str, Set, Duration); 4] = [
        ("a day ahead", |t, by| t + by, day),
        ("a day back", |t, by| t - by, day),
        ("ten years ahead", |t, by| t + by, day * 3652),
        ("ten years back", |t, by| t - by, day * 3652),
    ];
    for (told, set, by) in jumps {
        // Pods of the right size but for a fifth, too young to be changed for that; a dead webhook's pauses; both at once.
        let mut drifted = Fleet::new(Profile::Safe, true);
        for workload in &mut drifted.snapshot.workloads {
            let bounds = [TARGET, (100, MI), (2000, 2 * GI)];
            Arc::make_mut(&mut workload.vpa).recommendation =
                Some(vec![recommendation("c", bounds)]);
            for pod in &mut workload.pods {
                let pod = Arc::make_mut(pod);
                pod.started = Some(hours(1));
                pod.containers[0].requests = list((800, GI));
            }
        }
        let mut unsized_ = Fleet::new(Profile::Safe, false);
        let mut clock = SteadyClock::default();
        for minute in 0..4 {
            let passed = MINUTE * minute;
            let right = hours(1) + passed;
            let wall = if minute < 2 { right } else { set(right, by) };
            let now = clock.read(wall, passed);
            assert_eq!(drifted.one_loop(now), 0, "{told}, drifted, minute {minute}");
            let first = if minute == 0 { FIRST } else { 0 };
            assert_eq!(
                unsized_.one_loop(now),
                first,
                "{told}, paused, minute {minute}"
            );
        }
    }
}
