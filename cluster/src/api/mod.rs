//! Wire types: the slim shapes in which objects are read, and their way into plain values.

/// Makes a wire type with a `metadata` field a resource that the client can list and watch.
macro_rules! resource {
    ($type:ty, $scope:ty, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::api::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::api::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

/// The same for a resource that lives in namespaces.
macro_rules! namespaced_resource {
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        resource!(
            $type,
            kube::core::NamespaceResourceScope,
            $group,
            $version,
            $kind,
            $plural
        );
    };
}

pub mod checkpoint;
pub mod controller;
pub mod disruption_budget;
pub mod event;
pub mod horizontal_pod_autoscaler;
pub mod limit_range;
pub mod metadata;
pub mod metrics;
pub mod namespace;
pub mod node;
pub mod object;
pub mod pod;
pub mod quantity;
pub mod resource_quota;
pub mod scale_point;
pub mod scaled_object;
pub mod time;
pub mod vpa;
