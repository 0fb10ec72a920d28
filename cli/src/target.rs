//! Which VPAs the command line means.

use std::sync::Arc;

use anyhow::{Result, bail};
use podfit_cluster::index::Index;
use podfit_core::vpa::Vpa;

/// Short names of controllers, as kubectl has them.
const SHORT: [(&str, &str); 6] = [
    ("deploy", "deployment"),
    ("sts", "statefulset"),
    ("ds", "daemonset"),
    ("rs", "replicaset"),
    ("rc", "replicationcontroller"),
    ("cj", "cronjob"),
];

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The VPA of that name.
    Vpa(String),
    /// Those that target a controller of this kind (in small letters, singular) and name.
    Target(String, String),
}

impl Wanted {
    /// From `NAME`, `KIND/NAME` or `KIND NAME`.
    pub fn parse(words: &[String]) -> Result<Self> {
        let (kind, name) = match words {
            [one] => match one.split_once('/') {
                Some((kind, name)) => (kind, name),
                None => return Ok(Self::Vpa(one.clone())),
            },
            [kind, name] => (kind.as_str(), name.as_str()),
            _ => bail!("give a VPA's name, or KIND/NAME of a workload"),
        };
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            bail!(
                "`{}` names nothing; write it like deployment/web",
                words.join(" ")
            );
        }
        let kind = kind.to_lowercase();
        // The group may stand behind, as in rollouts.argoproj.io: one word is enough to tell kinds apart.
        let kind = kind.split('.').next().unwrap_or_default();
        Ok(match kind {
            "vpa" | "verticalpodautoscaler" | "verticalpodautoscalers" => Self::Vpa(name.into()),
            _ => Self::Target(singular(kind), name.into()),
        })
    }

    /// Those that there are; an error that says what else there is when there is none.
    pub fn find(&self, namespace: &str, index: &Index) -> Result<Vec<Arc<Vpa>>> {
        let here = || index.vpas.iter().filter(|vpa| vpa.namespace == namespace);
        let mut found: Vec<_> = here().filter(|vpa| self.means(vpa)).cloned().collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        if !found.is_empty() {
            return Ok(found);
        }
        let mut names: Vec<_> = here().map(|vpa| vpa.name.as_str()).collect();
        names.sort_unstable();
        names.truncate(10);
        let others = match names.as_slice() {
            [] => format!("there is none in namespace {namespace}; another one is given with -n"),
            names => format!("in namespace {namespace} there are: {}", names.join(", ")),
        };
        match self {
            Self::Vpa(name) => bail!("there is no VPA {name}; {others}"),
            Self::Target(kind, name) => bail!("no VPA targets {kind} {name}; {others}"),
        }
    }

    fn means(&self, vpa: &Vpa) -> bool {
        match self {
            Self::Vpa(name) => vpa.name == *name,
            Self::Target(kind, name) => vpa
                .target
                .as_ref()
                .is_some_and(|target| target.name == *name && target.kind.to_lowercase() == *kind),
        }
    }
}

fn singular(kind: &str) -> String {
    let long = SHORT.iter().find(|(short, _)| *short == kind);
    let kind = long.map_or(kind, |(_, long)| long);
    kind.strip_suffix('s').unwrap_or(kind).into()
}
