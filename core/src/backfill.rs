//! Histories made afterwards, from what a time series database kept: by the rules for live samples, pod by pod.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::history::{ContainerHistory, HistoryConfig, PodContainerWindow};
use crate::quantity::{Bytes, MAX_AMOUNT, Millicores};
use crate::time::Timestamp;

/// Live measuring takes one sample in this time, by default.
const LIVE_INTERVAL: Duration = Duration::from_mins(1);

/// What of the past is taken in, and how it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct BackfillRules {
    /// How histories are kept.
    pub history: HistoryConfig,
    /// Until when samples are taken in, by container: the first sample that is known already. Of other containers none is.
    pub until: BTreeMap<String, Timestamp>,
    /// As how many live samples one CPU sample counts.
    pub cpu_samples: u32,
}

/// As how many live samples an average over `resolution` counts: one a minute, at least one.
pub fn live_samples(resolution: Duration) -> u32 {
    let samples = resolution.as_secs() / LIVE_INTERVAL.as_secs();
    u32::try_from(samples).unwrap_or(u32::MAX).max(1)
}

/// The history of one container as it is being made.
#[derive(Clone, Debug, PartialEq)]
pub struct Backfilled {
    /// The history.
    pub history: ContainerHistory,
    /// The last memory window of each pod, by the pod's name: live samples go on with it.
    pub windows: HashMap<String, PodContainerWindow>,
}

/// The histories of one workload's containers as they are being made.
#[derive(Clone, Debug)]
pub struct Backfill {
    rules: BackfillRules,
    containers: BTreeMap<String, Backfilled>,
}

impl Backfill {
    /// Nothing is known yet.
    pub fn new(rules: BackfillRules) -> Self {
        Self {
            rules,
            containers: BTreeMap::new(),
        }
    }

    /// Adds the CPU that a pod's container used on average until `at`, in cores. Samples of one pod come in order of time;
    /// one that is no amount, out of order, or known already changes nothing.
    pub fn add_cpu(&mut self, (pod, container): (&str, &str), at: Timestamp, cores: f64) {
        let samples = self.rules.cpu_samples;
        if let Some((filled, _)) = self.wanted(container, at).filter(|_| is_amount(cores)) {
            let window = filled.windows.entry(pod.to_owned()).or_default();
            let cpu = Millicores::from_cores(cores);
            // Refused is only what is out of order, and that is to change nothing.
            let _ = window.add_cpu_average(&mut filled.history, cpu, (at, at), samples);
        }
    }

    /// Adds the most memory that a pod's container used until `at`, in bytes. As for CPU otherwise.
    pub fn add_memory(&mut self, (pod, container): (&str, &str), at: Timestamp, bytes: f64) {
        if let Some((filled, config)) = self.wanted(container, at).filter(|_| is_amount(bytes)) {
            let window = filled.windows.entry(pod.to_owned()).or_default();
            let memory = Bytes(bytes as i64);
            let _ = window.add_memory(&mut filled.history, memory, (at, at), config);
        }
    }

    /// The histories made, by container.
    pub fn finish(self) -> BTreeMap<String, Backfilled> {
        let mut containers = self.containers;
        containers.retain(|_, filled| !filled.history.is_empty());
        containers
    }

    fn wanted(
        &mut self,
        container: &str,
        at: Timestamp,
    ) -> Option<(&mut Backfilled, &HistoryConfig)> {
        let config = &self.rules.history;
        if at >= *self.rules.until.get(container)? {
            return None;
        }
        if !self.containers.contains_key(container) {
            let filled = Backfilled {
                history: ContainerHistory::new(config, at),
                windows: HashMap::new(),
            };
            self.containers.insert(container.to_owned(), filled);
        }
        Some((self.containers.get_mut(container)?, config))
    }
}

