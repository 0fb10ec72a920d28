//! VerticalPodAutoscalers: read field by field, so that one bad field costs that field and is told, not the object.

use std::time::Duration;

use kube::api::ObjectMeta;
use podfit_core::estimator::{
    CPU_PERCENTILE_ANNOTATION, ESTIMATOR_ANNOTATION, MEMORY_PERCENTILE_ANNOTATION, OwnPercentiles,
    parse_percentile,
};
use podfit_core::horizontal::{HORIZONTAL_ANNOTATION, Horizontal};
use podfit_core::ownership::of_well_known;
use podfit_core::pod::OwnerRef;
use podfit_core::policy::{LIMITS_ANNOTATION, LimitPolicies, SCALE_DOWN_ANNOTATION, ScaleDown};
use podfit_core::quantity::{Bytes, Millicores, Resource, ResourceList};
use podfit_core::vpa::{
    BoostBy, ChangeRequirement, Condition, ContainerPolicy, ContainerRecommendation, CpuBoost,
    EvictionRequirement, HistoryPolicy, StartupBoost, UpdateMode, Vpa,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::metadata;
use super::quantity::{amount, to_json};
use super::time;

mod annotations;

/// A `VerticalPodAutoscaler` of `autoscaling.k8s.io/v1`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct VpaObject {
    /// Its metadata.
    #[serde(default, deserialize_with = "metadata::slim")]
    pub metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

namespaced_resource!(
    VpaObject,
    "autoscaling.k8s.io",
    "v1",
    "VerticalPodAutoscaler",
    "verticalpodautoscalers"
);

impl From<&VpaObject> for Vpa {
    fn from(object: &VpaObject) -> Self {
        let VpaObject {
            metadata: meta,
            spec,
            status,
        } = object;
        let mut read = Reader {
            problems: Vec::new(),
        };
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            created: time::created(meta).unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            post_processors: post_processors(meta),
            target: read.target(&spec["targetRef"]),
            update_mode: read.update_mode(&spec["updatePolicy"]),
            min_replicas: spec["updatePolicy"]["minReplicas"].as_i64(),
            evict_after_oom: read
                .positive(
                    "spec.updatePolicy.evictAfterOOMSeconds",
                    &spec["updatePolicy"]["evictAfterOOMSeconds"],
                )
                .map(|seconds| Duration::from_secs(seconds.into())),
            eviction_requirements: read
                .eviction_requirements(&spec["updatePolicy"]["evictionRequirements"]),
            container_policies: read.container_policies(&spec["resourcePolicy"]),
            limits: read
                .annotation(meta, LIMITS_ANNOTATION, LimitPolicies::parse)
                .unwrap_or_default(),
            scale_down: read
                .annotation(meta, SCALE_DOWN_ANNOTATION, ScaleDown::parse)
                .unwrap_or_default(),
            horizontal: read.annotation(meta, HORIZONTAL_ANNOTATION, Horizontal::parse),
            method: read.annotation(meta, ESTIMATOR_ANNOTATION, str::parse),
            percentiles: OwnPercentiles {
                cpu: read.annotation(meta, CPU_PERCENTILE_ANNOTATION, parse_percentile),
                memory: read.annotation(meta, MEMORY_PERCENTILE_ANNOTATION, parse_percentile),
            },
            managed: annotations::managed(meta).map(Box::new),
            maintenance: read.maintenance(meta),
            startup_boost: read.startup_boost("spec.startupBoost", &spec["startupBoost"]),
            recommenders: compact(items(&spec["recommenders"]).filter_map(|r| text(&r["name"]))),
            recommendation: read.recommendation(&status["recommendation"]),
            conditions: compact(items(&status["conditions"]).map(condition)),
            problems: read.problems,
        }
    }
}

