//! Stored histories: loaded before anything is recommended, continued when their VPA shows up, written when they changed.
//!
//! Nothing stored gets worse: a write is checked against the version that was read last, and where somebody else wrote
//! meanwhile, the richer history stays.

mod due;
mod tombstones;

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures::StreamExt;
use podfit_cluster::calls::{CallError, Calls};
use podfit_cluster::checkpoints::{self, Beside, Stored, Target};
use podfit_cluster::index::SharedIndex;
use podfit_cluster::options::ClusterOptions;
use podfit_core::checkpoint::{Checkpoint, DecodeError};
use podfit_core::history::{ContainerHistory, HistoryConfig};
use podfit_core::ownership::ControllerKey;
use podfit_core::time::Timestamp;
use podfit_core::vpa::Vpa;

use crate::model::{Absorbed, Model, StoredHistory};
use crate::options::Options;
use crate::store::due::{Candidate, due};
use crate::store::tombstones::Tombstones;
use crate::view::View;

/// New VPAs of more namespaces than this are looked for in the whole cluster at once.
const NAMESPACES_LISTED_ONE_BY_ONE: usize = 10;

/// Namespace and name of an object.
type Name = (String, String);

/// Where histories are kept while no recommender runs.
pub struct Store {
    config: HistoryConfig,
    workers: usize,
    write_timeout: Duration,
    cluster: ClusterOptions,
    /// All that was there at the start, until the first loop has taken from it.
    loaded: Option<Vec<Stored>>,
    /// The VPAs whose stored histories were looked for, by namespace and name, with their target at that time.
    continued: HashMap<Name, ControllerKey>,
    /// What stands there, by namespace and name of the stored object.
    known: HashMap<Name, Known>,
    tombstones: Tombstones,
}

/// What is known of a stored history.
#[derive(Clone, Debug)]
struct Known {
    /// Its version, against which the next write is checked.
    version: String,
    /// When it was written.
    written: Option<Timestamp>,
    /// It cannot be read (a later podfit's?), and is not written over while it could still be of use.
    unreadable: bool,
}

/// A history that was sent, and what became of it.
pub struct Sent<'a>(Writing<'a>, Outcome);

/// A history on its way to where it is stored.
struct Writing<'a> {
    vpa: &'a Vpa,
    target: &'a ControllerKey,
    container: String,
    content: Checkpoint,
    beside: Beside,
}

/// What became of it.
enum Outcome {
    Written(String),
    /// Somebody else had stored more.
    Richer(Box<Stored>),
    Failed,
}

