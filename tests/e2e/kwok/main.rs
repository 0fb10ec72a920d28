//! Scenarios on simulated nodes, with podfit's programs as processes. See the crate's documentation.

mod beside_webhooks;
mod boost;
mod budget;
mod doctor;
mod external;
mod families;
mod faults;
mod foreseen;
mod from_memory;
mod history;
mod horizontal;
mod kills;
mod lifecycle;
mod malformed;
mod migration;
mod modes;
mod monitoring;
mod not_applied;
mod old_cluster;
mod one_namespace;
mod opted_in;
mod owners;
mod pods;
mod prometheus;
mod realigned;
mod recommender;
mod removal;
mod rights;
mod self_test;
mod walk_through;
mod webhook;
mod windows;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use futures::FutureExt;
use podfit_tests::cluster::{Cluster, build};
use podfit_tests::podfit::Podfit;
use podfit_tests::suite::Suite;

#[tokio::main]
async fn main() -> ExitCode {
    run().await.unwrap_or_else(|error| {
        println!("FAILED to start the suite: {error:#}\n0 passed, 1 failed");
        ExitCode::FAILURE
    })
}

async fn run() -> Result<ExitCode> {
    build(&["helm", "prometheus"]).await?;
    build(&["upstream-vpa", "upstream-updater", "upstream-webhook"]).await?;
    let cluster = Arc::new(Cluster::up("tests-kwok", &["kwok", "metrics-server"]).await?);
    let podfit = Arc::new(Podfit::prepare(&cluster, true).await?);
    podfit.start_all().await?;
    let suite = Suite::new(cluster, Arc::clone(&podfit), |podfit| {
        async { podfit.logs() }.boxed_local()
    });
    let code = suite
        .together("migration", migration::there_and_back)
        .together("off-touches-nothing", modes::off)
        .together("initial-sizes-new-pods-only", modes::initial)
        .together("pods-in-full", pods::admitted)
        .together("injected-after", beside_webhooks::injects_after)
        .together("limit-asked-for", pods::limit_asked_for)
        .together("sidecar-in-place", pods::sidecar_in_place)
        .together("capped-by-limit", pods::capped_by_limit)
        .together("pod-level-resources", pods::pod_level_resources)
        .together("beside-an-hpa", horizontal::yields)
        .together("hpas-in-trouble", horizontal::in_trouble)
        .together("keda-comes-later", horizontal::keda_comes_later)
        .together("budget-of-zero", budget::nothing_evicted)
        .together("outside-of-its-window", windows::held)
        .together("boost-taken-back", boost::taken_back)
        .together("quota-too-small", boost::quota)
        .together("recommender-restarted", history::restarted)
        .together("upstream-and-back", history::upstream_and_back)
        .together("history-kept", history::kept)
        .together("history-unreadable", history::unreadable)
        .together("api-server-faults", faults::api_server)
        .together("metrics-api-faults", faults::metrics_api)
        .together("names-and-namespaces", recommender::names_and_namespaces)
        .together("standby-takes-over", recommender::standby_takes_over)
        .together(
            "steady-state-writes-nothing",
            recommender::steady_state_writes_nothing,
        )
        .together("seen-by-operators", recommender::seen_by_operators)
        .together("prometheus-history", prometheus::history)
        .together("external-metrics", external::metrics)
        .together("explained", foreseen::explained)
        .together("planned", foreseen::planned)
        .together("owners-well-known", owners::well_known)
        .together("owners-foreign", owners::foreign_kinds)
        .together("opted-in", opted_in::followed)
        .together("opted-in-explicit-wins", opted_in::explicit_wins)
        .together("opted-in-not-understood", opted_in::not_understood)
        .together("opted-in-namespace", opted_in::whole_namespace)
        .together("opted-in-goldilocks", opted_in::goldilocks::followed)
        .together("opted-in-foreign-kinds", opted_in::foreign_kinds::followed)
        .together("evicted-for-memory", kills::eviction)
        .together("killed-and-gone", kills::gone_at_once)
        .together("realigned", realigned::together)
        .together("realigned-by-keda", realigned::by_keda)
        .together("family", families::family)
        .together("scaled-job", families::scaled_job)
        .together("scaled-to-zero", families::scaled_to_zero)
        .together("malformed-objects", malformed::objects)
        .together("malformed-requests", malformed::requests)
        .together(
            "without-crds-and-metrics",
            lifecycle::without_crds_and_metrics,
        )
        .together("removal", removal::leaves_what_is_yours)
        .together("old-cluster", old_cluster::evicts_instead)
        .together("one-namespace", one_namespace::is_sized_alone)
        .together("restricted-pods", pods::restricted)
        .together("walk-through-samples", walk_through::samples)
        .alone(
            "asked-about-managed-pods-only",
            webhook::asked_about_managed_pods_only,
        )
        .alone("answers-from-memory", from_memory::answers)
        .alone("drains", from_memory::drains)
        .alone("doctor", doctor::finds)
        .alone("updates-not-applied", not_applied::stopped_until_proven)
        .alone("webhook-down", webhook::down_and_up)
        .alone("dashboards-and-alerts", monitoring::dashboards_and_alerts)
        .alone("self-test", self_test::names_the_broken_link)
        .alone("stops-when-asked", lifecycle::stops_when_asked)
        .alone("rights", rights::suffice)
        .run()
        .await;
    println!("figure: resident memory: {}", podfit.memory().await);
    podfit.stop_all().await?;
    Ok(code)
}
