//! Telling what was done and what was not: events on pods and VPAs, and the log.

use podfit_cluster::events::Notice;
use podfit_core::disruption::{Action, Decision, Judgement, NotApplied, UpdateReason};

use super::Actor;

impl Actor {
    /// Tells what would be done by the plan of a shadow; of each pod once.
    pub fn tell_planned(&self, decisions: &[Decision]) {
        for decision in decisions {
            let Decision {
                pod, vpa, reason, ..
            } = decision;
            let (verb, changes) = match &decision.action {
                Action::Resize(changes) => ("resize", changes),
                Action::Unboost(changes) => ("unboost", changes),
                Action::Evict(changes) => ("evict", changes),
                Action::Skip => continue,
            };
            if self.told().insert(pod.uid.clone(), verb) != Some(verb) {
                tracing::info!(pod = pod.name, namespace = pod.namespace, vpa = vpa.name, verb, %reason, ?changes, "in shadow: this pod would be updated");
            }
        }
    }

    /// Tells of a replacement that is not as asked.
    pub fn tell_not_applied(&self, missed: &NotApplied) {
        let NotApplied { vpa, pod, fault } = missed;
        tracing::warn!(pod, namespace = vpa.namespace, vpa = vpa.name, %fault, "update not applied");
        self.events.tell(Notice {
            about: vpa.into(),
            reason: "UpdateNotApplied",
            message: format!("Pod {pod} {fault}"),
            warning: true,
        });
    }

    /// Tells that the breaker opened or closed, in an event on this process' own pod.
    pub fn tell_breaker(&self, judgement: Judgement) {
        let Judgement {
            wanted, norm, open, ..
        } = judgement;
        if open {
            tracing::warn!(
                wanted,
                norm,
                "far more pods would be disrupted than is the norm; only the norm is, until that is over"
            );
        } else {
            tracing::info!(wanted, norm, "the plan is back to what is normal");
        }
        let message = format!(
            "{wanted} pods would be disrupted at once; the norm is {norm}. {}",
            if open {
                "Only so many are, in each loop, until that is over. Is what is recommended right?"
            } else {
                "All of them are from now on."
            }
        );
        let reason = if open {
            "DisruptionBreakerOpened"
        } else {
            "DisruptionBreakerClosed"
        };
        self.events.tell_of_self(reason, message, open);
    }

    /// Forgets pods that are gone.
    pub fn retain(&self, alive: impl Fn(&str) -> bool) {
        self.told().retain(|uid, _| alive(uid));
    }

    /// Tells of a pod that is updated.
    pub(super) fn tell_done(
        &self,
        Decision {
            pod,
            vpa,
            action,
            reason,
        }: &Decision,
    ) {
        let pod_event = |reason, message| Notice {
            about: pod.into(),
            reason,
            message,
            warning: false,
        };
        if let (Action::Resize(_), UpdateReason::ResizeTakenBack { .. }) = (action, reason) {
            self.events.tell(Notice {
                warning: true,
                ..pod_event("InPlaceResizeTakenBack", reason.to_string())
            });
            return;
        }
        if !matches!(action, Action::Evict(_)) {
            self.events.tell(pod_event(
                "InPlaceResizedByVPA",
                self.with_reason("Pod was resized in place by VPA Updater.", reason),
            ));
            return;
        }
        self.events.tell(pod_event(
            "EvictedByVPA",
            self.with_reason(
                "Pod was evicted by VPA Updater to apply resource recommendation.",
                reason,
            ),
        ));
        self.events.tell(Notice {
            about: vpa.into(),
            reason: "EvictedPod",
            message: format!(
                "VPA Updater evicted Pod {} to apply resource recommendation.",
                pod.name
            ),
            warning: false,
        });
    }

    /// Tells of a pod that is not resized since its node refused as much before; once, not in every loop.
    pub fn tell_skipped(&self, Decision { pod, reason, .. }: &Decision) {
        const SKIPPED: &str = "InPlaceResizeSkipped";
        if self.told().insert(pod.uid.clone(), SKIPPED) != Some(SKIPPED) {
            self.events.tell(Notice {
                about: pod.into(),
                reason: SKIPPED,
                message: format!("Pod was not resized in place by VPA Updater: {reason}"),
                warning: false,
            });
        }
    }

    /// Upstream's sentence, and beyond it why.
    fn with_reason(&self, sentence: &str, reason: &UpdateReason) -> String {
        if self.profile.is_safe() {
            format!("{sentence} Reason: {reason}")
        } else {
            sentence.into()
        }
    }

    /// Tells why a pod is not updated; once, until that changes.
    pub(super) fn tell_trouble(
        &self,
        Decision { pod, vpa, .. }: &Decision,
        reason: &'static str,
        why: &str,
    ) {
        if self.told().insert(pod.uid.clone(), reason) == Some(reason) {
            return;
        }
        tracing::warn!(
            pod = pod.name,
            namespace = pod.namespace,
            vpa = vpa.name,
            reason,
            why,
            "pod not updated"
        );
        self.events.tell(Notice {
            about: pod.into(),
            reason,
            message: format!(
                "Resource recommendation of VPA {} not applied: {why}",
                vpa.name
            ),
            warning: true,
        });
    }
}
