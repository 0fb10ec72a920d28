//! CPU and memory of one container, as numbers that can be compared.

use anyhow::{Context, Result, ensure};
use podfit_core::quantity::{Bytes, Millicores};
use serde_json::Value;

/// An amount of CPU and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a core.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
}

impl Amounts {
    /// From quantities as they are written in a manifest.
    pub fn parse(cpu: &str, memory: &str) -> Result<Self> {
        Ok(Self {
            cpu: Millicores::parse(cpu)
                .map_err(|e| anyhow::anyhow!("{e}"))?
                .0,
            memory: Bytes::parse(memory).map_err(|e| anyhow::anyhow!("{e}"))?.0,
        })
    }

    /// From a resource list with both resources.
    pub fn from_list(list: &Value) -> Result<Self> {
        let quantity = |name: &str| {
            list[name]
                .as_str()
                .with_context(|| format!("no {name} in {list}"))
        };
        Self::parse(quantity("cpu")?, quantity("memory")?)
    }

    /// An error unless both amounts are within the factors `least` and `most` of `of`.
    pub fn ensure_between(self, least: f64, most: f64, of: Self) -> Result<()> {
        for (name, is, base) in [
            ("cpu", self.cpu, of.cpu),
            ("memory", self.memory, of.memory),
        ] {
            let factor = is as f64 / base as f64;
            ensure!(
                (least..=most).contains(&factor),
                "{name} is {is}, {factor:.2} times {base}; expected {least} to {most} times"
            );
        }
        Ok(())
    }
}
