use super::*;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_unix_millis(instant.as_millisecond())
}

/// Windows, and instants with whether they lie within.
#[test]
fn a_window_is_open_from_its_first_minute_until_its_last() {
    let rows: [(&str, &[(&str, bool)]); 8] = [
        (
            "Sun 01:00-05:00 Europe/Berlin",
            &[
                ("2026-11-28T23:59:59Z", false),
                ("2026-11-29T00:00:00Z", true),
                ("2026-11-29T03:59:59Z", true),
                ("2026-11-29T04:00:00Z", false),
                ("2026-11-30T01:00:00Z", false),
            ],
        ),
        (
            "Fri 22:00-04:00",
            &[
                ("2026-11-27T21:59:00Z", false),
                ("2026-11-27T22:00:00Z", true),
                ("2026-11-28T03:59:00Z", true),
                ("2026-11-28T04:00:00Z", false),
                ("2026-11-28T22:00:00Z", false),
                ("2026-11-27T03:00:00Z", false),
            ],
        ),
        (
            "daily 00:00-24:00",
            &[
                ("2026-11-27T00:00:00Z", true),
                ("2026-11-27T23:59:59Z", true),
            ],
        ),
        (
            "Fri-Mon 12:00-13:00 UTC",
            &[
                ("2026-11-26T12:30:00Z", false),
                ("2026-11-27T12:30:00Z", true),
                ("2026-11-28T12:30:00Z", true),
                ("2026-11-30T12:30:00Z", true),
                ("2026-12-01T12:30:00Z", false),
            ],
        ),
        (
            "sat,SUNDAY 6:00-7:30; Mon 00:00-01:00 Asia/Tokyo",
            &[
                ("2026-11-28T07:29:00Z", true),
                ("2026-11-29T06:00:00Z", true),
                ("2026-11-29T15:30:00Z", true),
                ("2026-11-30T00:30:00Z", false),
            ],
        ),
        (
            // 02:00 to 03:00 does not exist on 29 March 2026, nor does this window on that day.
            "Sun 02:00-03:00 Europe/Berlin",
            &[
                ("2026-03-29T00:59:00Z", false),
                ("2026-03-29T01:00:00Z", false),
                ("2026-03-22T01:00:00Z", true),
            ],
        ),
        (
            "Sun 02:15-02:45 Europe/Berlin",
            &[
                ("2026-03-29T01:14:00Z", false),
                ("2026-03-29T01:15:00Z", true),
                ("2026-03-29T01:45:00Z", false),
            ],
        ),
        (
            // On 25 October 2026 the hour from 02:00 to 03:00 comes twice; a window around it is an hour longer.
            "Sun 01:00-05:00 Europe/Berlin; Sun 02:15-02:45 America/New_York",
            &[
                ("2026-10-24T22:59:00Z", false),
                ("2026-10-24T23:00:00Z", true),
                ("2026-10-25T03:59:00Z", true),
                ("2026-10-25T04:00:00Z", false),
                ("2026-10-25T06:15:00Z", true),
            ],
        ),
    ];
    for (text, instants) in rows {
        let maintenance = Maintenance::parse(text);
        assert!(
            matches!(maintenance, Maintenance::Within(_)),
            "{text}: {maintenance:?}"
        );
        for (instant, open) in instants {
            assert_eq!(
                maintenance.is_open(at(instant)),
                *open,
                "{text} at {instant}"
            );
        }
    }
}

#[test]
fn the_next_opening_is_told() {
    let rows = [
        (
            "Sun 01:00-05:00 Europe/Berlin",
            "2026-11-26T12:00:00Z",
            "2026-11-29T00:00:00Z",
        ),
        (
            "Sun 01:00-05:00 Europe/Berlin",
            "2026-11-29T00:00:00Z",
            "2026-12-06T00:00:00Z",
        ),
        (
            "Fri 22:00-04:00; Thu 18:00-19:00",
            "2026-11-26T12:00:00Z",
            "2026-11-26T18:00:00Z",
        ),
        (
            "daily 01:00-02:00 Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T00:00:00Z",
        ),
    ];
    for (text, now, opens) in rows {
        assert_eq!(
            Maintenance::parse(text).opens(at(now)),
            Some(at(opens)),
            "{text} after {now}"
        );
    }
    let always = Maintenance::Always;
    assert!(
        always.is_open(at("2026-11-26T12:00:00Z")) && !always.is_within(at("2026-11-26T12:00:00Z"))
    );
    assert_eq!(always.opens(at("2026-11-26T12:00:00Z")), None);
}

#[test]
fn what_is_no_window_is_never_open_and_says_why() {
    let rows = [
        ("", "\"\" is no window"),
        ("Sun", "\"Sun\" is no window"),
        ("Sun 01:00-05:00;", "\"\" is no window"),
        (
            "Sun 01:00 - 05:00 UTC",
            "\"Sun 01:00 - 05:00 UTC\" is no window",
        ),
        ("Son 01:00-05:00", "\"Son\" is no day"),
        ("Mon-Freitag 01:00-05:00", "\"Freitag\" is no day"),
        ("Sun 1-5", "\"1-5\" is no span"),
        ("Sun 01:60-05:00", "\"01:60-05:00\" is no span"),
        ("Sun 24:00-05:00", "\"24:00-05:00\" is no span"),
        ("Sun 23:00-24:01", "\"23:00-24:01\" is no span"),
        ("Sun 02:00-02:00", "\"02:00-02:00\" begins when it ends"),
        (
            "Sun 01:00-05:00 Europe/Berln",
            "\"Europe/Berln\" is no time zone",
        ),
        ("Sun 01:00-05:00 UTC; nonsense", "\"nonsense\" is no window"),
    ];
    for (text, why) in rows {
        let Maintenance::NotUnderstood { why: error } = Maintenance::parse(text) else {
            panic!("{text} was understood")
        };
        assert!(error.to_string().starts_with(why), "{text}: {error}");
    }
    let maintenance = Maintenance::parse("whenever");
    assert!(!maintenance.is_open(at("2026-11-29T00:00:00Z")));
    assert_eq!(maintenance.opens(at("2026-11-29T00:00:00Z")), None);
}
