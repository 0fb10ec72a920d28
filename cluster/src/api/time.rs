//! RFC 3339 times of objects as [`Timestamp`]s and back.

use podfit_core::time::Timestamp;

/// The time of an object, or `None` when the text is no time.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(|t| Timestamp::from_unix_millis(t.as_millisecond()))
}

/// The text of a time in whole seconds, as `metav1.Time` has it.
pub fn format(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.unix_seconds())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// The text of a time in microseconds, as `metav1.MicroTime` has it.
pub fn format_micro(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.unix_millis())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}

/// Now, by the clock of this machine.
pub fn now() -> Timestamp {
    Timestamp::from_unix_millis(jiff::Timestamp::now().as_millisecond())
}

/// The creation time of an object.
pub fn created(meta: &kube::api::ObjectMeta) -> Option<Timestamp> {
    meta.creation_timestamp
        .as_ref()
        .map(|t| Timestamp::from_unix_millis(t.0.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip() {
        let time = parse("2026-11-24T10:11:12Z").unwrap();
        assert_eq!(time.unix_millis(), 1_795_515_072_000);
        assert_eq!(format(time), "2026-11-24T10:11:12Z");
        assert_eq!(format_micro(time), "2026-11-24T10:11:12.000000Z");
        assert_eq!(parse("yesterday"), None);
        assert_eq!(
            parse("2026-11-24T10:11:12.5+01:00").unwrap().unix_millis(),
            1_795_511_472_500
        );
    }
}
