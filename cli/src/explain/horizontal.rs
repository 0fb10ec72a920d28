//! The targets of HPAs that divide by what a VPA sizes: where they are, where `realign` has them, and what would become of
//! them without it.

use std::fmt::Write as _;

use podfit_cluster::explanation::horizontal::HpaTarget;
use podfit_core::horizontal::realign::{Aligned, Stability};

/// Some lines for people.
pub fn text(found: &HpaTarget) -> String {
    let resource = found.covers.resource;
    let show = |amount: i64| resource.show(amount);
    let mut text = format!(
        "\nHPA {} scales on {}: {} %",
        found.hpa, found.covers, found.target
    );
    match found.requests {
        Some((least, most)) if least == most => {
            let _ = write!(text, " of {}", show(most));
        }
        Some((least, most)) => {
            let _ = write!(text, " of {} to {}", show(least), show(most));
        }
        None => {}
    }
    text.push('\n');
    if let Some(Aligned { point, .. }) = &found.aligned {
        let _ = writeln!(
            text,
            "  moves with what is requested; its owner chose {} % of {}: {} of use",
            point.target(),
            show(point.request()),
            show(point.usage())
        );
    }
    if let Some(pair) = found.wanted {
        let _ = writeln!(
            text,
            "  wanted: {} % of {}",
            pair.target,
            show(pair.request)
        );
    }
    if let Some(Stability { number, verdict }) = found.stability {
        let _ = writeln!(
            text,
            "  were requests to follow use while this target stays, the number of pods {verdict} (stability {number:.2}; \
             0.91 to 1.11 holds)"
        );
    }
    text
}
