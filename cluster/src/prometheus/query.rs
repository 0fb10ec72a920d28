//! What is asked, in PromQL.

use super::options::PrometheusDuration;

/// The labels that say which container a sample is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Its namespace.
    pub namespace: String,
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub container: String,
}

/// How usage is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queries {
    /// Name of the counter of CPU seconds.
    pub cpu_metric: String,
    /// Name of the gauge of memory in use.
    pub memory_metric: String,
    /// `job` of both; empty for any.
    pub job: String,
    /// What else tells them from metrics of the same name, as PromQL matchers; empty for nothing.
    pub path: &'static str,
    /// What all series must have, as PromQL matchers; empty for nothing.
    pub matchers: String,
    /// The labels of both.
    pub labels: Labels,
    /// The time that one point stands for.
    pub resolution: PrometheusDuration,
    /// True when a point is the peak of that time, false when it is the memory in use at its end, as upstream has it.
    pub peaks: bool,
}

impl Queries {
    /// Cores per container of the pods that a regular expression matches. Series that differ in other labels (Prometheus in
    /// pairs, a container and the one it replaced) become one.
    pub fn cpu(&self, namespace: &str, pods: &str) -> String {
        self.one_per_container(&self.cpu_rate(&[namespace], pods))
    }

    /// Bytes per container, in the same way.
    pub fn memory(&self, namespace: &str, pods: &str) -> String {
        let in_use = self.memory_in_use(&[namespace], pods);
        self.one_per_container(&if self.peaks {
            format!("max_over_time({in_use}[{}])", self.resolution)
        } else {
            in_use
        })
    }

    /// A selector of every container's CPU counter.
    pub fn containers(&self, namespaces: &[&str]) -> String {
        format!("{}{}", self.cpu_metric, self.selector(namespaces, ".+"))
    }

    fn one_per_container(&self, series: &str) -> String {
        let Labels {
            namespace,
            pod,
            container,
        } = &self.labels;
        format!("max by ({namespace}, {pod}, {container}) ({series})")
    }

    /// Upstream's query.
    fn cpu_rate(&self, namespace: &[&str], pods: &str) -> String {
        let (metric, selector) = (&self.cpu_metric, self.selector(namespace, pods));
        format!("rate({metric}{selector}[{}])", self.resolution)
    }

    /// Upstream's query.
    fn memory_in_use(&self, namespace: &[&str], pods: &str) -> String {
        format!("{}{}", self.memory_metric, self.selector(namespace, pods))
    }

    fn selector(&self, namespace: &[&str], pods: &str) -> String {
        let Labels {
            namespace: namespace_label,
            pod,
            container,
        } = &self.labels;
        let mut matchers = Vec::new();
        if !self.job.is_empty() {
            matchers.push(format!("job={}", quoted(&self.job)));
        }
        let more = [self.path, &self.matchers];
        matchers.extend(
            more.iter()
                .filter(|m| !m.is_empty())
                .map(|m| (*m).to_owned()),
        );
        matchers.push(format!("{pod}=~{}", quoted(pods)));
        matchers.push(format!(r#"{container}!="POD""#));
        matchers.push(format!(r#"{container}!="""#));
        matchers.extend(
            namespace
                .iter()
                .map(|name| format!("{namespace_label}={}", quoted(name))),
        );
        format!("{{{}}}", matchers.join(", "))
    }

    /// A selector of kube-state-metrics' series: labels with the value, or with the regular expression, that they must have.
    pub fn state(&self, metric: &str, equal: &[(&str, &str)], like: (&str, &str)) -> String {
        let mut matchers: Vec<_> = equal
            .iter()
            .map(|(label, value)| format!("{label}={}", quoted(value)))
            .collect();
        matchers.push(format!("{}=~{}", like.0, quoted(like.1)));
        if !self.matchers.is_empty() {
            matchers.push(self.matchers.clone());
        }
        format!("{metric}{{{}}}", matchers.join(", "))
    }
}

/// A string in PromQL.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::prometheus::PrometheusOptions;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: PrometheusOptions,
    }

    fn queries(flags: &[&str]) -> Queries {
        let command = Command::parse_from([&["x"], flags].concat());
        command.options.settings(true).unwrap().queries
    }

    /// Upstream's rows.
    #[test]
    fn what_stands_inside_is_upstreams_query() {
        let queries = queries(&["--history-resolution=30s"]);
        let cases = [
            (
                &[][..],
                r#"{job="kubernetes-cadvisor", pod_name=~".+", name!="POD", name!=""}"#,
            ),
            (
                &["kube-system"][..],
                r#"{job="kubernetes-cadvisor", pod_name=~".+", name!="POD", name!="", namespace="kube-system"}"#,
            ),
        ];
        for (namespace, selector) in cases {
            assert_eq!(
                queries.cpu_rate(namespace, ".+"),
                format!("rate(container_cpu_usage_seconds_total{selector}[30s])")
            );
            assert_eq!(
                queries.memory_in_use(namespace, ".+"),
                format!("container_memory_working_set_bytes{selector}")
            );
        }
    }

    #[test]
    fn flags_and_presets_shape_the_queries() {
        let web = r"web-[a-z]+\.x";
        let cases = [
            (
                &["--prometheus-preset=kube-prometheus-stack"][..],
                r#"max by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{job="kubelet", metrics_path="/metrics/cadvisor", pod=~"web-[a-z]+\\.x", container!="POD", container!="", namespace="shop"}[5m]))"#,
                r#"max by (namespace, pod, container) (max_over_time(container_memory_working_set_bytes{job="kubelet", metrics_path="/metrics/cadvisor", pod=~"web-[a-z]+\\.x", container!="POD", container!="", namespace="shop"}[5m]))"#,
            ),
            (
                &[
                    "--prometheus-preset=prometheus-community",
                    "--history-resolution=1h",
                    "--history-cpu-metric=cpu",
                    "--history-memory-metric=mem",
                    "--prometheus-cadvisor-job-name=",
                    "--prometheus-matchers=cluster=\"a\"",
                    "--container-name-label=c",
                ],
                r#"max by (namespace, pod, c) (rate(cpu{cluster="a", pod=~"web-[a-z]+\\.x", c!="POD", c!="", namespace="shop"}[1h]))"#,
                r#"max by (namespace, pod, c) (max_over_time(mem{cluster="a", pod=~"web-[a-z]+\\.x", c!="POD", c!="", namespace="shop"}[1h]))"#,
            ),
        ];
        for (flags, cpu, memory) in cases {
            let queries = queries(flags);
            assert_eq!(queries.cpu("shop", web), cpu);
            assert_eq!(queries.memory("shop", web), memory);
        }
    }

    #[test]
    fn state_metrics_are_those_of_the_same_cluster() {
        let queries = queries(&[
            "--prometheus-preset=thanos-mimir",
            "--prometheus-matchers=cluster=\"a\"",
        ]);
        assert_eq!(
            queries.state(
                "kube_pod_owner",
                &[("namespace", "shop")],
                ("pod", "web-.*")
            ),
            r#"kube_pod_owner{namespace="shop", pod=~"web-.*", cluster="a"}"#
        );
        assert_eq!(quoted(r#"a\b"c"#), r#""a\\b\"c""#);
    }
}
