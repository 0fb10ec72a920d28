//! Why a running pod is updated, or is not, as sentences for people.

use std::fmt;
use std::time::Duration;

use super::UpdateReason;
use crate::pod::ResizeState;
use crate::quantity::Resource;
use crate::window::WINDOW_ANNOTATION;

impl fmt::Display for UpdateReason {
    #[allow(clippy::too_many_lines, reason = "one arm per sentence")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsideBounds {
                container,
                resource,
                request: None,
                ..
            } => {
                write!(f, "container {container} requests no {}", resource.name())
            }
            Self::OutsideBounds {
                container,
                resource,
                request: Some(request),
                lower,
                upper,
            } => {
                let bound =
                    |b: &Option<i64>| b.map_or_else(|| "any".to_owned(), |b| resource.show(b));
                let (name, request) = (resource.name(), resource.show(*request));
                write!(
                    f,
                    "container {container} requests {name} {request}, outside of the recommended {} to {}",
                    bound(lower),
                    bound(upper)
                )
            }
            Self::QuickOom { container, ran } => {
                write!(
                    f,
                    "container {container} was killed for memory {} after its start",
                    span(*ran)
                )
            }
            Self::OutOfMemory {
                container,
                request,
                target,
            } => {
                let request =
                    request.map_or_else(|| "none".to_owned(), |r| Resource::Memory.show(r.0));
                write!(
                    f,
                    "container {container} was killed for memory; it requests {request} and should have {}",
                    Resource::Memory.show(target.0)
                )
            }
            Self::Drifted { change, age } => {
                write!(
                    f,
                    "its requests would change by {}, and it is {} old",
                    percent(*change),
                    span(*age)
                )
            }
            Self::BoostOver { container } => {
                write!(f, "the startup boost of container {container} is over")
            }
            Self::ResizeTimedOut { state, waited } => {
                write!(
                    f,
                    "its resize in place did not end: {} for {}",
                    words(state),
                    span(*waited)
                )
            }
            Self::ResizeStuck { state } => {
                write!(f, "its resize in place failed: {}", words(state))
            }
            Self::ResizeTakenBack { state, waited } => {
                let waited = waited.map_or_else(String::new, |w| format!(" for {}", span(w)));
                write!(f, "its resize in place is {}{waited}; what is in force stays", words(state))
            }
            Self::ResizeRefused => {
                f.write_str("a resize to no more than this was refused: its node cannot hold it")
            }
            Self::ResizedInVain {
                container,
                restarts,
            } => write!(
                f,
                "container {container} is killed for memory although the pod was resized in place ({restarts} restarts)"
            ),
            Self::ContainerDown { container } => write!(
                f,
                "container {container} is down after it was killed for memory; it is resized once it runs again"
            ),
            Self::ReplacementNotSized {
                pod,
                fault,
                next_try,
            } => write!(f, "pod {pod} {fault} Next try in {}", span(*next_try)),
            Self::EvictionsStopped { workloads } => write!(
                f,
                "nothing is evicted until new pods are seen to be sized again: those of {workloads} were not"
            ),
            Self::RefusedByBudget { words, next_try } => {
                write!(f, "{words} Next try in {}", span(*next_try))
            }
            Self::CouldNotComeBack(obstacle) => write!(f, "{obstacle}"),
            Self::ResizeUnderWay {
                state,
                waited,
                timeout,
            } => write!(
                f,
                "its resize in place is {} for {}; it may take {}",
                words(state),
                span(*waited),
                span(*timeout)
            ),
            Self::NotInForceYet => f.write_str(
                "its spec is as recommended, and the kubelet has yet to put that in force",
            ),
            Self::NotLive => f.write_str("it ended, is being deleted or has no node yet"),
            Self::NotStarted => f.write_str("its containers have not started yet"),
            Self::ModeLeavesPodsAlone { mode } => {
                write!(f, "update mode {} leaves running pods alone", mode.name())
            }
            Self::ModeNotEnabled { mode } => {
                write!(
                    f,
                    "update mode {0} is not enabled: it needs --feature-gates={0}=true",
                    mode.name()
                )
            }
            Self::SizedAtCreation => {
                f.write_str("it is a run: it stays as it is, and the next one is sized")
            }
            Self::PodLevelResources => f.write_str(
                "the pod as a whole has resources (spec.resources), which are not sized",
            ),
            Self::StartupBoost => f.write_str("it has its startup boost"),
            Self::NoController => f.write_str("no controller would replace it"),
            Self::BehindTarget { covers, target } => write!(
                f,
                "the HPA's target for {covers} went ahead to {target} %, and its request follows"
            ),
            Self::WaitsForTarget(waits) => write!(
                f,
                "its request for {} goes down once the HPA's target goes up, towards {} %",
                waits.covers, waits.wanted
            ),
            Self::LeftToHpa { hpa } => write!(
                f,
                "what is recommended is left to HPA {hpa}, which scales on the utilisation of it"
            ),
            Self::NoRecommendation => f.write_str("nothing is recommended for its containers"),
            Self::ShrunkTooFar { container, resource } => write!(
                f,
                "container {container} was restarted after its {} was lowered, and gets it back",
                resource.name()
            ),
            Self::ShrinkHeld { container, resource, why } => write!(
                f,
                "container {container} should have less {}, and keeps what it has: {why}",
                resource.name()
            ),
            Self::UpToDate => f.write_str("it is as recommended"),
            Self::WithinBounds {
                change,
                age,
                update_threshold,
                lifetime_threshold,
            } => {
                let age = age.map_or_else(
                    || "has not started".to_owned(),
                    |age| format!("is {} old", span(age)),
                );
                write!(
                    f,
                    "its requests lie within bounds and would change by {}; at an age of {} a change of {} is enough, and it {age}",
                    percent(*change),
                    span(*lifetime_threshold),
                    percent(*update_threshold)
                )
            }
            Self::LargerThanNodes(capped) => {
                write!(f, "its replacement could run nowhere: {capped}")
            }
            Self::RequirementsNotMet => {
                f.write_str("the VPA's evictionRequirements do not all hold for any container")
            }
            Self::EvictionForbidden { annotation, value } => {
                write!(
                    f,
                    "it is never evicted: its annotation {annotation} is \"{value}\""
                )
            }
            Self::RunsToCompletion => f.write_str(
                "it is never evicted: the work of a Job, or of a pod with restartPolicy Never or OnFailure, would be lost",
            ),
            Self::LongWork { kind } => {
                write!(f, "it is never evicted: the work of its {kind} would be lost")
            }
            Self::HoldsDevices => f.write_str(
                "it is never evicted: it holds GPUs or other devices (extended resources, resource claims)",
            ),
            Self::SystemCritical => {
                f.write_str("it is never evicted: its priority class is critical to the system")
            }
            Self::SystemNamespace => {
                f.write_str("it is never evicted: it belongs to the system (namespace kube-system)")
            }
            Self::OnlyGrows => {
                f.write_str("it would get less, and long work is given no less while it runs")
            }
            Self::ReplicasUnknown => {
                f.write_str("its controller was not found, or asks for no replicas")
            }
            Self::OutsideWindow { opens } => {
                write!(f, "outside of its maintenance window (annotation {WINDOW_ANNOTATION})")?;
                match opens {
                    Some(opens) => write!(f, ", which opens at {opens}"),
                    None => Ok(()),
                }
            }
            Self::WindowNotUnderstood { why } => write!(
                f,
                "its maintenance window (annotation {WINDOW_ANNOTATION}) is not understood, so nothing disrupts it: {why}"
            ),
            Self::SingleReplica => f.write_str(
                "waiting: single replica; it is evicted only where minReplicas: 1 in the VPA, or --min-replicas=1, says \
                 that it may be missed for a while",
            ),
            Self::TooFewReplicas { live, required } => write!(
                f,
                "{live} {} and {required} are needed before one may be disrupted (minReplicas, --min-replicas)",
                if *live == 1 {
                    "replica lives"
                } else {
                    "replicas live"
                }
            ),
            Self::DisruptionsSpent {
                scope,
                allowed,
                ongoing,
                planned,
            } => write!(
                f,
                "{allowed} may be disrupted at one time {scope}: {ongoing} are not ready again, {planned} are being disrupted now"
            ),
            Self::BreakerOpen { wanted, norm } => write!(
                f,
                "{wanted} pods would be disrupted at once, far more than is the norm; until that is over or the norm has \
                 grown, {norm} in each loop are (--disruption-breaker)"
            ),
            Self::WarmingUp { left } => write!(
                f,
                "the updater just began to lead, and disrupts nothing for another {} (--warm-up)",
                span(*left)
            ),
            Self::BudgetSpent {
                running,
                configured,
                tolerated,
                disrupted,
            } => write!(
                f,
                "{running} of {configured} replicas run; the tolerance lets {tolerated} be disrupted, {} missing and {disrupted} being disrupted now",
                (configured - running).max(0)
            ),
        }
    }
}

/// What the kubelet says of a resize.
fn words(state: &ResizeState) -> String {
    let (word, message) = match state {
        ResizeState::None => ("absent", ""),
        ResizeState::InProgress => ("in progress", ""),
        ResizeState::Deferred { message } => ("deferred", message.as_str()),
        ResizeState::Infeasible { message } => ("infeasible", message.as_str()),
        ResizeState::Error { message } => ("in error", message.as_str()),
        ResizeState::Unknown { message } => ("in an unknown state", message.as_str()),
    };
    if message.is_empty() {
        word.to_owned()
    } else {
        format!("{word} ({message})")
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.0} %", fraction * 100.0)
}

/// A time span in its largest whole unit.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
