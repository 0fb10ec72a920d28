//! The rights that podfit's service accounts need: those of the chart, for what every installation does.

use std::fmt;
use std::sync::Arc;

use podfit_core::horizontal::Horizontal;
use podfit_core::profile::Profile;
use podfit_core::vpa::{UpdateMode, Vpa};
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
/// Of an object that is there.
const WRITE: &[&str] = &["get", "patch"];

/// By all three.
const WATCHED: [Right; 9] = [
    ("verticalpodautoscalers", VPA, READ, Place::Workloads),
    (HORIZONTALS, "autoscaling", READ, Place::Workloads),
    ("daemonsets", "apps", READ, Place::Workloads),
    ("deployments", "apps", READ, Place::Workloads),
    ("replicasets", "apps", READ, Place::Workloads),
    ("statefulsets", "apps", READ, Place::Workloads),
    ("cronjobs", "batch", READ, Place::Workloads),
    ("jobs", "batch", READ, Place::Workloads),
    ("replicationcontrollers", "", READ, Place::Workloads),
];

const VPA: &str = "autoscaling.k8s.io";
const KEDA: &str = "keda.sh";
const HORIZONTALS: &str = "horizontalpodautoscalers";
const SCALED_OBJECTS: &str = "scaledobjects";

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

/// What the updater needs to move the target of an HPA with the requests of its pods.
const REALIGN: [Right; 1] = [(HORIZONTALS, "autoscaling", WRITE, Place::Workloads)];

/// The same where KEDA makes the HPA of a ScaledObject.
const REALIGN_KEDA: [Right; 1] = [(SCALED_OBJECTS, KEDA, WRITE, Place::Workloads)];

/// What the recommender needs to tell of ScaledObjects.
const WATCH_KEDA: [Right; 1] = [(SCALED_OBJECTS, KEDA, READ, Place::Workloads)];

/// What an installation does, as far as rights depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// It only reads.
    pub in_shadow: bool,
    /// It follows labels.
    pub opts_in: bool,
    /// KEDA is there.
    pub keda: bool,
}

impl Work {
    fn rights(self, component: &str) -> impl Iterator<Item = &'static Right> {
        let of = |rights: &'static [Right], needed: bool| if needed { rights } else { &[] };
        let (recommender, updater) = (component == "recommender", component == "updater");
        of(&OPT_IN, recommender && self.opts_in)
            .iter()
            .chain(of(&WATCH_KEDA, recommender && self.keda))
            .chain(of(&REALIGN, updater))
            .chain(of(&REALIGN_KEDA, updater && self.keda))
    }
}

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

impl Missing {
    /// True for what is needed only where a VPA asks for `podfit.dev/horizontal: realign`.
    fn is_to_realign(&self) -> bool {
        WRITE.contains(&self.verb) && [HORIZONTALS, SCALED_OBJECTS].contains(&self.resource)
    }
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

/// All that a component's account must be able to do; in shadow that is to read. `workloads`: the one namespace served; empty
/// for all.
pub fn questions(
    component: &str,
    (namespace, account): (&str, &str),
    workloads: &str,
    work: Work,
) -> Vec<Question> {
    let rights = WATCHED
        .iter()
        .chain(own(component))
        .chain(work.rights(component));
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
            .filter(|verb| !work.in_shadow || READ.contains(verb))
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

const UPDATERS: &str = "updater's rights";

pub fn checks(facts: &Facts, checks: &mut Vec<Check>) {
    for component in COMPONENTS {
        let what = match component {
            "recommender" => "recommender's rights",
            "updater" => UPDATERS,
            _ => "webhook's rights",
        };
        let check = match facts.rights.get(component) {
            None => Check::unknown(what, "its service account is not known"),
            Some(Err(why)) => Check::unknown(what, why),
            Some(Ok(missing)) if missing.is_empty() => Check::ok(what, "all there"),
            Some(Ok(missing)) => lacking(what, missing, facts),
        };
        checks.push(check);
    }
}

fn lacking(what: &'static str, missing: &[Missing], facts: &Facts) -> Check {
    const REMEDY: &str = "upgrade the release with rbac.create=true; with roles of your own, see charts/podfit/templates/_rules.tpl";
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let mut finding = format!("missing: {}", some(&names));
    let realigning = realigning(facts);
    if missing.iter().all(Missing::is_to_realign) && realigning.is_empty() {
        finding += "; no VPA asks for podfit.dev/horizontal: realign, which needs that";
        return Check::warn(what, finding, REMEDY);
    }
    if missing.iter().any(Missing::is_to_realign) && !realigning.is_empty() {
        let vpas = some(&realigning);
        finding = format!("{finding}; until then no target of an HPA moves for VPA {vpas}");
    }
    let blind = |m: &Missing| m.resource == HORIZONTALS && READ.contains(&m.verb);
    if what == UPDATERS && missing.iter().any(blind) {
        finding += "; without HPAs it resizes and evicts nothing in profile safe";
    }
    Check::fail(what, finding, REMEDY)
}

/// The VPAs that want targets to move, by their names.
fn realigning(facts: &Facts) -> Vec<String> {
    let asks = |vpa: &&Arc<Vpa>| {
        vpa.update_mode != UpdateMode::Off
            && vpa.horizontal_in(Profile::Safe) == Horizontal::Realign
    };
    let all = facts.index.vpas.iter().filter(asks);
    let mut all: Vec<_> = all.map(|vpa| vpa.key()).collect();
    all.sort();
    all
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
                Work {
                    in_shadow,
                    opts_in: !in_shadow,
                    keda: true,
                },
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

    #[test]
    fn targets_move_where_there_is_an_updater_and_keda_s_where_there_is_keda() {
        let rights = |component, keda| {
            let work = Work {
                keda,
                ..Work::default()
            };
            let questions = questions(component, ("podfit", "podfit"), "", work);
            let rights = questions.iter().map(|q| q.about.to_string());
            rights
                .filter(|right| right.contains("scaledobjects") || right.contains("patch horiz"))
                .collect::<Vec<_>>()
        };
        let hpas = "patch horizontalpodautoscalers.autoscaling";
        assert_eq!(rights("updater", false), [hpas]);
        let scaled = ["get scaledobjects.keda.sh", "patch scaledobjects.keda.sh"];
        assert_eq!(rights("updater", true), [hpas, scaled[0], scaled[1]]);
        let watched = ["list scaledobjects.keda.sh", "watch scaledobjects.keda.sh"];
        assert_eq!(rights("recommender", true), watched);
        assert!(rights("recommender", false).is_empty() && rights("webhook", true).is_empty());
    }
}
