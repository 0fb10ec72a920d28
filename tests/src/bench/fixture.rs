//! A large cluster's objects: per workload a Deployment, its ReplicaSet, running pods, a VPA and eight days of history.
//!
//! Nothing plays nodes or controllers: the objects are stored as they would stand there, so that in a benchmark the
//! program under test is the only one that asks for anything.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use podfit_core::histogram::Buckets;
use serde_json::{Map, Value, json};

use super::bulk::{Entry, Etcd};
use super::past;
use super::usage;
use crate::cluster::Cluster;

/// The hash in the name of every ReplicaSet.
const HASH: &str = "6d4f9b7c58";

/// When everything was created and started.
const CREATED: &str = "2026-11-01T08:00:00Z";

/// How many workloads, each with a VPA, and pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Workloads, and VPAs.
    pub vpas: usize,
    /// Pods of all workloads together; a multiple of `vpas`.
    pub pods: usize,
}

impl Size {
    /// Pods of one workload.
    pub fn replicas(self) -> usize {
        self.pods / self.vpas.max(1)
    }
}

/// What the VPAs are there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be recommended for: with a stored history, without a recommendation.
    Recommend,
    /// To be applied to new pods: with a recommendation.
    Apply,
    /// To be applied to running pods, by eviction: with a recommendation far from what they have. As in upstream's own
    /// benchmark there are ReplicaSets without Deployments. Pods end at once, as no kubelet sees to them.
    Update,
}

/// What stands in the cluster.
pub struct Fixture {
    etcd: Etcd,
    namespaces: usize,
    purpose: Purpose,
    size: Size,
    /// How often the pods were made anew.
    renewed: usize,
}

