//! Amounts as bars of text, to be compared at a glance.

use podfit_core::quantity::Resource;

/// How long the longest bar is.
const WIDTH: i64 = 40;

/// One bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// From where, in base units: what lies before is left empty.
    pub from: i64,
    /// To where.
    pub to: i64,
}

impl Bar {
    /// From nothing to `to`.
    pub fn new(name: &str, to: i64) -> Self {
        Self::between(name, 0, to)
    }

    /// Of a stretch.
    pub fn between(name: &str, from: i64, to: i64) -> Self {
        let name = name.into();
        Self { name, from, to }
    }
}

/// A line a bar, to one scale.
pub fn draw(resource: Resource, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.to).max().unwrap_or(0).max(1);
    let names = bars.iter().map(|bar| bar.name.chars().count()).max();
    let names = names.unwrap_or(0);
    // At least a sliver of what is not nothing.
    let cells = |amount: i64| {
        let cells = i128::from(amount) * i128::from(WIDTH) / i128::from(most);
        usize::try_from(cells).unwrap_or(0)
    };
    let line = |bar: &Bar| {
        let to = cells(bar.to).max(usize::from(bar.to > 0));
        let from = cells(bar.from).min(to.saturating_sub(1));
        let filled = if bar.from > 0 { "▒" } else { "█" };
        let drawn = " ".repeat(from) + &filled.repeat(to - from);
        let amount = if bar.from > 0 && bar.from != bar.to {
            format!("{} to {}", resource.show(bar.from), resource.show(bar.to))
        } else {
            resource.show(bar.to)
        };
        let width = usize::try_from(WIDTH).unwrap_or(0);
        format!("    {:<names$}  {drawn:<width$}  {amount}\n", bar.name)
    };
    bars.iter().map(line).collect()
}
