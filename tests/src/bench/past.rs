//! Eight days of what the estimator `adaptive` keeps of a workload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use podfit_core::adaptive::{Adaptive, Promises};
use serde_json::json;

use super::usage;

/// Usage every so many seconds.
const STEP: u64 = 900;

/// So many samples.
const SAMPLES: u64 = 8 * 24 * 3600 / STEP;

/// As the recommender would have stored it at `now` beside the histogram.
pub fn annotation(workload: usize, name: &str, now: Timestamp) -> String {
    let end = now.as_second().unsigned_abs();
    let mut adaptive = Adaptive::new(&Promises::default());
    for n in 0..SAMPLES {
        let seconds = end - STEP * (SAMPLES - n);
        let used = usage::at(workload, 0, seconds);
        let at = podfit_core::time::Timestamp::from_unix_seconds(seconds as i64);
        // As many as are measured in that time.
        adaptive.add_cpu(used.cpu, at, (STEP / 60) as f64);
        adaptive.add_memory(used.memory, at);
    }
    json!({
        "target": {"kind": "Deployment", "name": name},
        "adaptive": STANDARD.encode(adaptive.to_bytes()),
        "adaptiveDays": STANDARD.encode(adaptive.days_to_bytes()),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use podfit_core::adaptive::Class;
    use podfit_core::quantity::Resource;
    use serde_json::Value;

    use super::*;

    /// It is read back, long enough to size by.
    #[test]
    fn it_has_eight_days() {
        let now = Timestamp::from_second(1_764_201_600).unwrap();
        let annotation: Value = serde_json::from_str(&annotation(7, "w-00007", now)).unwrap();
        let bytes = |name: &str| STANDARD.decode(annotation[name].as_str().unwrap()).unwrap();
        let at = podfit_core::time::Timestamp::from_unix_seconds(now.as_second());
        let promises = Promises::default();
        let mut read = Adaptive::from_bytes(&bytes("adaptive"), &promises, at).unwrap();
        read.resume_days(&bytes("adaptiveDays"), at).unwrap();
        assert!(read.hours() > 180, "{}", read.hours());
        let used = usage::base(7).cpu;
        let target = read.cpu.target().unwrap();
        assert!((used..2.0 * used).contains(&target), "{target} of {used}");
        assert_eq!(read.told(Resource::Memory).class, Class::Steady);
    }
}
