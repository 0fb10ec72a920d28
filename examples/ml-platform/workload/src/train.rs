//! The training run: it loads its data, then goes through epochs, each of which ends with an evaluation that needs more
//! memory and less CPU.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::work::{Memory, burn};

/// The first part of a run is loading.
const LOADING: f64 = 0.1;
/// The last part of each epoch is evaluation.
const EVALUATION: f64 = 0.2;
/// How often the run takes in what it needs now.
const STEP: Duration = Duration::from_millis(100);

/// How long a run takes, and what it uses at its height.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// How long the run takes
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Passes over the data
    #[arg(long, default_value_t = 5)]
    epochs: u32,
    /// Cores that an epoch uses; at most one, as it trains in one thread
    #[arg(long, default_value_t = 0.5)]
    cores: f64,
    /// Memory of data and model, in MiB; an evaluation takes a quarter more
    #[arg(long, default_value_t = 256)]
    mib: usize,
}

/// What a run needs at one moment, in parts of its options.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Demand {
    cores: f64,
    memory: f64,
}

/// The demand at a point of the run between 0 and 1.
fn demand(progress: f64, epochs: u32) -> Demand {
    if progress < LOADING {
        let loaded = progress / LOADING;
        return Demand {
            cores: 0.3,
            memory: 0.25 + 0.75 * loaded,
        };
    }
    let of_epoch = ((progress - LOADING) / (1.0 - LOADING) * f64::from(epochs)).fract();
    let (cores, memory) = if of_epoch < 1.0 - EVALUATION {
        (1.0, 1.0)
    } else {
        (0.4, 1.25)
    };
    Demand { cores, memory }
}

/// Trains until the run is over.
pub async fn run(options: Options) -> Result<()> {
    ensure!(
        options.minutes > 0.0 && options.epochs > 0 && (0.0..=1.0).contains(&options.cores),
        "minutes and epochs must be more than 0, cores between 0 and 1"
    );
    tokio::task::spawn_blocking(move || train(options)).await?;
    println!("trained: {} epochs", options.epochs);
    Ok(())
}

fn train(options: Options) {
    let (mut memory, begun) = (Memory::default(), Instant::now());
    let mut said = None;
    loop {
        let now = Instant::now();
        let progress = (now - begun).as_secs_f64() / (options.minutes * 60.0);
        if progress >= 1.0 {
            return;
        }
        let demand = demand(progress, options.epochs);
        if said != Some(demand.cores) {
            said = Some(demand.cores);
            println!(
                "{:.0} % done, using {:.2} cores and {:.0} MiB",
                progress * 100.0,
                demand.cores * options.cores,
                demand.memory * options.mib as f64
            );
        }
        memory.resize((demand.memory * options.mib as f64).ceil() as usize);
        burn(STEP.mul_f64(demand.cores * options.cores));
        std::thread::sleep(STEP.saturating_sub(now.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_loads_trains_and_evaluates() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (progress, cores, memory) in [
            (0.0, 0.3, 0.25),
            (0.05, 0.3, 0.625),
            (0.1, 1.0, 1.0),
            // Of two epochs the first ends at 0.55; its last fifth is evaluation.
            (0.45, 1.0, 1.0),
            (0.47, 0.4, 1.25),
            (0.56, 1.0, 1.0),
            (0.99, 0.4, 1.25),
        ] {
            let now = demand(progress, 2);
            assert!(
                close(now.cores, cores) && close(now.memory, memory),
                "{now:?} at {progress}"
            );
        }
    }
}
