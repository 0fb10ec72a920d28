//! The chart's dashboards and alerts, held against a real Prometheus that scrapes the real programs: a panel without data is
//! an error, as is an alert on something that nobody measures.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use podfit_tests::chart::NAMESPACE;
use podfit_tests::cluster::{log_folder, program, repository, run};
use podfit_tests::manifests::Workload;
use podfit_tests::namespace::Namespace;
use podfit_tests::podfit::Podfit;
use podfit_tests::process::Program;
use podfit_tests::scrape::get;
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};
use tokio::process::Command;

/// All that each program registers, also what has no series before something fails: checked by their own tests.
const REFERENCE: [(&str, &str); 3] = [
    (
        "recommender",
        include_str!("../../../docs/reference/podfit-recommender.md"),
    ),
    (
        "updater",
        include_str!("../../../docs/reference/podfit-updater.md"),
    ),
    (
        "webhook",
        include_str!("../../../docs/reference/podfit-webhook.md"),
    ),
];

/// The workload that the dashboard of workloads shows.
const SHOWN: &str = "shown";

/// Every panel and variable has data, and every alert could fire. The one on what is broken for this does, no other.
pub async fn dashboards_and_alerts(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    // One whose pods are changed, and one whose pod waits.
    let shown = workload(SHOWN).replicas(3);
    let waits = workload("waits");
    for (workload, mode) in [(&shown, "InPlaceOrRecreate"), (&waits, "Recreate")] {
        ns.create(workload.manifest()).await?;
        ns.create(workload.vpa(mode)).await?;
    }
    until("recommendations", secs(90), async || {
        ns.recommended(SHOWN, "target").await?;
        ns.recommended("waits", "target").await
    })
    .await?;
    let folder = log_folder(&ns.cluster)?.join(format!("prometheus-{}", ns.name));
    fs::create_dir_all(&folder)?;
    let rules = rendered_rules(&ns, &folder).await?;
    let server = server(&ns, &podfit, &folder, &rules)?;
    let prometheus = Prometheus(server.address.clone());
    let mut process = server.start()?;
    until("Prometheus is ready", secs(60), async || {
        process.ensure_alive()?;
        get(&server.address, "/-/ready").await
    })
    .await?;

    let panels = panels(&ns)?;
    until("data in every panel", secs(150), async || {
        process.ensure_alive()?;
        let mut empty = Vec::new();
        for (place, query) in &panels {
            if let Err(why) = prometheus.shows(query).await {
                empty.push(format!("{place}: {query}: {why:#}"));
            }
        }
        ensure!(empty.is_empty(), "{}", empty.join("\n"));
        Ok(())
    })
    .await?;
    shown_metrics_are_in_the_reference(&podfit).await?;
    webhook_out_of_reach(&ns, &podfit, &prometheus).await?;
    let alerts = alerts(&prometheus).await?;
    until("the alert on the webhook alone", secs(60), async || {
        process.ensure_alive()?;
        let active = prometheus.active_alerts().await?;
        ensure!(
            active.iter().eq(["PodfitWebhookNotReached"]),
            "these alerts are on: {active:?}"
        );
        Ok(())
    })
    .await?;
    figure(format!(
        "{} queries of panels and variables have data, {alerts} alerts have series",
        panels.len()
    ));
    process.stop().await
}

fn workload(name: &str) -> Workload {
    Workload::deployment(name)
        .requests("100m", "64Mi")
        .simulated_usage("400m", "300Mi")
}

/// New pods come while the webhook is away. Twice, since what happened before the first look does not count.
async fn webhook_out_of_reach(
    ns: &Namespace,
    podfit: &Podfit,
    prometheus: &Prometheus,
) -> Result<()> {
    podfit.stop("webhook").await?;
    let bare = workload("bare");
    ns.create(bare.manifest()).await?;
    let failures = r#"apiserver_admission_webhook_fail_open_count{name="vpa.k8s.io"}"#;
    until("the API server counts it", secs(60), async || {
        prometheus.shows(failures).await
    })
    .await?;
    ns.scale("bare", 3).await?;
    until("three pods", secs(60), async || {
        ns.available_pods("bare", 3).await
    })
    .await?;
    podfit.start("webhook").await?;
    podfit.ready("webhook").await
}

/// The rules as the chart makes them, as a file that Prometheus' own tool finds no fault with.
async fn rendered_rules(ns: &Namespace, folder: &Path) -> Result<std::path::PathBuf> {
    let chart = repository().join("charts/podfit").display().to_string();
    let rendered = ns
        .cluster
        .helm(&[
            "template",
            "podfit",
            &chart,
            "--namespace",
            NAMESPACE,
            "--set",
            "metrics.prometheusRule.enabled=true",
            "--show-only",
            "templates/prometheusrule.yaml",
        ])
        .await?;
    let (_, spec) = rendered.split_once("\nspec:\n").context("no spec")?;
    let file = folder.join("rules.yaml");
    fs::write(&file, spec)?;
    let mut promtool = Command::new(program("promtool"));
    promtool
        .args(["check", "rules", "--lint=all", "--lint-fatal"])
        .arg(&file);
    run(&mut promtool, "").await?;
    Ok(file)
}

