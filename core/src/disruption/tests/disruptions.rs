//! Limits on what is disrupted at one time, and the warm-up.

use proptest::prelude::*;

use super::super::budget::Level;

use super::*;

/// Several workloads of pods that are ready and far from their recommendation.
pub(super) struct Fleet {
    pub snapshot: Snapshot,
    pub memory: Memory,
    pub config: Config,
    pub now: Timestamp,
}

/// So many workloads of so many pods each, every fifth in another namespace.
pub(super) fn fleet(workloads: usize, pods: usize) -> Fleet {
    let workload = |place: usize| {
        let namespace = format!("ns{}", place / 5);
        let pods = (0..pods).map(|i| Pod {
            namespace: namespace.clone(),
            ready_since: Some(Timestamp::default()),
            ..pod(&format!("w{place}-p{i}"), FAR)
        });
        let mut case = Case::new(Profile::Safe, UpdateMode::Recreate, pods.collect());
        (case.vpa.namespace, case.vpa.name) = (namespace, format!("w{place}"));
        case.snapshot().workloads.remove(0)
    };
    Fleet {
        snapshot: Snapshot {
            workloads: (0..workloads).map(workload).collect(),
            ..Snapshot::default()
        },
        memory: Memory::default(),
        config: Config::new(Profile::Safe),
        now: hours(24),
    }
}

impl Fleet {
    pub fn plan(&self) -> Vec<Decision> {
        plan(&self.snapshot, &self.memory, &self.config, self.now)
    }

    /// One loop in which all that is planned succeeds: the names of the evicted pods, which are gone afterwards.
    pub fn turn(&mut self) -> Vec<String> {
        self.memory.observe(&self.snapshot, self.now);
        let decisions = self.plan();
        self.memory
            .planned(&self.snapshot, &decisions, &self.config);
        let mut gone = Vec::new();
        for decision in decisions.iter().filter(|d| d.disrupts()) {
            let is_its = |w: &&mut Workload| w.vpa.key() == decision.vpa.key();
            let mut workloads = self.snapshot.workloads.iter_mut();
            let workload = workloads.find(is_its).unwrap();
            self.memory.disrupted(workload, decision);
            workload.pods.retain(|pod| pod.uid != decision.pod.uid);
            gone.push(decision.pod.name.clone());
        }
        self.now = self.now + Duration::from_mins(1);
        gone
    }

    /// A pod of the right size in a workload.
    pub fn add(&mut self, workload: usize, name: &str, ready: bool) {
        let workload = &mut self.snapshot.workloads[workload];
        let pod = Pod {
            namespace: workload.vpa.namespace.clone(),
            ready_since: ready.then_some(self.now),
            ..pod(name, TARGET)
        };
        workload.pods.retain(|p| p.name != name);
        workload.pods.push(Arc::new(pod));
    }
}

#[test]
fn limits_are_read() {
    let rows = [
        ("none", Ok(Limit::None)),
        ("0", Ok(Limit::Count(0))),
        ("12", Ok(Limit::Count(12))),
        ("5%", Ok(Limit::Percent(5.0))),
        ("2.5%", Ok(Limit::Percent(2.5))),
    ];
    for (text, want) in rows {
        assert_eq!(text.parse::<Limit>(), want, "{text}");
    }
    for text in ["", "%", "-1", "101%", "NaN%", "5 %", "many"] {
        let error = text.parse::<Limit>().unwrap_err().to_string();
        assert!(
            error.contains("is no limit; write a number of pods"),
            "{error}"
        );
    }
}

#[test]
fn a_percentage_is_rounded_up_and_never_next_to_nothing() {
    let rows = [
        (Scope::Cluster, 5.0, 20, 10),
        (Scope::Cluster, 5.0, 201, 11),
        (Scope::Cluster, 5.0, 10_000, 500),
        (Scope::Namespace, 20.0, 3, 5),
        (Scope::Namespace, 20.0, 26, 6),
        (Scope::Workload, 25.0, 1, 1),
        (Scope::Workload, 25.0, 5, 2),
        (Scope::Workload, 0.0, 5, 1),
    ];
    for (scope, percent, pods, want) in rows {
        let level = Level::new(scope, Limit::Percent(percent), pods, 0);
        assert_eq!(level.allowed, Some(want), "{scope:?} {percent} % of {pods}");
    }
}

/// What of a workload is not ready counts, whatever the cause: it is the API server's snapshot that says so.
#[test]
fn a_workload_loses_so_many_of_its_ready_pods() {
    let evicted = |change: fn(&mut Fleet)| {
        let mut fleet = fleet(1, 8);
        change(&mut fleet);
        fleet.turn().len()
    };
    assert_eq!(evicted(|_| {}), 2);
    assert_eq!(evicted(|f| f.add(0, "w0-p7", false)), 1, "one starts");
    let lose = |f: &mut Fleet| drop(f.snapshot.workloads[0].pods.pop());
    assert_eq!(evicted(lose), 1, "one is missing");
    assert_eq!(evicted(|f| f.config.limits.workload = Limit::Count(3)), 3);
    assert_eq!(evicted(|f| f.config.limits.workload = Limit::Count(0)), 0);
    let none = |f: &mut Fleet| f.config.limits.workload = Limit::None;
    assert_eq!(evicted(none), 4, "the group's tolerance holds all the same");
}

