//! Namespaces, of which only metadata is read.

use kube::api::ObjectMeta;
use serde::Deserialize;

use super::metadata;

/// A namespace.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NamespaceObject {
    /// Its metadata.
    #[serde(default, deserialize_with = "metadata::slim")]
    metadata: ObjectMeta,
}

resource!(
    NamespaceObject,
    kube::core::ClusterResourceScope,
    "",
    "v1",
    "Namespace",
    "namespaces"
);
