//! `Mon-Fri 22:00-04:00 Europe/Berlin; Sat,Sun 00:00-24:00` as windows.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::{DAY, Window};

/// The time zones known when podfit was built: its images have no files of them.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Why a text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// The parts are too few or too many.
    #[error("{0:?} is no window; write it like `Sun 01:00-05:00 Europe/Berlin`")]
    Shape(String),
    /// A day is none.
    #[error("{0:?} is no day; write `daily`, or days like Mon, Mon-Fri or Sat,Sun")]
    Day(String),
    /// A time is none.
    #[error("{0:?} is no span of time; write it like 22:00-04:00")]
    Times(String),
    /// The span is empty, or the whole day: who knows?
    #[error("{0:?} begins when it ends; write 00:00-24:00 for a whole day")]
    Empty(String),
    /// The time zone is none.
    #[error("{0:?} is no time zone; write one like Europe/Berlin, or leave it out for UTC")]
    Zone(String),
}

pub(super) fn windows(text: &str) -> Result<Vec<Window>, WindowError> {
    text.split(';').map(window).collect()
}

fn window(text: &str) -> Result<Window, WindowError> {
    let parts: Vec<_> = text.split_whitespace().collect();
    let (days, times, zone) = match parts.as_slice() {
        [days, times] => (*days, *times, "UTC"),
        [days, times, zone] => (*days, *times, *zone),
        _ => return Err(WindowError::Shape(text.trim().into())),
    };
    let (from, to) = span(times)?;
    Ok(Window {
        days: read_days(days)?,
        from,
        to,
        zone: read_zone(zone)?,
    })
}

fn read_zone(name: &str) -> Result<TimeZone, WindowError> {
    ZONES.get(name).map_err(|_| WindowError::Zone(name.into()))
}

fn read_days(text: &str) -> Result<[bool; 7], WindowError> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let last = read_day(last)?;
        let mut day = read_day(first)?;
        days[day] = true;
        // Round the end of the week: Fri-Mon.
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

/// A weekday, Monday being zero: three letters of its name, or all.
fn read_day(text: &str) -> Result<usize, WindowError> {
    const NAMES: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let written = text.to_ascii_lowercase();
    let is = |name: &&str| written == **name || written == name[..3];
    let found = NAMES.iter().position(is);
    found.ok_or_else(|| WindowError::Day(text.into()))
}

/// Two times of a day, in minutes since midnight.
fn span(text: &str) -> Result<(i16, i16), WindowError> {
    let read = || {
        let (from, to) = text.split_once('-')?;
        Some((minute(from)?, minute(to)?))
    };
    match read() {
        Some((from, to)) if from == to => Err(WindowError::Empty(text.into())),
        Some((from, to)) if from < DAY => Ok((from, to)),
        _ => Err(WindowError::Times(text.into())),
    }
}

/// `00:00` to `24:00`.
fn minute(text: &str) -> Option<i16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str, most: usize| {
        let fits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}
