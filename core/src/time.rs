//! Points in time as integers, so that `now` can be passed in everywhere.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Milliseconds since the Unix epoch; negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From whole milliseconds since the Unix epoch.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch; saturates at the ends of the range.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// `2026-11-29T00:00:00Z`, in UTC; the milliseconds where that cannot be written.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.unix_seconds()) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// A clock that follows another without its jumps: it never goes back, and never more than half as fast again as time does.
///
/// What is measured by it does not all fall due at once when somebody sets the machine's clock.
#[derive(Clone, Debug, Default)]
pub struct SteadyClock(Option<(Timestamp, Duration)>);

impl SteadyClock {
    /// The time now, when `wall` is what the machine's clock shows, and `uptime` what has passed since some moment by a
    /// clock that nobody sets. The first reading is `wall`.
    pub fn read(&mut self, wall: Timestamp, uptime: Duration) -> Timestamp {
        let now = self.0.map_or(wall, |(last, at)| {
            let passed = uptime.saturating_sub(at);
            let (slowest, fastest) = (last + passed / 2, last + passed + passed / 2);
            wall.clamp(slowest, fastest)
        });
        self.0 = Some((now, uptime));
        now
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_time() {
        let shown = |seconds| Timestamp::from_unix_seconds(seconds).to_string();
        assert_eq!(shown(1_795_910_400), "2026-11-29T00:00:00Z");
        assert_eq!(shown(i64::MAX), format!("{} ms", i64::MAX));
    }

    #[test]
    fn a_steady_clock_follows_jumps_slowly_and_corrections_at_once() {
        let at = Timestamp::from_unix_seconds;
        // Seconds: what has passed, the machine's clock, and what is made of it.
        let rows = [
            (0, 1000, 1000),
            (60, 1060, 1060),
            (120, 1125, 1125),   // corrected
            (180, 1180, 1180),   // and back
            (240, 90_000, 1270), // a day ahead
            (300, 90_060, 1360),
            (360, 1360, 1390), // set right again
            (420, 1420, 1420),
            (480, 0, 1450), // never back
        ];
        let mut clock = SteadyClock::default();
        for (passed, wall, expected) in rows {
            let now = clock.read(at(wall), Duration::from_secs(passed));
            assert_eq!(now, at(expected), "after {passed} s");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let t = Timestamp::from_unix_seconds(10);
        assert_eq!((t + Duration::from_millis(1500)).unix_millis(), 11_500);
        assert_eq!((t - Duration::from_secs(11)).unix_seconds(), -1);
        assert_eq!(t.since(t + Duration::from_secs(1)), Duration::ZERO);
        assert_eq!(
            Timestamp::from_unix_millis(i64::MAX) + Duration::MAX,
            Timestamp::from_unix_millis(i64::MAX)
        );
        assert_eq!(Timestamp::from_unix_millis(-1).unix_seconds(), -1);
    }
}
