//! The kinds of controllers: those every cluster has, and those it may have besides.

use std::borrow::Cow;

use crate::pod::OwnerRef;

/// The kinds whose objects podfit always watches, with the API version they are read at.
pub const WELL_KNOWN_KINDS: [(&str, &str); 7] = [
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("v1", "ReplicationController"),
];

/// Groups in which Kubernetes' own workload controllers are, or once were.
const OWN_GROUPS: [&str; 4] = ["", "apps", "batch", "extensions"];

/// True for the kinds, as in [`ControllerKey::kind`](super::ControllerKey::kind), whose objects podfit always watches.
pub fn is_well_known(kind: &str) -> bool {
    WELL_KNOWN_KINDS.iter().any(|(_, k)| *k == kind)
}

/// A kind or API version; without a copy where [`WELL_KNOWN_KINDS`] have it, as those of nearly all owners of pods are.
pub fn of_well_known(word: &str) -> Cow<'static, str> {
    let words = || {
        WELL_KNOWN_KINDS
            .iter()
            .flat_map(|(version, kind)| [*version, *kind])
    };
    let known = words().find(|known| *known == word);
    known.map_or_else(|| Cow::Owned(word.into()), Cow::Borrowed)
}

/// True for the groups of Kubernetes' own workload controllers. Their other kinds (`Pod`, `Node`, `ConfigMap`, …) are none.
pub fn is_own_group(group: &str) -> bool {
    OWN_GROUPS.contains(&group)
}

/// What is known of a kind that is not well known, such as `Rollout.argoproj.io`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// It is being looked up.
    Pending,
    /// The API server has no such kind.
    Absent,
    /// The API server has it, but its objects are not watched.
    Unreadable {
        /// Why, in the API server's words.
        why: String,
    },
    /// Its objects are watched, by their metadata.
    Watched {
        /// As in `rollouts.argoproj.io`.
        resource: String,
        /// The version they are read at: `v1alpha1`.
        version: String,
        /// True when it has the `scale` subresource.
        scalable: bool,
    },
}

/// A kind and its API group, of whatever version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKind {
    /// For example `argoproj.io`. Empty for Kubernetes' core group.
    pub group: String,
    /// For example `Rollout`.
    pub kind: String,
}

impl GroupKind {
    /// The kind that `owner` names.
    pub fn of(owner: &OwnerRef) -> Self {
        Self {
            group: owner.group().into(),
            kind: owner.kind.clone().into_owned(),
        }
    }

    /// The kind, with its group where that is not Kubernetes' own: `Rollout.argoproj.io`.
    pub fn qualified(&self) -> String {
        qualified(&self.group, &Cow::Borrowed(&self.kind)).into_owned()
    }
}

fn qualified<'a>(group: &str, kind: &Cow<'a, str>) -> Cow<'a, str> {
    if is_own_group(group) {
        kind.clone()
    } else {
        format!("{kind}.{group}").into()
    }
}

impl OwnerRef {
    /// The kind, with its group where that is not Kubernetes' own: `Rollout.argoproj.io`.
    pub fn qualified_kind(&self) -> Cow<'static, str> {
        qualified(self.group(), &self.kind)
    }

    /// The API group: `apps`. Empty for Kubernetes' core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }

    /// True when podfit always watches objects of its kind.
    pub fn is_well_known(&self) -> bool {
        is_own_group(self.group()) && is_well_known(&self.kind)
    }

    /// True for the node that runs a static pod: no controller.
    pub fn is_node(&self) -> bool {
        self.kind == "Node"
    }
}
