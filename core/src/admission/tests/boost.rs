//! Startup boost (vectors 12.2).

use std::time::Duration;

use super::*;
use crate::quantity::parse_nanos;
use crate::vpa::{BoostBy, CpuBoost, StartupBoost};

/// `100m`, or nothing.
fn cpu(text: &str) -> Amounts {
    let milli = 1_000_000;
    if text.is_empty() {
        return NOTHING;
    }
    let nanos = parse_nanos(text).unwrap();
    (i64::try_from(nanos / milli).unwrap_or(i64::MAX), 0)
}

fn pair(text: &str) -> (Amounts, Amounts) {
    let (request, limit) = text.split_once('/').unwrap();
    (cpu(request), cpu(limit))
}

/// As the wire types read it: what is refused there is a boost of nothing.
fn boost(text: &str) -> Option<StartupBoost> {
    let words: Vec<_> = text.split(' ').collect();
    let by = match words[..] {
        [""] => return None,
        ["empty"] | ["Factor", "0"] | ["Invalid", _] => None,
        ["Factor", factor] | ["Factor", factor, _] => {
            Some(BoostBy::Factor(factor.parse().unwrap()))
        }
        ["Quantity", more] => Some(BoostBy::Quantity(Millicores(cpu(more).0))),
        _ => panic!("{text}"),
    };
    let lasts = Duration::from_secs(10);
    Some(StartupBoost {
        cpu: by.map(|by| CpuBoost { by, lasts }),
    })
}

/// Without a gate there are no boosts; with it they are what upstream's are, and a second look finds nothing to do.
#[test]
fn cpu_is_boosted() {
    let table = include_str!("../../../testdata/startup_boost.csv");
    let rows: Vec<_> = table.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(rows.len(), 1 + 15 + 7);
    for row in &rows[1..] {
        let columns: Vec<_> = row.split(',').collect();
        let [
            case,
            own,
            of_vpa,
            of_container,
            target,
            policy,
            most,
            gate,
            want,
            annotation,
        ] = columns[..]
        else {
            panic!("columns: {row}")
        };
        let (request, limit) = pair(own);
        let pod = pod(vec![container("c", request, limit)]);
        let policy = ContainerPolicy {
            off: policy == "Off",
            requests_only: policy == "RequestsOnly",
            startup_boost: boost(of_container),
            ..free()
        };
        let vpa = Vpa {
            startup_boost: boost(of_vpa),
            ..vpa(&[("c", cpu(target))], policy)
        };
        for profile in [Profile::Safe, Profile::Upstream] {
            let settings = Settings {
                profile,
                startup_boost: gate == "on",
                max_allowed_cpu_boost: list(cpu(most)).cpu,
            };
            let got = super::super::admit(&pod, &vpa, &[], &settings, NOW);
            let change = got.containers.first().cloned().unwrap_or_default();
            let want = pair(want);
            assert_eq!(
                (change.requests, change.limits),
                (list(want.0), list(want.1)),
                "{case}"
            );
            let before: Vec<_> = got.boosts.iter().map(|b| b.before).collect();
            if annotation == "none" {
                assert_eq!(before, [], "{case}");
            } else {
                let (requests, limits) = pair(annotation);
                let want = EffectiveResources {
                    requests: list(requests),
                    limits: list(limits),
                };
                assert_eq!(before, [want], "{case}");
            }
            let again = super::super::admit(&admitted(&pod, &got), &vpa, &[], &settings, NOW);
            assert_eq!(again, Admission::default(), "{case}, again");
        }
    }
}

fn doubled() -> Option<StartupBoost> {
    boost("Factor 2")
}

