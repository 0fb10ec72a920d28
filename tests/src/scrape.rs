//! Plain and TLS requests that do not go through the API server.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use http::Request;
use kube::client::Body;
use kube::{Client, Config};

use crate::wait::{secs, until};

/// What `/metrics` said.
pub struct Metrics(String);

impl Metrics {
    /// Of a text that was read already.
    pub fn parse(text: String) -> Self {
        Self(text)
    }

    /// Asks the admin server at `address` (`IP:PORT`).
    pub async fn of(address: &str) -> Result<Self> {
        Ok(Self(get(address, "/metrics").await?))
    }

    /// The sum of all series of that name that have all these labels; zero when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| {
                labels
                    .iter()
                    .all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// The values that a label has in the series of that name.
    pub fn values(&self, name: &str, label: &str) -> BTreeSet<String> {
        let lines = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        lines
            .filter_map(|labels| labels.split_once(&format!("{label}=\"")))
            .filter_map(|(_, rest)| Some(rest.split_once('"')?.0.to_owned()))
            .collect()
    }
}

/// Waits until the recommender or the updater at `address` has gone through `count` more whole loops.
pub async fn loops(address: &str, component: &str, count: u32) -> Result<()> {
    let metric = format!("vpa_{component}_execution_latency_seconds_count");
    let done = async || {
        Ok(Metrics::of(address)
            .await?
            .sum(&metric, &[("step", "total")]))
    };
    let before = until("it tells of its loops", secs(60), &done).await?;
    let what = format!("{count} more loops of the {component}");
    until(&what, secs(90), async || {
        let more = done().await? - before;
        anyhow::ensure!(more >= f64::from(count), "{more} loops more");
        Ok(())
    })
    .await
}

/// The body of a plain HTTP answer with status 200.
pub async fn get(address: &str, path: &str) -> Result<String> {
    let mut config = Config::new(format!("http://{address}").parse()?);
    config.default_retry = false; // "not ready" is an answer
    let client = Client::try_from(config)?;
    let request = Request::get(path).body(Vec::new())?;
    client
        .request_text(request)
        .await
        .with_context(|| format!("http://{address}{path}"))
}

/// A client for a TLS server whose certificate `authority` (PEM) issued for `server_name`.
pub fn tls_client(address: &str, server_name: &str, authority: &[u8]) -> Result<Client> {
    let mut config = Config::new(format!("https://{address}").parse()?);
    config.root_cert = Some(der(authority)?);
    config.tls_server_name = Some(server_name.into());
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// Posts a body; the answer's status code and text.
pub async fn post(client: &Client, content_type: &str, body: Vec<u8>) -> Result<(u16, String)> {
    let request = Request::post("/")
        .header("content-type", content_type)
        .body(Body::from(body))?;
    let answer = client.send(request).await?;
    let status = answer.status().as_u16();
    let text = answer.into_body().collect_bytes().await?;
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

/// The certificates of a PEM file, each in DER.
fn der(pem: &[u8]) -> Result<Vec<Vec<u8>>> {
    use base64::Engine;
    let text = std::str::from_utf8(pem)?;
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .map(|rest| {
            let body = rest
                .split("-----END")
                .next()
                .unwrap_or_default()
                .split_whitespace();
            Ok(base64::engine::general_purpose::STANDARD.decode(body.collect::<String>())?)
        })
        .collect()
}
