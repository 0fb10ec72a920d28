//! Asks the API server what it would make of a new pod, to know whether what the webhook answers is applied.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use podfit_cluster::calls::Calls;
use podfit_cluster::{options::own_namespace, probe};

/// Makes probes in podfit's own namespace, so that the right to create pods is needed there only.
pub struct Probe {
    calls: Calls,
    namespace: String,
}

impl Probe {
    /// Over these calls.
    pub fn new(calls: Calls) -> Self {
        Self {
            calls,
            namespace: own_namespace(),
        }
    }

    /// Ok when new pods get what the webhook answers; else why not, or why that cannot be told.
    pub async fn check(&self) -> Result<(), String> {
        let pod: DynamicObject =
            serde_json::from_value(probe::pod()).map_err(|error| error.to_string())?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let client = self.calls.client().clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.namespace, &resource);
        let dry_run = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let request = api.create(&dry_run, &pod);
        let answer = self.calls.run("try out a new pod", request).await;
        let stored = answer.map_err(|error| {
            let hint = if error.is_forbidden() {
                "; the updater must be allowed to create pods in its own namespace"
            } else {
                ""
            };
            format!("{error} (namespace {}{hint})", self.namespace)
        })?;
        let stored = serde_json::to_value(stored).map_err(|error| error.to_string())?;
        probe::not_applied(&stored).map_or(Ok(()), |why| Err(why.into()))
    }
}
