//! Asks Prometheus until it answers, with pauses that grow, and tells trouble once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use podfit_cluster::prometheus::history::{self, Wanted};
use podfit_cluster::prometheus::{Error, Prometheus, Queries};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::Loaded;

/// The pause after a first failure; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// After so many answers of which some is missing the next one is taken as it is: what is missing may be gone for good.
const PARTIAL_ANSWERS: u32 = 5;

/// Asks for one workload after another.
pub struct Asker {
    prometheus: Prometheus,
    queries: Queries,
    answers: UnboundedSender<Loaded>,
    gate: Mutex<Gate>,
}

impl Asker {
    /// What it finds goes to `answers`.
    pub fn new(prometheus: Prometheus, queries: Queries, answers: UnboundedSender<Loaded>) -> Self {
        Self {
            prometheus,
            queries,
            answers,
            gate: Mutex::new(Gate::default()),
        }
    }

    /// Asks for all that is wanted, for so many workloads at once, until nothing can be wanted any more.
    pub async fn run(self, wanted: UnboundedReceiver<Wanted>, concurrency: usize) {
        let wanted = futures::stream::unfold(wanted, |mut wanted| async {
            Some((wanted.recv().await?, wanted))
        });
        wanted
            .for_each_concurrent(concurrency, |wanted| self.ask(wanted))
            .await;
    }

    async fn ask(&self, mut wanted: Wanted) {
        let mut partial = 0;
        let past = loop {
            self.opened().await;
            match history::of(&self.prometheus, &self.queries, &wanted).await {
                Ok(past) => {
                    self.lock().answered();
                    break Some(past);
                }
                Err(error) if error.is_too_much() => {
                    let target = &wanted.target;
                    tracing::warn!(%target, %error, "no past from Prometheus for this workload");
                    break None;
                }
                Err(error) => {
                    partial += u32::from(matches!(error, Error::Partial(_)));
                    wanted.partial = partial >= PARTIAL_ANSWERS;
                    self.lock().failed(&error.to_string(), Instant::now());
                }
            }
        };
        let target = wanted.target;
        // Nobody is left to take it: the process ends.
        let _ = self.answers.send(Loaded { target, past });
    }

    /// Waits for the end of the pause.
    async fn opened(&self) {
        loop {
            let until = self.lock().shut_until;
            match until.filter(|until| Instant::now() < *until) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => return,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a question is worth while.
#[derive(Debug, Default)]
struct Gate {
    shut_until: Option<Instant>,
    pause: Duration,
    /// The trouble that was told last; empty for none.
    told: String,
}

impl Gate {
    fn answered(&mut self) {
        if !self.told.is_empty() {
            tracing::info!("Prometheus answers");
        }
        *self = Self::default();
    }

    /// A failure at `now`. Those of questions that were asked together make one pause.
    fn failed(&mut self, error: &str, now: Instant) {
        if self.shut_until.is_some_and(|until| now < until) {
            return;
        }
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.shut_until = Some(now + self.pause);
        if self.told != error {
            tracing::warn!(
                error,
                "no past from Prometheus yet; recommendations go on without"
            );
            error.clone_into(&mut self.told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_begin_anew_after_an_answer() {
        let mut gate = Gate::default();
        let mut now = Instant::now();
        let pauses: Vec<_> = (0..11)
            .map(|_| {
                gate.failed("down", now);
                gate.failed("down, too", now);
                now = gate.shut_until.unwrap();
                gate.pause.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(gate.told, "down");
        gate.answered();
        assert_eq!((gate.shut_until, gate.told.as_str()), (None, ""));
        gate.failed("down", now);
        assert_eq!(gate.pause.as_secs(), 1);
    }
}
