//! Which VPAs a recommender serves, who of several replicas acts, and what operators see.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use podfit_tests::amounts::Amounts;
use podfit_tests::namespace::{Namespace, VPA};
use podfit_tests::podfit::{Podfit, RECOMMENDER_INTERVAL};
use podfit_tests::process::{Process, Program};
use podfit_tests::scrape::{Metrics, get, loops};
use podfit_tests::suite::figure;
use podfit_tests::wait::{secs, until};
use serde_json::{Value, json};

use crate::modes::{under_asked, usage};

/// A recommender serves VPAs that name it, in the namespaces that it is to look at, and no others.
pub async fn names_and_namespaces(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    let other = Namespace::create_new(&ns.cluster, "names-and-namespaces").await?;
    for ns in [&ns, &other] {
        ns.create(under_asked().manifest()).await?;
        create_vpa(ns, "web", "scoped").await?;
        create_vpa(ns, "ignoring", "ignoring").await?;
        create_vpa(ns, "nobodys", "nobody").await?;
    }
    let scoped = podfit.own_recommender("scoped", &ns.name)?;
    let mut ignoring = podfit.own_recommender("ignoring", &ns.name)?;
    ignoring
        .arguments
        .retain(|a| !a.starts_with("--vpa-object-namespace="));
    ignoring
        .arguments
        .push(format!("--ignored-vpa-object-namespaces={}", ns.name));

    let processes = [scoped.start()?, ignoring.start()?];
    for (ns, vpa) in [(&ns, "web"), (&other, "ignoring")] {
        until("a recommendation", secs(120), async || {
            ns.recommended(vpa, "target").await
        })
        .await?
        .ensure_between(1.0, 1.5, usage()?)?;
    }
    for process in &processes {
        more_loops(process, 2).await?;
    }
    let left_alone = [
        (&ns, "ignoring"),
        (&ns, "nobodys"),
        (&other, "web"),
        (&other, "nobodys"),
    ];
    for (ns, vpa) in left_alone {
        let object = ns.get(VPA, vpa).await?;
        ensure!(object["status"].is_null(), "{vpa} was served: {object}");
    }
    for process in processes {
        process.stop().await?;
    }
    other.delete_all().await
}

/// Seconds.
const LEASE: u64 = 4;
const RETRY: u64 = 1;

