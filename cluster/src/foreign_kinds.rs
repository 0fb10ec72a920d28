//! Kinds of controllers that not every cluster has, such as Argo's Rollout: looked up when an object names one, and then
//! watched by their metadata. So owner chains through them are resolved from memory, like all others.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use kube::api::{ApiResource, ListParams};
use kube::discovery::{self, ApiCapabilities, Scope, verbs};
use kube::error::DiscoveryError;
use podfit_core::ownership::{Controller, ControllerKey, ForeignKind, GroupKind, is_own_group};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::api::controller::{ControllerObject, controlling_owner};
use crate::api::metadata::MetadataOf;
use crate::calls::{CallError, Calls};
use crate::index::{SharedIndex, controllers};
use crate::options::{ClusterOptions, Profile};
use crate::watch::{self, Change, Presence, Synced, Watch};

/// How often a kind that could not be watched is looked up again: its definition, or the right to read it, may come.
const RETRY: Duration = Duration::from_secs(15);

/// More kinds than this that do not exist are not kept in mind: anybody can name any.
const MOST_UNRESOLVED: usize = 100;

/// What the API server says of a kind that is not served, or has no `scale`, when asked for the latter.
const NOT_FOUND: &str = "the server could not find the requested resource";

/// Looks up kinds one after the other, so that their number does not become a load for the API server.
pub(crate) struct Lookup {
    calls: Calls,
    index: SharedIndex,
    namespace: String,
    /// Upstream knows controllers of other kinds by their `scale` alone.
    only_scalable: bool,
    /// Kinds that could not be watched yet, by their qualified names.
    unresolved: HashMap<String, GroupKind>,
    watched: HashSet<String>,
}

/// A kind that the API server has.
type Served = (ApiResource, ApiCapabilities);

impl Lookup {
    /// Feeds `index`.
    pub fn new(calls: Calls, options: &ClusterOptions, index: SharedIndex) -> Self {
        Self {
            calls,
            index,
            namespace: options.vpa_object_namespace.clone(),
            only_scalable: options.profile == Profile::Upstream,
            unresolved: HashMap::new(),
            watched: HashSet::new(),
        }
    }