/// A Prometheus that scrapes podfit, the API server and the nodes.
fn server(ns: &Namespace, podfit: &Podfit, folder: &Path, rules: &Path) -> Result<Program> {
    let pki = ns.cluster.pki();
    let file = |name: &str| pki.join(name).display().to_string();
    let tls = json!({"cert_file": file("admin.crt"), "key_file": file("admin.key"), "ca_file": file("ca.crt"), "insecure_skip_verify": true});
    let kubeconfig = ns.cluster.kubeconfig().display().to_string();
    let mut jobs = vec![
        json!({
            "job_name": "apiserver",
            "scheme": "https",
            "tls_config": tls,
            // It has megabytes to tell.
            "scrape_interval": "5s",
            "scrape_timeout": "5s",
            "static_configs": [{"targets": [format!("{}:443", ns.cluster.address(1))]}],
        }),
        json!({
            "job_name": "nodes",
            "scheme": "https",
            "tls_config": tls,
            "kubernetes_sd_configs": [{"role": "node", "kubeconfig_file": kubeconfig}],
            "relabel_configs": [
                {"target_label": "__metrics_path__", "replacement": "/metrics/resource"},
                {
                    "source_labels": ["__meta_kubernetes_node_annotation_metrics_k8s_io_resource_metrics_path"],
                    "regex": "(.+)",
                    "target_label": "__metrics_path__",
                },
            ],
        }),
    ];
    let pages = [
        ("recommender", "/metrics"),
        ("recommender", "/metrics/workloads"),
        ("updater", "/metrics"),
        ("webhook", "/metrics"),
    ];
    for (name, path) in pages {
        let address = &podfit.program(name)?.address;
        jobs.push(json!({
            "job_name": format!("podfit-{name}{}", path.replace('/', "-")),
            "metrics_path": path,
            // What Prometheus' operator would add, and what must therefore not be a label of ours.
            "static_configs": [{"targets": [address], "labels": {
                "namespace": NAMESPACE, "pod": format!("podfit-{name}"), "container": name, "service": format!("podfit-{name}"),
            }}],
        }));
    }
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [rules],
        "scrape_configs": jobs,
    });
    let config_file = folder.join("prometheus.yaml");
    fs::write(&config_file, config.to_string())?;
    let address = podfit.free_address();
    Ok(Program {
        name: "Prometheus".into(),
        executable: program("prometheus"),
        arguments: vec![
            format!("--config.file={}", config_file.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".into(),
        ],
        environment: Vec::new(),
        address,
        log: folder.join("log"),
    })
}

/// The queries of all panels and variables, with where they stand.
fn panels(ns: &Namespace) -> Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    let folder = repository().join("charts/podfit/dashboards");
    for entry in fs::read_dir(folder)? {
        let file = entry?.path();
        let place = file.file_name().unwrap_or_default().display().to_string();
        let text = fs::read_to_string(&file)?;
        let dashboard: Value = serde_json::from_str(&text).with_context(|| place.clone())?;
        let before = queries.len();
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().unwrap_or_default();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().context("no expr")?;
                queries.push((format!("{place}, {title}"), filled_in(query, ns)));
            }
        }
        for variable in dashboard["templating"]["list"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if variable["type"] == "query" {
                let name = variable["name"].as_str().unwrap_or_default();
                let query = variable["query"]["query"].as_str().context("no query")?;
                let values = query
                    .strip_prefix("label_values(")
                    .and_then(|q| q.strip_suffix(')'));
                let (of, label) = values
                    .and_then(|v| v.rsplit_once(", "))
                    .context("not label_values")?;
                // A label that is not there would be no value, but one series.
                let query = format!(
                    r#"group by (seen) (label_replace({of}, "seen", "$1", "{label}", "(.+)"))"#
                );
                queries.push((format!("{place}, ${name}"), filled_in(&query, ns)));
            }
        }
        ensure!(queries.len() > before, "{place} has no panels");
    }
    Ok(queries)
}

/// As Grafana would ask.
fn filled_in(query: &str, ns: &Namespace) -> String {
    [
        ("$__rate_interval", "5m"),
        ("$__range", "5m"),
        ("$namespace", &ns.name),
        ("$vpa", SHOWN),
        ("$target", SHOWN),
        ("$container", ".*"),
        ("$job", ".*"),
    ]
    .iter()
    .fold(query.to_owned(), |query, (variable, value)| {
        query.replace(variable, value)
    })
}

