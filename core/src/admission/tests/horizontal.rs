//! Resources that an HPA scales on by utilisation stay as they are, whatever else is sized.

use proptest::sample::select;

use super::laws::{Sound, sound_pods};
use super::*;
use crate::horizontal::Claims;
use crate::vpa::{BoostBy, CpuBoost, StartupBoost};

const OWN: Amounts = (100, 128 * MI);
const LIMITS: Amounts = (200, 256 * MI);

fn admit_with(claims: &Claims, pod: &Pod, vpa: &Vpa, startup_boost: bool) -> Admission {
    let surroundings = Surroundings {
        limit_ranges: &[],
        claims,
    };
    let settings = Settings {
        startup_boost,
        ..Settings::default()
    };
    super::super::admit(pod, vpa, surroundings, &settings, NOW)
}

#[test]
fn what_an_hpa_scales_on_is_not_touched() {
    use Resource::{Cpu, Memory};
    let own = || {
        pod(["app", "side"]
            .map(|name| container(name, OWN, LIMITS))
            .into())
    };
    let vpa = vpa(&[("app", (500, GI)), ("side", (500, GI))], free());
    // What is claimed; the containers' requests and limits afterwards, in millicores and MiB.
    let rows: [(&[(Resource, Option<&str>)], [[i64; 4]; 2]); 4] = [
        (&[], [[500, 1024, 1000, 2048]; 2]),
        (&[(Cpu, None)], [[100, 1024, 200, 2048]; 2]),
        (
            &[(Cpu, Some("app"))],
            [[100, 1024, 200, 2048], [500, 1024, 1000, 2048]],
        ),
        (&[(Cpu, None), (Memory, None)], [[100, 128, 200, 256]; 2]),
    ];
    for (claimed, want) in rows {
        let claims = Claims::of_test(claimed);
        let admission = admit_with(&claims, &own(), &vpa, false);
        let sized = admitted(&own(), &admission);
        let got: Vec<_> = sized
            .containers
            .iter()
            .map(|c| {
                let memory = |list: ResourceList| list.get(Memory).unwrap() / MI;
                let cpu = |list: ResourceList| list.get(Cpu).unwrap();
                [
                    cpu(c.requests),
                    memory(c.requests),
                    cpu(c.limits),
                    memory(c.limits),
                ]
            })
            .collect();
        assert_eq!(got, want, "{claimed:?}");
        let again = admit_with(&claims, &sized, &vpa, false);
        assert_eq!(again, Admission::default(), "{claimed:?}");
    }
}

#[test]
fn the_pod_tells_what_was_left() {
    let own = pod(vec![container("app", OWN, NOTHING)]);
    let vpa = vpa(&[("app", (500, GI))], free());
    let claims = Claims::of_test(&[(Resource::Cpu, None)]);
    let text = &admit_with(&claims, &own, &vpa, false).annotations[0].1;
    let want = "container 0: cpu left to a HorizontalPodAutoscaler, memory request";
    assert!(text.ends_with(want), "{text}");
}

#[test]
fn cpu_that_an_hpa_scales_on_is_not_boosted() {
    let own = pod(["app", "side"]
        .map(|name| container(name, OWN, NOTHING))
        .into());
    let boost = CpuBoost {
        by: BoostBy::Factor(2),
        lasts: std::time::Duration::ZERO,
    };
    let vpa = Vpa {
        startup_boost: Some(StartupBoost { cpu: Some(boost) }),
        ..vpa(&[("app", (500, GI))], free())
    };
    let rows: [(&[(Resource, Option<&str>)], &[&str]); 4] = [
        (&[], &["app", "side"]),
        (&[(Resource::Memory, None)], &["app", "side"]),
        (&[(Resource::Cpu, Some("app"))], &["side"]),
        (&[(Resource::Cpu, None)], &[]),
    ];
    for (claimed, want) in rows {
        let admission = admit_with(&Claims::of_test(claimed), &own, &vpa, true);
        let boosted: Vec<_> = admission
            .boosts
            .iter()
            .map(|b| b.container.as_str())
            .collect();
        assert_eq!(boosted, want, "{claimed:?}");
    }
}

proptest! {
    /// For any pod and VPA: what is claimed reads the same afterwards.
    #[test]
    fn a_claimed_resource_never_changes(
        case in sound_pods(),
        resource in select(Resource::ALL.as_slice()),
        container in select(&[None, Some("c0"), Some("c1")][..]),
    ) {
        let Sound { pod, vpa, settings } = case;
        let claims = Claims::of_test(&[(resource, container)]);
        let surroundings = Surroundings { limit_ranges: &[], claims: &claims };
        let sized = admitted(&pod, &super::super::admit(&pod, &vpa, surroundings, &settings, NOW));
        for (before, after) in pod.containers.iter().zip(&sized.containers) {
            if container.is_none_or(|name| name == before.name) {
                prop_assert_eq!(before.requests.get(resource), after.requests.get(resource));
                prop_assert_eq!(before.limits.get(resource), after.limits.get(resource));
            }
        }
        let again = super::super::admit(&sized, &vpa, surroundings, &settings, NOW);
        prop_assert_eq!(again, Admission::default());
    }
}
