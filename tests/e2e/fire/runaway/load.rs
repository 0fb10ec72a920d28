//! The same load on workloads whose HPAs differ in nothing but what else sizes them.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::pod::Pod;
use serde_json::{Value, json};

/// The kind of HPAs.
const HPA: &str = "HorizontalPodAutoscaler";

/// What a simulated container is told to use.
const USAGE: &str = "usage.podfit.dev/cpu";

/// Percent of the request that the HPA is to hold.
pub const TARGET: i64 = 50;

/// Millicores that each pod asks for at first.
pub const REQUEST: i64 = 200;

/// Replicas at first: the HPA's own answer to [`super::LOW`].
pub const REPLICAS: u32 = 4;

/// The HPA's bounds of replicas.
pub const BOUNDS: (i64, i64) = (2, 20);

/// A workload under an HPA, and what its VPA says about that.
#[derive(Clone)]
pub struct Stance {
    /// Its name, and that of its Deployment.
    pub name: &'static str,
    /// The VPA's annotation `podfit.dev/horizontal`; none: there is no VPA.
    pub horizontal: Option<&'static str>,
    /// Where.
    pub ns: Namespace,
}

/// How a stance stood at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Seconds since the beginning.
    pub at: f64,
    /// Millicores that all pods together have to use.
    pub load: i64,
    /// Replicas that the Deployment is to have.
    pub replicas: i64,
    /// Millicores that a pod asks for, on average.
    pub request: i64,
    /// Percent that the HPA is told to hold.
    pub target: i64,
}

impl Stance {
    /// Creates the Deployment, its HPA, and its VPA, which one recommender of that name serves.
    pub async fn create(&self, recommender: &str) -> Result<()> {
        let workload = Workload::deployment(self.name)
            .replicas(REPLICAS)
            .requests(&format!("{REQUEST}m"), "64Mi")
            .simulated_usage("1m", "100Mi");
        self.ns.create(workload.manifest()).await?;
        self.ns.create(self.hpa()).await?;
        if let Some(horizontal) = self.horizontal {
            let mut vpa = workload.vpa("InPlaceOrRecreate");
            vpa["metadata"]["annotations"] = json!({"podfit.dev/horizontal": horizontal});
            vpa["spec"]["recommenders"] = json!([{ "name": recommender }]);
            self.ns.create(vpa).await?;
        }
        Ok(())
    }

    fn hpa(&self) -> Value {
        json!({
            "apiVersion": "autoscaling/v2",
            "kind": HPA,
            "metadata": {"name": self.name},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
                "minReplicas": BOUNDS.0,
                "maxReplicas": BOUNDS.1,
                "metrics": [{"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": TARGET},
                }}],
            },
        })
    }

    /// Spreads the load over the pods that can take it, and tells how things stand.
    pub async fn play(&self, at: f64, load: i64) -> Result<Row> {
        let pods = self.ns.pods(self.name).await?;
        let available: Vec<_> = pods.iter().filter(|p| p.is_available()).collect();
        let share = format!("{}m", load / available.len().max(1) as i64);
        let told = available
            .iter()
            .filter(|pod| pod.annotation(USAGE) != Some(&share))
            .map(|pod| self.tell(pod, &share));
        try_join_all(told).await?;
        let requests: Vec<_> = pods
            .iter()
            .map(|pod| Ok(pod.requests("app")?.cpu))
            .collect::<Result<_>>()?;
        let deployment = self.ns.get("Deployment", self.name).await?;
        let metrics = &self.ns.get(HPA, self.name).await?["spec"]["metrics"][0];
        Ok(Row {
            at,
            load,
            replicas: deployment["spec"]["replicas"]
                .as_i64()
                .context("no replicas")?,
            request: requests.iter().sum::<i64>() / requests.len().max(1) as i64,
            target: metrics["resource"]["target"]["averageUtilization"]
                .as_i64()
                .context("no target")?,
        })
    }

    /// A pod that went in the meantime needs no telling.
    async fn tell(&self, pod: &Pod, share: &str) -> Result<()> {
        let annotations = json!({"metadata": {"annotations": {USAGE: share}}});
        match self.ns.merge("Pod", pod.name(), annotations).await {
            Err(error) if format!("{error:#}").contains("not found") => Ok(()),
            outcome => outcome,
        }
    }

    /// The HPA knows what its pods use, and the VPA, if there is one, what to recommend.
    pub async fn ensure_measured(&self) -> Result<()> {
        let hpa = self.ns.get(HPA, self.name).await?;
        hpa["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"]
            .as_i64()
            .with_context(|| format!("{} knows no utilisation: {}", self.name, hpa["status"]))?;
        if self.horizontal.is_some() {
            let vpa = self.ns.get(VPA, self.name).await?;
            vpa["status"]["recommendation"]["containerRecommendations"][0]
                .as_object()
                .with_context(|| format!("nothing is recommended for {}", self.name))?;
        }
        Ok(())
    }
}
