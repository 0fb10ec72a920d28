//! The recommender that runs, which knows best.

use anyhow::{Context, Result};
use http::{Request, Uri};
use kube::{Client, Config};
use podfit_cluster::calls::Calls;
use podfit_core::vpa::Vpa;
use serde_json::Value;

use super::Evidence;
use crate::installation::Installation;
use crate::objects::{self, Answer};

/// The recommender, and how it is reached.
pub struct Recommender<'a> {
    calls: &'a Calls,
    way: Way<'a>,
}

enum Way<'a> {
    /// Its own address, without the API server.
    Direct(Client, Uri),
    /// Its pods that are ready, through the API server; the one to ask first is the first.
    Pods(&'a Installation, Vec<String>),
}

impl<'a> Recommender<'a> {
    /// At an address of its own.
    pub fn at(calls: &'a Calls, address: &Uri) -> Result<Self> {
        let client = Client::try_from(Config::new(address.clone()));
        let client = client.with_context(|| format!("no recommender can be asked at {address}"))?;
        let way = Way::Direct(client, address.clone());
        Ok(Self { calls, way })
    }

    /// Its pods; the one that acts, if that is known, before the others.
    pub async fn of(calls: &'a Calls, installation: &'a Installation) -> Self {
        let pods = installation.ready_pods("recommender");
        let mut pods: Vec<_> = pods.map(String::from).collect();
        // A shadow holds no lease.
        if pods.len() > 1 {
            let name = installation.flag(
                "recommender",
                "leader-elect-resource-name",
                "vpa-recommender-lease",
            );
            let namespace = &installation.namespace;
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}");
            let lease = objects::get(calls, &path).await;
            let holder = lease
                .found()
                .and_then(|lease| lease["spec"]["holderIdentity"].as_str());
            let holder = holder.unwrap_or_default();
            pods.sort_by_key(|pod| !holder.starts_with(pod.as_str()));
        }
        let way = Way::Pods(installation, pods);
        Self { calls, way }
    }

    /// What it says of a VPA, or why it says nothing.
    pub async fn explain(&self, vpa: &Vpa) -> Result<Evidence, String> {
        let about = format!("/explain/{}/{}", vpa.namespace, vpa.name);
        let (installation, pods) = match &self.way {
            Way::Direct(client, address) => {
                let request = Request::get(about).body(Vec::new());
                let request = request.map_err(|error| error.to_string())?;
                let answer = client.request::<Value>(request);
                let answer = self.calls.run("ask the recommender", answer).await;
                return Ok(Evidence {
                    source: format!("the recommender at {address}"),
                    explanation: answer.map_err(|error| error.to_string())?,
                });
            }
            Way::Pods(installation, pods) => (installation, pods),
        };
        let mut why = "none of its pods is ready".to_owned();
        for pod in pods {
            let path = installation.proxy("recommender", pod) + &about;
            match objects::get(self.calls, &path).await {
                Answer::Found(explanation) => {
                    let source = format!("recommender pod {pod}");
                    return Ok(Evidence {
                        source,
                        explanation,
                    });
                }
                Answer::Absent => why = format!("pod {pod} knows no such VPA, or is gone"),
                Answer::Denied(words) | Answer::Failed(words) => why = words,
            }
        }
        Err(why)
    }
}
