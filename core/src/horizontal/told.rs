//! What is told of the HPAs beside a VPA: its condition `HorizontalAutoscaler`.

use std::sync::Arc;

use super::claims::by_utilization;
use super::{
    Claim, Claims, Horizontal, HorizontalAutoscaler, Metric, ScaledObject, Target, realign,
};
use crate::pod::Pod;
use crate::policy::{controls, for_container};
use crate::quantity::Resource;
use crate::vpa::{UpdateMode, Vpa};

/// What of an HPA's own condition says that its target has no pods.
const AT_ZERO: &str = "ScalingDisabled";

/// What bears on one VPA.
#[derive(Clone, Copy, Debug)]
pub struct Bearing<'a> {
    /// The VPA.
    pub vpa: &'a Vpa,
    /// What becomes of resources that an HPA scales on.
    pub stance: Horizontal,
    /// The HPAs that scale its pods.
    pub hpas: &'a [Arc<HorizontalAutoscaler>],
    /// The ScaledObjects that name its target.
    pub scaled_objects: &'a [Arc<ScaledObject>],
    /// Its pods.
    pub pods: &'a [Arc<Pod>],
}

/// A word for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `Yields`, `Realigns`, `Ignores`, `NoConflict`, `Paused` or `NoHpa`.
    pub code: &'static str,
    /// It changes only when something was changed: an HPA, a VPA, what pods request.
    pub message: String,
}