fn is_amount(number: f64) -> bool {
    (0.0..=MAX_AMOUNT as f64).contains(&number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::estimator::percentile;
    use crate::history::Rejected;
    use crate::quantity::Resource;
    use crate::rows::{number, rows};

    const T0: Timestamp = Timestamp::from_unix_seconds(1_500_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    fn rules(until: Timestamp) -> BackfillRules {
        BackfillRules {
            history: HistoryConfig::default(),
            until: [("app".to_owned(), until)].into(),
            cpu_samples: 1,
        }
    }

    /// One sample: minute, millicores, bytes.
    type Sample = (u32, i64, i64);

    fn live(
        history: &mut ContainerHistory,
        window: &mut PodContainerWindow,
        (minute, cpu, memory): Sample,
    ) -> Result<(), Rejected> {
        let at = T0 + MINUTE * minute;
        window.add_cpu(history, Millicores(cpu), (at, at))?;
        window.add_memory(history, Bytes(memory), (at, at), &HistoryConfig::default())
    }

    fn backfilled(samples: &[Sample], until: Timestamp) -> Backfilled {
        let mut backfill = Backfill::new(rules(until));
        for (minute, cpu, memory) in samples {
            let at = T0 + MINUTE * *minute;
            backfill.add_cpu(("db-0", "app"), at, Millicores(*cpu).cores());
            backfill.add_memory(("db-0", "app"), at, *memory as f64);
        }
        backfill
            .finish()
            .remove("app")
            .unwrap_or_else(|| Backfilled {
                history: ContainerHistory::new(&HistoryConfig::default(), T0),
                windows: HashMap::new(),
            })
    }

    #[test]
    fn containers_of_a_pod_have_pasts_of_their_own() {
        let at = Timestamp::from_unix_seconds(1_630_318_860);
        let table: Vec<_> = rows(include_str!("../testdata/backfill.csv")).collect();
        let until = table.iter().map(|row| (row[0].to_owned(), at + MINUTE));
        let mut backfill = Backfill::new(BackfillRules {
            until: until.collect(),
            ..rules(at)
        });
        for row in &table {
            let amount = number(row[2]).unwrap();
            match row[1] {
                "cpu" => backfill.add_cpu(("pod", row[0]), at, amount),
                _ => backfill.add_memory(("pod", row[0]), at, amount),
            }
        }
        let filled = backfill.finish();
        assert_eq!(filled.len(), table.len());
        for row in &table {
            let history = &filled[row[0]].history;
            let other = match row[1] {
                "cpu" => history.memory(),
                _ => history.cpu(),
            };
            assert!(other.is_empty(), "{row:?}");
            let resource = if row[1] == "cpu" {
                Resource::Cpu
            } else {
                Resource::Memory
            };
            let got = percentile(history, resource, 0.5);
            assert_eq!(Some(got), number(row[3]), "{row:?}");
        }
    }

    #[test]
    fn samples_that_are_known_or_no_amounts_are_left_out() {
        let until = T0 + MINUTE * 10;
        let mut backfill = Backfill::new(rules(until));
        let good = T0 + MINUTE;
        for number in [f64::NAN, f64::INFINITY, -1.0, 1e30] {
            backfill.add_cpu(("db-0", "app"), good, number);
            backfill.add_memory(("db-0", "app"), good, number);
        }
        backfill.add_cpu(("db-0", "app"), until, 1.0);
        backfill.add_cpu(("db-0", "side"), good, 1.0);
        assert_eq!(backfill.clone().finish(), BTreeMap::new());
        for at in [good, good, T0] {
            backfill.add_cpu(("db-0", "app"), at, 1.0);
        }
        let filled = backfill.finish();
        assert_eq!(filled["app"].history.total_samples(), 1);
        assert_eq!(filled["app"].history.last_activity(), good);
    }

    #[test]
    fn an_average_counts_as_the_samples_it_stands_for() {
        for (resolution, samples) in [(1, 1), (60, 1), (300, 5), (3600, 60)] {
            assert_eq!(live_samples(Duration::from_secs(resolution)), samples);
        }
        let mut backfill = Backfill::new(BackfillRules {
            cpu_samples: 60,
            ..rules(T0 + MINUTE)
        });
        backfill.add_cpu(("db-0", "app"), T0, 1.0);
        let history = &backfill.finish()["app"].history;
        assert_eq!(history.total_samples(), 60);
        assert!(history.cpu().total() > 0.0);
    }

    #[test]
    fn pods_have_windows_of_their_own() {
        let mut backfill = Backfill::new(rules(T0 + MINUTE));
        for (pod, gib) in [("db-0", 1), ("db-1", 2), ("db-0", 3)] {
            backfill.add_memory((pod, "app"), T0, f64::from(gib) * 1e9);
        }
        let filled = backfill.finish().remove("app").unwrap();
        let weights = filled.history.memory().weights();
        let peaks = weights.filter(|(_, weight)| *weight > 0.0).count();
        assert_eq!((peaks, filled.windows.len()), (2, 2));
    }

    proptest! {
        /// A past that is put before live samples afterwards, and one that was measured live, are the same history, while
        /// live measuring began in the past's last window.
        #[test]
        fn late_is_as_good_as_live(
            samples in prop::collection::btree_map(0_u32..20_000, (1_i64..10_000, 1_i64..1_000_000_000_000), 2..60),
            cut in 0_usize..60,
        ) {
            let samples: Vec<Sample> = samples.into_iter().map(|(minute, (cpu, memory))| (minute, cpu, memory)).collect();
            let cut = cut.min(samples.len() - 1);
            let mut whole = ContainerHistory::new(&HistoryConfig::default(), T0);
            let mut whole_window = PodContainerWindow::default();
            for sample in &samples {
                live(&mut whole, &mut whole_window, *sample).unwrap();
            }

            let until = T0 + MINUTE * samples[cut].0;
            let past = backfilled(&samples, until);
            let before = past.windows.get("db-0").copied().unwrap_or_default();
            let end = before.open(T0).map(|open| open.end);
            // Live samples until the past's last window ends; then the past comes; then the rest.
            let (early, late): (Vec<_>, Vec<_>) = samples[cut..].iter().partition(|(minute, ..)| end.is_none_or(|end| T0 + MINUTE * *minute < end));
            let mut history = ContainerHistory::new(&HistoryConfig::default(), T0);
            let mut window = PodContainerWindow::default();
            for sample in &early {
                live(&mut history, &mut window, *sample).unwrap();
            }
            history.merge(&past.history);
            window.follow(before, &mut history);
            for sample in &late {
                live(&mut history, &mut window, *sample).unwrap();
            }

            prop_assert_eq!(history.total_samples(), whole.total_samples());
            prop_assert_eq!(history.first_sample(), whole.first_sample());
            prop_assert_eq!(history.last_activity(), whole.last_activity());
            for (made, measured) in [(history.cpu(), whole.cpu()), (history.memory(), whole.memory())] {
                // Weights count from a histogram's own reference time.
                let references = [made, measured].map(|h| h.reference().unwrap_or_default().unix_millis() as f64);
                let day = Duration::from_hours(24).as_millis() as f64;
                let total = made.total() * ((references[0] - references[1]) / day).exp2();
                prop_assert!((total / measured.total() - 1.0).abs() < 1e-6, "{} {}", total, measured.total());
                // What weighs less than epsilon does not count, and that depends on the reference time.
                for p in [0.5, 0.9, 0.95] {
                    let (low, high) = (measured.percentile(p - 0.005), measured.percentile(p + 0.005));
                    prop_assert!((low..=high).contains(&made.percentile(p)), "p{}: {} is not in {}..{}", p, made.percentile(p), low, high);
                }
            }
        }
    }
}
