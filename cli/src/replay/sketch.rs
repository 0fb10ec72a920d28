//! A series drawn with few points: usage, and what was recommended.

use podfit_core::quantity::Resource;
use podfit_core::replay::{Band, Row, Sample};
use podfit_core::time::Timestamp;

/// How many columns a plot has.
pub const COLUMNS: usize = 240;

/// One resource of one series over time, in columns of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sketch {
    /// When it begins and ends.
    pub begin: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// What each column shows.
    pub columns: Vec<Column>,
}

/// What one column shows, in cores or bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Column {
    /// The highest sample; `None` where nothing was measured.
    pub peak: Option<f64>,
    /// What was recommended at its end.
    pub band: Option<Band>,
    /// True when a sample was over its target.
    pub is_over: bool,
}

impl Sketch {
    /// Of one resource.
    pub fn of(samples: &[Sample], rows: &[Row], resource: Resource) -> Self {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Self::default();
        };
        let length = last.at.since(first.at).as_millis().max(1);
        let mut columns = vec![Column::default(); COLUMNS.min(samples.len())];
        let count = columns.len();
        let mut rows = rows.iter().peekable();
        let mut band = None;
        for sample in samples {
            while let Some(row) = rows.next_if(|row| row.at <= sample.at) {
                band = row.sizes.get(resource).or(band);
            }
            let index = sample.at.since(first.at).as_millis() * count as u128 / length;
            let column = &mut columns[(index as usize).min(count - 1)];
            column.band = band;
            let Some(usage) = sample.get(resource) else {
                continue;
            };
            column.peak = Some(column.peak.map_or(usage, |peak| peak.max(usage)));
            column.is_over |= band.is_some_and(|band| usage > band.target);
        }
        Self {
            begin: first.at,
            end: last.at,
            columns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podfit_core::replay::Sizes;

    #[test]
    fn a_column_shows_its_peak_and_whether_it_was_too_much() {
        let samples: Vec<_> = (0..1000)
            .map(|n| Sample {
                at: Timestamp::from_unix_seconds(n),
                cpu: Some(if n == 500 { 9.0 } else { 1.0 }),
                memory: None,
            })
            .collect();
        let rows = [Row {
            at: Timestamp::from_unix_seconds(250),
            sizes: Sizes {
                cpu: Some(Band::at(2.0)),
                memory: None,
            },
        }];
        let sketch = Sketch::of(&samples, &rows, Resource::Cpu);
        assert_eq!(sketch.columns.len(), COLUMNS);
        assert_eq!(
            (sketch.columns[0].band, sketch.columns[239].band),
            (None, Some(Band::at(2.0)))
        );
        let over: Vec<_> = sketch
            .columns
            .iter()
            .filter(|column| column.is_over)
            .collect();
        assert_eq!((over.len(), over[0].peak), (1, Some(9.0)));
        assert_eq!(Sketch::of(&[], &rows, Resource::Cpu), Sketch::default());
    }
}
