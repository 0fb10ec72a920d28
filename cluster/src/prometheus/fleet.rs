//! What all workloads used, namespace by namespace: no more than one namespace is held at a time.

use std::collections::{BTreeMap, BTreeSet};

use podfit_core::quantity::Resource;
use podfit_core::replay::{Sample, Sizes};
use podfit_core::time::Timestamp;

use super::answer::Series;
use super::client::{Error, Prometheus, Range};
use super::owners::Owners;
use super::pieces::{Pieces, Question};
use super::query::{Labels, Queries};

/// What containers request, in cores and bytes.
const REQUESTS: &str = "kube_pod_container_resource_requests";

/// What one container of a workload used.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadUsage {
    /// `namespace/workload/container`.
    pub name: String,
    /// In order of time; at least one.
    pub samples: Vec<Sample>,
    /// What it requests now, of several pods the highest; nothing where that is not recorded.
    pub request: Sizes,
}

/// As many series a namespace is taken to have, until the first answer says how many.
const SERIES: usize = 1000;

/// Usage to ask for.
pub struct FleetUsage<'a> {
    /// Who is asked.
    pub prometheus: &'a Prometheus,
    /// How.
    pub queries: &'a Queries,
    /// At which times.
    pub range: Range,
}

impl FleetUsage<'_> {
    /// The namespaces in which containers used anything.
    pub async fn namespaces(&self) -> Result<BTreeSet<String>, Error> {
        let label = &self.queries.labels.namespace;
        let selector = self.queries.containers(&[]);
        let found = self.prometheus.values(label, &selector, self.range);
        Ok(found.await?.into_iter().collect())
    }

    /// What the workloads of a namespace used. Of several pods of a workload the highest counts: they all have the same
    /// requests, as a rule. `told` is called with how many points of time are there.
    pub async fn of(
        &self,
        namespace: &str,
        told: &dyn Fn(u32),
    ) -> Result<impl Iterator<Item = WorkloadUsage> + use<>, Error> {
        let Self {
            prometheus,
            queries,
            range,
        } = *self;
        // The last point may be a step ago; owners of pods that are new are recorded since.
        let lately = Range {
            end: range.end + range.step,
            ..range
        };
        let mut highest = Highest {
            namespace,
            owners: Owners::of(prometheus, queries, namespace, lately).await?,
            labels: &queries.labels,
            series: BTreeMap::new(),
            requests: BTreeMap::new(),
        };
        highest.add_requests(&self.requests(namespace).await?);
        let question = Question {
            prometheus,
            queries,
            namespace,
            pods: ".+",
            partial: false,
        };
        let mut pieces = Pieces::new(range, SERIES);
        while let Some([cpu, memory]) = question.next(&mut pieces).await? {
            pieces.suit(cpu.len().max(memory.len()));
            highest.add(&cpu, Resource::Cpu);
            highest.add(&memory, Resource::Memory);
            told(range.points() - pieces.left());
        }
        let mut requests = highest.requests;
        let used = highest
            .series
            .into_iter()
            .map(move |(name, amounts)| WorkloadUsage {
                samples: samples(amounts),
                request: Sizes::at(requests.remove(&name).unwrap_or_default()),
                name,
            });
        Ok(used.filter(|used| !used.samples.is_empty()))
    }

    /// What containers request at the end, as kube-state-metrics recorded it; nothing where nobody did, or there are too many.
    async fn requests(&self, namespace: &str) -> Result<Vec<Series>, Error> {
        let equal = [("namespace", namespace)];
        let query = self
            .queries
            .state(REQUESTS, &equal, ("resource", "cpu|memory"));
        let at_the_end = Range {
            start: self.range.end,
            ..self.range
        };
        match self.prometheus.range(&query, at_the_end, true).await {
            Err(error) if error.is_refusal() || error.is_too_much() => Ok(Vec::new()),
            other => other,
        }
    }
}

/// CPU and memory at each point of time; not a number of what was not measured.
type Amounts = BTreeMap<Timestamp, [f64; 2]>;

/// The highest of all pods of a workload.
struct Highest<'a> {
    namespace: &'a str,
    owners: Owners,
    labels: &'a Labels,
    series: BTreeMap<String, Amounts>,
    /// In cores and bytes.
    requests: BTreeMap<String, [Option<f64>; 2]>,
}

