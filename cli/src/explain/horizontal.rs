//! The targets of HPAs that divide by what a VPA sizes: where they are, where `realign` has them, and what would become of
//! them without it.

use std::fmt::Write as _;

use podfit_cluster::api::quantity::amount;
use podfit_core::horizontal::realign::{Aligned, Covers, Pair, Stability, stability, targets};
use serde_json::{Value, json};

use super::Explained;

/// One target.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    hpa: String,
    covers: Covers,
    /// Percent, now.
    target: i64,
    /// What pods request for it: least and most.
    requests: Option<(i64, i64)>,
    /// With `realign`.
    aligned: Option<Aligned>,
    /// What that would have, by what is recommended now.
    wanted: Option<Pair>,
    /// If requests followed use, and the target stayed. Of memory that is not known: its samples are peaks.
    stability: Option<Stability>,
}

/// All of them, in the order of HPAs and their metrics.
pub fn found(explained: &Explained) -> Vec<Found> {
    let of_hpa = |hpa: &std::sync::Arc<podfit_core::horizontal::HorizontalAutoscaler>| {
        let name = hpa.name.clone();
        let all = targets(hpa).into_iter();
        all.map(move |(covers, target)| find(explained, name.clone(), covers, target))
            .collect::<Vec<_>>()
    };
    explained.hpas.iter().flat_map(of_hpa).collect()
}

fn find(explained: &Explained, hpa: String, covers: Covers, target: i64) -> Found {
    let mut aligned = explained.claims.aligned().iter();
    let aligned = aligned.find(|metric| metric.covers == covers).cloned();
    let recommended = sum(explained, &covers, |numbers| &numbers["target"]["amount"]);
    let mean = sum(explained, &covers, |numbers| &numbers["meanOfSamples"]);
    let pair = recommended.zip(mean);
    let of_covered = explained.requests.iter();
    let of_covered = of_covered.filter(|((container, resource), _)| {
        *resource == covers.resource && covers.covers(container)
    });
    let requests = of_covered
        .map(|(_, both)| *both)
        .reduce(|a, b| (a.0 + b.0, a.1 + b.1));
    Found {
        hpa,
        target,
        requests,
        wanted: aligned
            .as_ref()
            .zip(recommended)
            .map(|(metric, recommended)| metric.point.wanted(recommended)),
        aligned,
        stability: pair.and_then(|(r, mean)| stability(target, r as f64, mean as f64)),
        covers,
    }
}

/// Over all containers that a metric covers; `None` when one of them, or all, lack it.
fn sum(explained: &Explained, covers: &Covers, field: fn(&Value) -> &Value) -> Option<i64> {
    let containers = explained.evidence.explanation["containers"].as_array()?;
    let mut covered = containers
        .iter()
        .filter(|one| covers.covers(one["name"].as_str().unwrap_or_default()))
        .map(|one| {
            let numbers = &one["resources"][covers.resource.name()];
            amount(covers.resource, field(numbers)).ok()
        });
    let first = covered.next()??;
    covered.try_fold(first, |sum, one| Some(sum + one?))
}

impl Found {
    /// Some lines for people.
    pub fn text(&self) -> String {
        let resource = self.covers.resource;
        let show = |amount: i64| resource.show(amount);
        let mut text = format!(
            "\nHPA {} scales on {}: {} %",
            self.hpa, self.covers, self.target
        );
        match self.requests {
            Some((least, most)) if least == most => {
                let _ = write!(text, " of {}", show(most));
            }
            Some((least, most)) => {
                let _ = write!(text, " of {} to {}", show(least), show(most));
            }
            None => {}
        }
        text.push('\n');
        if let Some(Aligned { point, .. }) = &self.aligned {
            let _ = writeln!(
                text,
                "  moves with what is requested; its owner chose {} % of {}: {} of use",
                point.target(),
                show(point.request()),
                show(point.usage())
            );
        }
        if let Some(pair) = self.wanted {
            let _ = writeln!(
                text,
                "  wanted: {} % of {}",
                pair.target,
                show(pair.request)
            );
        }
        if let Some(Stability { number, verdict }) = self.stability {
            let _ = writeln!(
                text,
                "  were requests to follow use while this target stays, the number of pods {verdict} (stability {number:.2}; \
                 0.91 to 1.11 holds)"
            );
        }
        text
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let show = |amount: i64| self.covers.resource.show(amount);
        let pair = |target: i64, request: i64| json!({"target": target, "request": show(request)});
        let chosen = self.aligned.as_ref().map(|metric| metric.point);
        json!({
            "hpa": self.hpa,
            "metric": self.covers.to_string(),
            "target": self.target,
            "requests": self.requests.map(|(least, most)| json!({"least": show(least), "most": show(most)})),
            "chosen": chosen.map(|point| pair(point.target(), point.request())),
            "wanted": self.wanted.map(|wanted| pair(wanted.target, wanted.request)),
            "stability": self.stability.map(|s| json!({"number": s.number, "verdict": s.verdict.code()})),
        })
    }
}
