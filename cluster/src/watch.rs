//! Watches that never give up: an absent API is waited for, a dropped connection resumed, and each trouble told once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::future::ready;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use http::Request;
use kube::api::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch as signal;

use crate::calls::explain;

/// How many objects a page of a list has; the client's own number is 500. A page is there as text and as objects at once, and
/// all kinds are listed at the same time.
const PAGE: u32 = 100;

/// What a watch tells: objects one by one, and after each list which objects there are at all.
#[derive(Debug)]
pub enum Change<K> {
    /// Added or changed.
    Apply(K),
    /// Gone.
    Delete(K),
    /// All objects were listed afresh; what is not among these `(namespace, name)` pairs is gone.
    Listed(HashSet<(String, String)>),
}

/// Counts the watches that have not listed their objects yet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Synced {
    waiting: Arc<AtomicUsize>,
    done: signal::Sender<bool>,
}

impl Default for Synced {
    fn default() -> Self {
        Self {
            waiting: Arc::new(AtomicUsize::new(0)),
            done: signal::Sender::new(false),
        }
    }
}

impl Synced {
    /// True once every watch started so far has listed its objects.
    pub fn is_complete(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Resolves once every watch started so far has listed its objects.
    pub async fn complete(&self) {
        let mut done = self.done.subscribe();
        while !self.is_complete() {
            if done.changed().await.is_err() {
                return;
            }
        }
    }

    /// The same, but waits no longer than `patience`, and then says what follows.
    pub async fn complete_within(&self, patience: Duration, consequence: &str) {
        if tokio::time::timeout(patience, self.complete())
            .await
            .is_err()
        {
            tracing::warn!("{consequence}");
        }
    }

    fn expect_one(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    fn one_done(&self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        self.done.send_replace(true);
    }
}

/// Which objects to watch, and whom to tell once they are listed.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The kind in plural, for log lines: `pods`.
    pub what: Cow<'static, str>,
    /// Whether the API server must know the kind.
    pub presence: Presence,
    /// Counts this watch until it has listed.
    pub synced: Synced,
}

/// Whether the API server must know a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Something is wrong where it does not; with what an operator can do then.
    Required(&'static str),
    /// It is of another program, which not every cluster has.
    Optional,
}

impl Presence {
    /// The longest pause between tries.
    fn patience(self) -> Duration {
        match self {
            Self::Required(_) => Duration::from_secs(5),
            Self::Optional => Duration::from_secs(30),
        }
    }
}

/// Watches objects until the process ends. An `Api<MetadataOf<K>>` asks for metadata only: a fraction of the traffic.
pub fn objects<K>(api: Api<K>, watch: Watch, on_change: impl FnMut(Change<K>) + Send + 'static)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = events(api, config(), watch.what.clone());
    start(events, watch, on_change);
}

/// The same for the objects whose fields are as `selector` wants them: `reason=Evicted`.
pub fn selected<K>(
    api: Api<K>,
    selector: &str,
    watch: Watch,
    on_change: impl FnMut(Change<K>) + Send + 'static,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = events(api, config().fields(selector), watch.what.clone());
    start(events, watch, on_change);
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// What the API server tells. It streams the objects that are there already, one at a time, if it can: Kubernetes does so since
/// 1.34, and in 1.32. Where it cannot, or once such a stream failed, they are listed in pages.
fn events<K>(
    api: Api<K>,
    config: watcher::Config,
    what: Cow<'static, str>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut goes_well = streaming_goes_well();
    let streamed = watcher(api.clone(), config.clone().streaming_lists());
    let streamed = streamed.take_while(move |event| {
        let well = goes_well(event);
        if !well {
            tracing::debug!(%what, "its objects are not streamed; listing them in pages");
        }
        ready(well)
    });
    streamed.chain(watcher(api, config))
}

/// Of each event in turn whether to go on with streams. What was streamed with an error in between is not all there is, and
/// objects are not to be taken for gone because of that.
fn streaming_goes_well<K>() -> impl FnMut(&watcher::Result<Event<K>>) -> bool {
    let mut unfinished = false;
    move |event| match event {
        Ok(Event::Init) => !mem::replace(&mut unfinished, true),
        Ok(Event::InitDone) => {
            unfinished = false;
            true
        }
        Ok(_) => true,
        Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) => {
            !matches!(status.code, 400 | 422)
        }
        Err(_) => !unfinished,
    }
}

/// Takes a request to be streamed all objects as some cache of the API server may still have them, which is what the client
/// library makes of it, for one as they are now, which is what a list gives.
pub fn as_they_are<B>(mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    let streamed = uri
        .query()
        .is_some_and(|q| q.contains("sendInitialEvents=true"));
    if streamed
        && let Ok(uri) = uri
            .to_string()
            .replace("resourceVersion=0", "resourceVersion=")
            .parse()
    {
        *request.uri_mut() = uri;
    }
    request
}

fn start<K: Resource + Send + 'static>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    watch: Watch,
    mut on_change: impl FnMut(Change<K>) + Send + 'static,
) {
    watch.synced.expect_one();
    tokio::spawn(async move {
        let changes = changes(events).backoff(Retry::new(watch.presence.patience()));
        let mut changes = pin!(changes);
        let mut first_list = true;
        let mut trouble = String::new();
        // The stream ends only with the process.
        while let Some(change) = changes.next().await {
            match change {
                Ok(change) => {
                    if !trouble.is_empty() {
                        tracing::info!(what = %watch.what, "watch works again");
                        trouble.clear();
                    }
                    let listed = matches!(change, Change::Listed(_));
                    on_change(change);
                    if listed && mem::take(&mut first_list) {
                        watch.synced.one_done();
                    }
                }
                Err(error) => tell(&watch, &error, &mut trouble),
            }
        }
    });
}

