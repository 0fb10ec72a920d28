use proptest::prelude::*;

use super::*;

/// The fields of a table's rows; `#` starts a comment line.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').collect())
}

#[test]
fn people_are_shown_whole_mebibytes() {
    let memory = [
        (250 << 20, "250Mi"),
        (380_258_472, "363Mi"),
        (1 << 30, "1Gi"),
        (5000, "5000"),
    ];
    for (bytes, text) in memory {
        assert_eq!(Resource::Memory.show(bytes), text);
    }
    assert_eq!(Resource::Cpu.show(476), "476m");
}

#[test]
fn reads_and_writes_as_kubernetes_does() {
    for row in rows(include_str!("../../testdata/quantities.csv")) {
        let [text, millis, cpu, bytes, memory] = row[..] else {
            panic!("{row:?}")
        };
        let as_cpu = Millicores::parse(text).unwrap();
        let as_memory = Bytes::parse(text).unwrap();
        assert_eq!(as_cpu.0.to_string(), millis, "cpu of {text}");
        assert_eq!(as_cpu.to_string(), cpu, "text of {text} as cpu");
        assert_eq!(as_memory.0.to_string(), bytes, "bytes of {text}");
        assert_eq!(as_memory.to_string(), memory, "text of {text} as memory");
    }
}

#[test]
fn saturates_where_kubernetes_overflows() {
    for text in [
        "8Ei",
        "9223372036854775808",
        "1e19",
        "1e2000000000",
        "123456789012345678901234567890",
    ] {
        assert_eq!(Bytes::parse(text).unwrap(), Bytes(i64::MAX), "{text}");
        assert_eq!(
            Millicores::parse(text).unwrap(),
            Millicores(i64::MAX),
            "{text}"
        );
        let negative = format!("-{text}");
        assert_eq!(
            Bytes::parse(&negative).unwrap(),
            Bytes(-i64::MAX),
            "{negative}"
        );
    }
    assert_eq!(Millicores::parse("1Ei").unwrap(), Millicores(i64::MAX));
    assert_eq!(Bytes::parse("7Ei").unwrap(), Bytes(7 << 60));
    assert_eq!(
        Bytes::parse("9E").unwrap(),
        Bytes(9_000_000_000_000_000_000)
    );
    assert_eq!(Bytes::parse("1e-2000000000").unwrap(), Bytes(1));
}

#[test]
fn keeps_twenty_digits_and_notices_the_rest() {
    assert_eq!(parse_nanos("1.00000000000000000000001").unwrap(), NANOS + 1);
    assert_eq!(parse_nanos("1.00000000000000000000000").unwrap(), NANOS);
    assert_eq!(
        parse_nanos("0000000000000000000000001.5").unwrap(),
        3 * NANOS / 2
    );
}

#[test]
fn says_what_is_wrong() {
    for (text, part) in [
        ("", "empty"),
        ("Gi", "no digits"),
        ("-", "no digits"),
        (".", "no digits"),
        ("--1", "no digits"),
        (" 1", "no digits"),
        ("NaN", "no digits"),
        ("Infinity", "no digits"),
        ("abc", "no digits"),
        ("1.2.3", "\".3\""),
        ("1x", "\"x\""),
        ("1KiB", "\"KiB\""),
        ("1 Gi", "\" Gi\""),
        ("1ki", "\"ki\""),
        ("1K", "\"K\""),
        ("1e", "\"e\""),
        ("1e+", "\"e+\""),
        ("1e1.5", "\"e1.5\""),
        ("1mm", "\"mm\""),
        ("1_000", "\"_000\""),
        ("1,5", "\",5\""),
        ("1e99999999999", "\"e99999999999\""),
    ] {
        let error = Bytes::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text:?}: {error}");
    }
}