impl Bearing<'_> {
    /// What there is to tell; `None` when nothing bears on the VPA.
    pub fn told(&self) -> Option<Told> {
        let without_hpa = |scaled: &&Arc<ScaledObject>| {
            let made =
                |hpa: &Arc<HorizontalAutoscaler>| hpa.scaled_object.as_ref() == Some(&scaled.name);
            !self.hpas.iter().any(made)
        };
        let idle: Vec<_> = self.scaled_objects.iter().filter(without_hpa).collect();
        let conflicts: Vec<_> = self.hpas.iter().map(|hpa| self.conflicts(hpa)).collect();
        let code = match idle.first() {
            _ if !conflicts.iter().all(Vec::is_empty) => self.code(conflicts.iter().flatten()),
            _ if !self.hpas.is_empty() => "NoConflict",
            Some(scaled) if scaled.paused => "Paused",
            Some(_) => "NoHpa",
            None => return None,
        };
        let of_hpas = self.hpas.iter().zip(&conflicts);
        let mut parts: Vec<_> = of_hpas
            .map(|(hpa, found)| self.of_hpa(hpa, found))
            .collect();
        if self.hpas.len() > 1 {
            let number = self.hpas.len();
            parts.push(format!(
                "{number} HPAs scale the same pods, and Kubernetes lets none of them act: delete all but one"
            ));
        }
        parts.extend(idle.iter().map(|scaled| self.of_idle(scaled)));
        let message = parts.join(". ");
        Some(Told { code, message })
    }

    fn code<'a>(&self, mut conflicts: impl Iterator<Item = &'a Claim>) -> &'static str {
        match self.stance {
            Horizontal::Ignore => "Ignores",
            Horizontal::Realign if conflicts.any(|claim| claim.stays.is_none()) => "Realigns",
            Horizontal::Yield | Horizontal::Realign => "Yields",
        }
    }

    /// What one of the HPAs scales on by utilisation and podfit would size. With [`Horizontal::Realign`] each says why its target
    /// does not move, if so.
    pub fn conflicts(&self, hpa: &Arc<HorizontalAutoscaler>) -> Vec<Claim> {
        if self.vpa.update_mode == UpdateMode::Off {
            return Vec::new();
        }
        let claims = Claims::new(self.hpas, self.stance);
        let of_hpa = by_utilization(hpa);
        let sized = of_hpa.filter(|claim| self.sizes(claim.resource, claim.container.as_deref()));
        let left = |claim: &Claim| {
            let mut left = claims.iter();
            let same = left.find(|c| c.hpa.name == hpa.name && c.covers() == claim.covers());
            same.and_then(|c| c.stays.clone())
        };
        sized
            .map(|claim| Claim {
                stays: left(&claim),
                ..claim
            })
            .collect()
    }

    /// True when the VPA's policy lets a resource be sized in that container, or in any when none is named.
    fn sizes(&self, resource: Resource, container: Option<&str>) -> bool {
        let policies = &self.vpa.container_policies;
        let sized = |name: &str| controls(for_container(policies, name), resource);
        if let Some(name) = container {
            return sized(name);
        }
        let mut containers = self.pods.iter().flat_map(|pod| &pod.containers).peekable();
        if containers.peek().is_none() {
            // Whatever containers there will be.
            return sized("*") || policies.iter().any(|p| sized(&p.container_name));
        }
        containers.any(|container| sized(&container.name))
    }

    fn of_hpa(&self, hpa: &HorizontalAutoscaler, conflicts: &[Claim]) -> String {
        let name = name(hpa);
        let mut text = if conflicts.is_empty() {
            no_conflict(&name, hpa)
        } else {
            let parts: Vec<_> = conflicts.iter().map(|claim| self.of_claim(claim)).collect();
            format!("{name} scales on {}", parts.join("; and on "))
        };
        match hpa.inactive.as_deref() {
            None => {}
            Some(AT_ZERO) => text += ". It stands still while its target has no pods",
            Some(why) => text = format!("{text}. It cannot scale now: {why}"),
        }
        text
    }

    fn of_claim(&self, claim: &Claim) -> String {
        let resource = claim.resource.name();
        let of = match &claim.container {
            Some(container) => format!("{resource} of container {container}"),
            None => resource.to_owned(),
        };
        let head = format!("{of} at {} % of what is requested", claim.utilization);
        match self.stance {
            Horizontal::Yield => format!(
                "{head}, so {resource} is recommended and not applied; {} lets podfit size {resource}, too",
                self.instead(claim)
            ),
            Horizontal::Realign => {
                let claims = Claims::new(self.hpas, self.stance);
                let told = realign::told(claim, claims.aligned(), self.vpa, self.pods);
                format!("{head}; {told}")
            }
            Horizontal::Ignore => format!(
                "{head} while podfit changes what is requested: the number of pods and their size may chase each other. \
                 podfit.dev/horizontal: yield ends that"
            ),
        }
    }

    /// The target that asks for as many pods and does not look at requests.
    fn instead(&self, claim: &Claim) -> String {
        let amount = self
            .average_value(claim)
            .map(|amount| claim.resource.show(amount));
        match (amount, &claim.hpa.scaled_object) {
            (Some(amount), None) => format!("a target of AverageValue {amount} in its place"),
            (Some(amount), Some(_)) => {
                format!("a trigger of metricType AverageValue and value {amount} in its place")
            }
            (None, _) => "a target of AverageValue in its place".into(),
        }
    }

    /// `T/100` of what a pod requests now, on average; `None` when one that counts requests nothing, which no HPA can scale.
    fn average_value(&self, claim: &Claim) -> Option<i64> {
        let live = self.pods.iter().filter(|pod| !pod.terminating);
        let (mut pods, mut sum) = (0_i128, 0_i128);
        for pod in live {
            let counts = |name: &str| claim.container.as_ref().is_none_or(|of| of == name);
            for container in pod.containers.iter().filter(|c| counts(&c.name)) {
                sum += i128::from(container.requests.get(claim.resource).filter(|r| *r > 0)?);
            }
            pods += 1;
        }
        let average = sum * i128::from(claim.utilization) / (pods * 100).max(1);
        i64::try_from(average).ok().filter(|amount| *amount > 0)
    }

    fn of_idle(&self, scaled: &ScaledObject) -> String {
        let name = &scaled.name;
        let by_utilization = |metric: &Metric| match metric {
            Metric::Resource {
                resource,
                container,
                target: Target::Utilization(_),
            } => Some(*resource).filter(|r| self.sizes(*r, container.as_deref())),
            _ => None,
        };
        let mut sized: Vec<_> = scaled.triggers.iter().filter_map(by_utilization).collect();
        sized.dedup();
        let sized: Vec<_> = sized.into_iter().map(Resource::name).collect();
        let sized = match sized.as_slice() {
            [] => String::new(),
            names => format!(
                ", and podfit sizes {}, which it would scale on",
                names.join(" and ")
            ),
        };
        if scaled.paused {
            format!("ScaledObject {name} is paused, so there is no HPA{sized}")
        } else {
            format!("ScaledObject {name} has no HPA{sized}: does KEDA run?")
        }
    }
}

fn name(hpa: &HorizontalAutoscaler) -> String {
    match &hpa.scaled_object {
        Some(scaled) => format!("HPA {} of ScaledObject {scaled}", hpa.name),
        None => format!("HPA {}", hpa.name),
    }
}

fn no_conflict(name: &str, hpa: &HorizontalAutoscaler) -> String {
    if hpa.metrics.is_empty() {
        format!("{name} has no metric")
    } else {
        format!("{name} scales on nothing that podfit changes")
    }
}

#[cfg(test)]
mod tests;