impl Fixture {
    /// Nothing but the namespaces, over which workloads are spread evenly.
    pub async fn new(cluster: &Cluster, namespaces: usize, purpose: Purpose) -> Result<Self> {
        let etcd = Etcd::new(&format!("{}:2379", cluster.address(2)))?;
        let spaces = (0..namespaces).flat_map(|n| {
            let name = namespace(n, namespaces);
            let space =
                json!({"apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Active"}});
            // No controller makes it, and no pod is let in without it.
            let account = json!({"apiVersion": "v1", "kind": "ServiceAccount"});
            [
                (format!("namespaces/{name}"), known(space, "", &name)),
                (
                    format!("serviceaccounts/{name}/default"),
                    known(account, &name, "default"),
                ),
            ]
        });
        etcd.put(
            "namespaces and their service accounts",
            2 * namespaces,
            spaces,
        )
        .await?;
        Ok(Self {
            etcd,
            namespaces,
            purpose,
            size: Size::default(),
            renewed: 0,
        })
    }

    /// Removes all pods and events, and puts new pods of the same names. No controller may be at work meanwhile.
    pub async fn renew_pods(&mut self) -> Result<()> {
        self.renewed += 1;
        let this = &*self;
        for kind in ["pods", "events"] {
            self.etcd.delete(&format!("{kind}/bench-")).await?;
        }
        let pods = (0..self.size.vpas)
            .flat_map(|n| (0..self.size.replicas()).map(move |pod| this.pod(n, pod)));
        self.etcd.put("pods made anew", self.size.pods, pods).await
    }

    /// Stores VPAs and histories anew, as they stood there at first: what a recommender has written meanwhile is gone, and the
    /// next one holds nothing back because of it. With `adaptive`, histories have what that estimator would have kept of
    /// the same eight days.
    pub async fn renew_vpas(&self, adaptive: bool) -> Result<()> {
        let (this, now) = (self, Timestamp::now());
        let vpas = 0..self.size.vpas;
        let vpas = vpas.flat_map(move |n| this.vpa(n, (this.size.replicas(), adaptive), now));
        self.etcd
            .put("VPAs and histories anew", self.size.vpas, vpas)
            .await
    }

    /// Adds what is missing up to `size`. It never shrinks.
    pub async fn grow(&mut self, size: Size) -> Result<()> {
        let (this, old, now) = (&*self, self.size, Timestamp::now());
        let new = old.vpas..size.vpas;
        let workloads = new.clone().flat_map(|n| self.workload(n, size.replicas()));
        self.etcd
            .put("Deployments and ReplicaSets", 2 * new.len(), workloads)
            .await?;
        let missing = |n: usize| if n < old.vpas { old.replicas() } else { 0 }..size.replicas();
        let pods = (0..size.vpas).flat_map(|n| missing(n).map(move |pod| this.pod(n, pod)));
        let count = size.pods - old.pods;
        self.etcd.put("pods", count, pods).await?;
        let vpas = new
            .clone()
            .flat_map(|n| self.vpa(n, (size.replicas(), false), now));
        self.etcd
            .put("VPAs and stored histories", new.len(), vpas)
            .await?;
        self.size = size;
        Ok(())
    }

    fn workload(&self, n: usize, replicas: usize) -> Vec<Entry> {
        let (namespace, name) = (namespace(n, self.namespaces), name(n));
        let template = json!({"metadata": {"labels": labels(n)}, "spec": self.pod_spec(n)});
        let replicas = if self.purpose == Purpose::Update {
            replicas
        } else {
            1
        };
        let stored = |kind: &str, plural: &str, name: &str, owners: Value| {
            let object = json!({
                "apiVersion": "apps/v1", "kind": kind,
                "metadata": {"labels": labels(n), "ownerReferences": owners},
                "spec": {"replicas": replicas, "selector": {"matchLabels": labels(n)}, "template": template},
                "status": {
                    "replicas": replicas, "fullyLabeledReplicas": replicas, "readyReplicas": replicas,
                    "availableReplicas": replicas, "observedGeneration": 1,
                },
            });
            (
                format!("{plural}/{namespace}/{name}"),
                known(object, &namespace, name),
            )
        };
        let replica_set = |owners| stored("ReplicaSet", "replicasets", &replica_set(n), owners);
        if self.purpose == Purpose::Update {
            return vec![replica_set(json!([]))];
        }
        vec![
            stored("Deployment", "deployments", &name, json!([])),
            replica_set(json!([owner("Deployment", &name)])),
        ]
    }

    fn pod_spec(&self, n: usize) -> Value {
        let mut spec = pod_spec(n);
        if self.purpose == Purpose::Update {
            spec["terminationGracePeriodSeconds"] = 0.into();
        }
        spec
    }

    fn pod(&self, n: usize, pod: usize) -> Entry {
        let (namespace, name) = (namespace(n, self.namespaces), pod_name(n, pod));
        let mut object = self::pod(n, &name);
        object["spec"] = self.pod_spec(n);
        object["spec"]["nodeName"] = format!("node-{}", (n + pod) % 500).into();
        object["status"] = running();
        let mut object = known(object, &namespace, &name);
        if self.renewed > 0 {
            object["metadata"]["uid"] = uid("pod", &format!("{name} {}", self.renewed)).into();
        }
        (format!("pods/{namespace}/{name}"), object)
    }

    fn vpa(&self, n: usize, (replicas, adaptive): (usize, bool), now: Timestamp) -> Vec<Entry> {
        let mode = match self.purpose {
            Purpose::Recommend => "Off",
            Purpose::Apply => "Initial",
            Purpose::Update => "Recreate",
        };
        let (kind, target) = match self.purpose {
            Purpose::Update => ("ReplicaSet", replica_set(n)),
            _ => ("Deployment", name(n)),
        };
        let mut vpa = json!({"spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target},
            "updatePolicy": {"updateMode": mode},
        }});
        let recommend = self.purpose == Purpose::Recommend;
        if !recommend {
            vpa["status"] = recommended(n);
        }
        let vpa = self.autoscaling("VerticalPodAutoscaler", n, &name(n), vpa);
        let history = recommend.then(|| self.checkpoint(n, (replicas, adaptive), now));
        [vpa].into_iter().chain(history).collect()
    }

    fn checkpoint(&self, n: usize, (replicas, adaptive): (usize, bool), now: Timestamp) -> Entry {
        let name = name(n);
        let mut checkpoint = json!({
            "spec": {"vpaObjectName": name, "containerName": "app"},
            "status": history(n, replicas, now),
        });
        if adaptive {
            let annotation = past::annotation(n, &name, now);
            checkpoint["metadata"]["annotations"]["podfit.dev/history"] = annotation.into();
        }
        let stored = format!("{name}-app");
        self.autoscaling("VerticalPodAutoscalerCheckpoint", n, &stored, checkpoint)
    }

    /// An object of the VPA's API, of a workload.
    fn autoscaling(&self, kind: &str, n: usize, name: &str, mut object: Value) -> Entry {
        let namespace = namespace(n, self.namespaces);
        object["apiVersion"] = "autoscaling.k8s.io/v1".into();
        object["kind"] = kind.into();
        let plural = kind.to_lowercase();
        (
            format!("autoscaling.k8s.io/{plural}s/{namespace}/{name}"),
            known(object, &namespace, name),
        )
    }
}

