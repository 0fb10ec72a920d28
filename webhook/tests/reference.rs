//! docs/reference/podfit-webhook.md says what this program is.

use clap::CommandFactory;
use podfit_cluster::reference::{check, families, program};
use podfit_webhook::metrics::Metrics;
use podfit_webhook::options::Options;

#[test]
fn the_reference_is_of_this_program() {
    let metrics = families(|registry| Metrics::new(registry).map(drop)).unwrap();
    let components = ["common", "admission-controller"];
    let page = program(&Options::command(), &components, &metrics);
    check("podfit-webhook", &page).unwrap();
}
