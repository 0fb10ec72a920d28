//! Feature gates: upstream's names, and the syntax of `--feature-gates`.

use std::str::FromStr;

/// What is switched on beyond the stable API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeatureGates {
    /// `startupBoost` of a VPA is accepted and applied.
    pub cpu_startup_boost: bool,
    /// Update mode `InPlace` is accepted and acted on.
    pub in_place: bool,
    /// A VPA's own `oomBumpUpRatio`, `oomMinBumpUp`, `memoryAggregationInterval…` and `evictAfterOOMSeconds` hold.
    pub per_vpa_config: bool,
}

/// The name of one gate, or of all gates of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    CpuStartupBoost,
    InPlace,
    PerVpaConfig,
    AllAlpha,
    /// There is none at this stage today.
    AllBeta,
}

const NAMES: [(&str, Gate); 5] = [
    ("AllAlpha", Gate::AllAlpha),
    ("AllBeta", Gate::AllBeta),
    ("CPUStartupBoost", Gate::CpuStartupBoost),
    ("InPlace", Gate::InPlace),
    ("PerVPAConfig", Gate::PerVpaConfig),
];

/// One `Name=bool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSetting {
    gate: Gate,
    on: bool,
}

/// Why a setting is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// No equals sign.
    #[error("`{0}` has no value; write it like InPlace=true")]
    NoValue(String),
    /// Neither true nor false.
    #[error("`{value}` is neither true nor false; write {name}=true or {name}=false")]
    NotBool {
        /// The gate.
        name: String,
        /// What was given.
        value: String,
    },
    /// Graduated in upstream 1.6, removed in 1.7.
    #[error("InPlaceOrRecreate is no gate any more: that update mode is always on; leave it out")]
    Graduated,
    /// Upstream refuses these, too.
    #[error("there is no gate `{0}`; there are {known}", known = NAMES.map(|(name, _)| name).join(", "))]
    Unknown(String),
}

impl FromStr for GateSetting {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| GateError::NoValue(text.trim().into()))?;
        let (name, value) = (name.trim(), value.trim());
        if name == "InPlaceOrRecreate" {
            return Err(GateError::Graduated);
        }
        let (_, gate) = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| GateError::Unknown(name.into()))?;
        // The words that Go takes.
        let on = match value {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => true,
            "0" | "f" | "F" | "false" | "False" | "FALSE" => false,
            _ => {
                return Err(GateError::NotBool {
                    name: name.into(),
                    value: value.into(),
                });
            }
        };
        Ok(Self { gate: *gate, on })
    }
}

impl FeatureGates {
    /// These gates, changed by `settings`. A gate's own name counts more than `AllAlpha`, and the last of several settings
    /// of one name holds.
    pub fn with(mut self, settings: &[GateSetting]) -> Self {
        let of_stage = |s: &&GateSetting| s.gate == Gate::AllAlpha;
        if let Some(all) = settings.iter().rfind(of_stage) {
            self = Self {
                cpu_startup_boost: all.on,
                in_place: all.on,
                per_vpa_config: all.on,
            };
        }
        for setting in settings {
            match setting.gate {
                Gate::CpuStartupBoost => self.cpu_startup_boost = setting.on,
                Gate::InPlace => self.in_place = setting.on,
                Gate::PerVpaConfig => self.per_vpa_config = setting.on,
                Gate::AllAlpha | Gate::AllBeta => {}
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(text: &str) -> Result<[bool; 3], GateError> {
        let settings = text
            .split(',')
            .map(str::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let gates = FeatureGates::default().with(&settings);
        Ok([
            gates.cpu_startup_boost,
            gates.in_place,
            gates.per_vpa_config,
        ])
    }

    #[test]
    fn settings_change_gates() {
        let cases = [
            ("InPlace=true", [false, true, false]),
            ("CPUStartupBoost=T, PerVPAConfig = 1", [true, false, true]),
            ("AllAlpha=true", [true, true, true]),
            ("InPlace=false,AllAlpha=true", [true, false, true]),
            ("AllAlpha=true,AllAlpha=false", [false, false, false]),
            ("InPlace=true,InPlace=false", [false, false, false]),
            ("AllBeta=true", [false, false, false]),
        ];
        for (text, expected) in cases {
            assert_eq!(gates(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_settings_are_told() {
        let cases = [
            ("InPlace", "write it like InPlace=true"),
            ("InPlace=yes", "write InPlace=true or InPlace=false"),
            ("InPlaceOrRecreate=true", "always on"),
            (
                "NativeSidecar=true",
                "there are AllAlpha, AllBeta, CPUStartupBoost, InPlace, PerVPAConfig",
            ),
            ("inplace=true", "no gate `inplace`"),
        ];
        for (text, told) in cases {
            let error = gates(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
