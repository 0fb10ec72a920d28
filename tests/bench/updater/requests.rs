//! What the updater asked of the API server, as that counts it.

use anyhow::Result;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use podfit_tests::bench::requests::Counts;

/// Counters so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    /// Evictions asked for, whatever became of them.
    pub evictions: f64,
    /// Those that were granted.
    pub evicted: f64,
    /// Requests for VPAs, but for watches. Nobody else makes these, either.
    pub vpas: f64,
}

impl Requests {
    /// Reads the counters.
    pub async fn read(client: &Client) -> Result<Self> {
        Ok(Self::of(&Counts::read(client).await?))
    }

    fn of(counts: &Counts) -> Self {
        let mut sums = Self::default();
        for count in counts.all() {
            if count.has("subresource", &["eviction"]) {
                sums.evictions += count.requests;
                if count.has("code", &["201"]) {
                    sums.evicted += count.requests;
                }
            } else if count.has("group", &["autoscaling.k8s.io"]) && !count.has("verb", &["WATCH"])
            {
                sums.vpas += count.requests;
            }
        }
        sums
    }
}

/// How many events the updater has told. The ReplicaSet controller tells its own.
pub async fn events(client: &Client) -> Result<usize> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Event"));
    let all = Api::<DynamicObject>::all_with(client.clone(), &kind)
        .list(&ListParams::default())
        .await?;
    let of_updater = |event: &&DynamicObject| event.data["source"]["component"] == "vpa-updater";
    Ok(all.items.iter().filter(of_updater).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evictions_and_requests_for_vpas_are_told_apart() {
        let text = r#"
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="eviction",verb="POST",version="v1"} 7
apiserver_request_total{code="429",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="eviction",verb="POST",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="autoscaling.k8s.io",resource="verticalpodautoscalers",scope="cluster",subresource="",verb="WATCH",version="v1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="autoscaling.k8s.io",resource="verticalpodautoscalers",scope="cluster",subresource="",verb="LIST",version="v1"} 1
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="pods",scope="resource",subresource="",verb="POST",version="v1"} 90
"#;
        let sums = Requests::of(&Counts::parse(text));
        assert!((sums.evictions - 9.0).abs() < 0.1 && (sums.evicted - 7.0).abs() < 0.1);
        assert!((sums.vpas - 1.0).abs() < 0.1);
    }
}
