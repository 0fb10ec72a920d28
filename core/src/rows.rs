//! Tables that tests read: what upstream's own tests and code say, kept as data.

/// The cells of each row; `#` starts a comment line.
pub(crate) fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').map(str::trim).collect())
}

/// A cell as a number; an empty one is none.
pub(crate) fn number<T: std::str::FromStr>(cell: &str) -> Option<T> {
    (!cell.is_empty()).then(|| {
        cell.parse()
            .unwrap_or_else(|_| panic!("{cell:?} is no number"))
    })
}