    /// Looks up what is `asked` for, until the process ends.
    pub async fn run(mut self, mut asked: mpsc::Receiver<GroupKind>) {
        let mut retries = interval(RETRY);
        retries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(kind) = asked.recv() => self.look_up(kind).await,
                _ = retries.tick() => {
                    let again: Vec<_> = self.unresolved.values().cloned().collect();
                    for kind in again {
                        self.look_up(kind).await;
                    }
                }
            }
        }
    }

    async fn look_up(&mut self, kind: GroupKind) {
        let name = kind.qualified();
        if self.watched.contains(&name) {
            return;
        }
        let state = match self.find(&kind).await {
            Ok(Some(served)) => match self.unusable(&kind, &served).await {
                None => {
                    self.unresolved.remove(&name);
                    self.watched.insert(name.clone());
                    return self.watch(name, served);
                }
                Some(why) => ForeignKind::Unreadable { why },
            },
            Ok(None) => ForeignKind::Absent,
            Err(error) => {
                tracing::debug!(kind = name, %error, "kind not looked up; trying again");
                ForeignKind::Pending
            }
        };
        self.index.write().owners.set_kind(&name, state);
        self.unresolved.insert(name, kind);
        self.forget_absent();
    }

    /// What is known of a kind, and its objects, listed once: for whoever does not watch.
    pub async fn list(&self, kind: &GroupKind) -> (ForeignKind, Vec<(ControllerKey, Controller)>) {
        let served = match self.find(kind).await {
            Ok(Some(served)) => served,
            Ok(None) => return (ForeignKind::Absent, Vec::new()),
            Err(error) => {
                let why = error.to_string();
                return (ForeignKind::Unreadable { why }, Vec::new());
            }
        };
        if let Some(why) = self.unusable(kind, &served).await {
            return (ForeignKind::Unreadable { why }, Vec::new());
        }
        let (resource, can) = &served;
        let client = self.calls.client().clone();
        let objects =
            controllers::<MetadataOf<ControllerObject>>(client, &self.namespace, resource);
        let all = ListParams::default();
        let request = objects.list(&all);
        let listed = match self.calls.run("list controllers", request).await {
            Ok(listed) => listed.items,
            Err(error) => {
                let why = error.to_string();
                return (ForeignKind::Unreadable { why }, Vec::new());
            }
        };
        let read = |object: MetadataOf<ControllerObject>| {
            let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let controller = Controller::owned_by(controlling_owner(&object.metadata));
            let key = ControllerKey::new(namespace, &kind.qualified(), name);
            (key, controller)
        };
        let watched = ForeignKind::Watched {
            resource: format!("{}.{}", resource.plural, resource.group),
            version: resource.version.clone(),
            scalable: is_scalable(can),
        };
        (watched, listed.into_iter().map(read).collect())
    }

    async fn find(&self, kind: &GroupKind) -> Result<Option<Served>, CallError> {
        let request = discovery::group(self.calls.client(), &kind.group);
        match self.calls.run("look up an API group", request).await {
            Ok(group) => {
                let mut kinds = group.resources_by_stability().into_iter();
                Ok(kinds.find(|(resource, _)| resource.kind == kind.kind))
            }
            Err(CallError::Failed {
                source: kube::Error::Discovery(DiscoveryError::MissingApiGroup(_)),
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why the objects of a kind are not to be watched, if so.
    async fn unusable(&self, kind: &GroupKind, (resource, can): &Served) -> Option<String> {
        let watchable = can.supports_operation(verbs::LIST) && can.supports_operation(verbs::WATCH);
        let scales = is_scalable(can) || !self.only_scalable;
        if is_own_group(&kind.group) || can.scope == Scope::Cluster || !watchable || !scales {
            return Some(NOT_FOUND.into());
        }
        let client = self.calls.client().clone();
        let objects =
            controllers::<MetadataOf<ControllerObject>>(client, &self.namespace, resource);
        let one = ListParams::default().limit(1);
        let request = objects.list(&one);
        let error = self.calls.run("list controllers", request).await.err()?;
        let why = match error.server_message() {
            Some(words) => words.to_owned(),
            None => error.to_string(),
        };
        self.tell(&kind.qualified(), &why);
        Some(why)
    }

    fn watch(&self, name: String, (resource, can): Served) {
        let watched = ForeignKind::Watched {
            resource: format!("{}.{}", resource.plural, resource.group),
            version: resource.version.clone(),
            scalable: is_scalable(&can),
        };
        let client = self.calls.client().clone();
        let objects =
            controllers::<MetadataOf<ControllerObject>>(client, &self.namespace, &resource);
        let watch = Watch {
            what: name.clone().into(),
            presence: Presence::Required(
                "its definition was removed: remove the VPAs that name it",
            ),
            // Whoever waits for the first lists does not wait for what may never come.
            synced: Synced::default(),
        };
        let index = self.index.clone();
        tracing::info!(
            kind = name,
            "watching controllers of a kind that objects name"
        );
        watch::objects(objects, watch, move |change| {
            let listed = matches!(change, Change::Listed(_));
            let mut index = index.write();
            index.controller(&name, change, |object| {
                Controller::owned_by(controlling_owner(&object.metadata))
            });
            if listed {
                index.owners.set_kind(&name, watched.clone());
            }
        });
    }

    /// Says why a kind cannot be read, when that is news.
    fn tell(&self, name: &str, why: &str) {
        let index = self.index.read();
        let known = index.owners.kind(name);
        if matches!(known, Some(ForeignKind::Unreadable { why: before }) if before == why) {
            return;
        }
        tracing::warn!(
            kind = name,
            error = why,
            todo = "if VPAs are to size what it owns, list its API group and resource in rbac.scalableKinds of the chart's values",
            "controllers of this kind cannot be read"
        );
    }

    fn forget_absent(&mut self) {
        if self.unresolved.len() <= MOST_UNRESOLVED {
            return;
        }
        let mut index = self.index.write();
        self.unresolved.retain(|name, _| {
            let absent = index.owners.kind(name) == Some(&ForeignKind::Absent);
            if absent {
                index.owners.forget_kind(name);
            }
            !absent
        });
    }
}

fn is_scalable(can: &ApiCapabilities) -> bool {
    can.subresources
        .iter()
        .any(|(sub, _)| sub.plural == "scale")
}
