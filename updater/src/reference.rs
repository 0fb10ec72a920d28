//! docs/reference/podfit-updater.md says what this program is.

use clap::CommandFactory;
use podfit_cluster::lease::Leadership;
use podfit_cluster::reference::{check, families, program};

use crate::metrics::Metrics;
use crate::options::Options;

#[tokio::test]
async fn the_reference_is_of_this_program() {
    let metrics = families(|registry| {
        Metrics::new(registry)?;
        Leadership::unconditional().show_in(registry, "podfit-updater")
    })
    .unwrap();
    let components = ["common", "leader-election", "updater"];
    let page = program(&Options::command(), &components, &metrics);
    check("podfit-updater", &page).unwrap();
}
