//! `plan`: what the updater would do now, and what comes of it.

mod prices;
mod show;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use self::prices::Prices;
pub use self::show::decision as decision_to_json;
use self::summary::Summary;
pub use self::summary::word;
use crate::connection::Connection;
use crate::evidence::Witness;
use crate::foresight::Foresight;
use crate::installation::Installation;
use crate::options::{ConnectionOptions, Format};
use crate::progress::Progress;

/// Flags of `plan`.
#[derive(Args, Clone, Debug)]
pub struct PlanOptions {
    /// How to write the answer.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Format,

    /// What CPU and memory cost, to tell what the plan is worth. A file with the lines `cpu-core-hour: 0.03`,
    /// `gib-hour: 0.004` and `currency: EUR`.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,

    /// Plan as if podfit's recommender published: with its numbers, as `diff` shows them. In shadow, that is what happens once
    /// podfit takes over.
    #[arg(long)]
    pub take_over: bool,

    /// With --take-over: where the recommender serves /explain, for example a forwarded port. Not given: its pods, through the
    /// API server.
    #[arg(long, value_name = "http://HOST:PORT", requires = "take_over")]
    pub recommender_address: Option<http::Uri>,
}

/// Plans for the namespace that was named, or for all.
pub async fn run(connection: &ConnectionOptions, options: &PlanOptions) -> Result<ExitCode> {
    let prices = options.prices.as_deref().map(Prices::read).transpose()?;
    let mut connection = Connection::new(connection).await?;
    if !connection.is_named {
        connection.namespace = None;
    }
    let progress = Progress::new();
    progress.say("looking at podfit");
    let installation = Installation::find(&connection.calls, &connection.podfit_namespace).await;
    let address = options.recommender_address.as_ref();
    let witness = Witness::find(&connection, &installation, address).await?;
    let podfit = options.take_over.then_some(&witness);
    let foresight = Foresight::new(&connection, &installation, podfit, &progress).await?;
    drop(progress);
    let summary = Summary::of(&foresight);
    match options.output {
        Format::Text => print!("{}", show::text(&summary, prices.as_ref())),
        Format::Md => print!("{}", show::markdown(&summary, prices.as_ref())),
        Format::Csv => print!("{}", show::csv(&summary)),
        Format::Json => println!("{:#}", show::json(&summary, prices.as_ref())),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
