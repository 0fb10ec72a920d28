//! What the pods of a benchmark use: around a base that differs from workload to workload, slowly up and down.
//!
//! Everything is a function of names and time, so that the metrics API, the stored histories and two programs one after
//! the other see the same cluster.

use std::f64::consts::TAU;

/// Usage goes up and down once in this many seconds.
const PERIOD: f64 = 3600.0;

/// CPU by this fraction of the base.
const SWING: f64 = 0.15;

/// A pod's CPU differs by at most this fraction from reading to reading.
const NOISE: f64 = 0.05;

/// Memory by this fraction of the base. Its peaks of a day, which count, stand still in a cluster that is not new.
const MEMORY_SWING: f64 = 0.02;

/// What one container uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Cores.
    pub cpu: f64,
    /// Bytes.
    pub memory: f64,
}

/// The middle of what every pod of a workload uses: 20 to 820 millicores, 64 to 2,112 MiB.
pub fn base(workload: usize) -> Usage {
    Usage {
        cpu: 0.020 + 0.8 * spread(workload as u64),
        memory: f64::from(64 << 20)
            + f64::from(2048) * f64::from(1 << 20) * spread(!workload as u64),
    }
}

/// What a pod uses at a time in seconds.
pub fn at(workload: usize, pod: usize, seconds: u64) -> Usage {
    let id = (workload as u64) << 20 | pod as u64;
    let angle = TAU * (seconds as f64 / PERIOD + spread(workload as u64));
    let noise = NOISE * (2.0 * spread(id ^ (seconds << 32)) - 1.0);
    let base = base(workload);
    Usage {
        cpu: base.cpu * (1.0 + SWING * angle.sin() + noise),
        memory: base.memory * (1.0 + MEMORY_SWING * angle.cos()),
    }
}

/// A number from 0 to 1 that looks random (splitmix64).
fn spread(seed: u64) -> f64 {
    let mut z = seed
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x1234_5678_9abc_def1);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_moves_around_its_base() {
        for (workload, pod) in [(0, 0), (7, 1), (9_999, 4)] {
            let base = base(workload);
            let mut seen = Vec::new();
            for seconds in (0..7200).step_by(15) {
                let usage = at(workload, pod, seconds);
                assert!((usage.cpu / base.cpu - 1.0).abs() <= SWING + NOISE);
                assert!((usage.memory / base.memory - 1.0).abs() <= MEMORY_SWING);
                seen.push(usage.cpu.to_bits());
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), 480, "every reading is another");
        }
    }
}
