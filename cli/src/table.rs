//! Columns of text, as kubectl aligns them.

use podfit_core::quantity::Resource;

/// Rows under a header; numbers may be set to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// With this header.
    pub fn new(header: &[&str]) -> Self {
        Self {
            rows: vec![header.iter().map(|cell| (*cell).to_owned()).collect()],
            right: Vec::new(),
        }
    }

    /// Sets these columns, counted from zero, to the right.
    pub fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// True without any row but the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The text, a line a row.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| {
                let width = *width;
                if self.right.contains(&column) {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            format!("{}\n", line.trim_end())
        };
        self.rows.iter().map(line).collect()
    }

    /// The same for a web page; cells are escaped.
    pub fn html(&self) -> String {
        let row = |cells: &Vec<String>, tag: &str| {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let class = if self.right.contains(&column) {
                    " class=r"
                } else {
                    ""
                };
                format!("<{tag}{class}>{}</{tag}>", escape(cell))
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let Some((header, rows)) = self.rows.split_first() else {
            return String::new();
        };
        let rows: String = rows.iter().map(|cells| row(cells, "td")).collect();
        format!("<table>\n{}{rows}</table>\n", row(header, "th"))
    }

    /// The same for Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let Some((header, rows)) = self.rows.split_first() else {
            return String::new();
        };
        let rule = (0..header.len()).map(|column| {
            let right = self.right.contains(&column);
            if right { "---:" } else { "---" }.to_owned()
        });
        let rule: Vec<_> = rule.collect();
        let rows = rows.iter().map(|row| line(row));
        line(header) + &line(&rule) + &rows.collect::<String>()
    }
}

/// Text as it is written in HTML and SVG.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// A change of an amount in base units, for a cell: `+450m`, `-336Mi`, `0`.
pub fn signed(resource: Resource, amount: i64) -> String {
    match amount {
        0 => "0".into(),
        _ if amount < 0 => format!("-{}", resource.show(-amount)),
        _ => format!("+{}", resource.show(amount)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_signs() {
        let cpu = |amount| signed(Resource::Cpu, amount);
        assert_eq!([cpu(450), cpu(-2000), cpu(0)], ["+450m", "-2", "0"]);
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["NAME", "N"]).right(&[1]);
        table.row(vec!["web".into(), "10".into()]);
        table.row(vec!["grüße".into(), "9".into()]);
        assert_eq!(table.text(), "NAME    N\nweb    10\ngrüße   9\n");
        assert_eq!(
            table.markdown(),
            "| NAME | N |\n| --- | ---: |\n| web | 10 |\n| grüße | 9 |\n"
        );
        let mut table = Table::new(&["A", "B"]).right(&[1]);
        table.row(vec!["<&>".into(), "\"".into()]);
        assert_eq!(
            table.html(),
            "<table>\n<tr><th>A</th><th class=r>B</th></tr>\n<tr><td>&lt;&amp;&gt;</td><td class=r>&quot;</td></tr>\n</table>\n"
        );
    }
}
