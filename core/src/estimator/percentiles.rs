//! Which percentiles become targets: the flags', or a VPA's own.

use std::borrow::Cow;

use super::{EstimatorConfig, Percentiles};
use crate::vpa::Vpa;

/// The annotation of a VPA with the percentile of its CPU samples that becomes the target, above 0 and up to 1.
pub const CPU_PERCENTILE_ANNOTATION: &str = "podfit.dev/cpu-percentile";
/// The same of its memory peaks.
pub const MEMORY_PERCENTILE_ANNOTATION: &str = "podfit.dev/memory-percentile";

/// What a VPA says of percentiles of targets; the recommender's flags stand in for what is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnPercentiles {
    /// Of CPU samples.
    pub cpu: Option<f32>,
    /// Of memory peaks.
    pub memory: Option<f32>,
}

/// Why the text of such an annotation is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no number above 0 and up to 1, such as 0.95")]
pub struct PercentileError(String);

/// Reads such an annotation.
pub fn parse_percentile(text: &str) -> Result<f32, PercentileError> {
    let number = text.trim().parse::<f32>().ok();
    number
        .filter(|n| *n > 0.0 && *n <= 1.0)
        .ok_or_else(|| PercentileError(text.into()))
}

impl EstimatorConfig {
    /// How the numbers of a VPA are made: this, but for what the VPA says itself.
    pub(crate) fn for_vpa(&self, vpa: &Vpa) -> Cow<'_, Self> {
        let method = vpa.method.unwrap_or(self.method);
        if method == self.method && vpa.percentiles == OwnPercentiles::default() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            method,
            cpu: around(self.cpu, vpa.percentiles.cpu),
            memory: around(self.memory, vpa.percentiles.memory),
            ..self.clone()
        })
    }
}

/// The bounds stay where they are as long as the target lies between them.
fn around(percentiles: Percentiles, target: Option<f32>) -> Percentiles {
    let Some(target) = target else {
        return percentiles;
    };
    // By way of its text, so that 0.95 stays 0.95.
    let target = target.to_string().parse().unwrap_or(f64::from(target));
    Percentiles {
        target,
        lower: percentiles.lower.min(target),
        upper: percentiles.upper.max(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vpas_own_percentiles_come_first() {
        // Annotation; target, lower and upper.
        let rows = [
            ("", [0.9, 0.5, 0.95]),
            ("0.95", [0.95, 0.5, 0.95]),
            (" 1 ", [1.0, 0.5, 1.0]),
            ("0.75", [0.75, 0.5, 0.95]),
            ("0.3", [0.3, 0.3, 0.95]),
        ];
        let config = EstimatorConfig::default();
        for (text, [target, lower, upper]) in rows {
            let mut vpa = Vpa::default();
            vpa.percentiles.memory = parse_percentile(text).ok();
            let own = config.for_vpa(&vpa);
            let want = Percentiles {
                target,
                lower,
                upper,
            };
            assert_eq!((own.cpu, own.memory), (config.cpu, want), "{text}");
        }
        for bad in ["0", "1.01", "-0.5", "ninety", "NaN", "inf", "95"] {
            assert!(parse_percentile(bad).is_err(), "{bad}");
        }
    }
}
