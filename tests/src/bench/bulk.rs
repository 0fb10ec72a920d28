//! Many objects at once: put into etcd as the API server would have stored them, a hundred in a transaction.
//!
//! Created through the API, 50,000 running pods take two requests each, and many minutes on two cores. The API server
//! notices what is put into etcd as it notices what another API server stores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use kube::{Client, Config};
use serde_json::{Value, json};

/// Objects in a transaction; etcd takes 128.
const TOGETHER: usize = 100;

/// Transactions under way.
const AT_ONCE: usize = 4;

/// How often progress is told.
const TELL: Duration = Duration::from_secs(5);

/// An object and its key in etcd, without the prefix.
pub type Entry = (String, Value);

/// The cluster's etcd.
pub struct Etcd(Client);

impl Etcd {
    /// The etcd at `address` (`IP:PORT`), by its JSON gateway.
    pub fn new(address: &str) -> Result<Self> {
        let config = Config::new(format!("http://{address}").parse()?);
        Ok(Self(Client::try_from(config)?))
    }

    /// Puts `total` objects; what stands at their keys already is replaced.
    pub async fn put(
        &self,
        what: &str,
        total: usize,
        entries: impl Iterator<Item = Entry> + Send,
    ) -> Result<()> {
        let (done, started) = (AtomicUsize::new(0), Instant::now());
        let tell = async {
            loop {
                tokio::time::sleep(TELL).await;
                println!("    {what}: {} of {total}", done.load(Ordering::Relaxed));
            }
        };
        let work = stream::iter(entries)
            .chunks(TOGETHER)
            .map(|entries| self.transaction(entries, &done))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>();
        tokio::select! {
            put = work => put.with_context(|| format!("{what} could not be put into etcd"))?,
            () = tell => {}
        }
        println!(
            "  {what}: {total} in {:.1} s",
            started.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Deletes all objects whose keys begin with `prefix`.
    pub async fn delete(&self, prefix: &str) -> Result<()> {
        let key = format!("/registry/{prefix}");
        let mut end = key.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let body = json!({"key": STANDARD.encode(key), "range_end": STANDARD.encode(end)});
        let request = Request::post("/v3/kv/deleterange").body(body.to_string().into_bytes())?;
        self.0.request_text(request).await?;
        Ok(())
    }

    async fn transaction(&self, entries: Vec<Entry>, done: &AtomicUsize) -> Result<()> {
        let put = |(key, object): &Entry| {
            let (key, value) = (format!("/registry/{key}"), object.to_string());
            json!({"requestPut": {"key": STANDARD.encode(key), "value": STANDARD.encode(value)}})
        };
        let body = json!({"success": entries.iter().map(put).collect::<Vec<_>>()});
        let request = Request::post("/v3/kv/txn").body(body.to_string().into_bytes())?;
        self.0.request_text(request).await?;
        done.fetch_add(entries.len(), Ordering::Relaxed);
        Ok(())
    }
}
