//! The little of SVG that plots are made of: an area with axes, lines in it, and where values lie.

use std::fmt::Write as _;

/// Width of a plot, in its own units.
pub const WIDTH: f64 = 960.0;

/// Room for the labels of the vertical axis.
pub const LEFT: f64 = 60.0;

/// Room for the labels of the horizontal axis.
const BELOW: f64 = 18.0;

/// The area of a plot, and what it shows: values from zero on.
pub struct Area {
    /// Height, in the plot's units.
    pub height: f64,
    /// The value at the right end.
    pub right: f64,
    /// The value at the top.
    pub top: f64,
}

impl Area {
    /// Where a horizontal value lies.
    pub fn x(&self, value: f64) -> f64 {
        LEFT + (WIDTH - LEFT) * (value / self.right).clamp(0.0, 1.0)
    }

    /// Where a vertical value lies.
    pub fn y(&self, value: f64) -> f64 {
        (self.height - BELOW) * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }

    /// A line through points, in values.
    pub fn line(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (x, y) in points {
            let space = if path.is_empty() { "" } else { " " };
            let _ = write!(path, "{space}{:.1},{:.1}", self.x(x), self.y(y));
        }
        path
    }

    /// The picture: axes, their labels, and what is in it.
    pub fn svg(
        &self,
        title: &str,
        across: &[(f64, String)],
        up: &[(f64, String)],
        content: &str,
    ) -> String {
        let mut svg = format!(
            "<svg viewBox='0 0 {WIDTH} {}' role=img><title>{title}</title>",
            self.height
        );
        let (bottom, end) = (self.y(0.0), self.height - 3.0);
        let _ = write!(
            svg,
            "<path class=axis fill=none d='M{LEFT} 0V{bottom}H{WIDTH}'/>"
        );
        for (value, label) in up {
            let y = self.y(*value);
            let _ = write!(
                svg,
                "<path class=axis d='M{LEFT} {y:.1}h-4'/><text x='{}' y='{:.1}' text-anchor=end>{label}</text>",
                LEFT - 6.0,
                (y + 4.0).max(9.0)
            );
        }
        for (value, label) in across {
            let x = self.x(*value);
            let anchor = if x > WIDTH - 40.0 { "end" } else { "middle" };
            let _ = write!(
                svg,
                "<path class=axis d='M{x:.1} {bottom}v4'/><text x='{x:.1}' y='{end}' text-anchor={anchor}>{label}</text>"
            );
        }
        svg + content + "</svg>"
    }
}

/// A round number at or above `value`: 1, 2 or 5 times a power of ten.
pub fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps
        .into_iter()
        .find(|step| *step >= value * (1.0 - 1e-9))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, round) in [
            (0.3, 0.5),
            (1.0, 1.0),
            (1.1, 2.0),
            (7.0, 10.0),
            (420.0, 500.0),
            (0.0, 1.0),
            (f64::NAN, 1.0),
        ] {
            assert!((round_up(value) - round).abs() < 1e-9 * round, "{value}");
        }
    }

    #[test]
    fn values_lie_within_the_area() {
        let area = Area {
            height: 118.0,
            right: 10.0,
            top: 5.0,
        };
        assert_eq!(
            area.line([(0.0, 0.0), (10.0, 5.0), (99.0, 99.0)]),
            "60.0,100.0 960.0,0.0 960.0,0.0"
        );
    }
}