/// A DaemonSet is known by its ready pods: one that is being deleted is wanted all the same.
#[test]
fn a_pod_that_takes_its_time_to_end_is_missed_by_its_daemon_set() {
    for (kind, evicted) in [("DaemonSet", 1), ("ReplicaSet", 2)] {
        let mut fleet = fleet(1, 8);
        let workload = &mut fleet.snapshot.workloads[0];
        let replicas = ConfiguredReplicas::Known(7);
        workload.replicas = [(owner(kind), replicas)].into();
        for pod in &mut workload.pods {
            Arc::make_mut(pod).owner = Some(owner(kind));
        }
        Arc::make_mut(&mut workload.pods[7]).terminating = true;
        assert_eq!(fleet.turn().len(), evicted, "{kind}");
    }
}

/// A pod that serves nobody is nothing to be missed: it may be what its size keeps from starting.
#[test]
fn a_pod_that_is_not_ready_is_no_loss_to_its_workload() {
    let mut fleet = fleet(1, 4);
    for pod in &mut fleet.snapshot.workloads[0].pods {
        Arc::make_mut(pod).ready_since = None;
    }
    assert_eq!(fleet.turn().len(), 2, "up to the group's tolerance");
}

#[test]
fn cluster_and_namespaces_lose_so_many_pods() {
    let mut fleet = fleet(10, 2);
    fleet.config.limits.cluster = Limit::Count(4);
    fleet.config.limits.namespace = Limit::Count(3);
    let names = |n: &[usize]| n.iter().map(|w| format!("w{w}-p0")).collect::<Vec<_>>();
    assert_eq!(fleet.turn(), names(&[0, 1, 2, 5]));
    assert_eq!(
        fleet.plan()[6].reason.to_string(),
        "4 may be disrupted at one time in the cluster (--max-disruptions): 4 are not ready again, 0 are being \
         disrupted now"
    );
    assert_eq!(
        fleet.turn(),
        names(&[]),
        "nobody is there in their place yet"
    );
    fleet.add(0, "w0-new", false);
    fleet.add(1, "w1-new", true);
    assert_eq!(
        fleet.turn(),
        names(&[6]),
        "the first to be held up is the first in turn; one is ready again"
    );
}

#[test]
fn every_workload_has_its_turn() {
    let mut fleet = fleet(20, 2);
    fleet.config.limits.cluster = Limit::Count(3);
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..7 {
        for name in fleet.turn() {
            let place: usize = name[1..].split('-').next().unwrap().parse().unwrap();
            fleet.add(place, &format!("{name}-new"), true);
            served.insert(place);
        }
    }
    assert_eq!(
        served.len(),
        20,
        "although those before them have more pods to go"
    );
}

#[test]
fn a_disruption_counts_until_a_pod_is_ready_in_its_place() {
    let after = |change: fn(&mut Fleet)| {
        let mut fleet = fleet(1, 4);
        assert_eq!(fleet.turn(), ["w0-p0"]);
        change(&mut fleet);
        fleet.memory.observe(&fleet.snapshot, fleet.now);
        fleet.memory.disruptions()
    };
    assert_eq!(after(|_| {}), 1, "none came");
    assert_eq!(after(|f| f.add(0, "new", false)), 1, "one starts");
    assert_eq!(after(|f| f.add(0, "new", true)), 0, "one is ready");
    let still_there = |f: &mut Fleet| f.add(0, "w0-p0", true);
    assert_eq!(after(still_there), 1, "the eviction is not seen here yet");
    let scaled = |f: &mut Fleet| {
        let replicas = f.snapshot.workloads[0].replicas.values_mut();
        replicas.for_each(|n| *n = ConfiguredReplicas::Known(3));
    };
    assert_eq!(after(scaled), 0, "nobody is missed");
    assert_eq!(after(|f| f.snapshot.workloads.clear()), 0, "nobody asks");
}

/// A pod that was there before, and gets ready again, stands for nobody.
#[test]
fn each_new_pod_stands_for_one_that_went() {
    let mut fleet = fleet(1, 8);
    assert_eq!(fleet.turn().len(), 2);
    let observe = |fleet: &mut Fleet| {
        fleet.memory.observe(&fleet.snapshot, fleet.now);
        fleet.memory.disruptions()
    };
    fleet.add(0, "new-1", true);
    assert_eq!(observe(&mut fleet), 1);
    assert_eq!(observe(&mut fleet), 1, "it counts once");
    fleet.add(0, "w0-p7", true);
    assert_eq!(observe(&mut fleet), 1);
    fleet.add(0, "new-2", true);
    assert_eq!(observe(&mut fleet), 0);
}

