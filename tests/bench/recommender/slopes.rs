//! How cost grows with VPAs and with pods.

use std::fmt;

use serde::Serialize;

use crate::candidate::Figures;

/// CPU seconds per loop as a constant, a part per VPA and a part per pod.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Slopes {
    /// Seconds of any loop.
    pub constant: f64,
    /// Seconds per VPA.
    pub per_vpa: f64,
    /// Seconds per pod.
    pub per_pod: f64,
}

impl fmt::Display for Slopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} ms + {:.1} µs per VPA + {:.1} µs per pod",
            self.constant * 1e3,
            self.per_vpa * 1e6,
            self.per_pod * 1e6
        )
    }
}

/// The plane through three sizes; with another number of them nothing can be said.
pub fn of(figures: &[&Figures]) -> Option<Slopes> {
    let [small, middle, large] = figures else {
        return None;
    };
    let more = |than: &Figures| {
        (
            than.vpas as f64 - small.vpas as f64,
            than.pods as f64 - small.pods as f64,
            than.cpu - small.cpu,
        )
    };
    let ((vpas, pods, cpu), (vpas2, pods2, cpu2)) = (more(middle), more(large));
    let determinant = vpas * pods2 - pods * vpas2;
    if determinant == 0.0 {
        return None;
    }
    let per_vpa = (cpu * pods2 - pods * cpu2) / determinant;
    let per_pod = (vpas * cpu2 - cpu * vpas2) / determinant;
    Some(Slopes {
        constant: small.cpu - per_vpa * small.vpas as f64 - per_pod * small.pods as f64,
        per_vpa,
        per_pod,
    })
}
