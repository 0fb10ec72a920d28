use std::collections::BTreeSet;

use super::*;
use crate::vpa::UpdateMode;

mod plan;

/// `name=value …`, where `autosize`, `profile`, `goldilocks` and `mode` stand for the labels.
fn labels(text: &str) -> Option<Labels> {
    let of = |name: &str| {
        let short = match name {
            AUTOSIZE_LABEL => "autosize",
            PROFILE_LABEL => "profile",
            GOLDILOCKS_LABEL => "goldilocks",
            GOLDILOCKS_MODE_LABEL => "mode",
            _ => unreachable!("{name}"),
        };
        let mut words = text.split_whitespace();
        words.find_map(|word| word.strip_prefix(short)?.strip_prefix('='))
    };
    Labels::read(of, true)
}

/// The workload's labels, its namespace's, and what is wanted.
const WISHES: &str = r#"
 /  => nothing
profile=serving /  => nothing
autosize=off /  => Off by=workload
autosize=initial /  => Initial by=workload
autosize=recreate /  => Recreate by=workload
autosize=in-place /  => InPlaceOrRecreate by=workload
 / autosize=off => Off by=namespace
autosize=in-place / autosize=off => InPlaceOrRecreate by=workload
autosize=none / autosize=off => declined
 / autosize=none => declined
autosize=in-place profile=serving /  => InPlaceOrRecreate serving by=workload
autosize=in-place profile=training /  => InPlace training by=workload
autosize=in-place profile=batch /  => InPlace batch by=workload
autosize=recreate profile=training /  => Recreate training by=workload
profile=training / autosize=in-place profile=batch => InPlace training by=namespace
autosize=off / profile=batch => Off batch by=workload
autosize=sometimes / autosize=off => podfit.dev/autosize: "sometimes" is none of off, initial
autosize= /  => podfit.dev/autosize: "" is none of
autosize=Off /  => podfit.dev/autosize: "Off" is none of
autosize=off profile=web /  => podfit.dev/profile: "web" is none of serving, training and batch
autosize=off / profile=web => podfit.dev/profile: "web"
 / goldilocks=true => Off by=namespace
mode=auto / goldilocks=true mode=off => Recreate by=namespace
 / goldilocks=true mode=inplaceorrecreate => InPlaceOrRecreate by=namespace
goldilocks=true / mode=initial => Initial by=workload
goldilocks=false / goldilocks=true => declined
autosize=initial / goldilocks=true => Initial by=workload
 / autosize=initial goldilocks=true mode=off => Initial by=namespace
 / goldilocks=yes => goldilocks.fairwinds.com/enabled: "yes" is none of true and false
 / goldilocks=true mode=now => vpa-update-mode: "now" is none of
mode=off /  => nothing"#;

#[test]
fn the_workloads_own_labels_come_first() {
    for row in WISHES.lines().skip(1) {
        let (labelled, want) = row.split_once(" => ").unwrap();
        let (own, namespace) = labelled.split_once(" / ").unwrap();
        let got = match wish(labels(own).as_ref(), labels(namespace).as_ref()) {
            Wish::Nothing => "nothing".into(),
            Wish::Declined => "declined".into(),
            Wish::NotUnderstood(complaint) => complaint.to_string(),
            Wish::Asked(asked) => {
                let profile = asked.profile.map(|p| format!(" {}", p.name()));
                format!(
                    "{}{} by={}",
                    wanted(asked, true).update_mode.name(),
                    profile.unwrap_or_default(),
                    asked.by.word()
                )
            }
        };
        let exact = !want.contains(':');
        assert!(
            if exact {
                got == want
            } else {
                got.contains(want)
            },
            "{own} / {namespace}: {got}"
        );
    }
}

#[test]
fn goldilocks_labels_are_not_read_unless_asked() {
    let label = |name: &str| (name == GOLDILOCKS_LABEL).then_some("true");
    assert!(Labels::read(label, true).is_some());
    assert_eq!(Labels::read(label, false), None);
}

/// Without its gate nothing that would be resized in place only is evicted instead.
#[test]
fn where_in_place_cannot_be_had_nothing_is_evicted() {
    for (profile, with, without) in [
        (
            "",
            UpdateMode::InPlaceOrRecreate,
            UpdateMode::InPlaceOrRecreate,
        ),
        ("training", UpdateMode::InPlace, UpdateMode::Initial),
        ("batch", UpdateMode::InPlace, UpdateMode::Initial),
    ] {
        let own = labels(&format!("autosize=in-place profile={profile}").replace(" profile= ", ""));
        let own = if profile.is_empty() {
            labels("autosize=in-place")
        } else {
            own
        };
        let Wish::Asked(asked) = wish(own.as_ref(), None) else {
            panic!("{profile}")
        };
        assert_eq!(wanted(asked, true).update_mode, with, "{profile}");
        assert_eq!(wanted(asked, false).update_mode, without, "{profile}");
    }
}

#[test]
fn a_mark_tells_what_was_asked_for_and_changes_with_what_is_set() {
    let mark = |text: &str, in_place| {
        let Wish::Asked(asked) = wish(labels(text).as_ref(), None) else {
            panic!("{text}")
        };
        wanted(asked, in_place).mark
    };
    let training = mark("autosize=in-place profile=training", true);
    assert!(
        training.starts_with("autosize=in-place profile=training by=workload revision="),
        "{training}"
    );
    let managed = Managed { mark: training };
    assert_eq!(managed.profile(), Some(WorkloadProfile::Training));
    let marks: BTreeSet<_> = [
        mark("autosize=in-place profile=training", true),
        mark("autosize=in-place profile=training", false),
        mark("autosize=in-place", true),
        mark("goldilocks=true mode=inplaceorrecreate", true),
        mark("autosize=off", true),
    ]
    .into();
    assert_eq!(marks.len(), 5, "{marks:?}");
}

/// Annotations are read by whoever reads them from an explicit VPA.
#[test]
fn what_profiles_set_is_understood() {
    use crate::estimator::{
        CPU_PERCENTILE_ANNOTATION, MEMORY_PERCENTILE_ANNOTATION, parse_percentile,
    };
    use crate::policy::{LIMITS_ANNOTATION, LimitPolicies, SCALE_DOWN_ANNOTATION, ScaleDown};
    for (profile, name) in WorkloadProfile::NAMES {
        assert_eq!(WorkloadProfile::from_name(name), Some(profile));
        for (annotation, value) in Traits::of(Some(profile)).annotations {
            let understood = match *annotation {
                LIMITS_ANNOTATION => LimitPolicies::parse(value).is_ok(),
                SCALE_DOWN_ANNOTATION => ScaleDown::parse(value).is_ok(),
                CPU_PERCENTILE_ANNOTATION | MEMORY_PERCENTILE_ANNOTATION => {
                    parse_percentile(value).is_ok()
                }
                _ => false,
            };
            assert!(understood, "{name}: {annotation}: {value}");
            assert!(SETTINGS.contains(annotation), "{annotation} is in no table");
        }
        assert!(settings(Some(profile)).len() > settings(None).len());
    }
    assert_eq!(
        settings(None),
        [("updateMode with in-place", "InPlaceOrRecreate".to_owned())]
    );
}