#[test]
fn a_restart_in_place_counts_until_the_pod_is_ready_with_its_new_size() {
    let mut fleet = fleet(1, 4);
    let workload = &mut fleet.snapshot.workloads[0];
    Arc::make_mut(&mut workload.vpa).update_mode = UpdateMode::InPlaceOrRecreate;
    for pod in &mut workload.pods {
        Arc::make_mut(pod).containers[0].restarts_on_memory_resize = true;
    }
    let decisions = fleet.plan();
    let disrupting: Vec<_> = decisions.iter().filter(|d| d.disrupts()).collect();
    assert_eq!((disrupting.len(), letter(disrupting[0])), (1, 'R'));
    let workload = &mut fleet.snapshot.workloads[0];
    fleet.memory.disrupted(workload, disrupting[0]);
    let is_it = |pod: &&mut Arc<Pod>| pod.uid == disrupting[0].pod.uid;
    let pod = Arc::make_mut(workload.pods.iter_mut().find(is_it).unwrap());
    let old = pod.containers[0].effective();
    pod.containers[0].requests = list(TARGET);
    pod.containers[0].status = Some(ContainerStatus {
        resources: Some(old),
        running: true,
        ..ContainerStatus::default()
    });
    fleet.memory.observe(&fleet.snapshot, fleet.now);
    assert_eq!(
        fleet.memory.disruptions(),
        1,
        "the kubelet has yet to begin"
    );
    let workload = &mut fleet.snapshot.workloads[0];
    let pod = Arc::make_mut(workload.pods.iter_mut().find(is_it).unwrap());
    pod.containers[0].status = None;
    fleet.memory.observe(&fleet.snapshot, fleet.now);
    assert_eq!(fleet.memory.disruptions(), 0);
}

#[test]
fn nothing_is_disrupted_right_after_a_change_of_leader() {
    let mut fleet = fleet(1, 2);
    fleet.memory.lead(fleet.now);
    fleet.now = fleet.now + Duration::from_secs(100);
    let reason = |fleet: &Fleet| fleet.plan()[0].reason.clone();
    assert_eq!(
        reason(&fleet).to_string(),
        "the updater just began to lead, and disrupts nothing for another 80 s (--warm-up)"
    );
    let workload = &mut fleet.snapshot.workloads[0];
    Arc::make_mut(&mut workload.vpa).update_mode = UpdateMode::InPlaceOrRecreate;
    assert_eq!(letters(&fleet.plan()), "RR", "what disrupts nobody is done");
    for pod in &mut fleet.snapshot.workloads[0].pods {
        Arc::make_mut(pod).containers[0].restarts_on_memory_resize = true;
    }
    assert_eq!(codes(&fleet.plan()), ["WarmingUp"; 2]);
    fleet.now = fleet.now + Duration::from_secs(80);
    assert_eq!(letters(&fleet.plan()), "R-");
}

#[test]
fn profile_upstream_has_no_such_limits() {
    let config = Config::new(Profile::Upstream);
    assert_eq!(
        (config.limits.cluster, config.limits.workload),
        (Limit::None, Limit::None)
    );
    assert_eq!(
        (config.warm_up, config.breaker_factor),
        (Duration::ZERO, 0.0)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Over many loops, with pods that get ready or do not, no limit is ever exceeded.
    #[test]
    fn limits_hold_whatever_happens(
        (workloads, pods) in (1..12_usize, 1..7_usize),
        (cluster, namespace, workload) in (0..5_u32, 0..4_u32, 0..3_u32),
        replaced in proptest::collection::vec(any::<(bool, bool)>(), 40),
    ) {
        let mut fleet = fleet(workloads, pods);
        fleet.config.limits = Limits {
            cluster: Limit::Count(cluster),
            namespace: Limit::Count(namespace),
            workload: Limit::Count(workload),
        };
        fleet.config.min_replicas = 1;
        let mut waiting: Vec<String> = Vec::new();
        let mut replaced = replaced.into_iter().cycle();
        for turn in 0..8 {
            waiting.extend(fleet.turn());
            let missing = |w: &Workload| pods - w.pods.iter().filter(|p| p.ready_since.is_some()).count();
            let by_workload: Vec<_> = fleet.snapshot.workloads.iter().map(missing).collect();
            prop_assert!(by_workload.iter().all(|n| *n <= workload as usize), "{by_workload:?}");
            prop_assert!(by_workload.iter().sum::<usize>() <= cluster as usize, "{by_workload:?}");
            for of_namespace in by_workload.chunks(5) {
                prop_assert!(of_namespace.iter().sum::<usize>() <= namespace as usize, "{by_workload:?}");
            }
            waiting.retain(|name| {
                let (comes, ready) = replaced.next().unwrap();
                let place = name[1..].split('-').next().unwrap().parse().unwrap();
                if comes {
                    fleet.add(place, &format!("{name}-{turn}"), ready);
                    if !ready {
                        // It never gets ready, and goes again.
                        fleet.snapshot.workloads[place].pods.pop();
                    }
                }
                !(comes && ready)
            });
        }
    }
}
