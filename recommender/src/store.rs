//! Stored histories: loaded before anything is recommended, restored when their VPA shows up, written when they changed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::StreamExt;
use podfit_cluster::calls::Calls;
use podfit_cluster::checkpoints::{self, Stored};
use podfit_cluster::index::SharedIndex;
use podfit_cluster::options::ClusterOptions;
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::HistoryConfig;
use podfit_core::ownership::ControllerKey;
use podfit_core::time::Timestamp;

use crate::model::{Model, StoredHistory};
use crate::options::Options;
use crate::view::View;

/// Where histories are kept while no recommender runs.
pub struct Store {
    config: HistoryConfig,
    workers: usize,
    write_timeout: Duration,
    collect_interval: Duration,
    cluster: ClusterOptions,
    /// Loaded and not restored yet, by namespace and VPA.
    waiting: HashMap<(String, String), Vec<Stored>>,
    /// What was restored; a second time would count it twice.
    restored: HashSet<(ControllerKey, String)>,
    /// When each VPA's histories were last written; the oldest are written first.
    written: HashMap<(String, String), Instant>,
    collected: Instant,
}

impl Store {
    /// Nothing is loaded yet.
    pub fn new(options: &Options) -> Self {
        Self {
            config: options.history(),
            workers: usize::from(options.update_worker_count),
            write_timeout: options.history.checkpoints_timeout.0,
            collect_interval: options.history.checkpoints_gc_interval.0,
            cluster: options.cluster.clone(),
            waiting: HashMap::new(),
            restored: HashSet::new(),
            written: HashMap::new(),
            collected: Instant::now(),
        }
    }

