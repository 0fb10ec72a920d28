//! Many loops over a cluster that answers: webhooks that do nothing, and clocks that jump.

use super::*;
use crate::admission::UPDATES_ANNOTATION;
use crate::time::SteadyClock;

const WORKLOADS: usize = 50;
const REPLICAS: usize = 4;
const MINUTE: Duration = Duration::from_mins(1);

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
            let pods = (0..REPLICAS).map(|i| Arc::new(pod(&format!("w{n}-{i}"), FAR)));
            Workload {
                vpa: Arc::new(Vpa {
                    name: format!("w{n}"),
                    ..vpa(UpdateMode::Recreate)
                }),
                pods: pods.collect(),
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
        self.memory.observe(&self.snapshot, now);
        let decisions = plan(&self.snapshot, &self.memory, &self.config, now);
        let evicted: Vec<_> = decisions
            .iter()
            .filter(|d| matches!(d.action, Action::Evict(_)))
            .map(|d| d.pod.uid.clone())
            .collect();
        for n in 0..WORKLOADS {
            let before = self.snapshot.workloads[n].clone();
            let mut count = 0;
            for place in 0..REPLICAS {
                if evicted.contains(&before.pods[place].uid) {
                    self.snapshot.workloads[n].pods[place] = Arc::new(self.replacement(now));
                    count += 1;
                }
            }
            if count > 0 {
                self.memory.evicted(&before, now);
                self.memory.trials.evicted(&before, now);
            }
            self.evictions[n] += count;
        }
        evicted.len()
    }

    fn replacement(&mut self, now: Timestamp) -> Pod {
        self.born += 1;
        let mut new = pod(&format!("new-{}", self.born), FAR);
        new.started = Some(now);
        if self.sizes {
            new.containers[0].requests = list(TARGET);
            new.annotations = Some(BTreeMap::from([(
                UPDATES_ANNOTATION.to_owned(),
                "sized".to_owned(),
            )]));
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

#[test]
fn a_dead_webhook_costs_each_workload_one_pod_in_the_first_minutes() {
    let mut fleet = Fleet::new(Profile::Safe, false);
    fleet.minutes(hours(1), 5);
    assert_eq!(fleet.evictions, [1; WORKLOADS]);
    // Upstream never stops.
    let mut upstreams = Fleet::new(Profile::Upstream, false);
    upstreams.minutes(hours(1), 5);
    assert_eq!(upstreams.evictions, [10; WORKLOADS]);
}

#[test]
fn a_living_webhook_lets_each_pod_be_evicted_once_the_first_alone() {
    let mut fleet = Fleet::new(Profile::Safe, true);
    let evictions = fleet.minutes(hours(1), 10);
    assert_eq!(evictions[..4], [WORKLOADS, 2 * WORKLOADS, WORKLOADS, 0]);
    assert_eq!(fleet.evictions, [REPLICAS; WORKLOADS]);
}

#[test]
fn no_second_pod_goes_before_the_first_came_back() {
    let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods(4));
    case.config.prove_first = true;
    assert_eq!(letters(&case.decisions()).matches('E').count(), 1);
    case.memory
        .trials
        .evicted(&case.snapshot().workloads[0], case.now);
    case.pods.remove(0);
    case.replicas = ConfiguredReplicas::Known(4);
    case.memory.observe(&case.snapshot(), case.now + MINUTE);
    assert_eq!(codes(&case.decisions()), ["FirstReplacementAwaited"; 3]);
    // It never comes: after an hour the next may go.
    case.now = case.now + Duration::from_mins(61);
    case.memory.observe(&case.snapshot(), case.now);
    assert_eq!(letters(&case.decisions()).matches('E').count(), 1);
}

#[test]
fn a_clock_that_jumps_makes_no_burst() {
    let day = Duration::from_hours(24);
    type Set = fn(Timestamp, Duration) -> Timestamp;
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
            let first = if minute == 0 { WORKLOADS } else { 0 };
            assert_eq!(
                unsized_.one_loop(now),
                first,
                "{told}, paused, minute {minute}"
            );
        }
    }
}
