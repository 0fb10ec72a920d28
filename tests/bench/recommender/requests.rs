//! Who asked how often, as the API server counts. Nothing else runs in the cluster that asks for these kinds.

use anyhow::Result;
use kube::Client;
use podfit_tests::bench::requests::Counts;

/// The API server's counters so far.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    all: f64,
    statuses: f64,
    histories: f64,
}

impl Requests {
    /// Reads the counters.
    pub async fn read(client: &Client) -> Result<Self> {
        Ok(Self::of(&Counts::read(client).await?))
    }

    /// Requests for VPAs, histories, pods and their controllers, but for watches. Requests for usage do not count: the
    /// API server only passes them on.
    pub fn all(&self) -> f64 {
        self.all
    }

    /// Written VPAs and their statuses.
    pub fn statuses(&self) -> f64 {
        self.statuses
    }

    /// Written histories.
    pub fn histories(&self) -> f64 {
        self.histories
    }

    fn of(counts: &Counts) -> Self {
        let mut sums = Self::default();
        for count in counts.all() {
            let has = |label, values: &[&str]| count.has(label, values);
            let group = has("group", &["autoscaling.k8s.io", "apps", "batch"]);
            let core = has("group", &[""])
                && has(
                    "resource",
                    &["pods", "replicationcontrollers", "limitranges", "events"],
                );
            if !(group || core) || has("verb", &["WATCH"]) {
                continue;
            }
            sums.all += count.requests;
            if !has("verb", &["POST", "PUT", "PATCH", "APPLY"]) {
                continue;
            }
            if has("resource", &["verticalpodautoscalers"]) {
                sums.statuses += count.requests;
            } else if has("resource", &["verticalpodautoscalercheckpoints"]) {
                sums.histories += count.requests;
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recommenders_requests_count() {
        let text = r#"
apiserver_request_total{code="200",component="apiserver",dry_run="",group="autoscaling.k8s.io",resource="verticalpodautoscalers",scope="resource",subresource="status",verb="PATCH",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="autoscaling.k8s.io",resource="verticalpodautoscalercheckpoints",scope="resource",subresource="",verb="PATCH",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="autoscaling.k8s.io",resource="verticalpodautoscalers",scope="cluster",subresource="",verb="WATCH",version="v1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="cluster",subresource="",verb="LIST",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 90
"#;
        let sums = Requests::of(&Counts::parse(text));
        assert_eq!(
            (sums.all(), sums.statuses(), sums.histories()),
            (14.0, 7.0, 5.0)
        );
    }
}