    /// Loads all stored histories, however long the API server lets it wait.
    pub async fn load(&mut self, calls: &Calls) {
        let mut told = String::new();
        let stored = loop {
            match checkpoints::list(calls, &self.cluster.vpa_object_namespace).await {
                Ok(stored) => break stored,
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        tracing::warn!(
                            error = text,
                            "stored histories cannot be read; recommending nothing until they are"
                        );
                        told = text;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        tracing::info!(count = stored.len(), "stored histories loaded");
        for checkpoint in stored {
            self.waiting
                .entry((checkpoint.namespace.clone(), checkpoint.vpa.clone()))
                .or_default()
                .push(checkpoint);
        }
    }

    /// Gives the model what was stored for the VPAs in view.
    pub fn restore(&mut self, view: &View, model: &mut Model, now: Timestamp) {
        if self.waiting.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for served in &view.vpas {
            let vpa = &served.vpa;
            let Some(target) = &served.target else {
                continue;
            };
            let key = (vpa.namespace.clone(), vpa.name.clone());
            for checkpoint in self.waiting.remove(&key).into_iter().flatten() {
                match checkpoint.content.decode(&self.config, now) {
                    Ok(history) => found.push((vpa, target, checkpoint, history)),
                    Err(error) => {
                        tracing::warn!(vpa = vpa.key(), container = checkpoint.container, %error, "stored history cannot be used; starting a new one");
                    }
                }
            }
        }
        // Two VPAs of one target each store its whole history: the richer one counts, and once.
        found.sort_by_key(|(_, _, _, history)| std::cmp::Reverse(history.total_samples()));
        for (vpa, target, checkpoint, history) in found {
            let Stored {
                container, open, ..
            } = checkpoint;
            if !self.restored.insert((target.clone(), container.clone())) {
                continue;
            }
            tracing::info!(
                vpa = vpa.key(),
                container,
                samples = history.total_samples(),
                "history continued"
            );
            model.restore(target, &container, StoredHistory { history, open });
        }
    }

    /// Writes the histories that changed, those that waited longest first, until the time-out.
    pub async fn write(&mut self, calls: &Calls, view: &View, model: &mut Model, now: Timestamp) {
        let mut due: Vec<_> = view
            .vpas
            .iter()
            .filter_map(|s| Some((&s.vpa, s.target.as_ref()?)))
            .collect();
        let last = |vpa: &podfit_core::vpa::Vpa| {
            self.written
                .get(&(vpa.namespace.clone(), vpa.name.clone()))
                .copied()
        };
        due.sort_by_key(|(vpa, _)| last(vpa));
        let deadline = Instant::now() + self.write_timeout;
        let histories = due.into_iter().flat_map(|(vpa, target)| {
            model
                .unsaved(target, now)
                .into_iter()
                .map(move |(container, stored)| (vpa, target, container, stored))
        });
        let writes = histories.map(|(vpa, target, container, stored)| async move {
            if Instant::now() >= deadline {
                return None;
            }
            let content = Checkpoint::encode(&stored.history, now);
            match checkpoints::write(calls, (vpa, &container), &content, &stored.open).await {
                Ok(()) => Some((vpa, target, container)),
                Err(error) => {
                    tracing::warn!(vpa = vpa.key(), container, %error, "history not stored; trying again");
                    None
                }
            }
        });
        let done: Vec<_> = futures::stream::iter(writes)
            .buffer_unordered(self.workers)
            .collect()
            .await;
        for (vpa, target, container) in done.into_iter().flatten() {
            model.saved(target, &container);
            self.written
                .insert((vpa.namespace.clone(), vpa.name.clone()), Instant::now());
        }
    }

    /// Deletes stored histories whose VPA is gone and that are older than a history lasts: until then a VPA that is made
    /// anew continues where it was.
    pub async fn collect(&mut self, calls: &Calls, index: &SharedIndex, now: Timestamp) {
        if self.collected.elapsed() < self.collect_interval {
            return;
        }
        self.collected = Instant::now();
        let stored = match checkpoints::list(calls, &self.cluster.vpa_object_namespace).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "stored histories of deleted VPAs not looked for");
                return;
            }
        };
        let lasts = self.config.lifetime();
        let orphans: Vec<_> = {
            let index = index.read();
            let orphan = |s: &Stored| {
                // Of ignored namespaces the VPAs are not known, so nothing can be said.
                self.cluster.covers(&s.namespace)
                    && index.vpas.get(&s.namespace, &s.vpa).is_none()
                    && s.content.last_update.is_some_and(|t| now.since(t) > lasts)
            };
            stored.into_iter().filter(orphan).collect()
        };
        for orphan in orphans {
            match checkpoints::delete(calls, &orphan.namespace, &orphan.name).await {
                Ok(()) => tracing::info!(
                    namespace = orphan.namespace,
                    name = orphan.name,
                    "stored history of a deleted VPA removed"
                ),
                Err(error) => {
                    tracing::warn!(namespace = orphan.namespace, name = orphan.name, %error, "stored history not removed");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use podfit_cluster::index::Index;
    use podfit_core::ownership::Controller;
    use podfit_core::pod::OwnerRef;
    use podfit_core::vpa::Vpa;

    use super::*;

    fn stored(vpa: &str, samples: i64, version: &str) -> Stored {
        Stored {
            namespace: "ns".into(),
            name: format!("{vpa}-app"),
            vpa: vpa.into(),
            container: "app".into(),
            content: Checkpoint {
                version: version.into(),
                total_samples: samples,
                ..Checkpoint::default()
            },
            open: std::collections::BTreeMap::new(),
        }
    }

    /// Two VPAs, `a` and `b`, of one target.
    fn view() -> View {
        let owner = OwnerRef {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "web".into(),
        };
        let mut index = Index::default();
        index
            .owners
            .apply(ControllerKey::of("ns", &owner), Controller::default());
        for name in ["a", "b"] {
            index.vpas.apply(Vpa {
                namespace: "ns".into(),
                name: name.into(),
                target: Some(owner.clone()),
                ..Vpa::default()
            });
        }
        View::of(&index, "default")
    }

    fn restored(stored: Vec<Stored>) -> Vec<u64> {
        let options = Options::parse_from(["podfit-recommender"]);
        let (mut store, mut model) = (Store::new(&options), Model::new(options.history()));
        for stored in stored {
            let key = (stored.namespace.clone(), stored.vpa.clone());
            store.waiting.entry(key).or_default().push(stored);
        }
        let view = view();
        let target = view.vpas[0].target.clone().unwrap();
        for _ in 0..2 {
            store.restore(&view, &mut model, Timestamp::default());
        }
        model
            .histories(&target)
            .iter()
            .map(|(_, h)| h.total_samples())
            .collect()
    }

    #[test]
    fn of_several_stored_histories_of_a_target_the_richest_counts_once() {
        assert_eq!(
            restored(vec![stored("a", 22, "v3"), stored("b", 30, "v3")]),
            [30]
        );
        assert_eq!(
            restored(vec![stored("a", 22, "v3"), stored("stranger", 30, "v3")]),
            [22]
        );
        assert_eq!(
            restored(vec![stored("a", 22, "v1"), stored("b", 7, "v3")]),
            [7]
        );
        assert_eq!(restored(vec![stored("a", -1, "v3")]), [] as [u64; 0]);
    }
}
