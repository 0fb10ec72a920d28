//! docs/reference/kubectl-podfit.md says what this program is.

use clap::CommandFactory;
use podfit_cluster::reference::{check, commands};

use crate::options::Options;

#[test]
fn the_reference_is_of_this_program() {
    check("kubectl-podfit", &commands(Options::command())).unwrap();
}
