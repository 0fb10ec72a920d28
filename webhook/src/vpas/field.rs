//! Field errors in the words of Kubernetes' own validation.

/// One broken rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The object could not be read at all.
    #[error(".: Internal error: {0}")]
    Internal(String),
    /// Something must be there.
    #[error("{path}: Required value{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Required {
        /// Where.
        path: String,
        /// Why; may be empty.
        detail: &'static str,
    },
    /// Not one of a closed list.
    #[error(
        "{path}: Unsupported value: {value:?}: supported values: {}",
        quoted(supported)
    )]
    Unsupported {
        /// Where.
        path: String,
        /// What was given.
        value: String,
        /// The list, sorted.
        supported: &'static [&'static str],
    },
    /// A value that breaks a rule.
    #[error("{path}: Invalid value: {value}: {detail}")]
    Invalid {
        /// Where.
        path: String,
        /// What was given; texts in quotes.
        value: String,
        /// The rule.
        detail: String,
    },
    /// A value that may not stand together with others.
    #[error("{path}: Forbidden: {detail}")]
    Forbidden {
        /// Where.
        path: String,
        /// The rule.
        detail: &'static str,
    },
    /// A list that is too long.
    #[error("{path}: Too many: {count}: must have at most {most} item{}", if *most == 1 { "" } else { "s" })]
    TooMany {
        /// Where.
        path: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

fn quoted(values: &[&str]) -> String {
    values
        .iter()
        .map(|value| format!("{value:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}
