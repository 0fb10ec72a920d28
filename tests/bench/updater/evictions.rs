//! Which pods went and when, as the API server told it to a watch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use podfit_tests::wait::{secs, until};
use tokio::task::JoinHandle;

/// A watch on pods, until it is dropped.
pub struct Evictions {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    listed: bool,
    /// When each pod went, and the ReplicaSet that it was of.
    gone: Vec<(Instant, String)>,
}

/// What was seen.
pub struct Gone {
    /// How many pods.
    pub pods: usize,
    /// Of how many ReplicaSets.
    pub groups: usize,
    /// From the first to the last of them.
    pub within: Duration,
}

impl Evictions {
    /// Returns once the present pods are known.
    pub async fn watch(client: &Client) -> Result<Self> {
        let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client.clone(), &pods);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let into = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut changes = Box::pin(watcher(api, watcher::Config::default()));
            while let Some(change) = changes.next().await {
                let mut seen = into.lock().unwrap_or_else(PoisonError::into_inner);
                match change {
                    Ok(Event::Delete(pod)) => {
                        let owners = pod.owner_references();
                        let owner = owners.first().map(|o| o.name.clone()).unwrap_or_default();
                        seen.gone.push((Instant::now(), owner));
                    }
                    Ok(Event::InitDone) => seen.listed = true,
                    _ => {}
                }
            }
        });
        let this = Self { seen, task };
        until("pods are watched", secs(60), async || {
            let listed = this.read(|seen| seen.listed);
            anyhow::ensure!(listed, "they are being listed");
            Ok(())
        })
        .await?;
        Ok(this)
    }

    /// What went so far.
    pub fn gone(&self) -> Gone {
        self.read(|seen| {
            let mut groups = BTreeMap::<&str, usize>::new();
            for (_, owner) in &seen.gone {
                *groups.entry(owner).or_default() += 1;
            }
            let ends = seen.gone.first().zip(seen.gone.last());
            Gone {
                pods: seen.gone.len(),
                groups: groups.len(),
                within: ends.map_or(Duration::ZERO, |(first, last)| last.0 - first.0),
            }
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Evictions {
    fn drop(&mut self) {
        self.task.abort();
    }
}
