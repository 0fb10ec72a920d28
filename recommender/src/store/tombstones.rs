//! Stored histories without a VPA: kept for a time in which the workload ran, so that a VPA that is made anew, even
//! under another name, goes on where the old one was.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use podfit_cluster::calls::Calls;
use podfit_cluster::checkpoints::{self, Stored};
use podfit_cluster::index::{Index, SharedIndex};
use podfit_cluster::options::ClusterOptions;
use podfit_core::ownership::ControllerKey;

use super::Name;

/// How long an orphan has aged is stored each time it grew by this much: a restart forgets less.
const STORED_STEP: Duration = Duration::from_hours(1);

/// Deletes what was long enough without a VPA.
pub struct Tombstones {
    interval: Duration,
    retention: Duration,
    /// When orphans were last looked for.
    looked: Instant,
    /// How long each orphan has aged.
    ages: HashMap<Name, Duration>,
}

impl Tombstones {
    /// Looks for orphans once per `interval`, and deletes them after `retention` of active time.
    pub fn new(interval: Duration, retention: Duration) -> Self {
        Self {
            interval,
            retention,
            looked: Instant::now(),
            ages: HashMap::new(),
        }
    }

    /// Looks for orphans when it is time, lets them age, and deletes those past their retention.
    pub async fn collect(&mut self, calls: &Calls, index: &SharedIndex, cluster: &ClusterOptions) {
        let passed = self.looked.elapsed();
        if passed < self.interval {
            return;
        }
        self.looked = Instant::now();
        let stored = match checkpoints::list(calls, &cluster.vpa_object_namespace).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "stored histories of deleted VPAs not looked for");
                return;
            }
        };
        let orphans = orphans(stored, &index.read(), cluster);
        for verdict in self.judge(orphans, passed) {
            carry_out(calls, verdict).await;
        }
    }

    /// Ages the orphans by the time that passed, if they are `active`, and says what is to be done.
    fn judge(&mut self, orphans: Vec<Orphan>, passed: Duration) -> Vec<Verdict> {
        let mut ages = HashMap::new();
        let mut verdicts = Vec::new();
        for Orphan { mut stored, active } in orphans {
            let name = (stored.namespace.clone(), stored.name.clone());
            // A fresh process goes on from what was stored.
            let mut age = *self.ages.get(&name).unwrap_or(&stored.beside.orphaned);
            if active {
                age += passed;
            }
            if age >= self.retention {
                verdicts.push(Verdict::Delete(stored));
                continue;
            }
            if age >= stored.beside.orphaned + STORED_STEP {
                stored.beside.orphaned = age;
                verdicts.push(Verdict::Store(stored));
            }
            ages.insert(name, age);
        }
        self.ages = ages;
        verdicts
    }
}

/// A stored history without a VPA.
struct Orphan {
    stored: Stored,
    /// Its workload runs, or is gone, too. One that is scaled to zero does not age.
    active: bool,
}

/// What is to be done with an orphan.
enum Verdict {
    Delete(Stored),
    /// Its age.
    Store(Stored),
}

/// Those whose VPA is not there. Of ignored namespaces the VPAs are not known, so nothing can be said.
fn orphans(stored: Vec<Stored>, index: &Index, cluster: &ClusterOptions) -> Vec<Orphan> {
    let orphans: Vec<_> = stored
        .into_iter()
        .filter(|s| cluster.covers(&s.namespace) && index.vpas.get(&s.namespace, &s.vpa).is_none())
        .collect();
    if orphans.is_empty() {
        return Vec::new();
    }
    let running: HashSet<_> = index
        .pods
        .values()
        .flat_map(|pod| index.owners.chain(pod))
        .collect();
    let is_active = |stored: &Stored| {
        let Some(target) = &stored.beside.target else {
            return true;
        };
        let key = ControllerKey::new(&stored.namespace, &target.kind, &target.name);
        running.contains(&key) || index.owners.get(&key).is_none()
    };
    let orphan = |stored| Orphan {
        active: is_active(&stored),
        stored,
    };
    orphans.into_iter().map(orphan).collect()
}