#[test]
fn amounts_from_floats_drop_the_fraction() {
    for (cores, millis) in [
        (0.069946, 69),
        (0.61535112, 615),
        (0.0172071, 17),
        (0.00455, 4),
        (0.0123456789, 12),
        (0.00123456789, 1),
    ] {
        assert_eq!(Millicores::from_cores(cores), Millicores(millis));
    }
    for (float, amount) in [
        (100.5, 100),
        (0.0, 0),
        (-50.5, 0),
        (1e14 + 100.0, MAX_AMOUNT),
        (1e14, MAX_AMOUNT),
        (0.125, 0),
        (-0.0001, 0),
        (f64::NAN, 0),
        (f64::INFINITY, MAX_AMOUNT),
    ] {
        assert_eq!(amount_from_float(float), amount, "{float}");
    }
    for (amount, factor, scaled) in [
        (69, 1.0, 69),
        (4, 2.124, 8),
        (12, 1.1, 13),
        (1213, 1.2414, 1505),
        (0, 1.0, 0),
        (11, 0.0, 0),
        (41208, 1e-6, 0),
    ] {
        assert_eq!(scale_amount(amount, factor), scaled, "{amount} x {factor}");
    }
}

#[test]
fn rounds_up_to_a_step() {
    for (amount, step, rounded) in [
        (100, 7, 105),
        (100, 10, 100),
        (0, 5, 0),
        (79, 50, 100),
        (34, 50, 50),
        (i64::MAX, 1000, i64::MAX),
    ] {
        assert_eq!(
            round_up_to_step(amount, step),
            Ok(rounded),
            "{amount} by {step}"
        );
    }
    for step in [0, -5] {
        let error = round_up_to_step(100, step).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("scale must be greater than zero")
        );
    }
}

/// Upstream's rows: an amount rounded up to a step, and its text.
#[test]
fn rounded_amounts_have_short_texts() {
    for (amount, step, bytes) in [
        (1024, 1, "1Ki"),
        (262_144_000, 1, "250Mi"),
        (262_144_000, 268_435_456, "256Mi"),
        (0, 1, "0"),
        (839_500_000, 1, "839500000"),
        (839_500_000, 134_217_728, "896Mi"),
    ] {
        let rounded = round_up_to_step(amount, step).unwrap();
        assert_eq!(Bytes(rounded).to_string(), bytes);
    }
    for (amount, step, cpu) in [
        (1000, 1, "1"),
        (1000, 3, "1002m"),
        (0, 2, "0"),
        (1_231_241, 13, "1231243m"),
    ] {
        let rounded = round_up_to_step(amount, step).unwrap();
        assert_eq!(Millicores(rounded).to_string(), cpu);
    }
}

#[test]
fn humanizes_memory() {
    for (bytes, text) in [
        (1000, "1000"),
        (1024, "1.00Ki"),
        (1_048_576, "1.00Mi"),
        (1 << 30, "1.00Gi"),
        (1 << 40, "1.00Ti"),
        (268_435_456, "256.00Mi"),
        (3 << 29, "1.50Gi"),
        (1_050_000, "1.00Mi"),
        (1537, "1.50Ki"),
        (4_992_073_454, "4.65Gi"),
        (6_499_152_537, "6.05Gi"),
        (16_357_476_492, "15.23Gi"),
        (4_022_251_530, "3.75Gi"),
        (13_580_968_030, "12.65Gi"),
        (15_530_468_536, "14.46Gi"),
        (839_500_000, "800.61Mi"),
    ] {
        assert_eq!(Bytes(bytes).humanize(), text);
    }
}

proptest! {
    #[test]
    fn every_amount_survives_its_text(amount in any::<i64>().prop_filter("symmetric", |n| *n != i64::MIN)) {
        prop_assert_eq!(Millicores::parse(&Millicores(amount).to_string()), Ok(Millicores(amount)));
        prop_assert_eq!(Bytes::parse(&Bytes(amount).to_string()), Ok(Bytes(amount)));
    }

    #[test]
    fn whole_powers_survive_their_text(mantissa in -9999_i64..9999, power in 0_u32..5) {
        let decimal = mantissa * 1000_i64.pow(power);
        prop_assert_eq!(Millicores::parse(&Millicores(decimal).to_string()), Ok(Millicores(decimal)));
        let binary = mantissa << (10 * power);
        prop_assert_eq!(Bytes::parse(&Bytes(binary).to_string()), Ok(Bytes(binary)));
    }

    #[test]
    fn no_text_panics(text in "[-+]?[0-9.eEinumkKMGTP]{0,40}|.{0,12}") {
        let _ = Bytes::parse(&text);
    }
}
