//! What a migration must not lose.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use podfit_core::quality::buckets_between;
use podfit_core::quantity::Resource;
use podfit_tests::amounts::Amounts;
use podfit_tests::namespace::{CHECKPOINT, Namespace, VPA};
use serde_json::Value;

/// VPAs, histories and pods at one moment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Uid and target, by name.
    vpas: BTreeMap<String, (String, Option<Amounts>)>,
    /// Uid, first sample and number of samples, by name.
    histories: BTreeMap<String, (String, String, i64)>,
    /// Uids.
    pods: Vec<String>,
}

impl Seen {
    /// All that is there now.
    pub async fn of(ns: &Namespace) -> Result<Self> {
        let all = async |kind: &str| -> Result<Vec<Value>> {
            let list = ns.api(kind).list(&kube::api::ListParams::default()).await?;
            list.items
                .iter()
                .map(|o| Ok(serde_json::to_value(o)?))
                .collect()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = |object: &Value| text(&object["metadata"]["name"]);
        let uid = |object: &Value| text(&object["metadata"]["uid"]);
        let mut seen = Self {
            vpas: BTreeMap::new(),
            histories: BTreeMap::new(),
            pods: all("Pod").await?.iter().map(uid).collect(),
        };
        seen.pods.sort_unstable();
        for vpa in all(VPA).await? {
            let target = &vpa["status"]["recommendation"]["containerRecommendations"][0]["target"];
            let target = (!target.is_null())
                .then(|| Amounts::from_list(target))
                .transpose()?;
            seen.vpas.insert(name(&vpa), (uid(&vpa), target));
        }
        for history in all(CHECKPOINT).await? {
            let first = text(&history["status"]["firstSampleStart"]);
            let samples = history["status"]["totalSamplesCount"]
                .as_i64()
                .unwrap_or_default();
            seen.histories
                .insert(name(&history), (uid(&history), first, samples));
        }
        Ok(seen)
    }

    /// How many samples are stored of the one container of a VPA.
    pub fn samples(&self, vpa: &str) -> Result<i64> {
        let history = self.histories.get(&format!("{vpa}-app"));
        let (_, _, samples) = history.with_context(|| format!("no history of {vpa}"))?;
        Ok(*samples)
    }

    /// An error unless all that was there before is there: the same VPAs, histories and pods, and numbers a bucket away at most.
    pub fn ensure_follows(&self, before: &Self, what: &str) -> Result<()> {
        self.follows(before)
            .with_context(|| format!("{what}: {self:?} after {before:?}"))
    }

    fn follows(&self, before: &Self) -> Result<()> {
        ensure!(self.pods == before.pods, "other pods");
        for (name, (uid, target)) in &before.vpas {
            let (now_uid, now) = self
                .vpas
                .get(name)
                .with_context(|| format!("no VPA {name}"))?;
            ensure!(now_uid == uid, "VPA {name} was made anew");
            let (Some(was), Some(is)) = (target, now) else {
                ensure!(
                    target.is_none() && now.is_none(),
                    "the number of {name} came or went"
                );
                continue;
            };
            ensure_close(Resource::Cpu, was.cpu, is.cpu).context(name.clone())?;
            ensure_close(Resource::Memory, was.memory, is.memory).context(name.clone())?;
        }
        for (name, (uid, first, samples)) in &before.histories {
            let history = self.histories.get(name);
            let (now_uid, now_first, now) =
                history.with_context(|| format!("no history {name}"))?;
            ensure!(
                now_uid == uid && now_first == first,
                "history {name} began anew"
            );
            ensure!(now >= samples, "history {name} lost samples");
        }
        Ok(())
    }
}

/// An error when two targets, in base units, are more than one bucket of the histogram apart.
pub fn ensure_close(resource: Resource, one: i64, other: i64) -> Result<()> {
    let apart = buckets_between(resource, one, other);
    ensure!(
        apart.abs() <= 1,
        "{} {one} and {other} are {apart} buckets apart",
        resource.name()
    );
    Ok(())
}