#[test]
fn mode_off_boosts_and_does_nothing_else() {
    let vpa = Vpa {
        update_mode: UpdateMode::Off,
        startup_boost: doubled(),
        ..vpa(&[("a", (500, GI))], free())
    };
    let pod = pod(vec![container("a", (100, MI), (200, MI))]);
    let on = Settings {
        startup_boost: true,
        ..Settings::default()
    };
    let got = super::super::admit(&pod, &vpa, &[], &on, NOW);
    assert_eq!(got.containers[0].requests, list((200, 0)));
    assert_eq!(got.containers[0].limits, list((400, 0)));
    assert_eq!(
        got.annotations[0].1,
        "Pod resources updated by name: container 0: cpu request, cpu limit"
    );
    assert!(sizes_new_pods(&vpa, &on) && !sizes_new_pods(&vpa, &Settings::default()));
    let of_container = Vpa {
        startup_boost: None,
        container_policies: vec![ContainerPolicy {
            startup_boost: doubled(),
            ..free()
        }],
        ..vpa
    };
    assert!(sizes_new_pods(&of_container, &on));
}

/// Limits follow the annotation with the boost as without.
#[test]
fn limits_beside_a_boost() {
    let on = Settings {
        startup_boost: true,
        ..Settings::default()
    };
    let pod = pod(vec![container("a", (100, MI), (200, 2 * MI))]);
    let rows = [
        ("none", NOTHING, vec![Resource::Cpu, Resource::Memory]),
        ("cpu=equal", (1000, 2 * GI), vec![]),
        (
            "cpu=headroom=1,memory=none",
            (2000, 0),
            vec![Resource::Memory],
        ),
    ];
    for (text, limits, removed) in rows {
        let vpa = Vpa {
            startup_boost: doubled(),
            limits: crate::policy::LimitPolicies::parse(text).unwrap(),
            ..vpa(&[("a", (500, GI))], free())
        };
        let got = super::super::admit(&pod, &vpa, &[], &on, NOW);
        let change = &got.containers[0];
        assert_eq!(
            (change.requests, change.limits),
            (list((1000, GI)), list(limits)),
            "{text}"
        );
        assert_eq!(change.removed_limits, removed, "{text}");
        let text = &got.annotations[0].1;
        assert!(
            !text.contains("cpu limit 500m") && !text.contains("cpu limit 1500m"),
            "{text}"
        );
    }
}

/// The API server would refuse a pod beyond its LimitRanges; a smaller boost, or none, is better than no pod.
#[test]
fn a_boost_fits_limit_ranges_and_the_pods_class() {
    let on = Settings {
        startup_boost: true,
        ..Settings::default()
    };
    let range = |scope, most| LimitRangeItem {
        scope,
        min: list(NOTHING),
        max: list((most, 0)),
        default: list(NOTHING),
        max_ratio: Ratios::default(),
    };
    let vpa = |policy| Vpa {
        startup_boost: boost("Factor 4"),
        ..vpa(&[("a", (1000, GI))], policy)
    };
    let cpu = |own: (Amounts, Amounts), vpa: &Vpa, ranges: &[LimitRangeItem]| {
        let got = super::super::admit(
            &pod(vec![container("a", own.0, own.1)]),
            vpa,
            ranges,
            &on,
            NOW,
        );
        let change = got.containers[0].clone();
        (change.requests.cpu, change.limits.cpu, got.boosts.len())
    };
    let burstable = ((500, MI), (1000, GI));
    let container = range(LimitRangeScope::Container, 3000);
    let milli = |cpu| Some(Millicores(cpu));
    assert_eq!(
        cpu(burstable, &vpa(free()), &[container]),
        (milli(1500), milli(3000), 1)
    );
    let of_pod = range(LimitRangeScope::Pod, 3000);
    assert_eq!(
        cpu(burstable, &vpa(free()), &[of_pod]),
        (milli(1000), milli(2000), 0)
    );
    let guaranteed = ((500, GI), (500, GI));
    assert_eq!(
        cpu(guaranteed, &vpa(free()), &[]),
        (milli(4000), milli(4000), 1)
    );
    let requests_only = ContainerPolicy {
        requests_only: true,
        ..free()
    };
    assert_eq!(
        cpu(guaranteed, &vpa(requests_only), &[]),
        (milli(500), None, 0)
    );
}
