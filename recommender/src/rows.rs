//! Tables that tests read: what upstream's own tests say, kept as data.

/// The cells of each row; `#` starts a comment line.
pub fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').map(str::trim).collect())
}
