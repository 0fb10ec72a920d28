//! Counters of which there are thousands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};

/// Between the values of one counter's labels.
const SEPARATOR: &str = "\0";

/// Counters by the values of labels, as the library's `IntCounterVec`. That keeps name, help and the labels' names with each
/// of them, a kilobyte and more by its types; here it is what tells them apart, some eighty bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Counters {
    desc: Arc<Desc>,
    counts: Arc<Mutex<HashMap<Box<str>, u64>>>,
}

impl Counters {
    /// None yet.
    pub fn new(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(name.into(), help.into(), labels, HashMap::new())?;
        Ok(Self {
            desc: Arc::new(desc),
            counts: Arc::default(),
        })
    }

    /// Adds to the counter with these values of the labels, in their order. One of zero is shown from then on.
    pub fn add(&self, values: &[&str], more: u64) {
        debug_assert_eq!(values.len(), self.desc.variable_labels.len(), "{values:?}");
        let key = values.join(SEPARATOR).into_boxed_str();
        *self.counts().entry(key).or_default() += more;
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Box<str>, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metric(&self, key: &str, count: u64) -> Metric {
        let names = self.desc.variable_labels.iter();
        let pair = |(name, value): (&String, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.into());
            pair
        };
        let mut labels: Vec<_> = names.zip(key.split(SEPARATOR)).map(pair).collect();
        labels.sort_by(|a, b| a.name().cmp(b.name()));
        let mut counter = Counter::default();
        counter.set_value(count as f64);
        let mut metric = Metric::from_label(labels);
        metric.set_counter(counter);
        metric
    }
}

impl Collector for Counters {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = self.counts();
        let all = counts.iter();
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(all.map(|(key, count)| self.metric(key, *count)).collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, Opts, Registry, TextEncoder};

    use super::*;
    use crate::metrics::register;

    fn shown(registry: &Registry) -> String {
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    }

    #[test]
    fn they_are_shown_as_the_librarys_are() {
        let (own, librarys) = (Registry::new(), Registry::new());
        let (name, help, labels) = ("x_total", "What is counted.", ["size", "name", "mode"]);
        let counters = register(&own, Counters::new(name, help, &labels).unwrap()).unwrap();
        let expected = IntCounterVec::new(Opts::new(name, help), &labels).unwrap();
        let expected = register(&librarys, expected).unwrap();
        assert_eq!(shown(&own), shown(&librarys), "none yet");
        for (values, more) in [
            (["2", "b", "Auto"], 1),
            (["2", "a\"\n", "Auto"], 0),
            (["10", "", ""], 3),
            (["2", "b", "Auto"], 7),
        ] {
            counters.add(&values, more);
            expected.with_label_values(&values).inc_by(more);
        }
        assert_eq!(shown(&own), shown(&librarys));
        assert!(shown(&own).contains("mode=\"Auto\",name=\"b\",size=\"2\"} 8"));
    }
}
