//! The batch worker: takes items from a server's queue, one after another.

use std::time::Duration;

use anyhow::Result;

use crate::http_client::Target;
use crate::work::{Memory, burn};

/// How long a worker waits where there is nothing to do.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the queue is, and what an item takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The server that has the queue, such as `http://inference-queue:8080`
    #[arg(long, env = "QUEUE_URL", value_name = "URL")]
    queue: Target,
    /// CPU time of an item, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 500)]
    cpu_ms: u64,
    /// Memory that the worker holds, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    mib: usize,
}

/// What came of asking the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Item,
    Empty,
    Trouble(String),
}

impl Outcome {
    fn of(answer: Result<u16>) -> Self {
        match answer {
            Ok(200) => Self::Item,
            Ok(204) => Self::Empty,
            Ok(status) => Self::Trouble(format!("it answers {status}")),
            Err(error) => Self::Trouble(format!("{error:#}")),
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Item => "working".into(),
            Self::Empty => "the queue is empty".into(),
            Self::Trouble(why) => format!("cannot read the queue, and will try again: {why}"),
        }
    }
}

/// Works until it is told to end.
pub async fn run(options: Options) -> Result<()> {
    let _model = Memory::of(options.mib);
    let take = options.queue.at("/queue/take");
    let cpu = Duration::from_millis(options.cpu_ms);
    let mut last = None;
    loop {
        let outcome = Outcome::of(take.send("POST").await);
        if last.as_ref() != Some(&outcome) {
            println!("{}", outcome.sentence());
        }
        if outcome == Outcome::Item {
            tokio::task::spawn_blocking(move || burn(cpu)).await?;
        } else {
            tokio::time::sleep(PAUSE).await;
        }
        last = Some(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_an_item() {
        assert_eq!(Outcome::of(Ok(200)), Outcome::Item);
        assert_eq!(Outcome::of(Ok(204)), Outcome::Empty);
        for trouble in [Ok(404), Ok(503), Err(anyhow::anyhow!("refused"))] {
            assert!(matches!(Outcome::of(trouble), Outcome::Trouble(_)));
        }
    }
}