impl Store {
    /// Nothing is loaded yet.
    pub fn new(options: &Options) -> Self {
        let history = &options.history;
        Self {
            config: options.history(),
            workers: usize::from(options.update_worker_count),
            write_timeout: history.checkpoints_timeout.0,
            cluster: options.cluster.clone(),
            loaded: None,
            continued: HashMap::new(),
            known: HashMap::new(),
            tombstones: Tombstones::new(history.checkpoints_gc_interval.0, history.retention()),
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
        self.loaded = Some(stored);
    }

    /// Gives the model what is stored for the VPAs that came into view, or name another target, since the last loop.
    ///
    /// They may have been made anew, or were another recommender's until now: so it is read anew as well. Until that
    /// succeeds, [`Store::has_continued`] is false for them.
    pub async fn continue_new(
        &mut self,
        calls: &Calls,
        view: &View,
        model: &mut Model,
        now: Timestamp,
    ) {
        self.continued
            .retain(|(namespace, name), _| view.has_target(namespace, name));
        let new: Vec<_> = view
            .targets()
            .filter(|(vpa, target)| self.continued.get(&key(vpa)) != Some(*target))
            .collect();
        let stored = match self.loaded.take() {
            Some(loaded) => Ok(loaded),
            None if new.is_empty() => return,
            None => self.list_for(calls, &new).await,
        };
        match stored {
            Ok(stored) => self.absorb(stored, &new, model, now),
            Err(error) => {
                tracing::warn!(%error, vpas = new.len(), "stored histories cannot be read; nothing is recommended for these VPAs until they are");
                return;
            }
        }
        for (vpa, target) in new {
            let before = self.continued.insert(key(vpa), target.clone());
            if let Some(before) = before.filter(|b| b.name == target.name) {
                model.carry_over(&before, target, now);
            }
        }
    }

    /// True once what is stored for a VPA was given to the model.
    pub fn has_continued(&self, vpa: &Vpa) -> bool {
        self.continued.contains_key(&key(vpa))
    }

    /// Compares all that is stored with what is known, and takes the richer: this replica begins to write.
    pub async fn take_over(
        &mut self,
        calls: &Calls,
        view: &View,
        model: &mut Model,
        now: Timestamp,
    ) {
        match checkpoints::list(calls, &self.cluster.vpa_object_namespace).await {
            Ok(stored) => {
                let all: Vec<_> = view.targets().collect();
                self.absorb(stored, &all, model, now);
            }
            // Each write is checked as well.
            Err(error) => tracing::warn!(%error, "what the last leader stored cannot be read"),
        }
    }

    async fn list_for(
        &self,
        calls: &Calls,
        new: &[(&Vpa, &ControllerKey)],
    ) -> Result<Vec<Stored>, CallError> {
        let namespaces: BTreeSet<_> = new.iter().map(|(vpa, _)| vpa.namespace.as_str()).collect();
        if namespaces.len() > NAMESPACES_LISTED_ONE_BY_ONE {
            return checkpoints::list(calls, &self.cluster.vpa_object_namespace).await;
        }
        let mut stored = Vec::new();
        for namespace in namespaces {
            stored.extend(checkpoints::list(calls, namespace).await?);
        }
        Ok(stored)
    }

    /// Takes in what is stored for some VPAs: under their names, or for their targets.
    fn absorb(
        &mut self,
        stored: Vec<Stored>,
        vpas: &[(&Vpa, &ControllerKey)],
        model: &mut Model,
        now: Timestamp,
    ) {
        let mut by_name: HashMap<(&str, &str), &ControllerKey> = HashMap::new();
        let mut by_target: HashMap<(&str, &str, &str), &ControllerKey> = HashMap::new();
        for (vpa, target) in vpas {
            by_name.insert((&vpa.namespace, &vpa.name), target);
            by_target.insert((&target.namespace, &target.kind, &target.name), target);
        }
        let mut found = Vec::new();
        for stored in stored {
            let named = by_name.get(&(stored.namespace.as_str(), stored.vpa.as_str()));
            let of = stored.beside.target.as_ref();
            let meant = of.and_then(|t| by_target.get(&(&*stored.namespace, &*t.kind, &*t.name)));
            // What is stored for another workload is not what a VPA needs that kept its name and changed its target.
            let named = named.filter(|target| of.is_none_or(|of| of.name == target.name));
            let decoded = stored.content.decode(&self.config, now);
            if let Err(error) = &decoded
                && (named.is_some() || meant.is_some())
            {
                tracing::warn!(
                    namespace = stored.namespace, name = stored.name, %error,
                    "stored history cannot be used; a new one begins. One of an unknown version is not written over as long as a history lives: delete the checkpoint to have the new one stored"
                );
            }
            self.note(&stored, decoded.as_ref().err());
            let adapts = |history: &ContainerHistory| {
                history
                    .adaptive()
                    .is_some_and(|adaptive| adaptive.hours() > 0)
            };
            if stored.content.adaptive.is_some() && !decoded.as_ref().is_ok_and(adapts) {
                tracing::warn!(
                    namespace = stored.namespace,
                    name = stored.name,
                    "what the estimator adaptive had stored cannot be used; it begins anew, and the histogram sizes until it has a day"
                );
            }
            if let (Some(target), Ok(history)) = (meant.or(named), decoded) {
                found.push((*target, stored, history));
            }
        }
        // Two VPAs of one target each store its whole history: the richer one comes first, and the other is left.
        found.sort_by_key(|(_, _, history)| std::cmp::Reverse(history.total_samples()));
        for (target, stored, history) in found {
            let (container, samples) = (stored.container, history.total_samples());
            let open = stored.beside.open;
            let absorbed = model.absorb(target, &container, StoredHistory { history, open }, now);
            if absorbed != Absorbed::Left {
                tracing::debug!(%target, container, samples, ?absorbed, "history continued");
            }
        }
    }

    fn note(&mut self, stored: &Stored, error: Option<&DecodeError>) {
        let known = Known {
            version: stored.resource_version.clone(),
            written: stored.content.last_update,
            unreadable: matches!(error, Some(DecodeError::Version(_))),
        };
        self.known
            .insert((stored.namespace.clone(), stored.name.clone()), known);
    }

    /// Writes the histories that are due, until the time-out; `all` of those that changed when this is the last chance.
    pub async fn write(
        &mut self,
        calls: &Calls,
        view: &View,
        model: &mut Model,
        when: (Timestamp, bool),
    ) {
        let sent = self.send(calls, view, model, when).await;
        self.settle(sent, model, when.0);
    }

    /// The first half of [`Store::write`], which waits for the API server and leaves everything as it is.
    pub async fn send<'a>(
        &self,
        calls: &Calls,
        view: &'a View,
        model: &Model,
        (now, all): (Timestamp, bool),
    ) -> Vec<Sent<'a>> {
        let deadline = Instant::now() + self.write_timeout;
        let writing = self.to_write(view, model, now, all);
        let writes = writing.into_iter().map(|writing| async move {
            if Instant::now() >= deadline {
                return Sent(writing, Outcome::Failed);
            }
            let stored_as = self.known.get(&writing.stored_as());
            let outcome = write_one(calls, &writing, stored_as).await;
            Sent(writing, outcome)
        });
        futures::stream::iter(writes)
            .buffer_unordered(self.workers)
            .collect()
            .await
    }

    /// The second half: takes note of what was sent.
    pub fn settle(&mut self, sent: Vec<Sent<'_>>, model: &mut Model, now: Timestamp) {
        for Sent(writing, outcome) in sent {
            match outcome {
                Outcome::Written(version) => {
                    model.saved(writing.target, &writing.container);
                    let known = Known {
                        version,
                        written: Some(now),
                        unreadable: false,
                    };
                    self.known.insert(writing.stored_as(), known);
                }
                Outcome::Richer(stored) => {
                    self.absorb(vec![*stored], &[(writing.vpa, writing.target)], model, now);
                }
                Outcome::Failed => {}
            }
        }
    }

    fn to_write<'a>(
        &self,
        view: &'a View,
        model: &Model,
        now: Timestamp,
        all: bool,
    ) -> Vec<Writing<'a>> {
        let mut candidates = Vec::new();
        let mut histories = 0;
        for (vpa, target) in view.targets().filter(|(vpa, _)| self.has_continued(vpa)) {
            for to_store in model.unsaved(target) {
                histories += 1;
                let name = checkpoints::name(&vpa.name, to_store.container);
                let known = self.known.get(&(vpa.namespace.clone(), name));
                let written = known.and_then(|k| k.written);
                let in_the_way = known.is_some_and(|k| k.unreadable)
                    && written.is_some_and(|t| now.since(t) < self.config.lifetime());
                if !in_the_way {
                    candidates.push(Candidate {
                        what: (vpa, target, to_store.container.to_owned()),
                        urgent: to_store.urgent,
                        covers: to_store.covers,
                        written,
                    });
                }
            }
        }
        let chosen = if all {
            candidates
        } else {
            due(candidates, histories, now)
        };
        let encode = |(vpa, target, container): (&'a Vpa, &'a ControllerKey, String)| {
            let stored = model.to_be_stored(target, &container, now)?;
            Some(Writing {
                content: Checkpoint::encode(&stored.history, now),
                beside: Beside {
                    target: Some(Target::from(target)),
                    open: stored.open,
                    orphaned: Duration::ZERO,
                },
                vpa,
                target,
                container,
            })
        };
        chosen.into_iter().filter_map(|c| encode(c.what)).collect()
    }

    /// Deletes stored histories whose VPA is gone for good: see [`tombstones`].
    pub async fn collect(&mut self, calls: &Calls, index: &SharedIndex) {
        self.tombstones.collect(calls, index, &self.cluster).await;
    }
}

