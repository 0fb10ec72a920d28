//! Events on pods and VPAs, from a bounded queue: an event lost is better than a loop held up.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ObjectMeta, PostParams};
use podfit_core::pod::Pod;
use podfit_core::vpa::Vpa;
use tokio::sync::mpsc;

use crate::calls::Calls;
use crate::options::own_namespace;

/// An event to be told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it is about.
    pub about: About,
    /// A word for programs: `EvictedByVPA`.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// True for type Warning, false for Normal.
    pub warning: bool,
}

/// What an event is about. Thousands may wait to be told, so that pods and VPAs are shared with whoever knows them.
#[derive(Clone, Debug)]
pub enum About {
    /// A pod.
    Pod(Arc<Pod>),
    /// A VPA.
    Vpa(Arc<Vpa>),
    /// Any object.
    Object(Box<ObjectReference>),
}

impl From<&Arc<Pod>> for About {
    fn from(pod: &Arc<Pod>) -> Self {
        Self::Pod(Arc::clone(pod))
    }
}

impl From<&Arc<Vpa>> for About {
    fn from(vpa: &Arc<Vpa>) -> Self {
        Self::Vpa(Arc::clone(vpa))
    }
}

impl From<ObjectReference> for About {
    fn from(object: ObjectReference) -> Self {
        Self::Object(Box::new(object))
    }
}

impl From<About> for ObjectReference {
    fn from(about: About) -> Self {
        match about {
            About::Pod(pod) => pod_reference(&pod.namespace, &pod.name, &pod.uid),
            About::Vpa(vpa) => vpa_reference(&vpa.namespace, &vpa.name, &vpa.uid),
            About::Object(object) => *object,
        }
    }
}

/// Two for each eviction of a large loop.
const QUEUE: usize = 10_000;

/// Where notices go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Events(mpsc::Sender<Notice>);

impl Events {
    /// Starts the task that posts them, as `component`. They let all other requests go first: what is told of an action
    /// must not slow the next. A shadow posts none.
    pub fn start(calls: &Calls, component: &'static str) -> Self {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let calls = calls.yielding();
        tokio::spawn(async move {
            let instance = std::env::var("POD_NAME").unwrap_or_default();
            while let Some(notice) = receiver.recv().await {
                if calls.is_shadow() {
                    continue;
                }
                post(&calls, component, &instance, notice).await;
            }
        });
        Self(sender)
    }

    /// Queues one about the pod that this process runs in, when that is known.
    pub fn tell_of_self(&self, reason: &'static str, message: String, warning: bool) {
        let Ok(pod) = std::env::var("POD_NAME") else {
            return;
        };
        self.tell(Notice {
            about: pod_reference(&own_namespace(), &pod, "").into(),
            reason,
            message,
            warning,
        });
    }

    /// Queues one; drops it, saying so in the log, when the queue is full.
    pub fn tell(&self, notice: Notice) {
        if let Err(error) = self.0.try_send(notice) {
            tracing::warn!(%error, "an event was dropped");
        }
    }
}

/// A reference to a pod.
fn pod_reference(namespace: &str, name: &str, uid: &str) -> ObjectReference {
    reference("v1", "Pod", (namespace, name, uid))
}

/// A reference to a VPA.
pub fn vpa_reference(namespace: &str, name: &str, uid: &str) -> ObjectReference {
    reference(
        "autoscaling.k8s.io/v1",
        "VerticalPodAutoscaler",
        (namespace, name, uid),
    )
}

/// A reference to any object.
pub fn reference(
    api_version: &str,
    kind: &str,
    (namespace, name, uid): (&str, &str, &str),
) -> ObjectReference {
    ObjectReference {
        api_version: Some(api_version.into()),
        kind: Some(kind.into()),
        namespace: Some(namespace.into()),
        name: Some(name.into()),
        uid: Some(uid.into()),
        ..ObjectReference::default()
    }
}

async fn post(calls: &Calls, component: &'static str, instance: &str, notice: Notice) {
    let now = jiff::Timestamp::now();
    let about = ObjectReference::from(notice.about);
    let namespace = about.namespace.clone().unwrap_or_default();
    let name = about.name.clone().unwrap_or_default();
    let event = Event {
        metadata: ObjectMeta {
            // client-go's form: unique, and sorted by time.
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: about,
        reason: Some(notice.reason.into()),
        message: Some(notice.message),
        type_: Some(if notice.warning { "Warning" } else { "Normal" }.into()),
        source: Some(EventSource {
            component: Some(component.into()),
            ..EventSource::default()
        }),
        reporting_component: Some(component.into()),
        reporting_instance: Some(instance.into()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    };
    let api: Api<Event> = Api::namespaced(calls.client().clone(), &namespace);
    if let Err(error) = calls
        .run("create event", api.create(&PostParams::default(), &event))
        .await
    {
        tracing::warn!(%error, object = name, "event not posted");
    }
}
