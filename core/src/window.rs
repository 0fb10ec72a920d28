//! Maintenance windows: the VPA's annotation `podfit.dev/window`.

mod read;

#[cfg(test)]
mod tests;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

pub use read::WindowError;

use crate::time::Timestamp;

/// The annotation of a VPA with windows like `Sun 01:00-05:00 Europe/Berlin`, several of them parted by semicolons.
pub const WINDOW_ANNOTATION: &str = "podfit.dev/window";

/// When pods may be disrupted, or get less.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Maintenance {
    /// At any time.
    #[default]
    Always,
    /// Within these windows.
    Within(Vec<Window>),
    /// Never: what somebody wrote is not understood, and they meant some times not to be right.
    NotUnderstood {
        /// Why.
        why: WindowError,
    },
}

/// A span of time on some days of each week.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The days on which it opens, Monday first.
    days: [bool; 7],
    /// When it opens, in minutes since midnight.
    from: i16,
    /// When it closes; not after `from` means on the next day.
    to: i16,
    zone: TimeZone,
}

const DAY: i16 = 24 * 60;

impl Maintenance {
    /// From the annotation's text.
    pub fn parse(text: &str) -> Self {
        match read::windows(text) {
            Ok(windows) => Self::Within(windows),
            Err(why) => Self::NotUnderstood { why },
        }
    }

    /// True when pods may be disrupted now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match self {
            Self::Always => true,
            Self::Within(windows) => windows.iter().any(|window| window.is_open(now)),
            Self::NotUnderstood { .. } => false,
        }
    }

    /// True within a window that was named.
    pub fn is_within(&self, now: Timestamp) -> bool {
        matches!(self, Self::Within(_)) && self.is_open(now)
    }

    /// When the next window opens after `now`; `None` when there is none to wait for.
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let Self::Within(windows) = self else {
            return None;
        };
        windows.iter().filter_map(|window| window.opens(now)).min()
    }
}

impl Window {
    /// True when it opened no later than `now` and has not closed yet.
    fn is_open(&self, now: Timestamp) -> bool {
        // It may have opened yesterday.
        let spans = self.spans(now, -1..=0);
        let mut spans = spans.into_iter();
        spans.any(|(opens, closes)| opens <= now && now < closes)
    }

    fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let spans = self.spans(now, 0..=7);
        spans
            .into_iter()
            .map(|(opens, _)| opens)
            .find(|opens| *opens > now)
    }

    /// When it opens and closes on those of the days around `now` on which it does. A local time that the clock skips
    /// counts as an hour later, and of one that comes twice the first counts.
    fn spans(
        &self,
        now: Timestamp,
        around: std::ops::RangeInclusive<i64>,
    ) -> Vec<(Timestamp, Timestamp)> {
        let Ok(today) = jiff::Timestamp::from_millisecond(now.unix_millis()) else {
            return Vec::new();
        };
        let today = today.to_zoned(self.zone.clone()).date();
        let days = around.filter_map(|n| today.checked_add(Span::new().try_days(n).ok()?).ok());
        days.filter(|day| self.days[place(day.weekday())])
            .filter_map(|day| {
                let next = day.tomorrow().ok()?;
                let closes = match self.to {
                    DAY => self.instant(next, 0),
                    to if to <= self.from => self.instant(next, to),
                    to => self.instant(day, to),
                };
                Some((self.instant(day, self.from)?, closes?))
            })
            .collect()
    }

    fn instant(&self, day: Date, minute: i16) -> Option<Timestamp> {
        let hour = i8::try_from(minute / 60).ok()?;
        let local = day.at(hour, i8::try_from(minute % 60).ok()?, 0, 0);
        let at: Zoned = local.to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp::from_unix_millis(at.timestamp().as_millisecond()))
    }
}

/// A weekday's place in [`Window::days`].
fn place(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}
