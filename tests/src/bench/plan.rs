//! What a benchmark is asked to run, by its environment.

use std::fmt;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// Whose program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Candidate {
    /// Ours.
    Podfit,
    /// Upstream's, 1.8.1.
    Upstream,
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Podfit => "podfit",
            Self::Upstream => "upstream",
        })
    }
}

/// How many VPAs there are, one size after the other in one cluster, and whose program runs in each.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Numbers of VPAs; they grow.
    pub sizes: Vec<usize>,
    /// One or both.
    pub candidates: Vec<Candidate>,
}

impl Plan {
    /// From `SIZES` (else `sizes`) and `ONLY`, which leaves one candidate out.
    pub fn from_environment(sizes: &str) -> Result<Self> {
        Self::parse(&variable("SIZES", sizes), &variable("ONLY", "both"))
    }

    fn parse(sizes: &str, only: &str) -> Result<Self> {
        let size = |text: &str| {
            let text = text.trim();
            text.parse()
                .with_context(|| format!("SIZES: `{text}` is not a number of VPAs"))
        };
        let sizes: Vec<usize> = sizes.split(',').map(size).collect::<Result<_>>()?;
        ensure!(
            sizes.is_sorted_by(|a, b| a < b) && sizes[0] > 0,
            "SIZES must grow: one cluster grows from size to size"
        );
        let candidates = match only {
            "podfit" => vec![Candidate::Podfit],
            "upstream" => vec![Candidate::Upstream],
            "both" => vec![Candidate::Podfit, Candidate::Upstream],
            other => anyhow::bail!("ONLY: `{other}` is neither podfit nor upstream"),
        };
        Ok(Self { sizes, candidates })
    }
}

/// An environment variable; `default` when it is unset or empty.
pub fn variable(name: &str, default: &str) -> String {
    std::env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.into())
}

/// Where podfit's programs are.
pub fn programs() -> Result<std::path::PathBuf> {
    let folder = std::env::var("PODFIT_PROGRAMS")
        .context("PODFIT_PROGRAMS is not set: start this by `make bench-…`")?;
    Ok(folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_or_refused() {
        let plan = Plan::parse("10, 20", "upstream").unwrap();
        assert_eq!(plan.sizes, [10, 20]);
        assert_eq!(plan.candidates, [Candidate::Upstream]);
        assert_eq!(Plan::parse("1", "both").unwrap().candidates.len(), 2);
        for (sizes, only) in [
            ("", "both"),
            ("20,10", "both"),
            ("0", "both"),
            ("1", "ours"),
        ] {
            assert!(Plan::parse(sizes, only).is_err(), "{sizes} {only}");
        }
    }
}
