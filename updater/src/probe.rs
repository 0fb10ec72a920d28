//! Asks the API server what it would make of a new pod, to know whether what the webhook answers is applied.

use podfit_cluster::calls::Calls;
use podfit_cluster::options::own_namespace;
use podfit_cluster::probe::{NotProven, check};

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
        check(&self.calls, &self.namespace).await.map_err(|error| {
            let hint = match &error {
                NotProven::NotTried(error) if error.is_forbidden() => {
                    "; the updater must be allowed to create pods in its own namespace"
                }
                _ => "",
            };
            match error {
                NotProven::NotTried(_) => format!("{error} (namespace {}{hint})", self.namespace),
                NotProven::NotApplied(why) => why.into(),
            }
        })
    }
}
