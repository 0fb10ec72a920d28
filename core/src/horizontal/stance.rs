//! What a VPA wants of the resources that an HPA scales on: its annotation `podfit.dev/horizontal`.

use crate::profile::Profile;

/// The annotation of a VPA with one of the words of [`Horizontal`].
pub const HORIZONTAL_ANNOTATION: &str = "podfit.dev/horizontal";

/// What becomes of a resource of a VPA's pods on whose utilisation an HPA scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Horizontal {
    /// `yield`: it is recommended and not applied.
    Yield,
    /// `realign`: it is applied, and the HPA's target moved with it.
    Realign,
    /// `ignore`: it is applied as if there were no HPA, as upstream does.
    Ignore,
}

/// Why the annotation's text is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is none of yield, realign and ignore")]
pub struct HorizontalError(String);

impl Horizontal {
    /// Reads the annotation.
    pub fn parse(text: &str) -> Result<Self, HorizontalError> {
        match text.trim() {
            "yield" => Ok(Self::Yield),
            "realign" => Ok(Self::Realign),
            "ignore" => Ok(Self::Ignore),
            _ => Err(HorizontalError(text.into())),
        }
    }

    /// What holds for a VPA without the annotation.
    pub fn of_profile(profile: Profile) -> Self {
        match profile {
            Profile::Safe => Self::Yield,
            Profile::Upstream => Self::Ignore,
        }
    }
}
