//! The rules of `startupBoost`.

use super::super::draft::{CpuBoost, StartupBoost};
use super::super::field::FieldError;
use super::super::gates::Allowed;
use super::fraction;

const TYPES: &[&str] = &["Factor", "Quantity"];

/// Checks the boost at `path`, of a whole VPA or of one container.
pub fn check(path: &str, boost: &StartupBoost, allowed: &Allowed<'_>) -> Option<FieldError> {
    if !allowed.startup_boost {
        return Some(FieldError::Forbidden {
            path: path.into(),
            detail: "in order to use startupBoost, you must enable feature gate CPUStartupBoost in the \
                     admission-controller args",
        });
    }
    boost.cpu.as_ref().and_then(|cpu| cpu_boost(path, cpu))
}

fn cpu_boost(path: &str, cpu: &CpuBoost) -> Option<FieldError> {
    let at = |field: &str| format!("{path}.cpu.{field}");
    let required = |field: &str, detail| {
        Some(FieldError::Required {
            path: at(field),
            detail,
        })
    };
    match cpu.kind.as_deref().unwrap_or_default() {
        "" => required("type", "must be either Factor or Quantity"),
        "Factor" => match cpu.factor {
            None => required("factor", "required when type is Factor"),
            Some(factor) => (factor < 1).then(|| FieldError::Invalid {
                path: at("factor"),
                value: factor.to_string(),
                detail: "must be >= 1 for type Factor".into(),
            }),
        },
        "Quantity" => match &cpu.quantity {
            None => required("quantity", "required when type is Quantity"),
            Some(quantity) => fraction(&at("quantity"), "cpu", quantity),
        },
        unknown => Some(FieldError::Unsupported {
            path: at("type"),
            value: unknown.to_owned(),
            supported: TYPES,
        }),
    }
}
