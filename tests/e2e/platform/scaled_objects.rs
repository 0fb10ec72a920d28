//! ScaledObjects of a test's own.

use anyhow::Result;
use podfit_tests::namespace::Namespace;
use podfit_tests::wait::{secs, until};
use serde_json::Value;

/// Creates one. KEDA's webhook refuses it until its cache knows the workload.
pub async fn create(ns: &Namespace, object: Value) -> Result<()> {
    until("KEDA admits a ScaledObject", secs(30), async || {
        ns.create(object.clone()).await.map(drop)
    })
    .await
}
