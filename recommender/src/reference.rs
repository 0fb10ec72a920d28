//! docs/reference/podfit-recommender.md says what this program is.

use clap::CommandFactory;
use podfit_cluster::lease::Leadership;
use podfit_cluster::prometheus::RequestMetrics;
use podfit_cluster::reference::{Family, check, families, from_text, program};

use crate::metrics::Metrics;
use crate::opt_in::OptInMetrics;
use crate::options::Options;
use crate::shadow::Shadow;
use crate::workloads;

#[tokio::test]
async fn the_reference_is_of_this_program() {
    let mut metrics = families(|registry| {
        Metrics::new(registry)?;
        Shadow::new(registry)?;
        OptInMetrics::new(registry)?;
        RequestMetrics::new(registry)?;
        Leadership::unconditional().show_in(registry, "podfit-recommender")
    })
    .unwrap();
    let workloads = from_text(&workloads::tests::page());
    metrics.extend(workloads.into_iter().map(|family| Family {
        help: format!("{} On the page /metrics/workloads.", family.help),
        ..family
    }));
    let components = ["common", "leader-election", "recommender"];
    let page = program(&Options::command(), &components, &metrics);
    check("podfit-recommender", &page).unwrap();
}
