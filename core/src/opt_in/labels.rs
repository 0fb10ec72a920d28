//! What the labels of a workload and of its namespace ask for.

use std::fmt;

use super::{
    AUTOSIZE_LABEL, GOLDILOCKS_LABEL, GOLDILOCKS_MODE_LABEL, PROFILE_LABEL, WorkloadProfile,
};
use crate::vpa::UpdateMode;

/// Those labels of one object that ask for something, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    autosize: Option<Box<str>>,
    profile: Option<Box<str>>,
    goldilocks: Option<Box<str>>,
    goldilocks_mode: Option<Box<str>>,
}

impl Labels {
    /// Reads them, those of Goldilocks only if `goldilocks`; `None` when there is none.
    pub fn read<'a>(label: impl Fn(&str) -> Option<&'a str>, goldilocks: bool) -> Option<Self> {
        let text = |name: &str| label(name).map(Box::from);
        let labels = Self {
            autosize: text(AUTOSIZE_LABEL),
            profile: text(PROFILE_LABEL),
            goldilocks: text(GOLDILOCKS_LABEL).filter(|_| goldilocks),
            goldilocks_mode: text(GOLDILOCKS_MODE_LABEL).filter(|_| goldilocks),
        };
        (labels != Self::default()).then_some(labels)
    }
}

/// The values of [`AUTOSIZE_LABEL`] that ask for a VPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autosize {
    /// `off`: it recommends only.
    Off,
    /// `initial`: new pods are sized.
    Initial,
    /// `recreate`: running pods are evicted, too.
    Recreate,
    /// `in-place`: running pods are resized in place; whether they may be evicted where that cannot be done is for the profile
    /// to say.
    InPlace,
}

impl Autosize {
    /// All of them with their names.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::Off, "off"),
        (Self::Initial, "initial"),
        (Self::Recreate, "recreate"),
        (Self::InPlace, "in-place"),
    ];
}

/// The value of [`AUTOSIZE_LABEL`] on a workload whose namespace asks for VPAs, that it is to have none.
const DECLINED: &str = "none";

/// What is to become of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In podfit's words.
    Autosize(Autosize),
    /// In those of the VPA's API, as Goldilocks' label has them.
    Update(UpdateMode),
}

/// Whose label it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The workload's own.
    Workload,
    /// Its namespace's.
    Namespace,
}

impl By {
    /// A word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Namespace => "namespace",
        }
    }
}

/// A VPA that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How it is to act.
    pub mode: Mode,
    /// What the workload is.
    pub profile: Option<WorkloadProfile>,
    /// Who asks.
    pub by: By,
}

/// What is wanted for one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// No VPA, whatever its namespace says.
    Declined,
    /// A VPA.
    Asked(Asked),
    /// It cannot be told.
    NotUnderstood(Complaint),
}

/// A label whose value is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Whose label.
    pub by: By,
    /// Which one.
    pub label: &'static str,
    /// Its value.
    pub value: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match self.label {
            AUTOSIZE_LABEL => "off, initial, recreate, in-place and none",
            PROFILE_LABEL => "serving, training and batch",
            GOLDILOCKS_LABEL => "true and false",
            _ => "the update modes of a VPA",
        };
        write!(
            f,
            "label {}: {:?} is none of {known}; no VPA is made, changed or removed because of it",
            self.label, self.value
        )
    }
}

/// What a workload's own labels and those of its namespace ask for. The workload's own come first, label by label; podfit's
/// come before Goldilocks'.
pub fn wish(workload: Option<&Labels>, namespace: Option<&Labels>) -> Wish {
    let levels = [(workload, By::Workload), (namespace, By::Namespace)];
    for (labels, by) in levels {
        let Some(labels) = labels else { continue };
        let mode = match (&labels.autosize, &labels.goldilocks) {
            (Some(text), _) => autosize(text, by),
            (None, Some(text)) => goldilocks(text, by, &levels),
            (None, None) => continue,
        };
        return match mode {
            Ok(Some(mode)) => match profile(&levels) {
                Ok(profile) => Wish::Asked(Asked { mode, profile, by }),
                Err(complaint) => Wish::NotUnderstood(complaint),
            },
            Ok(None) => Wish::Declined,
            Err(complaint) => Wish::NotUnderstood(complaint),
        };
    }
    Wish::Nothing
}

type Levels<'a> = [(Option<&'a Labels>, By); 2];

fn complaint(by: By, label: &'static str, value: &str) -> Complaint {
    Complaint {
        by,
        label,
        value: value.into(),
    }
}

fn autosize(text: &str, by: By) -> Result<Option<Mode>, Complaint> {
    if text == DECLINED {
        return Ok(None);
    }
    let known = Autosize::NAMES.iter().find(|(_, name)| *name == text);
    known
        .map(|(autosize, _)| Some(Mode::Autosize(*autosize)))
        .ok_or_else(|| complaint(by, AUTOSIZE_LABEL, text))
}

/// Goldilocks recommends only, unless its second label, the workload's or the namespace's, names a mode.
fn goldilocks(enabled: &str, by: By, levels: &Levels<'_>) -> Result<Option<Mode>, Complaint> {
    match enabled {
        "true" => {}
        "false" => return Ok(None),
        _ => return Err(complaint(by, GOLDILOCKS_LABEL, enabled)),
    }
    let mode = first(levels, |labels| labels.goldilocks_mode.as_deref());
    let Some((text, by)) = mode else {
        return Ok(Some(Mode::Update(UpdateMode::Off)));
    };
    let mut known = UpdateMode::NAMES.iter();
    let known = known.find(|(_, name)| name.eq_ignore_ascii_case(text));
    match known {
        Some((UpdateMode::Auto, _)) => Ok(Some(Mode::Update(UpdateMode::Recreate))),
        Some((mode, _)) => Ok(Some(Mode::Update(*mode))),
        None => Err(complaint(by, GOLDILOCKS_MODE_LABEL, text)),
    }
}

fn profile(levels: &Levels<'_>) -> Result<Option<WorkloadProfile>, Complaint> {
    let Some((text, by)) = first(levels, |labels| labels.profile.as_deref()) else {
        return Ok(None);
    };
    let known = WorkloadProfile::from_name(text);
    known
        .map(Some)
        .ok_or_else(|| complaint(by, PROFILE_LABEL, text))
}

fn first<'a>(
    levels: &Levels<'a>,
    label: impl Fn(&'a Labels) -> Option<&'a str>,
) -> Option<(&'a str, By)> {
    let mut found = levels
        .iter()
        .filter_map(|(labels, by)| Some((label((*labels)?)?, *by)));
    found.next()
}
