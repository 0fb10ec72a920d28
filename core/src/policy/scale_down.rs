//! How a VPA lets requests go down: its annotation `podfit.dev/scale-down`.

use super::{Note, PodRecommendation, Rules};
use crate::pod::{Container, Pod};
use crate::quantity::Resource;

/// The annotation of a VPA with one of the words of [`ScaleDown`].
pub const SCALE_DOWN_ANNOTATION: &str = "podfit.dev/scale-down";

/// The most, in tenths of a request, that `slow` lowers it by at once: as the least change that is worth an update.
const SLOW_TENTHS: i64 = 1;

/// How requests go down. They go up at once in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleDown {
    /// Without the annotation: to what is recommended.
    #[default]
    Free,
    /// `slow`: by a tenth at most, then by the next.
    Slow,
    /// `window`: in the VPA's maintenance window only.
    Window,
    /// `never`.
    Never,
}

/// Why the annotation's text is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of never, slow and window")]
pub struct ScaleDownError(String);

impl ScaleDown {
    /// Reads the annotation.
    pub fn parse(text: &str) -> Result<Self, ScaleDownError> {
        match text.trim() {
            "never" => Ok(Self::Never),
            "slow" => Ok(Self::Slow),
            "window" => Ok(Self::Window),
            _ => Err(ScaleDownError(text.into())),
        }
    }
}

/// The least that a request of `amount` goes down to in one slow step. Whole cores stay whole where `whole` asks for that.
pub(crate) fn slow_step(amount: i64, whole: bool) -> i64 {
    const CORE: i64 = 1000;
    let least = amount - amount / 10 * SLOW_TENTHS;
    if whole && amount % CORE == 0 {
        least.div_euclid(CORE) * CORE + if least % CORE == 0 { 0 } else { CORE }
    } else {
        least
    }
}

/// What a new pod's own spec says goes before what is recommended, as far as `scale_down` asks for that. A slow step
/// is taken from where `is_template` holds: what else there is was lowered by one already.
///
/// A LimitRange wins: the API server would refuse the pod.
pub(crate) fn keep_up(
    pod: &Pod,
    recommended: &mut [PodRecommendation],
    rules: &Rules<'_>,
    (scale_down, is_template): (ScaleDown, impl Fn(&Container) -> bool),
) {
    if scale_down == ScaleDown::Free {
        return;
    }
    for one in recommended {
        for resource in Resource::ALL {
            let target = one.recommendation.target.get(resource);
            let container = &pod.containers[one.index];
            let own = container.requests.get(resource);
            let (Some(target), Some(own)) = (target, own) else {
                continue;
            };
            let whole = resource == Resource::Cpu && rules.is_guaranteed();
            let least = if scale_down == ScaleDown::Slow && is_template(container) {
                slow_step(own, whole)
            } else {
                own
            };
            let imposed = [
                Note::CappedToLimitRangeMax(resource),
                Note::CappedToPodLimitRange(resource),
                Note::CappedToContainerLimit(resource),
            ];
            if target < least && !one.notes.iter().any(|note| imposed.contains(note)) {
                one.recommendation.target.set(resource, Some(least));
                one.notes.push(Note::NotScaledDown(resource));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_is_read() {
        let rows = [
            ("never", Ok(ScaleDown::Never)),
            (" slow ", Ok(ScaleDown::Slow)),
            ("window", Ok(ScaleDown::Window)),
            ("", Err(ScaleDownError(String::new()))),
            ("often", Err(ScaleDownError("often".into()))),
        ];
        for (text, want) in rows {
            assert_eq!(ScaleDown::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_slow_step_is_a_tenth() {
        let rows = [
            (1000, false, 900),
            (1005, false, 905),
            (5, false, 5),
            (10_000, true, 9000),
            (4000, true, 4000),
            (1500, true, 1350),
            (0, false, 0),
        ];
        for (amount, whole, want) in rows {
            assert_eq!(slow_step(amount, whole), want, "{amount} {whole}");
        }
    }
}
