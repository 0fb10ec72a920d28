//! Pictures for the docs: values over time as steps, in panels one above the other.

use std::fmt::Write as _;

/// How a value went.
#[derive(Clone, Debug)]
pub struct Line {
    /// For the legend. Lines of one name have one colour.
    pub name: String,
    /// Time in seconds, ascending, and the value from then on.
    pub points: Vec<(f64, f64)>,
}

/// Lines with one vertical axis, from zero.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What the values are, with their unit.
    pub title: String,
    /// The lines; later ones are drawn over earlier ones.
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;
const LEGEND: f64 = 36.0;
/// A panel's title, its area, and the room below it.
const TITLE: f64 = 28.0;
const AREA: f64 = 150.0;
const BELOW: f64 = 26.0;

/// Colours that are told apart by colour-blind people, too (Okabe and Ito), and widths: a line below another shows.
const STYLES: [(&str, f64); 5] = [
    ("#b0b7c0", 7.0),
    ("#0072b2", 3.5),
    ("#009e73", 2.0),
    ("#d55e00", 2.0),
    ("#333333", 1.5),
];

/// The picture, whose text is read out by `title`.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for line in panels.iter().flat_map(|p| &p.lines) {
        if !names.contains(&line.name.as_str()) {
            names.push(&line.name);
        }
    }
    let style = |name: &str| {
        let index = names.iter().position(|n| *n == name).unwrap_or_default();
        STYLES[index % STYLES.len()]
    };
    let points = panels.iter().flat_map(|p| &p.lines).flat_map(|l| &l.points);
    let last = points.map(|(at, _)| *at).fold(1.0, f64::max);
    let height = LEGEND + panels.len() as f64 * (TITLE + AREA + BELOW);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"13\" fill=\"#1a202c\">\n<title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"10\" fill=\"#ffffff\"/>\n"
    );
    for (index, name) in names.iter().enumerate() {
        let (colour, width) = style(name);
        let x = LEFT + 168.0 * index as f64;
        let _ = writeln!(
            svg,
            "<path d=\"M{x} 22h28\" stroke=\"{colour}\" stroke-width=\"{width}\"/><text x=\"{}\" y=\"26\">{name}</text>",
            x + 36.0
        );
    }
    for (index, panel) in panels.iter().enumerate() {
        let top = LEGEND + TITLE + index as f64 * (TITLE + AREA + BELOW);
        panel.draw(&mut svg, top, last, style);
    }
    svg + "</svg>\n"
}

impl Panel {
    /// Draws it with the area's upper edge at `top`, for times up to `last`.
    fn draw(
        &self,
        svg: &mut String,
        top: f64,
        last: f64,
        style: impl Fn(&str) -> (&'static str, f64),
    ) {
        let values = self.lines.iter().flat_map(|l| &l.points).map(|(_, v)| *v);
        let highest = round_up(values.fold(1.0, f64::max));
        let x = |at: f64| LEFT + (WIDTH - LEFT - RIGHT) * at / last;
        let y = |value: f64| top + AREA * (1.0 - value / highest);
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"600\">{}</text>",
            top - 9.0,
            self.title
        );
        for part in 0..=4 {
            let value = highest * f64::from(part) / 4.0;
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#e2e8f0\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{value}</text>",
                y(value),
                WIDTH - RIGHT,
                LEFT - 8.0,
                y(value) + 4.0
            );
        }
        for at in (0..=last as u32).step_by(30) {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at} s</text>",
                x(f64::from(at)),
                top + AREA + 18.0
            );
        }
        for line in &self.lines {
            let (colour, width) = style(&line.name);
            let _ = writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
                steps(&line.points, x, y)
            );
        }
    }
}

/// The path of a value that stays until it changes; equal neighbours are left out.
fn steps(points: &[(f64, f64)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut before = None;
    for (index, (at, value)) in points.iter().enumerate() {
        if before == Some(*value) && index + 1 < points.len() {
            continue;
        }
        let _ = match before {
            None => write!(path, "M{:.1} {:.1}", x(*at), y(*value)),
            Some(_) => write!(path, "H{:.1}V{:.1}", x(*at), y(*value)),
        };
        before = Some(*value);
    }
    path
}

/// The next higher number that four parts divide well: 4, 8, 20, 40, 80, 200, …
fn round_up(value: f64) -> f64 {
    let mut step = 1.0;
    loop {
        for nice in [4.0, 8.0, 12.0, 20.0, 24.0, 32.0] {
            if nice * step >= value {
                return nice * step;
            }
        }
        step *= 10.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_until_it_changes() {
        let points = [(0.0, 1.0), (1.0, 1.0), (2.0, 3.0), (3.0, 3.0)];
        let same = |v: f64| v;
        assert_eq!(steps(&points, same, same), "M0.0 1.0H2.0V3.0H3.0V3.0");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [
            (1.0, 4.0),
            (4.0, 4.0),
            (21.0, 24.0),
            (33.0, 40.0),
            (200.0, 200.0),
            (230.0, 240.0),
        ] {
            assert!(
                (round_up(value) - end).abs() < 1e-9,
                "{value}: {}",
                round_up(value)
            );
        }
    }

    #[test]
    fn each_name_has_one_colour_in_all_panels() {
        let line = |name: &str| Line {
            name: name.into(),
            points: vec![(0.0, 2.0), (60.0, 3.0)],
        };
        let panel = |title: &str, names: [&str; 2]| Panel {
            title: title.into(),
            lines: names.map(line).to_vec(),
        };
        let svg = svg(
            "both",
            &[panel("up", ["a", "b"]), panel("down", ["b", "a"])],
        );
        for (colour, _) in &STYLES[..2] {
            assert_eq!(
                svg.matches(colour).count(),
                3,
                "the legend and two lines: {svg}"
            );
        }
        assert!(
            svg.contains(">60 s<") && svg.contains("<title>both</title>"),
            "{svg}"
        );
    }
}