impl Highest<'_> {
    /// Which container of which workload a series is of, by the labels that name the pod and the container.
    fn name(&self, series: &Series, (pod, container): (&str, &str)) -> Option<String> {
        let workload = self.owners.workload(series.labels.get(pod)?);
        let container = series.labels.get(container)?;
        Some(format!("{}/{workload}/{container}", self.namespace))
    }

    fn add_requests(&mut self, all: &[Series]) {
        for series in all {
            let resource = match series.labels.get("resource").map(String::as_str) {
                Some("cpu") => Resource::Cpu,
                Some("memory") => Resource::Memory,
                _ => continue,
            };
            let Some(name) = self.name(series, ("pod", "container")) else {
                continue;
            };
            let amount = series.points.last().map(|(_, amount)| *amount);
            if let Some(amount) = amount.filter(|amount| *amount > 0.0) {
                let highest = &mut self.requests.entry(name).or_default()[resource as usize];
                *highest = Some(highest.map_or(amount, |known: f64| known.max(amount)));
            }
        }
    }

    fn add(&mut self, all: &[Series], resource: Resource) {
        for series in all {
            let Some(name) = self.name(series, (&self.labels.pod, &self.labels.container)) else {
                continue;
            };
            let amounts = self.series.entry(name).or_default();
            for (at, number) in series.points.iter().filter(|(_, n)| n.is_finite()) {
                let [cpu, memory] = amounts.entry(*at).or_insert([f64::NAN; 2]);
                let highest = match resource {
                    Resource::Cpu => cpu,
                    Resource::Memory => memory,
                };
                *highest = highest.max(*number);
            }
        }
    }
}

