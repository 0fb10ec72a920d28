use proptest::prelude::*;

use super::*;
use crate::rows::{number, rows};

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

/// Floats drop their fraction, factors and steps apply, memory is written for people.
#[test]
fn amounts_follow_upstreams_rows() {
    for row in rows(include_str!("../../testdata/amounts.csv")) {
        let [function, input, argument, expected] = row[..] else {
            panic!("{row:?}")
        };
        let whole = |cell: &str| number::<i64>(cell).unwrap();
        let got = match function {
            "cores" => Some(Millicores::from_cores(number(input).unwrap()).0.to_string()),
            "bytes" | "amount" => Some(amount_from_float(number(input).unwrap()).to_string()),
            "to cores" => {
                let (got, want) = (Millicores(whole(input)).cores(), number::<f64>(expected));
                Some(got)
                    .filter(|got| Some(*got) == want)
                    .map(|_| expected.to_owned())
            }
            "cpu quantity" => Some(Millicores(whole(input)).to_string()),
            "memory quantity" => Some(Bytes(whole(input)).to_string()),
            "scale" => Some(scale_amount(whole(input), number(argument).unwrap()).to_string()),
            "round up" => round_up_to_step(whole(input), whole(argument))
                .ok()
                .map(|n| n.to_string()),
            "humanize" => Some(Bytes(whole(input)).humanize()),
            _ => panic!("{row:?}"),
        };
        assert_eq!(got.unwrap_or_default(), expected, "{row:?}");
    }
    let error = round_up_to_step(100, -5).unwrap_err().to_string();
    assert!(
        error.starts_with("scale must be greater than zero"),
        "{error}"
    );
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