async fn carry_out(calls: &Calls, verdict: Verdict) {
    match verdict {
        Verdict::Delete(Stored {
            namespace, name, ..
        }) => match checkpoints::delete(calls, &namespace, &name).await {
            Ok(()) => tracing::info!(namespace, name, "stored history of a deleted VPA removed"),
            Err(error) => tracing::warn!(namespace, name, %error, "stored history not removed"),
        },
        Verdict::Store(stored) => {
            if let Err(error) = checkpoints::set_orphaned(calls, &stored).await {
                let Stored {
                    namespace, name, ..
                } = stored;
                tracing::debug!(namespace, name, %error, "age of a stored history not stored");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use podfit_cluster::checkpoints::{Beside, Target};
    use podfit_core::checkpoint::Checkpoint;
    use podfit_core::ownership::Controller;
    use podfit_core::pod::{OwnerRef, Pod};
    use podfit_core::vpa::Vpa;

    use super::*;
    use crate::rows::rows;

    const HOUR: Duration = Duration::from_hours(1);

    fn stored(workload: &str, orphaned: Duration) -> Stored {
        let target = Target {
            kind: "StatefulSet".into(),
            name: workload.into(),
        };
        Stored {
            namespace: "ns".into(),
            name: format!("{workload}-app"),
            vpa: workload.into(),
            container: "app".into(),
            content: Checkpoint::default(),
            beside: Beside {
                target: Some(target),
                open: BTreeMap::new(),
                orphaned,
            },
            resource_version: "1".into(),
        }
    }

    /// `idle` and `busy` exist, and `busy` has a pod; `gone` does not exist; `sized` has a VPA.
    fn index() -> Index {
        let mut index = Index::default();
        for name in ["idle", "busy", "sized"] {
            let key = ControllerKey::new("ns", "StatefulSet", name);
            index.owners.apply(key, Controller::default());
        }
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "StatefulSet".into(),
            name: "busy".into(),
        };
        let pod = Pod {
            namespace: "ns".into(),
            owner: Some(owner),
            ..Pod::default()
        };
        index
            .pods
            .insert(("ns".into(), "busy-0".into()), Arc::new(pod));
        index.vpas.apply(Vpa {
            namespace: "ns".into(),
            name: "sized".into(),
            ..Vpa::default()
        });
        index
    }

    fn cluster() -> ClusterOptions {
        use clap::Parser;
        crate::options::Options::parse_from(["podfit-recommender"]).cluster
    }

    #[test]
    fn orphans_age_while_their_workload_runs_or_is_gone() {
        let stored = ["idle", "busy", "sized", "gone"].map(|name| stored(name, Duration::ZERO));
        let active: Vec<_> = orphans(stored.into(), &index(), &cluster())
            .into_iter()
            .map(|o| (o.stored.vpa, o.active))
            .collect();
        assert_eq!(
            active,
            [
                ("idle".into(), false),
                ("busy".into(), true),
                ("gone".into(), true)
            ]
        );
    }

    #[test]
    fn only_histories_without_any_recommenders_vpa_are_orphans() {
        let table: Vec<_> = rows(include_str!("../../testdata/orphans.csv")).collect();
        let mut index = Index::default();
        for row in table.iter().filter(|row| row[1] != "none") {
            index.vpas.apply(Vpa {
                namespace: "ns".into(),
                name: row[0].into(),
                recommenders: row[1].split_whitespace().map(String::from).collect(),
                ..Vpa::default()
            });
        }
        let all = table.iter().map(|row| stored(row[0], Duration::ZERO));
        let orphans = orphans(all.collect(), &index, &cluster());
        let orphans: Vec<_> = orphans.iter().map(|o| o.stored.vpa.as_str()).collect();
        let go = table.iter().filter(|row| row[2] == "yes").map(|row| row[0]);
        assert_eq!(orphans, go.collect::<Vec<_>>());
    }

    #[test]
    fn only_active_time_counts_and_survives_a_restart() {
        let mut tombstones = Tombstones::new(Duration::ZERO, HOUR * 3);
        let orphan = |active, hours| {
            let stored = stored("web", HOUR * hours);
            vec![Orphan { stored, active }]
        };
        let said = |verdicts: Vec<Verdict>| {
            let word = |verdict: &Verdict| match verdict {
                Verdict::Delete(_) => "delete".to_owned(),
                Verdict::Store(stored) => format!("store {:?}", stored.beside.orphaned),
            };
            verdicts.iter().map(word).collect::<Vec<_>>()
        };
        assert!(said(tombstones.judge(orphan(false, 0), HOUR * 100)).is_empty());
        assert!(said(tombstones.judge(orphan(true, 0), HOUR / 2)).is_empty());
        assert_eq!(
            said(tombstones.judge(orphan(true, 0), HOUR)),
            ["store 5400s"]
        );
        assert_eq!(
            said(tombstones.judge(orphan(true, 1), HOUR * 2)),
            ["delete"]
        );

        let mut restarted = Tombstones::new(Duration::ZERO, HOUR * 3);
        assert_eq!(said(restarted.judge(orphan(true, 2), HOUR)), ["delete"]);
    }

    /// The VPA came back in between: it starts from nothing the next time.
    #[test]
    fn an_orphan_that_is_adopted_again_is_young_again() {
        let mut tombstones = Tombstones::new(Duration::ZERO, HOUR * 3);
        let orphan = || Orphan {
            stored: stored("web", Duration::ZERO),
            active: true,
        };
        for _ in 0..5 {
            let verdicts = tombstones.judge(vec![orphan()], HOUR * 2);
            assert!(matches!(verdicts[..], [Verdict::Store(_)]));
            assert!(tombstones.judge(Vec::new(), HOUR).is_empty());
        }
    }
}
