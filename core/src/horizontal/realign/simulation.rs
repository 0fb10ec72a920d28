//! A workload under an HPA and podfit, simulated: what the HPA asks for, as its controller works it out, every 15 s, and
//! podfit's steps every 60 s.

use std::collections::VecDeque;

use super::{Mix, ScalePoint};

/// Seconds between two looks of the HPA.
pub(super) const HPA_PERIOD: i64 = 15;

/// Seconds between two of podfit's loops.
pub(super) const UPDATER_PERIOD: i64 = 60;

/// Seconds for which the highest answer counts.
const STABILIZATION: i64 = 300;

/// The part of a request by which podfit changes it at least.
const THRESHOLD: f64 = 0.1;

/// A HorizontalPodAutoscaler with the defaults of Kubernetes.
#[derive(Clone, Debug)]
pub(super) struct Hpa {
    pub target: i64,
    pub min: i64,
    pub max: i64,
    answers: VecDeque<(i64, i64)>,
}

/// How many pods of that use and requests an HPA wants, before its limits and its past. Its controller rounds utilisation down,
/// leaves ratios within a tenth of one alone, and else rounds the number of pods up.
pub(super) fn asks(target: i64, usage: i64, requests: &[i64]) -> i64 {
    let pods = requests.len() as i64;
    let requested: i64 = requests.iter().sum();
    if requested == 0 || pods == 0 {
        return pods;
    }
    let ratio = (100 * usage / requested) as f64 / target as f64;
    if (ratio - 1.0).abs() <= 0.1 {
        pods
    } else {
        (ratio * pods as f64).ceil() as i64
    }
}

impl Hpa {
    pub fn new(target: i64, min: i64, max: i64) -> Self {
        Self {
            target,
            min,
            max,
            answers: VecDeque::new(),
        }
    }

    /// How many pods there are to be from now on. At most twice as many, or four more, in one look.
    fn look(&mut self, now: i64, usage: i64, requests: &[i64]) -> usize {
        let pods = requests.len() as i64;
        let answer = asks(self.target, usage, requests).clamp(self.min, self.max);
        self.answers.push_back((now, answer));
        self.answers.retain(|(at, _)| now - at < STABILIZATION);
        let highest = self.answers.iter().map(|(_, answer)| *answer).max();
        let stable = highest.unwrap_or(answer);
        let next = if answer >= pods {
            answer
        } else {
            stable.min(pods)
        };
        next.min((2 * pods).max(pods + 4)).clamp(self.min, self.max) as usize
    }
}

/// What podfit does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// Nothing (`yield`).
    Yield,
    /// As if there were no HPA.
    Ignore,
    /// Together with the target.
    Realign,
}

/// A workload with its autoscalers.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    pub stance: Stance,
    pub point: ScalePoint,
    pub hpa: Hpa,
    /// What each pod requests, in millicores.
    pub pods: Vec<i64>,
    /// How many pods podfit changes in one loop: all of them in place, one or two by eviction.
    pub at_once: usize,
}

impl Workload {
    pub fn new(stance: Stance, point: ScalePoint, (min, max): (i64, i64)) -> Self {
        Self {
            stance,
            point,
            hpa: Hpa::new(point.target(), min, max),
            pods: vec![point.request(); min as usize],
            at_once: usize::MAX,
        }
    }

    /// What a new pod requests, when `recommended` is.
    fn new_pod(&self, recommended: i64) -> i64 {
        match self.stance {
            Stance::Yield => self.point.request(),
            Stance::Ignore => recommended,
            Stance::Realign => {
                let wanted = self.point.wanted(recommended).request;
                wanted.max(self.point.request_at(self.hpa.target))
            }
        }
    }

    /// The HPA looks, and its pods come and go at once: the newest go first.
    pub fn hpa(&mut self, now: i64, usage: i64, recommended: i64) {
        let next = self.hpa.look(now, usage, &self.pods);
        let size = self.new_pod(recommended);
        self.pods.resize(next, size);
    }

    /// podfit's loop: first pods, then the target.
    pub fn updater(&mut self, recommended: i64) {
        if self.stance == Stance::Yield {
            return;
        }
        let goal = match self.stance {
            Stance::Realign => self.point.wanted(recommended).request,
            _ => recommended,
        };
        let size = self.new_pod(recommended);
        let (stance, point, target) = (self.stance, self.point, self.hpa.target);
        let next = |pod: i64| match stance {
            Stance::Realign if size < pod => size.max(point.least_request(pod, target)),
            _ => size,
        };
        let is_due = |pod: &&mut i64| (goal - **pod).abs() as f64 >= THRESHOLD * **pod as f64;
        let due = self.pods.iter_mut().filter(is_due);
        due.filter(|pod| **pod != next(**pod))
            .take(self.at_once)
            .for_each(|pod| *pod = next(*pod));
        if self.stance == Stance::Realign {
            self.retarget(goal);
        }
    }

    fn retarget(&mut self, goal: i64) {
        let least = self.point.request_at(self.hpa.target);
        let waits = |pod: &i64| {
            let due = (*pod - goal) as f64 >= THRESHOLD * *pod as f64;
            due && *pod <= least
        };
        let down_to = (goal < least && self.pods.iter().any(waits))
            .then(|| self.point.product() / i128::from(goal))
            .map(super::whole);
        if let Some(next) = self.point.next_target(self.mix(), down_to) {
            self.hpa.target = next;
        }
    }

    pub fn mix(&self) -> Mix {
        Mix {
            pods: self.pods.len() as i64,
            requested: self.pods.iter().sum(),
        }
    }

    /// The mean request, millicores.
    pub fn mean_request(&self) -> i64 {
        let mix = self.mix();
        mix.requested / mix.pods.max(1)
    }
}