/// The leader is killed: its standby, which has measured all the time, publishes within the lease's duration and one retry,
/// and what was published stays.
pub async fn standby_takes_over(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    create_vpa(&ns, "web", "elected").await?;
    let leader = elected(&ns, &podfit, "leader")?.start()?;
    let before = until("a recommendation of the leader", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    let mut standby = elected(&ns, &podfit, "standby")?.start()?;
    standby.ready().await?;
    more_loops(&standby, 2).await?;
    let written = |metrics: Metrics| metrics.sum("podfit_recommender_status_writes_total", &[]);
    ensure!(
        written(standby.metrics().await?) == 0.0,
        "the standby writes"
    );

    leader.kill().await?;
    let killed = Instant::now();
    create_vpa(&ns, "late", "elected").await?;
    // Beside the lease: the request for it, a loop, the write.
    let deadline = secs(LEASE + RETRY + RECOMMENDER_INTERVAL);
    let late = until("a recommendation of the standby", deadline, async || {
        standby.ensure_alive()?;
        ns.recommended("late", "target").await
    })
    .await?;
    figure(format!(
        "standby's first write after the leader was killed, with a lease of {LEASE} s: {:.1} s",
        killed.elapsed().as_secs_f64()
    ));
    late.ensure_between(0.95, 1.05, before)
        .context("the standby knew as much")?;
    ns.recommended("web", "target")
        .await?
        .ensure_between(0.95, 1.05, before)
        .context("what was published")?;
    standby.stop().await
}

/// Once histories are grown, a loop writes nothing when nothing changes.
pub async fn steady_state_writes_nothing(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    create_vpa(&ns, "web", "steady").await?;
    let mut steady = podfit.own_recommender("steady", &ns.name)?;
    // Grown up in seconds.
    steady.arguments.extend([
        "--confidence-interval-cpu=1s".into(),
        "--confidence-interval-memory=1s".into(),
    ]);
    let process = steady.start()?;
    let version = async || {
        let vpa = ns.get(VPA, "web").await?;
        ensure!(!vpa["status"]["recommendation"].is_null(), "{vpa}");
        Ok(vpa["metadata"]["resourceVersion"].clone())
    };
    until("three loops without a write", secs(240), async || {
        let before = version().await?;
        more_loops(&process, 3).await?;
        ensure!(version().await? == before, "the status was written");
        Ok(())
    })
    .await?;
    let metrics = process.metrics().await?;
    ensure!(
        metrics.sum("podfit_recommender_loop_status_writes", &[]) == 0.0,
        "the last loop says it wrote"
    );
    ensure!(
        metrics.sum("podfit_recommender_status_writes_total", &[]) > 0.0,
        "none of the writes was counted"
    );
    process.stop().await
}

/// The table of `kubectl get`, conditions, the explanation, health and metrics.
pub async fn seen_by_operators(ns: Namespace, podfit: Arc<Podfit>) -> Result<()> {
    ns.create(under_asked().manifest()).await?;
    ns.create(under_asked().vpa("Off")).await?;
    let target = until("a recommendation", secs(120), async || {
        ns.recommended("web", "target").await
    })
    .await?;
    conditions(&ns).await?;
    table(&ns).await?;

    let address = &podfit.program("recommender")?.address;
    for path in ["/healthz", "/readyz", "/health-check"] {
        ensure!(get(address, path).await? == "OK", "{path}");
    }
    until("metrics of all kinds", secs(90), async || {
        let metrics = Metrics::of(address).await?;
        for name in [
            "vpa_recommender_vpa_objects_count",
            "vpa_quality_cpu_recommendations_cores_count",
            "rest_client_requests_total",
            "process_resident_memory_bytes",
        ] {
            ensure!(metrics.sum(name, &[]) > 0.0, "{name} is missing");
        }
        Ok(())
    })
    .await?;
    explanation(&ns, address, target).await
}

async fn conditions(ns: &Namespace) -> Result<()> {
    let vpa = ns.get(VPA, "web").await?;
    let generation = &vpa["metadata"]["generation"];
    ensure!(vpa["status"]["observedGeneration"] == *generation, "{vpa}");
    let conditions = vpa["status"]["conditions"].as_array();
    let conditions = conditions.context("no conditions")?;
    let kinds: Vec<_> = conditions.iter().map(|c| c["type"].as_str()).collect();
    ensure!(kinds.is_sorted(), "{kinds:?}");
    for condition in conditions {
        ensure!(
            condition["observedGeneration"] == *generation,
            "{condition}"
        );
        ensure!(condition["lastTransitionTime"].is_string(), "{condition}");
    }
    let low = ns.condition("web", "LowConfidence").await?;
    let message = low["message"].as_str().unwrap_or_default();
    ensure!(
        low["status"] == "True" && message.contains("samples over"),
        "{low}"
    );
    Ok(())
}

async fn table(ns: &Namespace) -> Result<()> {
    let table = ns
        .cluster
        .kubectl(&["-n", &ns.name, "get", "vpa", "web"], "")
        .await?;
    let cells: Vec<Vec<_>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    ensure!(
        cells[0] == ["NAME", "MODE", "CPU", "MEM", "PROVIDED", "AGE"],
        "{table}"
    );
    let row = &cells[1];
    ensure!(row.len() == 6, "{table}");
    ensure!(
        (row[0], row[1], row[4]) == ("web", "Off", "True"),
        "{table}"
    );
    Amounts::parse(row[2], row[3])?.ensure_between(1.0, 1.5, usage()?)
}

async fn explanation(ns: &Namespace, address: &str, target: Amounts) -> Result<()> {
    let path = |vpa: &str| format!("/explain/{}/{vpa}", ns.name);
    let text = get(address, &path("web")).await?;
    let explained: Value = serde_json::from_str(&text)?;
    let app = &explained["containers"][0];
    ensure!(
        app["name"] == "app" && app["samples"].as_u64() > Some(0),
        "{text}"
    );
    let list = ["cpu", "memory"].map(|resource| {
        (
            resource,
            app["resources"][resource]["target"]["amount"].clone(),
        )
    });
    let list: Value = list
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect::<serde_json::Map<_, _>>()
        .into();
    Amounts::from_list(&list)?
        .ensure_between(0.9, 1.1, target)
        .context("what is explained is what is published")?;
    let unknown = get(address, &path("none")).await;
    let error = unknown.err().context("an unknown VPA is explained")?;
    let words = format!("{error:#}");
    ensure!(
        words.contains("there is no VerticalPodAutoscaler"),
        "{words}"
    );
    Ok(())
}

/// A VPA of `web`'s Deployment for one recommender.
async fn create_vpa(ns: &Namespace, name: &str, recommender: &str) -> Result<()> {
    let mut vpa = under_asked().vpa("Off");
    vpa["metadata"]["name"] = name.into();
    vpa["spec"]["recommenders"] = json!([{ "name": recommender }]);
    ns.create(vpa).await.map(drop)
}

/// One of the replicas of recommender `elected`. They get all rights: a lease of their own is none of the chart's.
fn elected(ns: &Namespace, podfit: &Podfit, replica: &str) -> Result<Program> {
    let mut program = podfit.own_recommender("elected", &ns.name)?;
    program.name = replica.into();
    program.log = program
        .log
        .with_file_name(format!("{replica}-{}.log", ns.name));
    program
        .arguments
        .retain(|a| !a.starts_with("--leader-elect") && !a.starts_with("--kubeconfig="));
    program.arguments.extend([
        format!("--kubeconfig={}", ns.cluster.kubeconfig().display()),
        format!("--leader-elect-resource-namespace={}", ns.name),
        "--leader-elect-resource-name=elected".into(),
        format!("--leader-elect-lease-duration={LEASE}s"),
        "--leader-elect-renew-deadline=3s".into(),
        format!("--leader-elect-retry-period={RETRY}s"),
    ]);
    Ok(program)
}

/// Waits until a recommender has gone through `count` more whole loops.
async fn more_loops(process: &Process, count: u32) -> Result<()> {
    loops(&process.program.address, "recommender", count).await
}
