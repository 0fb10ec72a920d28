//! Many workloads that all want a change, and what happened to their pods as a watch saw it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::ListParams;
use podfit_tests::amounts::Amounts;
use podfit_tests::manifests::{APP, Workload};
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use podfit_tests::recording::{Recording, least_available};
use podfit_tests::wait::{secs, until};
use serde_json::json;

/// Pods of each workload. By default a quarter of them, one, may be down at a time.
pub const REPLICAS: usize = 4;

/// The least that must be available of each workload, at any moment.
const LEAST: usize = 3;

/// Requests made at once.
const AT_ONCE: usize = 8;

/// CPU and memory, as in a manifest.
pub type Request<'a> = (&'a str, &'a str);

/// A recommendation.
pub struct Bounds<'a> {
    /// Less is too little.
    pub lower: Request<'a>,
    /// What is best.
    pub target: Request<'a>,
    /// More is too much.
    pub upper: Request<'a>,
}

/// Deployments of [`REPLICAS`] running pods, and a VPA for each in mode `Recreate`.
pub struct Fleet {
    ns: Namespace,
    workloads: Vec<Workload>,
    names: Vec<String>,
    pods: Recording,
}

impl Fleet {
    /// Creates `count` workloads, waits until all pods run, and then asks for `target` (CPU, memory) by VPAs.
    pub async fn create(ns: &Namespace, count: usize, target: Request<'_>) -> Result<Self> {
        let names: Vec<_> = (0..count).map(|n| format!("w-{n:02}")).collect();
        let workload = |name: &String| {
            Workload::deployment(name)
                .replicas(REPLICAS as u32)
                .requests("50m", "64Mi")
        };
        let fleet = Self {
            ns: ns.clone(),
            workloads: names.iter().map(workload).collect(),
            names,
            pods: Recording::start(ns, "Pod", "").await?,
        };
        let made = fleet.workloads.iter().map(|w| ns.create(w.manifest()));
        stream::iter(made)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        let all = count * REPLICAS;
        until("all pods run", secs(120), async || {
            let running = fleet.list().await?;
            let running = running.iter().filter(|p| p.is_available()).count();
            ensure!(running == all, "{running} of {all}");
            Ok(())
        })
        .await?;
        let made = fleet.workloads.iter().map(|w| ns.create(w.vpa("Recreate")));
        stream::iter(made)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        fleet.recommend(target).await?;
        Ok(fleet)
    }

    /// Recommends that to all, as a recommender would that is sure of it.
    pub async fn recommend(&self, target: Request<'_>) -> Result<()> {
        self.recommend_within(&Bounds {
            lower: target,
            target,
            upper: target,
        })
        .await
    }

    /// Recommends that to all.
    pub async fn recommend_within(&self, bounds: &Bounds<'_>) -> Result<()> {
        let amounts = |(cpu, memory): Request<'_>| json!({"cpu": cpu, "memory": memory});
        let target = amounts(bounds.target);
        let status = json!({
            "conditions": [{"type": "RecommendationProvided", "status": "True", "lastTransitionTime": "2026-11-01T08:00:00Z"}],
            "recommendation": {"containerRecommendations": [{
                "containerName": "app", "target": target, "uncappedTarget": target,
                "lowerBound": amounts(bounds.lower), "upperBound": amounts(bounds.upper),
            }]},
        });
        let written = self
            .names
            .iter()
            .map(|name| self.ns.merge_status(VPA, name, status.clone()));
        stream::iter(written)
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        Ok(())
    }

    /// Waits until every workload has all its pods, and all of them request that.
    pub async fn all_at(&self, (cpu, memory): Request<'_>, within: u64) -> Result<()> {
        let target = Amounts::parse(cpu, memory)?;
        let all = self.names.len() * REPLICAS;
        until("all pods run at the target", secs(within), async || {
            let mut there = 0;
            let pods = self.list().await?;
            for pod in &pods {
                there += usize::from(pod.is_available() && pod.requests("app")? == target);
            }
            ensure!(
                there == all && pods.len() == all,
                "{there} of {} pods are, {all} are to be",
                pods.len()
            );
            Ok(())
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Pod>> {
        let pods = self.ns.api("Pod").list(&ListParams::default()).await?;
        pods.items
            .iter()
            .map(|p| Ok(Pod(serde_json::to_value(p)?)))
            .collect()
    }

    /// How many pods went so far, by workload. Nothing but an eviction makes a pod go here.
    pub fn evicted(&self) -> BTreeMap<String, usize> {
        let mut gone: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for change in self.pods.changes() {
            let (app, pod) = (app(&change.object), Pod(change.object));
            let leaves = change.deleted || !pod.0["metadata"]["deletionTimestamp"].is_null();
            if leaves {
                gone.entry(app).or_default().insert(pod.uid().into());
            }
        }
        gone.into_iter()
            .map(|(app, uids)| (app, uids.len()))
            .collect()
    }

    /// How many pods went so far.
    pub fn evictions(&self) -> usize {
        self.evicted().values().sum()
    }

    /// Waits until so many went.
    pub async fn evictions_reach(&self, count: usize) -> Result<()> {
        until("evictions", secs(60), async || {
            let evictions = self.evictions();
            ensure!(evictions >= count, "{evictions} of {count}");
            Ok(())
        })
        .await
    }

    /// An error if in any workload fewer pods were available at any moment than its budget allows.
    pub fn ensure_within_budget(&self) -> Result<()> {
        let mut changes = BTreeMap::<String, Vec<_>>::new();
        for change in self.pods.changes() {
            changes.entry(app(&change.object)).or_default().push(change);
        }
        for (name, changes) in changes {
            let least = least_available(&changes, REPLICAS)?;
            ensure!(least >= LEAST, "{name} once had {least} pods available");
        }
        Ok(())
    }

    /// An error unless each workload has had, over its whole life, its first pods and `times` as many replacements: a pod
    /// that was evicted twice for one change would have left a third.
    pub fn ensure_replaced(&self, times: usize) -> Result<()> {
        let mut seen = BTreeMap::<String, BTreeSet<String>>::new();
        for change in self.pods.changes() {
            let (app, pod) = (app(&change.object), Pod(change.object));
            seen.entry(app).or_default().insert(pod.uid().into());
        }
        for name in &self.names {
            let pods = seen.get(name).map_or(0, BTreeSet::len);
            ensure!(
                pods == (1 + times) * REPLICAS,
                "{name} has had {pods} pods, not {}",
                (1 + times) * REPLICAS
            );
        }
        Ok(())
    }
}

fn app(pod: &serde_json::Value) -> String {
    pod["metadata"]["labels"][APP]
        .as_str()
        .unwrap_or_default()
        .into()
}
