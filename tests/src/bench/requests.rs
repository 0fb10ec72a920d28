//! Who asked how often, as the API server counts.

use anyhow::Result;
use http::Request;
use kube::Client;

/// The API server's counts so far: what `/metrics` said.
pub struct Counts(String);

/// The count of one sort of request.
#[derive(Clone, Copy, Debug)]
pub struct Count<'a> {
    labels: &'a str,
    /// How many.
    pub requests: f64,
}

impl Counts {
    /// Reads them.
    pub async fn read(client: &Client) -> Result<Self> {
        let request = Request::get("/metrics").body(Vec::new())?;
        Ok(Self(client.request_text(request).await?))
    }

    /// Of a text that was read already.
    pub fn parse(text: &str) -> Self {
        Self(text.into())
    }

    /// All of `apiserver_request_total`.
    pub fn all(&self) -> impl Iterator<Item = Count<'_>> {
        let lines = self.0.lines();
        lines
            .filter_map(|line| line.strip_prefix("apiserver_request_total{"))
            .filter_map(|line| line.rsplit_once("} "))
            .filter_map(|(labels, count)| {
                let requests = count.parse().ok()?;
                Some(Count { labels, requests })
            })
    }
}

impl Count<'_> {
    /// True when the label has one of these values.
    pub fn has(&self, label: &str, values: &[&str]) -> bool {
        let is = |value: &&str| self.labels.contains(&format!("{label}=\"{value}\""));
        values.iter().any(is)
    }
}
