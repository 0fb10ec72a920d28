//! Waiting for conditions.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Polls `condition` until it is `Ok`, and hands back its value. An `Err` says what is missing yet; when `deadline` has
/// passed, the last one becomes the cause of this function's error.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    let mut missing = anyhow::anyhow!("the first look at it did not end");
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => missing = error,
            Err(_) => {} // the deadline cut it off: the look before tells more
        }
        if started.elapsed() + PAUSE >= deadline {
            return Err(missing).with_context(|| format!("not within {deadline:.0?}: {what}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Shorthand for [`Duration::from_secs`].
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Looks at `condition` again and again for `how_long`; an error as soon as it does not hold.
pub async fn holds(
    what: &str,
    how_long: Duration,
    mut condition: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < how_long {
        condition()
            .await
            .with_context(|| format!("after {:.1?}: {what}", started.elapsed()))?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
