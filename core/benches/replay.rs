//! `make bench-replay`: how many samples a second are replayed, judged and scored, on one core.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use podfit_core::estimator::{EstimatorConfig, Method};
use podfit_core::quantity::Resource;
use podfit_core::replay::curve::Curve;
use podfit_core::replay::judge::judge;
use podfit_core::replay::recorded::Recorded;
use podfit_core::replay::score::score;
use podfit_core::replay::{Sample, median_step, run, usual_interval};
use podfit_core::time::Timestamp;

/// A month of samples five minutes apart: of one container CPU and memory.
const SAMPLES: u32 = 30 * 288;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let samples: Vec<_> = (0..SAMPLES).map(sample).collect();
    let step = median_step(&samples);
    let mut group = criterion.benchmark_group("replay a month of one container");
    group.throughput(Throughput::Elements(SAMPLES.into()));
    for name in ["histogram", "adaptive"] {
        let mut config = EstimatorConfig::default();
        if name == "adaptive" {
            config.method = Method::Adaptive;
            config.history.adaptive = true;
        }
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut sizer = Recorded::new(config.clone(), step);
                let rows = run(&samples, usual_interval(&samples), &mut sizer);
                Resource::ALL.map(|resource| {
                    let trial = judge(&samples, &rows, resource)?;
                    Some(black_box((score(&trial, resource), Curve::of(&trial))))
                })
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// A day's rhythm with noise on it.
fn sample(n: u32) -> Sample {
    let noise = f64::from(n.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
    let hour = f64::from(n) / 12.0;
    let rhythm = 1.0 + 0.5 * (hour * std::f64::consts::TAU / 24.0).sin();
    Sample {
        at: Timestamp::default() + Duration::from_mins(5) * n,
        cpu: Some(0.4 * rhythm + 0.3 * noise),
        memory: Some(1e9 * (rhythm + 0.1 * noise)),
    }
}