impl Writing<'_> {
    fn stored_as(&self) -> Name {
        let name = checkpoints::name(&self.vpa.name, &self.container);
        (self.vpa.namespace.clone(), name)
    }

    /// True when what somebody else stored is of the same workload, and more.
    fn is_poorer_than(&self, stored: &Stored) -> bool {
        let of = &stored.beside.target;
        let same = of.is_none() || *of == self.beside.target;
        same && stored.content.total_samples > self.content.total_samples
    }
}

async fn write_one(calls: &Calls, writing: &Writing<'_>, known: Option<&Known>) -> Outcome {
    let Writing {
        vpa,
        container,
        content,
        beside,
        ..
    } = writing;
    let (namespace, name) = writing.stored_as();
    let replace = async |version: &str| {
        checkpoints::replace(calls, (&namespace, &name, version), content, beside).await
    };
    let create = async || checkpoints::create(calls, (vpa, container), content, beside).await;
    let mut written = match known {
        Some(known) => replace(&known.version).await,
        None => create().await,
    };
    if written.as_ref().is_err_and(CallError::is_not_found) {
        written = create().await;
    } else if written.as_ref().is_err_and(CallError::is_conflict) {
        written = match checkpoints::get(calls, &namespace, &name).await {
            Ok(stored) if writing.is_poorer_than(&stored) => {
                tracing::info!(
                    namespace,
                    name,
                    "somebody else stored a richer history; going on with it"
                );
                return Outcome::Richer(Box::new(stored));
            }
            Ok(stored) => replace(&stored.resource_version).await,
            Err(error) => Err(error),
        };
    }
    match written {
        Ok(version) => Outcome::Written(version),
        Err(error) => {
            tracing::warn!(vpa = vpa.key(), container, %error, "history not stored; trying again");
            Outcome::Failed
        }
    }
}

fn key(vpa: &Vpa) -> Name {
    (vpa.namespace.clone(), vpa.name.clone())
}

#[cfg(test)]
mod tests;
