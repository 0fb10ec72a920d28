//! What kind of workload samples are of, and whether the same is told of what comes after them.

use std::time::Duration;

use super::{DAY, Sample};
use crate::adaptive::{Days, Told};
use crate::quantity::Resource;

/// The class is told from so much.
const REMEMBERED: Duration = Duration::from_hours(14 * 24);

/// What is told of one resource of a series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classes {
    /// At its end, as the recommender would.
    pub last: Told,
    /// Of each two weeks, and then of the two weeks after those, which share no sample with them. Without what is unknown.
    pub pairs: Vec<(Told, Told)>,
}

impl Classes {
    /// Of samples in order of time.
    pub fn of(samples: &[Sample], resource: Resource) -> Self {
        let measured = samples.iter();
        let measured = measured.filter_map(|sample| Some((sample.at, sample.get(resource)?)));
        let (mut whole, mut part) = (Days::new(resource), Days::new(resource));
        let (mut begin, mut told) = (None, Vec::new());
        for (at, amount) in measured {
            whole.add(amount, at, 1.0);
            // A class is told when a day has ended: the first sample after that belongs to the next two weeks as well.
            part.add(amount, at, 1.0);
            let since = *begin.get_or_insert(at);
            if at.since(since) >= REMEMBERED + DAY {
                told.push(part.tell());
                part = Days::new(resource);
                part.add(amount, at, 1.0);
                begin = Some(at);
            }
        }
        let known = |told: &Told| *told != Told::default();
        let pairs = told.windows(2).map(|pair| (pair[0], pair[1]));
        Self {
            last: whole.tell(),
            pairs: pairs.filter(|(a, b)| known(a) && known(b)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adaptive::Class;
    use crate::time::Timestamp;

    #[test]
    fn the_class_of_two_weeks_is_compared_with_that_of_the_next() {
        // Steady for 30 days, then a day's rhythm for as many.
        let sample = |hour: u32| Sample {
            at: Timestamp::default() + Duration::from_hours(1) * hour,
            cpu: Some(if hour > 30 * 24 && hour % 24 < 8 {
                3.0
            } else {
                1.0
            }),
            memory: None,
        };
        let samples: Vec<_> = (0..60 * 24).map(sample).collect();
        let Classes { last, pairs } = Classes::of(&samples, Resource::Cpu);
        assert_eq!(last.class, Class::Periodic);
        let pairs = pairs.iter().map(|(a, b)| (a.class, b.class));
        let expected = [
            (Class::Steady, Class::Steady),
            (Class::Steady, Class::Periodic),
        ];
        assert_eq!(pairs.collect::<Vec<_>>(), expected);
        assert_eq!(Classes::of(&samples, Resource::Memory), Classes::default());
        assert_eq!(Classes::of(&[], Resource::Cpu), Classes::default());
    }
}
