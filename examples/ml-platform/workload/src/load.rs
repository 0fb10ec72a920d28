//! The clients: requests at a steady rate, whether answers come in time or not, as by people who do not know of one
//! another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::http_client::Target;

/// A request without an answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is told how things are.
const REPORT: Duration = Duration::from_secs(10);

/// Where to, how many, how long.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// What to ask for, such as `http://fraud-detector-api/infer`; several take turns
    #[arg(required = true, value_name = "URL")]
    targets: Vec<Target>,
    /// Requests per second
    #[arg(long, default_value_t = 10.0)]
    rate: f64,
    /// How long
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Requests without an answer yet, at most; what would be more is not sent, and counts as failed
    #[arg(long, default_value_t = 500)]
    waiting: usize,
}

/// What came of the requests of some time.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Milliseconds to each good answer.
    latencies: Vec<f32>,
    failed: usize,
    /// Why the last one of those failed.
    why: String,
}

impl Tally {
    fn add(&mut self, outcome: Result<Duration>) {
        match outcome {
            Ok(latency) => self.latencies.push(latency.as_secs_f32() * 1000.0),
            Err(why) => {
                self.failed += 1;
                self.why = format!("{why:#}");
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        if other.failed > 0 {
            self.why = other.why;
        }
    }

    /// The latency, in milliseconds, that `percent` of the good answers stayed within; nearest rank.
    fn percentile(sorted: &[f32], percent: usize) -> f32 {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(0.0)
    }

    fn sentence(&self, time: Duration) -> String {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f32::total_cmp);
        let rate = sorted.len() as f64 / time.as_secs_f64();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| Self::percentile(&sorted, percent));
        format!(
            "{rate:.1} answers/s, {} failed; latency p50 {p50:.0} ms, p95 {p95:.0} ms, p99 {p99:.0} ms",
            self.failed
        )
    }
}

/// Sends until the time is over or `stopped`; an error when there was not one good answer.
pub async fn run(options: Options, stopped: impl Future<Output = ()>) -> Result<()> {
    ensure!(
        options.rate > 0.0 && options.minutes > 0.0,
        "rate and minutes must be more than 0"
    );
    let duration = Duration::from_secs_f64(options.minutes * 60.0);
    println!("{} requests/s for {} min", options.rate, options.minutes);
    let (tally, begun) = (Arc::new(Mutex::new(Tally::default())), Instant::now());
    let mut total = Tally::default();
    tokio::select! {
        () = send(&options, &tally) => {}
        () = report(&tally, &mut total) => {}
        () = tokio::time::sleep(duration) => {}
        () = stopped => {}
    }
    let took = begun.elapsed();
    total.merge(taken(&tally));
    println!(
        "in all, in {:.0} s: {}",
        took.as_secs_f64(),
        total.sentence(took)
    );
    ensure!(
        !total.latencies.is_empty(),
        "no request was answered; the last one: {}",
        total.why
    );
    Ok(())
}

/// Sends requests for ever.
async fn send(options: &Options, tally: &Arc<Mutex<Tally>>) {
    let waiting = Arc::new(Semaphore::new(options.waiting));
    let mut ticks = interval(Duration::from_secs_f64(1.0 / options.rate));
    // Late ticks are made up for, or the rate would be missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for target in options.targets.iter().cycle() {
        ticks.tick().await;
        let Ok(permit) = Arc::clone(&waiting).try_acquire_owned() else {
            add(tally, Err(anyhow!("too many wait for an answer already")));
            continue;
        };
        let (target, tally) = (target.clone(), Arc::clone(tally));
        tokio::spawn(async move {
            let begun = Instant::now();
            let answer = timeout(PATIENCE, target.send("GET")).await;
            let outcome = answer
                .unwrap_or_else(|_| Err(anyhow!("no answer within {PATIENCE:?}")))
                .and_then(good);
            add(&tally, outcome.map(|()| begun.elapsed()));
            drop(permit);
        });
    }
}

/// An error unless the status is one of success.
fn good(status: u16) -> Result<()> {
    ensure!(
        (200..300).contains(&status),
        "it was answered with {status}"
    );
    Ok(())
}

fn add(tally: &Mutex<Tally>, outcome: Result<Duration>) {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.add(outcome);
}

fn taken(tally: &Mutex<Tally>) -> Tally {
    std::mem::take(&mut tally.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Tells every now and then what came of the requests since the last time, and adds it up.
async fn report(tally: &Mutex<Tally>, total: &mut Tally) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(REPORT).await;
        let (now, part) = (Instant::now(), taken(tally));
        println!("{}", part.sentence(now - last));
        total.merge(part);
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<f32> = (1..=100u8).map(f32::from).collect();
        for (values, percent, expected) in [
            (&hundred[..], 50, 50.0),
            (&hundred[..], 95, 95.0),
            (&hundred[..], 99, 99.0),
            (&hundred[..3], 50, 2.0),
            (&hundred[..3], 99, 3.0),
            (&hundred[..1], 50, 1.0),
            (&hundred[..0], 50, 0.0),
        ] {
            let actual = Tally::percentile(values, percent);
            assert!(
                (actual - expected).abs() < f32::EPSILON,
                "{actual} at {percent}"
            );
        }
    }

    #[test]
    fn failures_do_not_count_as_answers() {
        let (mut tally, mut other) = (Tally::default(), Tally::default());
        for ms in [30, 10] {
            tally.add(Ok(Duration::from_millis(ms)));
        }
        other.add(good(503).map(|()| Duration::ZERO));
        tally.merge(other);
        assert_eq!(
            tally.sentence(Duration::from_secs(2)),
            "1.0 answers/s, 1 failed; latency p50 10 ms, p95 30 ms, p99 30 ms"
        );
        assert_eq!(tally.why, "it was answered with 503");
    }
}
