//! Usage over a long time, asked for in pieces that stay small.

use std::time::Duration;

use podfit_core::time::Timestamp;

use super::answer::Series;
use super::client::{Error, Prometheus, Range};
use super::query::Queries;

/// One answer is to have about as many points as this, which is a megabyte or two.
const POINTS: u64 = 50_000;

/// Prometheus gives no more than 11,000 points of one series.
const POINTS_OF_A_SERIES: u64 = 10_000;

/// How much longer than the piece before one may be: an hour says little of the weeks after it.
const GROWTH: u32 = 8;

impl Range {
    /// The points of `length` until `now`: whole multiples of the step, so that whoever asks again asks for the same.
    pub fn until(now: Timestamp, length: Duration, step: Duration) -> Self {
        let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let end = Timestamp::from_unix_millis(now.unix_millis().div_euclid(millis) * millis);
        Self {
            start: end - step * (steps(length, step).max(1) - 1),
            end,
            step,
        }
    }

    /// How many points it has.
    pub fn points(&self) -> u32 {
        steps(self.end.since(self.start), self.step).saturating_add(1)
    }
}

fn steps(length: Duration, step: Duration) -> u32 {
    let steps = length.as_millis() / step.as_millis().max(1);
    u32::try_from(steps).unwrap_or(u32::MAX)
}

/// What is still to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Pieces {
    rest: Range,
    /// How many points of time the next piece has, and the most that any may have.
    piece: u32,
    most: u32,
}

impl Pieces {
    /// All of `whole`, in pieces that suit so many series.
    pub fn new(whole: Range, series: usize) -> Self {
        let most = whole.points();
        Self {
            rest: whole,
            piece: suiting(series).min(most),
            most,
        }
    }

    /// Makes those to come suit so many series.
    pub fn suit(&mut self, series: usize) {
        let longest = self.most.min(self.piece.saturating_mul(GROWTH));
        self.piece = suiting(series).min(longest);
    }

    /// How many points of time are still to come.
    pub fn left(&self) -> u32 {
        self.first().map_or(0, |_| self.rest.points())
    }

    /// `None` when all has been asked for.
    fn first(&self) -> Option<Range> {
        let Range { start, end, step } = self.rest;
        (start <= end).then(|| Range {
            start,
            end: (start + step * (self.piece - 1)).min(end),
            step,
        })
    }

    fn halve(&mut self) {
        self.most = self.piece / 2;
        self.piece = self.most;
    }
}

/// How many points of time one answer may have.
fn suiting(series: usize) -> u32 {
    let points = (POINTS / series.max(1) as u64).clamp(1, POINTS_OF_A_SERIES);
    u32::try_from(points).unwrap_or(1)
}

/// Whose usage is asked for.
pub struct Question<'a> {
    /// Who is asked.
    pub prometheus: &'a Prometheus,
    /// How.
    pub queries: &'a Queries,
    /// The namespace of the pods.
    pub namespace: &'a str,
    /// A regular expression that their names match.
    pub pods: &'a str,
    /// Take answers of which some is missing.
    pub partial: bool,
}

impl Question<'_> {
    /// CPU and memory of the next piece in order of time; `None` after the last. What is too much is asked for in halves.
    pub async fn next(&self, pieces: &mut Pieces) -> Result<Option<[Vec<Series>; 2]>, Error> {
        while let Some(range) = pieces.first() {
            match self.usage(range).await {
                Ok(usage) => {
                    pieces.rest.start = range.end + range.step;
                    return Ok(Some(usage));
                }
                Err(error) if error.is_too_much() && pieces.piece > 1 => pieces.halve(),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn usage(&self, range: Range) -> Result<[Vec<Series>; 2], Error> {
        let ask = |query| self.prometheus.range(query, range, self.partial);
        let (cpu, memory) = (
            self.queries.cpu(self.namespace, self.pods),
            self.queries.memory(self.namespace, self.pods),
        );
        Ok([ask(&cpu).await?, ask(&memory).await?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_500_000_123);

    /// The lengths of all pieces, each after as many series as `series` says.
    fn lengths(pieces: &mut Pieces, series: impl Fn(usize) -> usize) -> Vec<u32> {
        let mut lengths = Vec::new();
        while let Some(range) = pieces.first() {
            lengths.push(range.points());
            pieces.rest.start = range.end + range.step;
            pieces.suit(series(lengths.len()));
        }
        lengths
    }

    #[test]
    fn times_are_whole_multiples_of_the_step() {
        let range = Range::until(NOW, MINUTE * 60, MINUTE * 5);
        assert_eq!(range.end, Timestamp::from_unix_seconds(1_500_000_000));
        assert_eq!(
            (range.points(), range.end.since(range.start)),
            (12, MINUTE * 55)
        );
        assert_eq!(Range::until(NOW, MINUTE, MINUTE * 5).points(), 1);
    }

    #[test]
    fn pieces_grow_where_there_is_little_and_shrink_where_there_is_much() {
        let whole = Range::until(NOW, MINUTE * 10_000, MINUTE);
        let found = |piece| if piece < 3 { 1 } else { 50_000 / 7 };
        let found = lengths(&mut Pieces::new(whole, 5000), found);
        assert_eq!(found[..4], [10, 80, 640, 7]);
        assert_eq!(found.iter().sum::<u32>(), 10_000);
    }

    #[test]
    fn what_was_too_much_once_is_not_tried_again() {
        let mut pieces = Pieces::new(Range::until(NOW, MINUTE * 100, MINUTE), 1);
        pieces.halve();
        assert_eq!(lengths(&mut pieces, |_| 1), [50, 50]);
    }
}
