//! What CPU and memory cost.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::summary::Amounts;

/// Hours in a month, on average.
const MONTH: f64 = 730.0;

/// What an hour costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Prices {
    /// Of a core.
    pub core: f64,
    /// Of a GiB of memory.
    pub gib: f64,
    /// For example EUR.
    pub currency: String,
}

impl Prices {
    /// From a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read --prices {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("--prices {}", path.display()))
    }

    /// Lines of `name: value`, which is YAML, too.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut core, mut gib, mut currency) = (None, None, String::new());
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                bail!("`{line}` is no line of the form name: value");
            };
            let value = value.trim().trim_matches('"');
            let number = || -> Result<Option<f64>> {
                let number: f64 = value
                    .parse()
                    .with_context(|| format!("{name}: `{value}` is no number"))?;
                if !number.is_finite() || number < 0.0 {
                    bail!("{name}: `{value}` is no price");
                }
                Ok(Some(number))
            };
            match name.trim() {
                "cpu-core-hour" => core = number()?,
                "gib-hour" => gib = number()?,
                "currency" => value.clone_into(&mut currency),
                other => bail!("`{other}` is none of cpu-core-hour, gib-hour and currency"),
            }
        }
        Ok(Self {
            core: core.context("the line cpu-core-hour is missing")?,
            gib: gib.context("the line gib-hour is missing")?,
            currency,
        })
    }

    /// What amounts cost in a month.
    pub fn monthly(&self, amounts: Amounts) -> f64 {
        (amounts.cores() * self.core + amounts.gib() * self.gib) * MONTH
    }

    /// The same with the way to it.
    pub fn arithmetic(&self, amounts: Amounts) -> String {
        let Self {
            core,
            gib,
            currency,
        } = self;
        format!(
            "({:+.3} cores × {core} + {:+.3} GiB × {gib}) {currency} an hour × {MONTH} h = {:+.2} {currency} a month",
            amounts.cores(),
            amounts.gib(),
            self.monthly(amounts)
        )
    }
}
