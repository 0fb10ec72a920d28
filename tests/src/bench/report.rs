//! Figures as a table on the terminal and as a file.

use std::fmt::Write as _;
use std::fs;

use anyhow::Result;
use serde_json::Value;

use crate::cluster::repository;

/// A table that Markdown takes as it is.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(String::as_str);
        cells
            .chain([head[column]])
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            // Names to the left, numbers to the right.
            let _ = if column == 0 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
    };
    line(head);
    let rules: Vec<_> = widths
        .iter()
        .enumerate()
        .map(|(n, w)| {
            if n == 0 {
                "-".repeat(*w)
            } else {
                "-".repeat(w - 1) + ":"
            }
        })
        .collect();
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// A number with as many digits as say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Writes figures to `target/bench/NAME.json`, with what the machine is.
pub fn save(name: &str, figures: &Value) -> Result<()> {
    let folder = repository().join("target/bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.json"));
    let all = serde_json::json!({"machine": machine(), "figures": figures});
    fs::write(&file, serde_json::to_string_pretty(&all)?)?;
    println!("kept in {}", file.display());
    Ok(())
}

/// The machine in a line: processor, cores, memory, kernel.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default();
        line.split_once(':')
            .map(|(_, v)| v.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    format!(
        "{}, {cores} cores, {:.0} GiB, Linux {}",
        value(&read("/proc/cpuinfo"), "model name"),
        kib / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [
            vec!["podfit".into(), "1".into()],
            vec!["up".into(), "12.5".into()],
        ];
        assert_eq!(
            table(&["program", "s"], &rows),
            "| program |    s |\n| ------- | ---: |\n| podfit  |    1 |\n| up      | 12.5 |\n"
        );
    }
}