/// An object with what the API server gives it.
fn known(mut object: Value, namespace: &str, name: &str) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    let meta = &mut object["metadata"];
    meta["name"] = name.into();
    if !namespace.is_empty() {
        meta["namespace"] = namespace.into();
    }
    meta["uid"] = uid(&kind, name).into();
    meta["creationTimestamp"] = CREATED.into();
    meta["generation"] = 1.into();
    object["metadata"]["managedFields"] = managed_fields(&object);
    object
}

/// Who set what: often the larger half of an object.
fn managed_fields(object: &Value) -> Value {
    let entry = |manager: &str, parts: &[&str]| {
        let parts: Map<_, _> = parts
            .iter()
            .filter(|part| !object[**part].is_null())
            .map(|part| (format!("f:{part}"), fields(&object[*part])))
            .collect();
        json!({
            "manager": manager, "operation": "Update", "apiVersion": object["apiVersion"], "time": CREATED,
            "fieldsType": "FieldsV1", "fieldsV1": parts,
        })
    };
    let mut status = entry("kube-controller-manager", &["status"]);
    status["subresource"] = "status".into();
    json!([entry("kubectl-client-side-apply", &["spec"]), status])
}

/// The fields of a value, as `fieldsV1` has them.
fn fields(value: &Value) -> Value {
    let tree = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (format!("f:{key}"), fields(value)))
            .collect(),
        Value::Array(items) => {
            let named = items.iter().filter(|item| item["name"].is_string());
            named
                .map(|item| (format!("k:{}", json!({"name": item["name"]})), fields(item)))
                .collect()
        }
        _ => Map::new(),
    };
    Value::Object(tree)
}

