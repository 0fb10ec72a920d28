//! Everything that happened to objects, from a watch: no state between two looks is missed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use futures::StreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::wait::{secs, until};

/// One change of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// True when the object is gone.
    pub deleted: bool,
    /// The object after the change, or as it was last.
    pub object: Value,
}

/// Runs until it is dropped.
pub struct Recording {
    changes: Arc<Mutex<Vec<Change>>>,
    task: JoinHandle<()>,
}

impl Recording {
    /// Records the objects of one kind which have the labels; returns once the present ones are known.
    pub async fn start(ns: &Namespace, kind: &str, labels: &str) -> Result<Self> {
        let config = watcher::Config::default().labels(labels);
        let mut stream = Box::pin(watcher(ns.api(kind), config));
        let changes = Arc::new(Mutex::new(Vec::new()));
        let ready = Arc::new(tokio::sync::Notify::new());
        let (into, listed) = (Arc::clone(&changes), Arc::clone(&ready));
        let task = tokio::spawn(async move {
            while let Some(event) = stream.next().await {
                let change = match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => (false, object),
                    Ok(Event::Delete(object)) => (true, object),
                    Ok(Event::InitDone) => {
                        listed.notify_one();
                        continue;
                    }
                    // The watcher begins anew by itself.
                    Ok(Event::Init) | Err(_) => continue,
                };
                if let Ok(object) = serde_json::to_value(change.1) {
                    let mut all = into.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(Change {
                        deleted: change.0,
                        object,
                    });
                }
            }
        });
        let recording = Self { changes, task };
        until("a watch begins", secs(30), async || {
            tokio::time::timeout(secs(1), ready.notified()).await?;
            Ok(())
        })
        .await?;
        Ok(recording)
    }

    /// All changes so far.
    pub fn changes(&self) -> Vec<Change> {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// For pods: the smallest number of them that was available at any moment after `all` of them were.
    pub fn least_available(&self, all: usize) -> Result<usize> {
        least_available(&self.changes(), all)
    }
}

/// The smallest number of pods that was available at any moment after `all` of them were.
pub fn least_available(changes: &[Change], all: usize) -> Result<usize> {
    let mut available = BTreeMap::new();
    let mut least = None;
    for Change { deleted, object } in changes {
        let pod = Pod(object.clone());
        available.insert(pod.uid().to_owned(), !deleted && pod.is_available());
        let count = available.values().filter(|a| **a).count();
        if least.is_some() || count >= all {
            least = Some(least.map_or(count, |l: usize| l.min(count)));
        }
    }
    ensure!(least.is_some(), "never were {all} pods available");
    Ok(least.unwrap_or_default())
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.task.abort();
    }
}