fn samples(amounts: Amounts) -> Vec<Sample> {
    let samples = amounts.into_iter().map(|(at, [cpu, memory])| Sample {
        at,
        cpu: Some(cpu).filter(|cores| *cores >= 0.0),
        // No running container uses nothing: such a point was not measured.
        memory: Some(memory).filter(|bytes| *bytes > 0.0),
    });
    samples
        .filter(|sample| sample.cpu.or(sample.memory).is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::prometheus::fake::{Answer, Asked, Fake, answer, matrix, points};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_500_000_123);
    const STEP: Duration = Duration::from_mins(5);
    const PRESET: &str = "--prometheus-preset=kube-prometheus-stack";

    async fn used(fake: &Fake, told: &dyn Fn(u32)) -> Result<Vec<WorkloadUsage>, Error> {
        let settings = fake.settings(&[PRESET]);
        let usage = FleetUsage {
            prometheus: &fake.client(&[PRESET]),
            queries: &settings.queries,
            range: Range::until(NOW, Duration::from_hours(24), STEP),
        };
        Ok(usage.of("shop", told).await?.collect())
    }

    /// Two pods of a Deployment, one after the other and both at noon, and one of somebody else.
    fn shop(asked: &Asked) -> Answer {
        if asked.path.ends_with("/series") {
            return answer("404 Not Found", "");
        }
        if asked
            .parameter("query")
            .starts_with("kube_pod_container_resource_requests{")
        {
            assert_eq!(asked.parameter("start"), asked.parameter("end"), "only now");
            return requests(asked);
        }
        let cpu = asked.parameter("query").contains("cpu");
        let usage = move |early: f64, late: f64| {
            move |at: Timestamp| {
                let early = if at.unix_seconds() % 86_400 < 43_200 {
                    early
                } else {
                    late
                };
                if cpu { early } else { early * 1e9 }
            }
        };
        matrix(&[
            points(asked, ("web-7d4b9c6f5d-x2x4z", "app"), usage(1.0, 2.0)),
            points(asked, ("web-8d4b9c6f5d-x2x4z", "app"), usage(f64::NAN, 1.0)),
            points(asked, ("web-8d4b9c6f5d-x2x4z", "side"), usage(0.0, 0.0)),
            points(asked, ("db-0", "app"), usage(0.5, 0.5)),
            points(asked, ("nothing-0", "app"), usage(f64::NAN, f64::INFINITY)),
        ])
    }

    /// Two pods that differ, and one of which only memory is known, and one that nobody measured.
    fn requests(asked: &Asked) -> Answer {
        let at = asked.parameter("end");
        let rows = [
            ("web-7d4b9c6f5d-x2x4z", "app", "cpu", "0.5"),
            ("web-8d4b9c6f5d-x2x4z", "app", "cpu", "0.75"),
            ("web-8d4b9c6f5d-x2x4z", "app", "memory", "2e9"),
            ("web-8d4b9c6f5d-x2x4z", "side", "memory", "1e9"),
            ("gone-0", "app", "cpu", "4"),
        ];
        let rows = rows.map(|(pod, container, resource, amount)| {
            format!(
                r#"{{"metric":{{"pod":"{pod}","container":"{container}","resource":"{resource}"}},"values":[[{at},"{amount}"]]}}"#
            )
        });
        matrix(&rows)
    }

    #[tokio::test]
    async fn the_highest_pod_of_a_workload_counts() {
        let fake = Fake::start(shop).await;
        let told = std::cell::Cell::new(0);
        let used = used(&fake, &|points| told.set(points)).await.unwrap();
        assert_eq!(told.get(), 288);
        let names: Vec<_> = used.iter().map(|used| used.name.as_str()).collect();
        assert_eq!(names, ["shop/db/app", "shop/web/app", "shop/web/side"]);
        let [app, side] = [1, 2].map(|place: usize| used[place].samples.as_slice());
        assert_eq!((app.len(), side.len()), (288, 288));
        for sample in app {
            let cores = if sample.at.unix_seconds() % 86_400 < 43_200 {
                1.0
            } else {
                2.0
            };
            assert_eq!(
                (sample.cpu, sample.memory),
                (Some(cores), Some(cores * 1e9))
            );
        }
        assert_eq!((side[0].cpu, side[0].memory), (Some(0.0), None));
        let request = |cpu, memory| Sizes::at([cpu, memory]);
        let requests: Vec<_> = used.iter().map(|used| used.request).collect();
        let expected = [
            request(None, None),
            request(Some(0.75), Some(2e9)),
            request(None, Some(1e9)),
        ];
        assert_eq!(requests, expected);
    }

    #[tokio::test]
    async fn owners_that_are_recorded_name_the_workload() {
        let fake = Fake::start(|asked| {
            if !asked.path.ends_with("/series") {
                return shop(asked);
            }
            assert!(asked.seconds("end") > NOW.unix_seconds(), "{asked:?}");
            let found = match asked.parameter("match[]").split('{').next() {
                Some("kube_pod_owner") => r#"{"pod":"db-0","owner_kind":"Job","owner_name":"db"},{"pod":"web-7d4b9c6f5d-x2x4z","owner_kind":"ReplicaSet","owner_name":"site"}"#,
                Some("kube_replicaset_owner") => r#"{"replicaset":"site","owner_kind":"Rollout","owner_name":"pages"}"#,
                _ => r#"{"job_name":"db","owner_kind":"CronJob","owner_name":"tidy"}"#,
            };
            answer("200 OK", &format!(r#"{{"status":"success","data":[{found}]}}"#))
        })
        .await;
        let used = used(&fake, &|_| {}).await.unwrap();
        let names: Vec<_> = used.iter().map(|used| used.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "shop/pages/app",
                "shop/tidy/app",
                "shop/web/app",
                "shop/web/side"
            ]
        );
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        let fake = Fake::start(|asked| {
            if asked.parameter("query").contains("memory") {
                return answer("503 Service Unavailable", "");
            }
            shop(asked)
        })
        .await;
        let error = used(&fake, &|_| {}).await.unwrap_err().to_string();
        assert!(error.contains("503"), "{error}");
    }

    #[tokio::test]
    async fn namespaces_are_those_with_containers() {
        let fake = Fake::start(|asked| {
            assert!(asked.path.ends_with("/api/v1/label/namespace/values"));
            let selector = asked.parameter("match[]");
            assert!(selector.starts_with("container_cpu_usage_seconds_total{job=\"kubelet\""));
            answer("200 OK", r#"{"status":"success","data":["shop","bank"]}"#)
        })
        .await;
        let settings = fake.settings(&[PRESET]);
        let usage = FleetUsage {
            prometheus: &fake.client(&[PRESET]),
            queries: &settings.queries,
            range: Range::until(NOW, STEP, STEP),
        };
        let found = usage.namespaces().await.unwrap();
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["bank", "shop"]);
    }
}