/// The same as changes. That a list was begun is left out: it is no success that would let the next try follow at once.
fn changes<K: Resource>(
    events: impl Stream<Item = watcher::Result<Event<K>>>,
) -> impl Stream<Item = watcher::Result<Change<K>>> {
    let mut listing = HashSet::new();
    events.filter_map(move |event| {
        ready(match event {
            Ok(Event::Init) => {
                listing.clear();
                None
            }
            Ok(Event::InitApply(object)) => {
                listing.insert((object.namespace().unwrap_or_default(), object.name_any()));
                Some(Ok(Change::Apply(object)))
            }
            Ok(Event::InitDone) => Some(Ok(Change::Listed(mem::take(&mut listing)))),
            Ok(Event::Apply(object)) => Some(Ok(Change::Apply(object))),
            Ok(Event::Delete(object)) => Some(Ok(Change::Delete(object))),
            Err(error) => Some(Err(error)),
        })
    })
}

/// Logs a trouble when it is another than the last.
fn tell(watch: &Watch, error: &watcher::Error, last: &mut String) {
    let (text, absent) = match error {
        watcher::Error::InitialListFailed(e)
        | watcher::Error::WatchStartFailed(e)
        | watcher::Error::WatchFailed(e) => (
            explain(e),
            matches!(e, kube::Error::Api(status) if status.code == 404),
        ),
        // The server asks for a fresh list (410): normal, and the watcher does it.
        watcher::Error::WatchError(status) if status.code == 410 => return,
        other => (other.to_string(), false),
    };
    if *last == text {
        return;
    }
    match watch.presence {
        Presence::Required(todo) if absent => tracing::warn!(
            what = %watch.what,
            todo,
            "the API server does not know this kind; waiting for it"
        ),
        Presence::Optional if absent => tracing::info!(
            what = %watch.what,
            "the API server does not know this kind, and need not; watching it once it does"
        ),
        _ => tracing::warn!(
            what = %watch.what,
            error = text,
            "watch interrupted; trying again"
        ),
    }
    *last = text;
}

/// 0.2 s, doubled up to `most`: a CRD installed a moment later, or an API server restarted, is found quickly.
#[derive(Debug)]
struct Retry {
    next: Duration,
    most: Duration,
}

impl Retry {
    const FIRST: Duration = Duration::from_millis(200);

    fn new(most: Duration) -> Self {
        Self {
            next: Self::FIRST,
            most,
        }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        Some(now)
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.next = Self::FIRST;
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use kube::core::Status;

    use super::*;

    #[test]
    fn streams_that_are_refused_or_fail_before_their_end_are_given_up_and_no_others() {
        let refused = |code: u16| {
            let status = Status {
                code,
                ..Status::default()
            };
            Err(watcher::Error::WatchStartFailed(kube::Error::Api(
                status.boxed(),
            )))
        };
        let broken = || Err(watcher::Error::NoResourceVersion);
        let goes_well = |events: Vec<watcher::Result<Event<DynamicObject>>>| {
            let well = streaming_goes_well();
            events.iter().map(well).collect::<Vec<_>>()
        };
        let (begun, done) = (|| Ok(Event::Init), || Ok(Event::InitDone));
        assert_eq!(
            goes_well(vec![begun(), done(), broken(), begun(), done()]),
            [true; 5]
        );
        assert_eq!(goes_well(vec![refused(404), refused(429)]), [true; 2]);
        assert_eq!(goes_well(vec![refused(422)]), [false]);
        assert_eq!(goes_well(vec![refused(400)]), [false]);
        assert_eq!(goes_well(vec![begun(), begun()]), [true, false]);
        assert_eq!(goes_well(vec![begun(), broken()]), [true, false]);
    }

    #[test]
    fn streamed_objects_are_asked_for_as_they_are_and_nothing_else_is_changed() {
        let asked = |uri: &str| {
            let request = Request::get(uri).body(()).unwrap();
            as_they_are(request).uri().to_string()
        };
        let streamed = "/api/v1/pods?&watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=";
        assert_eq!(asked(&format!("{streamed}0")), streamed);
        for other in [
            "/api/v1/pods?&watch=true&resourceVersion=0",
            "/api/v1/pods?&limit=100",
        ] {
            assert_eq!(asked(other), other);
        }
    }
}
