//! Whose rules win where podfit's safety rules and upstream's behaviour differ.

/// Chosen with `--profile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// podfit's.
    #[default]
    Safe,
    /// Upstream's.
    Upstream,
}

impl Profile {
    /// True for podfit's rules.
    pub fn is_safe(self) -> bool {
        self == Self::Safe
    }
}
