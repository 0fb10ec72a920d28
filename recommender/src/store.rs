//! Stored histories: loaded before anything is recommended, restored when their VPA shows up, written when they changed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;
use podfit_cluster::calls::Calls;
use podfit_cluster::checkpoints::{self, Stored};
use podfit_cluster::index::SharedIndex;
use podfit_core::checkpoint::Checkpoint;
use podfit_core::history::HistoryConfig;
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
    namespace: String,
    /// Loaded and not restored yet, by namespace and VPA.
    waiting: HashMap<(String, String), Vec<Stored>>,
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
            namespace: options.cluster.vpa_object_namespace.clone(),
            waiting: HashMap::new(),
            written: HashMap::new(),
            collected: Instant::now(),
        }
    }

    /// Loads all stored histories, however long the API server lets it wait.
    pub async fn load(&mut self, calls: &Calls) {
        let mut told = String::new();
        let stored = loop {
            match checkpoints::list(calls, &self.namespace).await {
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
        for served in &view.vpas {
            let vpa = &served.vpa;
            let Some(target) = &served.target else {
                continue;
            };
            let Some(stored) = self
                .waiting
                .remove(&(vpa.namespace.clone(), vpa.name.clone()))
            else {
                continue;
            };
            for checkpoint in stored {
                match checkpoint.content.decode(&self.config, now) {
                    Ok(history) => {
                        tracing::info!(
                            vpa = vpa.key(),
                            container = checkpoint.container,
                            samples = history.total_samples(),
                            "history continued"
                        );
                        let stored = StoredHistory {
                            history,
                            open: checkpoint.open,
                        };
                        model.restore(target, &checkpoint.container, stored);
                    }
                    Err(error) => {
                        tracing::warn!(vpa = vpa.key(), container = checkpoint.container, %error, "stored history cannot be used; starting a new one");
                    }
                }
            }
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
        let stored = match checkpoints::list(calls, &self.namespace).await {
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
                index.vpas.get(&s.namespace, &s.vpa).is_none()
                    && s.content.last_update.is_none_or(|t| now.since(t) > lasts)
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
