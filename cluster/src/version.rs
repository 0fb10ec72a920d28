//! What a program was built from.

use std::fmt;

/// A version of podfit, and the git revision that it was built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    number: &'static str,
    revision: &'static str,
}

impl Version {
    /// `revision` is `None` or empty where the build was not told it.
    pub const fn new(number: &'static str, revision: Option<&'static str>) -> Self {
        let revision = match revision {
            Some(known) if !known.is_empty() => known,
            _ => "unknown",
        };
        Self { number, revision }
    }

    /// Such as `0.1.0`.
    pub fn number(self) -> &'static str {
        self.number
    }

    /// Such as `4f1c2d9a0b1e`, with `-dirty` after it where files differed from that; or `unknown`.
    pub fn revision(self) -> &'static str {
        self.revision
    }
}

/// As semantic versioning writes it: `0.1.0+4f1c2d9a0b1e`.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.number, self.revision)
    }
}

/// The version of the crate that this stands in. The build is told the revision as `PODFIT_REVISION`, which the compiler
/// reads where the macro stands: a new commit compiles the programs anew, and no library.
#[macro_export]
macro_rules! version {
    () => {
        $crate::version::Version::new(env!("CARGO_PKG_VERSION"), option_env!("PODFIT_REVISION"))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_tells_its_revision() {
        for (revision, text) in [
            (Some("4f1c2d9a0b1e-dirty"), "0.1.0+4f1c2d9a0b1e-dirty"),
            (Some(""), "0.1.0+unknown"),
            (None, "0.1.0+unknown"),
        ] {
            assert_eq!(Version::new("0.1.0", revision).to_string(), text);
        }
    }
}
