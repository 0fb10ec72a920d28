//! From a request to a verdict, by what kind of object it is about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use podfit_cluster::index::SharedIndex;
use podfit_cluster::other_vpa::OtherVpa;
use podfit_core::admission::Settings;
use podfit_core::feature_gates::FeatureGates;

use crate::bodies::Budget;
use crate::metrics::{Kind, Metrics, Outcome, Step};
use crate::review::{Request, Response};
use crate::{pods, vpas};

/// What every request is answered from: all of it in memory.
#[derive(Debug)]
pub struct Webhook {
    /// VPAs, owners and LimitRanges, as watched.
    pub index: SharedIndex,
    /// Counts and times.
    pub metrics: Metrics,
    /// What large bodies may hold.
    pub bodies: Budget,
    /// Which of upstream's gated features are on.
    pub gates: FeatureGates,
    /// How pods are sized.
    pub settings: Settings,
    /// Everything is let through as it is.
    pub shadow: bool,
    /// Whether another VPA acts; meanwhile everything is let through as well.
    pub other_vpa: Option<OtherVpa>,
    draining: AtomicBool,
}

impl Webhook {
    /// Answers from `index`.
    pub fn new(index: SharedIndex, metrics: Metrics, gates: FeatureGates) -> Self {
        Self {
            index,
            metrics,
            bodies: Budget::default(),
            gates,
            settings: Settings {
                startup_boost: gates.cpu_startup_boost,
                ..Settings::default()
            },
            shadow: false,
            other_vpa: None,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on every answer closes its connection: the process is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// True after [`Webhook::drain`].
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The verdict on one request. Pods and unknown objects are always let through.
    pub fn admit(&self, request: Request<'_>, started: Instant) -> Response {
        if self.shadow || self.other_vpa.as_ref().is_some_and(OtherVpa::is_active) {
            return self.pass(request, started);
        }
        let sub_resource = request.sub_resource.as_deref().unwrap_or_default();
        let (outcome, kind, response) = match (request.resource.parts(), sub_resource) {
            (("", "v1", "pods"), "") => {
                let (outcome, response) = pods::admit(self, request);
                (outcome, Kind::Pod, response)
            }
            (("autoscaling.k8s.io", _, "verticalpodautoscalers"), "") => {
                let (outcome, response) = vpas::admit(request, self.gates);
                (outcome, Kind::Vpa, response)
            }
            _ => {
                tracing::debug!(resource = ?request.resource, sub_resource, "let an object through that is none of ours");
                (
                    Outcome::Skipped,
                    Kind::Unknown,
                    Response::allow(request.uid),
                )
            }
        };
        let took = started.elapsed().as_secs_f64();
        self.metrics.admission(outcome, kind).observe(took);
        response
    }

    /// Lets the object through as it is, whatever it is.
    fn pass(&self, request: Request<'_>, started: Instant) -> Response {
        let kind = match request.resource.parts() {
            ("", "v1", "pods") => Kind::Pod,
            ("autoscaling.k8s.io", _, "verticalpodautoscalers") => Kind::Vpa,
            _ => Kind::Unknown,
        };
        let took = started.elapsed().as_secs_f64();
        self.metrics.admission(Outcome::Skipped, kind).observe(took);
        Response::allow(request.uid)
    }

    /// Records how long a step took.
    pub fn step(&self, step: Step, since: Instant) {
        self.metrics
            .step(step)
            .observe(since.elapsed().as_secs_f64());
    }
}
