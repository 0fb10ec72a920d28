//! HorizontalPodAutoscalers beside VPAs: whether they work against each other, and whether they work at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use podfit_cluster::api::horizontal_pod_autoscaler::HorizontalPodAutoscalerObject;
use podfit_cluster::api::scaled_object::ScaledObjectObject;
use podfit_core::horizontal::{Bearing, HorizontalAutoscaler, Horizontals, ScaledObject};
use podfit_core::ownership::{ControllerKey, is_well_known};
use podfit_core::pod::Pod;
use podfit_core::profile::Profile;
use podfit_core::vpa::Vpa;

use super::check::{Check, some};
use super::facts::Facts;
use crate::objects::Answer;

const BESIDE: &str = "HPAs beside VPAs";
const STATE: &str = "HPAs";

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    let unknown = facts.hpas.unknown().or(facts.scaled_objects.unknown());
    if let Some(why) = unknown {
        checks.push(Check::unknown(BESIDE, why));
        return;
    }
    let known = Known::read(facts);
    checks.push(known.beside_vpas(facts));
    checks.push(known.state(facts));
}

/// The autoscalers and the VPAs beside them.
struct Known {
    hpas: Horizontals,
    scaled_objects: Vec<Arc<ScaledObject>>,
    pods: BTreeMap<String, Vec<Arc<Pod>>>,
    profile: Profile,
}

/// What cannot be read is left out, as podfit's own watches do.
fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> impl Iterator<Item = T> {
    answer
        .items()
        .filter_map(|item| serde_json::from_value(item.clone()).ok())
}

impl Known {
    fn read(facts: &Facts) -> Self {
        let mut hpas = Horizontals::default();
        for object in read::<HorizontalPodAutoscalerObject>(&facts.hpas) {
            hpas.apply(object.to_horizontal());
        }
        let scaled = read::<ScaledObjectObject>(&facts.scaled_objects);
        let mut pods = BTreeMap::<_, Vec<_>>::new();
        for pod in facts.index.pods.values() {
            if let Some(vpa) = facts.index.controlling_vpa(pod, |_| true) {
                pods.entry(vpa.key()).or_default().push(Arc::clone(pod));
            }
        }
        let upstream = facts.installation.flag("webhook", "profile", "safe") == "upstream";
        Self {
            hpas,
            scaled_objects: scaled.map(|s| Arc::new(s.to_scaled_object())).collect(),
            pods,
            profile: if upstream {
                Profile::Upstream
            } else {
                Profile::Safe
            },
        }
    }

    /// Asks `look` about each VPA.
    fn each<T>(&self, facts: &Facts, look: impl Fn(&Bearing<'_>) -> Vec<T>) -> Vec<T> {
        let mut vpas: Vec<_> = facts.index.vpas.iter().collect();
        vpas.sort_by_key(|vpa| vpa.key());
        let of = |vpa: &Arc<Vpa>| {
            let key = |namespace: &str, target| Some(ControllerKey::of(namespace, target?));
            let target = key(&vpa.namespace, vpa.target.as_ref());
            let hpas = target.as_ref().map_or(&[][..], |key| self.hpas.of(key));
            let scaled = self.scaled_objects.iter();
            let scaled = scaled
                .filter(|s| target.is_some() && key(&s.namespace, s.target.as_ref()) == target);
            look(&Bearing {
                vpa,
                stance: vpa.horizontal_in(self.profile),
                hpas,
                scaled_objects: &scaled.cloned().collect::<Vec<_>>(),
                pods: self.pods.get(&vpa.key()).map_or(&[], Vec::as_slice),
            })
        };
        vpas.into_iter().flat_map(of).collect()
    }

    fn beside_vpas(&self, facts: &Facts) -> Check {
        let fights = self.each(facts, |bearing| match bearing.told() {
            Some(told) if told.code == "Ignores" => fights(bearing),
            _ => Vec::new(),
        });
        if !fights.is_empty() {
            return Check::warn(
                BESIDE,
                format!("they work against each other: {}", some(&fights)),
                "take podfit.dev/horizontal: ignore off the VPA, or write yield (profile upstream ignores HPAs); or scale on an AverageValue",
            );
        }
        let pairs = self.each(facts, |bearing| bearing.hpas.to_vec()).len();
        if pairs == 0 {
            return Check::ok(BESIDE, "none scales what a VPA sizes");
        }
        let finding = format!("{pairs}; what they scale on by utilisation is left to them");
        Check::ok(BESIDE, finding)
    }

    fn state(&self, facts: &Facts) -> Check {
        let mut troubles = self.each(facts, troubles);
        if facts.not_read.is_empty() {
            let mut lost: Vec<_> = self.hpas.iter().filter_map(|h| lost(h, facts)).collect();
            lost.sort();
            troubles.extend(lost);
        }
        if troubles.is_empty() {
            return Check::ok(STATE, "no trouble seen");
        }
        Check::warn(
            STATE,
            some(&troubles),
            "kubectl describe hpa tells more; docs/troubleshooting.md#an-hpa-shows-unknown",
        )
    }
}

fn fights(bearing: &Bearing<'_>) -> Vec<String> {
    let vpa = bearing.vpa.key();
    let conflicts = bearing.hpas.iter().flat_map(|hpa| bearing.conflicts(hpa));
    conflicts
        .map(|claim| {
            let (hpa, resource) = (claim.hpa.key(), claim.resource.name());
            format!("HPA {hpa} and VPA {vpa} on {resource}")
        })
        .collect()
}

/// What keeps the HPAs beside a VPA from scaling.
fn troubles(bearing: &Bearing<'_>) -> Vec<String> {
    let vpa = bearing.vpa.key();
    let mut found = Vec::new();
    if bearing.hpas.len() > 1 {
        let names: Vec<_> = bearing.hpas.iter().map(|hpa| hpa.name.clone()).collect();
        let names = names.join(" and ");
        found.push(format!("HPAs {names} scale the same pods as VPA {vpa}"));
    }
    for hpa in bearing.hpas {
        match hpa.inactive.as_deref() {
            None | Some("ScalingDisabled") => {}
            Some(why) => found.push(format!("HPA {} cannot scale: {why}", hpa.key())),
        }
    }
    if let Some(told) = bearing.told().filter(|told| told.code == "NoHpa") {
        found.push(format!("beside VPA {vpa}: {}", told.message));
    }
    found
}

/// That what an HPA scales is not there. Other kinds than Kubernetes' own are not all known here.
fn lost(hpa: &HorizontalAutoscaler, facts: &Facts) -> Option<String> {
    let target = ControllerKey::of(&hpa.namespace, hpa.target.as_ref()?);
    let missing = is_well_known(&target.kind) && facts.index.owners.get(&target).is_none();
    missing.then(|| format!("HPA {} scales {target}, which does not exist", hpa.key()))
}