fn post_processors(meta: &ObjectMeta) -> Vec<(String, String)> {
    let all = meta.annotations.iter().flatten();
    all.filter(|(key, _)| podfit_core::vpa::is_post_processor(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Reads parts of a spec and remembers what it could not understand.
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    fn problem(&mut self, path: &str, why: impl std::fmt::Display) {
        self.problems.push(format!("{path}: {why}"));
    }

    fn target(&mut self, target: &Value) -> Option<OwnerRef> {
        let (Some(kind), Some(name)) = (text(&target["kind"]), text(&target["name"])) else {
            self.problem(
                "spec.targetRef",
                "kind and name are needed; nothing is sized",
            );
            return None;
        };
        Some(OwnerRef {
            api_version: of_well_known(target["apiVersion"].as_str().unwrap_or_default()),
            kind: of_well_known(&kind),
            name,
        })
    }

    /// What cannot be understood must not start evictions.
    fn update_mode(&mut self, policy: &Value) -> UpdateMode {
        if !policy.is_null() && !policy.is_object() {
            self.problem(
                "spec.updatePolicy",
                "not an object; its mode is taken as Off",
            );
            return UpdateMode::Off;
        }
        let known = match &policy["updateMode"] {
            Value::Null => Some(UpdateMode::default()),
            Value::String(name) if name.is_empty() => Some(UpdateMode::default()),
            mode => mode.as_str().and_then(UpdateMode::from_name),
        };
        known.unwrap_or_else(|| {
            let mode = &policy["updateMode"];
            self.problem(
                "spec.updatePolicy.updateMode",
                format!("{mode} is unknown; taken as Off"),
            );
            UpdateMode::Off
        })
    }

    fn resources(&mut self, path: &str, names: &Value) -> Vec<Resource> {
        let mut resources = Vec::new();
        for name in items(names) {
            match Resource::ALL.iter().find(|r| name == r.name()) {
                Some(resource) => resources.push(*resource),
                None => self.problem(path, format!("{name} is not cpu or memory; left out")),
            }
        }
        resources
    }

    fn eviction_requirements(&mut self, requirements: &Value) -> Vec<EvictionRequirement> {
        let path = "spec.updatePolicy.evictionRequirements";
        items(requirements)
            .filter_map(|r| {
                let change = match r["changeRequirement"].as_str() {
                    Some("TargetHigherThanRequests") => ChangeRequirement::TargetHigherThanRequests,
                    Some("TargetLowerThanRequests") => ChangeRequirement::TargetLowerThanRequests,
                    other => {
                        self.problem(
                            path,
                            format!("changeRequirement {other:?} is unknown; left out"),
                        );
                        return None;
                    }
                };
                Some(EvictionRequirement {
                    resources: self.resources(path, &r["resources"]),
                    change,
                })
            })
            .collect()
    }

    fn container_policies(&mut self, policy: &Value) -> Vec<ContainerPolicy> {
        let policies = &policy["containerPolicies"];
        if !(policy.is_null() || policy.is_object() && (policies.is_null() || policies.is_array()))
        {
            self.problem(
                "spec.resourcePolicy",
                "not understood; no container policy holds",
            );
        }
        compact(items(policies).enumerate().map(|(i, policy)| {
            let path = format!("spec.resourcePolicy.containerPolicies[{i}]");
            ContainerPolicy {
                container_name: text(&policy["containerName"]).unwrap_or_default(),
                off: policy["mode"] == "Off",
                min_allowed: self.list(&format!("{path}.minAllowed"), &policy["minAllowed"]),
                max_allowed: self.list(&format!("{path}.maxAllowed"), &policy["maxAllowed"]),
                controlled_resources: policy["controlledResources"].is_array().then(|| {
                    self.resources(
                        &format!("{path}.controlledResources"),
                        &policy["controlledResources"],
                    )
                }),
                requests_only: policy["controlledValues"] == "RequestsOnly",
                history: self.history(&path, policy),
                startup_boost: self
                    .startup_boost(&format!("{path}.startupBoost"), &policy["startupBoost"]),
            }
        }))
    }

    /// How a container's history is kept. What is out of range is left out, so that the recommender's flag holds.
    fn history(&mut self, path: &str, policy: &Value) -> HistoryPolicy {
        let mut quantity = |name: &str, resource, least| {
            let value = Some(&policy[name]).filter(|v| !v.is_null())?;
            let why = match amount(resource, value) {
                Ok(amount) if amount >= least => return Some(amount),
                Ok(_) => format!("{value} is too small"),
                Err(why) => why,
            };
            self.problem(&format!("{path}.{name}"), format!("{why}; left out"));
            None
        };
        // Upstream counts the ratio in thousandths, as it does CPU.
        let oom_bump_up_ratio = quantity("oomBumpUpRatio", Resource::Cpu, 1000);
        let oom_min_bump_up = quantity("oomMinBumpUp", Resource::Memory, 0).map(Bytes);
        let name = |name: &str| format!("{path}.{name}");
        HistoryPolicy {
            oom_bump_up_ratio,
            oom_min_bump_up,
            memory_interval: self
                .positive(
                    &name("memoryAggregationIntervalSeconds"),
                    &policy["memoryAggregationIntervalSeconds"],
                )
                .map(|seconds| Duration::from_secs(seconds.into())),
            memory_interval_count: self.positive(
                &name("memoryAggregationIntervalCount"),
                &policy["memoryAggregationIntervalCount"],
            ),
        }
    }

    /// A whole number of one or more.
    fn positive(&mut self, path: &str, value: &Value) -> Option<u32> {
        if value.is_null() {
            return None;
        }
        let number = value.as_i64().filter(|n| *n > 0);
        if number.is_none() {
            self.problem(
                path,
                format!("{value} is no whole number above 0; left out"),
            );
        }
        number.map(|n| u32::try_from(n).unwrap_or(u32::MAX))
    }

    /// A boost that cannot be understood boosts nothing; a recommendation holds all the same.
    fn startup_boost(&mut self, path: &str, boost: &Value) -> Option<StartupBoost> {
        boost.as_object()?;
        let cpu = &boost["cpu"];
        let by = cpu.as_object().map(|_| boost_by(cpu));
        let by = by.transpose().unwrap_or_else(|why| {
            self.problem(&format!("{path}.cpu"), format!("{why}; left out"));
            None
        });
        let seconds = cpu["durationSeconds"].as_u64().unwrap_or(0);
        let lasts = Duration::from_secs(seconds);
        Some(StartupBoost {
            cpu: by.map(|by| CpuBoost { by, lasts }),
        })
    }

    fn list(&mut self, path: &str, quantities: &Value) -> ResourceList {
        let mut list = ResourceList::default();
        for resource in Resource::ALL {
            let value = &quantities[resource.name()];
            if value.is_null() {
                continue;
            }
            match amount(resource, value) {
                Ok(amount) if amount >= 0 => list.set(resource, Some(amount)),
                Ok(_) => self.problem(
                    path,
                    format!("{} {value} is negative; left out", resource.name()),
                ),
                Err(why) => self.problem(path, format!("{}: {why}; left out", resource.name())),
            }
        }
        list
    }

    fn recommendation(&mut self, recommendation: &Value) -> Option<Vec<ContainerRecommendation>> {
        let containers = recommendation["containerRecommendations"].as_array()?;
        let readable = containers.iter().enumerate().filter_map(|(i, c)| {
            let container_name = text(&c["containerName"])?;
            let mut list = |field: &str| {
                let path = format!("status.recommendation.containerRecommendations[{i}].{field}");
                self.list(&path, &c[field])
            };
            Some(ContainerRecommendation {
                container_name,
                target: list("target"),
                lower_bound: list("lowerBound"),
                upper_bound: list("upperBound"),
                uncapped_target: list("uncappedTarget"),
            })
        });
        Some(compact(readable))
    }
}

fn boost_by(cpu: &Value) -> Result<BoostBy, String> {
    match cpu["type"].as_str().unwrap_or_default() {
        "" | "Factor" => match cpu["factor"].as_i64().map(i32::try_from) {
            Some(Ok(factor)) if factor >= 1 => Ok(BoostBy::Factor(factor)),
            _ => Err("boost factor must be >= 1".into()),
        },
        "Quantity" => match amount(Resource::Cpu, &cpu["quantity"]) {
            Ok(more) if more >= 0 => Ok(BoostBy::Quantity(Millicores(more))),
            Ok(_) => Err("quantity is negative".into()),
            Err(why) => Err(format!("quantity: {why}")),
        },
        other => Err(format!("unsupported startup boost type: {other}")),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A list without the room for four that a `Vec` begins with: there are thousands of VPAs, of one container each.
fn compact<T>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut list: Vec<_> = items.collect();
    list.shrink_to_fit();
    list
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|t| !t.is_empty()).map(String::from)
}

fn condition(value: &Value) -> Condition {
    let field = |name: &str| text(&value[name]).unwrap_or_default();
    Condition {
        kind: field("type"),
        status: field("status"),
        reason: field("reason"),
        message: field("message"),
        last_transition: value["lastTransitionTime"].as_str().and_then(time::parse),
        observed_generation: value["observedGeneration"].as_i64(),
    }
}

/// `status.conditions` as they are written.
pub fn conditions_to_json(conditions: &[Condition]) -> Value {
    conditions
        .iter()
        .map(|c| {
            let mut map = Map::new();
            map.insert("type".into(), c.kind.as_str().into());
            map.insert("status".into(), c.status.as_str().into());
            if let Some(time) = c.last_transition {
                map.insert("lastTransitionTime".into(), time::format(time).into());
            }
            for (name, text) in [("reason", &c.reason), ("message", &c.message)] {
                if !text.is_empty() {
                    map.insert(name.into(), text.as_str().into());
                }
            }
            if let Some(generation) = c.observed_generation {
                map.insert("observedGeneration".into(), generation.into());
            }
            Value::Object(map)
        })
        .collect()
}

/// `status.recommendation` as it is written.
pub fn recommendation_to_json(recommendations: &[ContainerRecommendation]) -> Value {
    let containers: Vec<Value> = recommendations
        .iter()
        .map(|r| {
            json!({
                "containerName": r.container_name,
                "target": to_json(&r.target),
                "lowerBound": to_json(&r.lower_bound),
                "upperBound": to_json(&r.upper_bound),
                "uncappedTarget": to_json(&r.uncapped_target),
            })
        })
        .collect();
    json!({ "containerRecommendations": containers })
}

/// The recommendation that [`recommendation_to_json`] wrote; what cannot be read is left out.
pub fn recommendation_from_json(recommendation: &Value) -> Option<Vec<ContainerRecommendation>> {
    let mut reader = Reader {
        problems: Vec::new(),
    };
    reader.recommendation(recommendation)
}

#[cfg(test)]
mod tests;
