//! `metrics.k8s.io/v1beta1` pod metrics, borrowed from the text they come in.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The usage of one pod.
#[derive(Debug, Deserialize)]
pub struct PodMetrics<'a> {
    /// The pod's name and namespace.
    #[serde(borrow)]
    pub metadata: Metadata<'a>,
    /// The end of the window it was measured in.
    #[serde(borrow, default)]
    pub timestamp: Cow<'a, str>,
    /// Per container.
    #[serde(borrow, default)]
    pub containers: Vec<ContainerMetrics<'a>>,
}

/// What of the metadata is used.
#[derive(Debug, Deserialize)]
pub struct Metadata<'a> {
    /// The pod's namespace.
    #[serde(borrow)]
    pub namespace: Option<Cow<'a, str>>,
    /// The pod's name.
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
}

/// The usage of one container.
#[derive(Debug, Deserialize)]
pub struct ContainerMetrics<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// How much.
    #[serde(borrow, default)]
    pub usage: Usage<'a>,
}

/// Amounts of the resources that can be sized.
#[derive(Debug, Default, Deserialize)]
pub struct Usage<'a> {
    /// Cores.
    #[serde(borrow)]
    pub cpu: Option<Quantity<'a>>,
    /// Bytes.
    #[serde(borrow)]
    pub memory: Option<Quantity<'a>>,
}

/// An amount as it stands in the text: `"250m"`, a bare number, or nonsense, which costs only itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Quantity<'a>(#[serde(borrow)] &'a RawValue);

impl<'a> Quantity<'a> {
    /// Without quotes. An escape would be nonsense in a quantity, and stays.
    pub fn text(self) -> &'a str {
        self.0.get().trim_matches('"')
    }
}
