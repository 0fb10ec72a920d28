//! What the next pod would be given, told resource by resource: the request, the limit beside it, and why.

use std::fmt;

use super::{LeftAlone, boost, scale_down, settled};
use crate::pod::Pod;
use crate::policy::{LimitPolicy, Note, Rules, Surroundings, for_container};
use crate::profile::Profile;
use crate::quantity::Resource;
use crate::time::Timestamp;
use crate::vpa::Vpa;

/// What one resource of a container of the next pod comes to. Amounts are in base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The container.
    pub container: String,
    /// The resource.
    pub resource: Resource,
    /// The request.
    pub request: i64,
    /// The limit; `None`: it has none.
    pub limit: Option<i64>,
    /// What the limit follows from.
    pub limit_by: LimitBy,
    /// What bound the request or the limit, in order.
    pub bound_by: Vec<Note>,
}

/// What a limit follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitBy {
    /// `controlledValues: RequestsOnly`: it stays.
    RequestsOnly,
    /// What `podfit.dev/limits` says, which is `ratio` where it says nothing.
    Policy(LimitPolicy),
    /// The pod is of the class Guaranteed, so the limit is the request, whatever else was asked for.
    Guaranteed(LimitPolicy),
    /// There is to be none, but a LimitRange asks for one: it keeps its proportion.
    AskedFor,
}

impl LimitBy {
    fn of(rules: &Rules<'_>, vpa: &Vpa, container: &str, resource: Resource) -> Self {
        let requests_only =
            for_container(rules.containers, container).is_some_and(|policy| policy.requests_only);
        let asked = vpa.limits.get(resource);
        match rules.limit_policy(container, resource) {
            _ if requests_only => Self::RequestsOnly,
            policy if policy == asked => Self::Policy(policy),
            LimitPolicy::Equal => Self::Guaranteed(asked),
            _ => Self::AskedFor,
        }
    }

    /// The word for it: a policy's, or `RequestsOnly`.
    pub fn word(self) -> &'static str {
        match self {
            Self::RequestsOnly => "RequestsOnly",
            Self::Policy(policy) => policy.word(),
            Self::Guaranteed(_) => "equal",
            Self::AskedFor => "ratio",
        }
    }
}

/// What the next pod like `pod` would be given, whatever the mode of `vpa`, without a startup boost. A running pod stands for
/// its template: what was set in it is found again, and a limit keeps its proportion.
pub fn next_pod<'a>(
    pod: &Pod,
    vpa: &Vpa,
    surroundings: impl Into<Surroundings<'a>>,
    profile: Profile,
    now: Timestamp,
) -> Result<Vec<Next>, LeftAlone> {
    if pod.has_pod_resources && profile.is_safe() {
        return Err(LeftAlone::PodLevelResources);
    }
    let surroundings = surroundings.into();
    let written = &boost::without_boosts(pod);
    let rules = |written: &Pod| {
        Rules::new(written, vpa, surroundings, profile)
            .of_class(pod.is_guaranteed())
            .of_new_pod()
    };
    let no_ranges = surroundings.limit_ranges.is_empty();
    let containers = settled(written, (vpa, scale_down(vpa, now)), rules, no_ranges);
    let rules = rules(written);
    let mut all = Vec::new();
    for change in &containers {
        let own = written.containers[change.index].effective().limits;
        for resource in Resource::ALL {
            let Some(request) = change.requests.get(resource) else {
                continue;
            };
            let is_removed = change.removed_limits.contains(&resource);
            let stays = own.get(resource).filter(|_| !is_removed);
            let is_bound = |note: &&Note| note.bound() == Some(resource);
            all.push(Next {
                container: change.name.clone(),
                resource,
                request,
                limit: change.limits.get(resource).or(stays),
                limit_by: LimitBy::of(&rules, vpa, &change.name, resource),
                bound_by: change.notes.iter().filter(is_bound).copied().collect(),
            });
        }
    }
    Ok(all)
}

/// For people.
impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.resource;
        write!(f, "request {}, ", resource.show(self.request))?;
        match self.limit {
            Some(limit) => write!(f, "limit {}", resource.show(limit))?,
            None => f.write_str("no limit")?,
        }
        let proportion = "keeps its proportion to the request";
        match (self.limit_by, self.limit) {
            (LimitBy::Policy(LimitPolicy::None), _) => f.write_str(" (none)")?,
            (by, None) => write!(f, ", as now ({})", by.word())?,
            (LimitBy::RequestsOnly, _) => f.write_str(", which stays (RequestsOnly)")?,
            (LimitBy::Policy(LimitPolicy::Keep), _) => f.write_str(", which stays (keep)")?,
            (LimitBy::Policy(LimitPolicy::Ratio), _) => write!(f, ", which {proportion} (ratio)")?,
            (LimitBy::Policy(LimitPolicy::Equal), _) => f.write_str(", as requested (equal)")?,
            (LimitBy::Policy(LimitPolicy::Headroom(room)), _) => {
                write!(f, ", {} above the request (headroom)", resource.show(room))?;
            }
            (LimitBy::Guaranteed(asked), _) => {
                let asked = asked.word();
                write!(f, ", as requested: the pod is Guaranteed ({asked} is not)")?;
            }
            (LimitBy::AskedFor, _) => {
                write!(
                    f,
                    ", which {proportion}: a LimitRange asks for one (none is refused)"
                )?;
            }
        }
        for note in &self.bound_by {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}
