//! Would requests that follow use, under an HPA whose target stays, settle?
//!
//! Per pod podfit requests R = (1 + m)·κ·U/N, where U/N is the mean use of a pod, κ the recommended percentile of use over
//! its mean, and m the margin. The HPA then wants N' = N·(U/N)/(T·R/100) = N / ((T/100)(1 + m)κ) pods, U/N changes, and
//! with it R: each round multiplies the number of pods by the same factor. Only where that lies within the HPA's tolerance
//! of a tenth does nothing happen.

use std::fmt;

/// Below this each round asks for more pods, of less each: 1/1.1.
const LEAST: f64 = 1.0 / 1.1;

/// Above this each round asks for fewer pods, of more each: 1/0.9.
const MOST: f64 = 1.0 / 0.9;

/// What becomes of a workload whose requests follow use, while its HPA's target stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stability {
    /// (T/100)(1 + m)κ. One would be balance.
    pub number: f64,
    /// What that leads to.
    pub verdict: Verdict,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The HPA's tolerance holds it.
    Holds,
    /// To the most pods that the HPA allows, each of the least size.
    RunsUp,
    /// To the fewest pods that the HPA allows, each as large as it gets.
    Collapses,
}

impl Verdict {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Holds => "Holds",
            Self::RunsUp => "RunsUp",
            Self::Collapses => "Collapses",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds: within the HPA's tolerance",
            Self::RunsUp => "runs up: more and more pods of less and less",
            Self::Collapses => "collapses: fewer and fewer pods of more and more",
        })
    }
}

/// For a target in percent, and what is recommended for a pod, margin and all, against the mean of what it used; both in
/// one unit, and over all containers that the metric covers. (1 + m)κ is their quotient. `None` where nothing was used.
pub fn stability(target: i64, recommended: f64, mean_usage: f64) -> Option<Stability> {
    if mean_usage <= 0.0 || recommended <= 0.0 {
        return None;
    }
    let number = target as f64 / 100.0 * recommended / mean_usage;
    let verdict = if number < LEAST {
        Verdict::RunsUp
    } else if number > MOST {
        Verdict::Collapses
    } else {
        Verdict::Holds
    };
    Some(Stability { number, verdict })
}
