//! A node, its kubelet and the updater, through any sequence of observations.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::node::{Node, Room};

/// What happens between two loops.
#[derive(Clone, Copy, Debug)]
enum Step {
    Recommend(Amounts),
    /// The node's allocatable is another.
    Node(Amounts),
    /// What its other pods request is another.
    Neighbours(Amounts),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let amounts = || (1..8000_i64, MI..8 * GI);
    prop_oneof![
        3 => amounts().prop_map(Step::Recommend),
        1 => amounts().prop_map(Step::Node),
        2 => amounts().prop_map(Step::Neighbours),
        2 => (1..90_u64).prop_map(Step::Wait),
    ]
}

fn room(amounts: Amounts) -> Room {
    Room::or_none(list(amounts))
}

/// One node with one pod of interest.
struct World {
    case: Case,
    node: Amounts,
    neighbours: Amounts,
    /// True when the updater sees nodes.
    seen: bool,
}

impl World {
    fn free(&self) -> Room {
        room(self.node) - room(self.neighbours)
    }

    /// As the kubelet does: all of a resize, or nothing of it.
    fn kubelet(&mut self) {
        let (node, free) = (room(self.node), self.free());
        let pod = &mut self.case.pods[0];
        let asked = Room::or_none(pod.containers[0].requests);
        let in_force = pod.containers[0].effective();
        let now = Room::or_none(in_force.requests);
        let container = &mut pod.containers[0];
        if asked == now {
            pod.resize = ResizeState::None;
        } else if !node.holds(asked) {
            let what = if asked.memory > node.memory {
                "memory"
            } else {
                "cpu"
            };
            let message =
                format!("Node didn't have enough capacity: {what}, requested: 1, capacity: 0");
            pod.resize = ResizeState::Infeasible { message };
        } else if !free.holds(asked) {
            let what = if asked.memory > free.memory {
                "memory"
            } else {
                "cpu"
            };
            let message = format!(
                "Node didn't have enough resource: {what}, requested: 1, used: 0, capacity: 0"
            );
            pod.resize = ResizeState::Deferred { message };
        } else {
            let resources = Some(EffectiveResources {
                requests: container.requests,
                limits: container.limits,
            });
            container.status = Some(ContainerStatus {
                resources,
                running: true,
                ..ContainerStatus::default()
            });
            pod.resize = ResizeState::None;
        }
    }

    fn updater(&mut self) {
        let case = &mut self.case;
        case.now = case.now + Duration::from_mins(1);
        if self.seen {
            let neighbour = Pod {
                containers: vec![container("n", self.neighbours)],
                ..pod("neighbour", NOTHING)
            };
            let node = Arc::new(Node {
                name: "node".into(),
                allocatable: list(self.node),
                ..Node::default()
            });
            let pods = [case.pods[0].clone(), neighbour].map(Arc::new);
            case.nodes = Nodes::new([&node], &pods);
        }
        case.memory.observe(&case.snapshot(), case.now);
        for decision in case.plan() {
            let Action::Resize(changes) = &decision.action else {
                continue;
            };
            case.memory.resized(&decision, None, case.now);
            for change in changes {
                change.apply(&mut case.pods[0].containers[change.index]);
            }
        }
    }

    fn asks_for_what_its_node_cannot_hold(&self) -> bool {
        let container = &self.case.pods[0].containers[0];
        let (asked, now) = (container.requests, container.effective().requests);
        let more = |r: Resource| {
            asked.get(r) > now.get(r) && asked.get(r).unwrap_or(0) > room(self.node).get(r)
        };
        Resource::ALL.into_iter().any(more)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_infeasible_request_stays_in_a_spec(
        steps in proptest::collection::vec(step(), 1..40),
        mode in select(vec![InPlace, InPlaceOrRecreate]),
        seen in any::<bool>(),
    ) {
        let mut case = Case::new(Profile::Safe, mode, vec![pod("p", FAR)]);
        // Alone, and so never evicted.
        case.config.min_replicas = 2;
        case.pods[0].containers[0].status = Some(ContainerStatus {
            resources: Some(EffectiveResources { requests: list(FAR), limits: list(NOTHING) }),
            running: true,
            ..ContainerStatus::default()
        });
        let mut world = World { case, node: (8000, 8 * GI), neighbours: NOTHING, seen };
        for step in steps {
            match step {
                Step::Recommend(target) => {
                    world.case.vpa.recommendation = Some(vec![recommendation("c", [target; 3])]);
                }
                Step::Node(allocatable) => world.node = allocatable,
                Step::Neighbours(requests) => world.neighbours = requests,
                Step::Wait(minutes) => world.case.now = world.case.now + Duration::from_mins(minutes),
            }
            let mut refused = 0;
            for _ in 0..3 {
                world.kubelet();
                let pod = &world.case.pods[0];
                let is_refused = matches!(pod.resize, ResizeState::Infeasible { .. });
                let asked_before = pod.containers[0].requests != pod.containers[0].effective().requests;
                refused = if is_refused { refused + 1 } else { 0 };
                // Once for each resource: the kubelet names one at a time.
                prop_assert!(refused <= 2, "{step:?}: {pod:?}");
                world.updater();
                if seen && !asked_before {
                    let pod = &world.case.pods[0];
                    prop_assert!(!world.asks_for_what_its_node_cannot_hold(), "{step:?}: {pod:?}");
                }
            }
        }
        // Left to itself, what is refused is asked for less and less often.
        let mut refused = 0;
        for _ in 0..60 {
            world.kubelet();
            refused += i32::from(matches!(world.case.pods[0].resize, ResizeState::Infeasible { .. }));
            world.updater();
        }
        prop_assert!(refused <= 10, "{refused} times in an hour");
    }
}