/// Checks that whatever an alert looks at is measured; how many alerts there are.
async fn alerts(prometheus: &Prometheus) -> Result<usize> {
    let answer = prometheus.ask("rules", "").await?;
    let rules = answer["groups"][0]["rules"]
        .as_array()
        .context("no rules")?;
    let page = fs::read_to_string(repository().join("docs/alerts.md"))?;
    for rule in rules {
        let name = rule["name"].as_str().unwrap_or_default();
        let query = rule["query"].as_str().context("no query")?;
        prometheus
            .measures(query)
            .await
            .with_context(|| name.to_owned())?;
        // Without an address of the docs there is no link, but the page's name.
        let link = rule["annotations"]["runbook"].as_str().unwrap_or_default();
        let heading = format!("## {name}");
        ensure!(
            link.starts_with(&format!("docs/alerts.md#{} ", name.to_lowercase()))
                && page.lines().any(|l| l == heading),
            "{name}: {link} leads nowhere"
        );
    }
    Ok(rules.len())
}

/// A Prometheus, by its address.
struct Prometheus(String);

impl Prometheus {
    async fn ask(&self, what: &str, query: &str) -> Result<Value> {
        let mut encoded = String::new();
        for byte in query.bytes() {
            write!(encoded, "%{byte:02X}")?;
        }
        let text = get(&self.0, &format!("/api/v1/{what}?query={encoded}")).await?;
        let mut answer: Value = serde_json::from_str(&text)?;
        Ok(answer["data"].take())
    }

    /// Ok when the query has a number as answer, and all that it looks at is measured.
    async fn shows(&self, query: &str) -> Result<()> {
        self.measures(query).await?;
        let answer = self.ask("query", query).await?;
        let series = answer["result"].as_array().context("no result")?;
        let seen = |one: &Value| !query.contains("by (seen)") || one["metric"]["seen"].is_string();
        let number =
            |one: &Value| one["value"][1].as_str().is_some_and(|text| text != "NaN") && seen(one);
        ensure!(series.iter().any(number), "no data: {series:?}");
        Ok(())
    }

    /// Ok when there are series with the names and labels (whatever their values) of every selector of a query.
    async fn measures(&self, query: &str) -> Result<()> {
        let tree = self.ask("parse_query", query).await?;
        let mut selectors = Vec::new();
        collect_selectors(&tree, &mut selectors);
        for (name, labels) in selectors {
            let any: Vec<_> = labels
                .iter()
                .map(|label| format!("{label}!=\"\""))
                .collect();
            let answer = self
                .ask("query", &format!("count({name}{{{}}})", any.join(",")))
                .await?;
            let found = answer["result"].as_array().is_some_and(|r| !r.is_empty());
            ensure!(
                found || is_in_the_reference(&name, &labels),
                "nothing is measured as {name} with labels {labels:?}"
            );
        }
        Ok(())
    }

    async fn active_alerts(&self) -> Result<BTreeSet<String>> {
        let answer = self.ask("alerts", "").await?;
        let alerts = answer["alerts"].as_array().context("no alerts")?;
        let name = |a: &Value| a["labels"]["alertname"].as_str().map(str::to_owned);
        Ok(alerts.iter().filter_map(name).collect())
    }
}

/// The names and labels of all selectors in a parsed query.
fn collect_selectors(node: &Value, found: &mut Vec<(String, Vec<String>)>) {
    match node {
        Value::Object(fields) => {
            if node["type"] == "vectorSelector" {
                let name = node["name"].as_str().unwrap_or_default().to_owned();
                let labels = node["matchers"].as_array().into_iter().flatten();
                let labels = labels.filter_map(|m| m["name"].as_str().map(str::to_owned));
                let labels = labels.filter(|label| label != "__name__").collect();
                if !name.is_empty() {
                    found.push((name, labels));
                }
            }
            fields
                .values()
                .for_each(|field| collect_selectors(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_selectors(item, found)),
        _ => {}
    }
}

fn is_in_the_reference(name: &str, labels: &[String]) -> bool {
    let start = format!("- **`{name}`** ");
    let mut rows = REFERENCE.iter().flat_map(|(_, page)| page.lines());
    rows.any(|row| {
        row.starts_with(&start)
            && labels
                .iter()
                .all(|label| row.contains(&format!("`{label}`")))
    })
}

/// What a program shows, its page tells of. (What it might show, too; a test of the program itself sees to that.)
async fn shown_metrics_are_in_the_reference(podfit: &Podfit) -> Result<()> {
    for (name, page) in REFERENCE {
        let shown = get(&podfit.program(name)?.address, "/metrics").await?;
        let types = shown
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        for (metric, kind) in types.filter_map(|of| of.split_once(' ')) {
            ensure!(
                page.contains(&format!("- **`{metric}`** {kind}")),
                "the {name} shows the {kind} {metric}, which its test `the_reference_is_of_this_program` does not register"
            );
        }
    }
    Ok(())
}
