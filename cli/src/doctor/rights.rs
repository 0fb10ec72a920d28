//! The rights that podfit's service accounts need: those of the chart, for what every installation does.

use std::fmt;

use serde_json::{Value, json};

use super::check::{Check, some};
use super::facts::Facts;
use crate::installation::COMPONENTS;

/// Where a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever VPAs are served: in all namespaces, or in the one of `--vpa-object-namespace`.
    Workloads,
    /// In podfit's own namespace.
    Own,
    /// Cluster-wide.
    Cluster,
}

/// A right: resource (with its subresource), API group, verbs, and where.
type Right = (&'static str, &'static str, &'static [&'static str], Place);

const READ: &[&str] = &["list", "watch"];

const OWNERS: [Right; 7] = [
    ("daemonsets", "apps", READ, Place::Workloads),
    ("deployments", "apps", READ, Place::Workloads),
    ("replicasets", "apps", READ, Place::Workloads),
    ("statefulsets", "apps", READ, Place::Workloads),
    ("cronjobs", "batch", READ, Place::Workloads),
    ("jobs", "batch", READ, Place::Workloads),
    ("replicationcontrollers", "", READ, Place::Workloads),
];

const VPA: &str = "autoscaling.k8s.io";

/// What a component needs beside reading controllers, VPAs and HPAs.
fn own(component: &str) -> &'static [Right] {
    match component {
        "recommender" => &[
            (
                "verticalpodautoscalers/status",
                VPA,
                &["patch"],
                Place::Workloads,
            ),
            (
                "verticalpodautoscalercheckpoints",
                VPA,
                &["get", "list", "create", "patch", "delete"],
                Place::Workloads,
            ),
            ("pods", "", READ, Place::Workloads),
            ("events", "", READ, Place::Workloads),
            ("pods", "metrics.k8s.io", &["list"], Place::Workloads),
        ],
        "updater" => &[
            (
                "verticalpodautoscalers/status",
                VPA,
                &["patch"],
                Place::Workloads,
            ),
            ("pods", "", &["list", "watch", "patch"], Place::Workloads),
            ("pods/resize", "", &["patch"], Place::Workloads),
            ("pods/eviction", "", &["create"], Place::Workloads),
            ("limitranges", "", READ, Place::Workloads),
            ("resourcequotas", "", READ, Place::Workloads),
            ("poddisruptionbudgets", "policy", READ, Place::Workloads),
            ("events", "", &["create"], Place::Workloads),
            ("pods", "", &["create"], Place::Own),
            ("nodes", "", READ, Place::Cluster),
        ],
        _ => &[
            ("limitranges", "", READ, Place::Workloads),
            ("leases", "coordination.k8s.io", &["create"], Place::Own),
        ],
    }
}

/// What the recommender needs to follow labels.
const OPT_IN: [Right; 3] = [
    (
        "verticalpodautoscalers",
        VPA,
        &["create", "patch", "delete"],
        Place::Workloads,
    ),
    ("events", "", &["create"], Place::Workloads),
    ("namespaces", "", READ, Place::Cluster),
];

/// One question for the API server, and how a missing right is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// A SubjectAccessReview.
    pub review: Value,
    /// What is asked about.
    pub about: Missing,
}

/// A right that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// For example `patch`.
    pub verb: &'static str,
    /// For example `pods/resize`.
    pub resource: &'static str,
    /// Its API group.
    pub group: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// All that a component's account must be able to do; in shadow that is to read, and labels are not followed. `workloads`: the one namespace served; empty for
/// all.
pub fn questions(
    component: &str,
    (namespace, account): (&str, &str),
    workloads: &str,
    (in_shadow, opts_in): (bool, bool),
) -> Vec<Question> {
    let vpas: Right = ("verticalpodautoscalers", VPA, READ, Place::Workloads);
    let horizontals: Right = (
        "horizontalpodautoscalers",
        "autoscaling",
        READ,
        Place::Workloads,
    );
    let of_labels: &[Right] = if opts_in && component == "recommender" {
        &OPT_IN
    } else {
        &[]
    };
    let rights = OWNERS
        .iter()
        .chain([&vpas, &horizontals])
        .chain(own(component))
        .chain(of_labels);
    // In one namespace podfit looks neither at nodes nor at namespaces.
    let rights = rights.filter(|right| right.3 != Place::Cluster || workloads.is_empty());
    let mut questions = Vec::new();
    for (resource, group, verbs, place) in rights {
        let place = match place {
            Place::Workloads => workloads,
            Place::Own => namespace,
            Place::Cluster => "",
        };
        let (name, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        for verb in verbs
            .iter()
            .filter(|verb| !in_shadow || READ.contains(verb))
        {
            let review = json!({
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SubjectAccessReview",
                "spec": {
                    "user": format!("system:serviceaccount:{namespace}:{account}"),
                    "groups": [
                        "system:serviceaccounts",
                        format!("system:serviceaccounts:{namespace}"),
                        "system:authenticated",
                    ],
                    "resourceAttributes": {
                        "namespace": place, "verb": verb, "group": group,
                        "resource": name, "subresource": subresource,
                    },
                },
            });
            let about = Missing {
                verb,
                resource,
                group,
            };
            questions.push(Question { review, about });
        }
    }
    questions
}

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    for component in COMPONENTS {
        let what = match component {
            "recommender" => "recommender's rights",
            "updater" => "updater's rights",
            _ => "webhook's rights",
        };
        let check = match facts.rights.get(component) {
            None => Check::unknown(what, "its service account is not known"),
            Some(Err(why)) => Check::unknown(what, why),
            Some(Ok(missing)) if missing.is_empty() => Check::ok(what, "all there"),
            Some(Ok(missing)) => {
                let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
                Check::fail(
                    what,
                    format!("missing: {}", some(&names)),
                    "upgrade the release with rbac.create=true; with roles of your own, see charts/podfit/templates/_rules.tpl",
                )
            }
        };
        checks.push(check);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_need_only_read() {
        let rights = |in_shadow| {
            let questions = questions(
                "recommender",
                ("podfit", "podfit-recommender"),
                "",
                (in_shadow, !in_shadow),
            );
            let rights = questions
                .into_iter()
                .map(|question| question.about.to_string());
            rights.collect::<Vec<_>>()
        };
        let (shadow, acting) = (rights(true), rights(false));
        for right in [
            "list pods.metrics.k8s.io",
            "watch pods",
            "list verticalpodautoscalercheckpoints.autoscaling.k8s.io",
        ] {
            assert!(
                shadow.iter().any(|r| r == right),
                "no {right} in {shadow:?}"
            );
        }
        assert!(
            shadow
                .iter()
                .all(|r| r.starts_with("list") || r.starts_with("watch"))
        );
        let patch = "patch verticalpodautoscalers/status.autoscaling.k8s.io";
        assert!(acting.iter().any(|r| r == patch), "{acting:?}");
    }
}