/// A unique id that a name always has.
fn uid(kind: &str, name: &str) -> String {
    let hash = |seed: u64| {
        name.bytes().chain(kind.bytes()).fold(seed, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    let (a, b) = (hash(0xcbf2_9ce4_8422_2325), hash(0x9e37_79b9_7f4a_7c15));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// The namespace of a workload.
pub fn namespace(workload: usize, namespaces: usize) -> String {
    format!("bench-{}", workload % namespaces)
}

/// The name of a workload and of its VPA.
pub fn name(workload: usize) -> String {
    format!("w-{workload:05}")
}

/// The name of a workload's ReplicaSet.
fn replica_set(workload: usize) -> String {
    format!("{}-{HASH}", name(workload))
}

/// The name of a workload's pod.
pub fn pod_name(workload: usize, pod: usize) -> String {
    format!("w-{workload:05}-{HASH}-{pod:05}")
}

/// The labels of a workload's pods.
pub fn labels(workload: usize) -> Value {
    json!({"app": name(workload), "pod-template-hash": HASH})
}

fn owner(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid(&kind.to_lowercase(), name),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// A new pod of a workload.
pub fn pod(workload: usize, name: &str) -> Value {
    let replica_set = replica_set(workload);
    json!({
        "apiVersion": "v1", "kind": "Pod", "spec": pod_spec(workload),
        "metadata": {
            "name": name, "labels": labels(workload),
            "ownerReferences": [owner("ReplicaSet", &replica_set)],
        },
    })
}

/// A pod as charts make them: with a probe, a port, some environment.
fn pod_spec(workload: usize) -> Value {
    let base = usage::base(workload);
    let cpu = format!("{}m", (base.cpu * 2000.0).ceil());
    let memory = format!("{}Mi", (base.memory * 2.0 / f64::from(1 << 20)).ceil());
    json!({
        "serviceAccountName": "default", "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "securityContext": {},
        "containers": [{
            "name": "app",
            "image": format!("registry.example.org/team/{}:1.4.2", name(workload)),
            "args": ["--listen=:8080", "--log-level=info"],
            "env": [{"name": "REGION", "value": "eu-central-1"}, {"name": "POOL_SIZE", "value": "32"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
            "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
        }],
    })
}

fn running() -> Value {
    let since = CREATED;
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": since}));
    json!({
        "phase": "Running", "startTime": since, "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}], "hostIP": "10.0.0.4",
        "conditions": conditions,
        "containerStatuses": [{
            "name": "app", "ready": true, "started": true, "restartCount": 0,
            "image": "registry.example.org/team/app:1.4.2", "imageID": "registry.example.org/team/app@sha256:0",
            "containerID": format!("containerd://{HASH}"), "state": {"running": {"startedAt": since}},
        }],
    })
}

/// A status with a recommendation: what the container uses, and a margin.
fn recommended(workload: usize) -> Value {
    let base = usage::base(workload);
    let amounts = |factor: f64| {
        json!({
            "cpu": format!("{:.0}m", base.cpu * 1150.0 * factor),
            "memory": format!("{:.0}", base.memory * 1.15 * factor),
        })
    };
    json!({
        "conditions": [{"type": "RecommendationProvided", "status": "True", "lastTransitionTime": CREATED}],
        "recommendation": {"containerRecommendations": [{
            "containerName": "app", "target": amounts(1.0), "uncappedTarget": amounts(1.0),
            "lowerBound": amounts(0.8), "upperBound": amounts(1.5),
        }]},
    })
}

/// Eight days of history: usage over an hour, as often as it was seen.
fn history(workload: usize, replicas: usize, now: Timestamp) -> Value {
    let seen: Vec<_> = (0..240)
        .map(|n| usage::at(workload, n % replicas.max(1), n as u64 * 15))
        .collect();
    let ago = |hours: i64| {
        (now - SignedDuration::from_hours(hours))
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string()
    };
    let replicas = replicas as f64;
    json!({
        "version": "v3", "lastUpdateTime": ago(0), "firstSampleStart": ago(8 * 24), "lastSampleStart": ago(0),
        "totalSamplesCount": (8.0 * 24.0 * 60.0 * replicas) as i64,
        // A sample a minute that halves in a day weighs 0.1, a peak a day weighs 1: the sums of these series.
        "cpuHistogram": histogram(Buckets::cpu(), seen.iter().map(|u| u.cpu), 207.0 * replicas, &ago(24)),
        "memoryHistogram": histogram(Buckets::memory(), seen.iter().map(|u| u.memory), 2.0 * replicas, &ago(24)),
    })
}

fn histogram(
    buckets: &Buckets,
    seen: impl Iterator<Item = f64>,
    total: f64,
    reference: &str,
) -> Value {
    let mut counts = BTreeMap::<usize, u32>::new();
    for value in seen {
        *counts.entry(buckets.find(value)).or_default() += 1;
    }
    let most = counts.values().copied().max().unwrap_or(1);
    let weights: serde_json::Map<_, _> = counts
        .into_iter()
        .map(|(bucket, count)| (bucket.to_string(), (count * 10_000 / most).into()))
        .collect();
    json!({"referenceTimestamp": reference, "bucketWeights": weights, "totalWeight": total})
}
