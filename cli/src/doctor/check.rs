//! One line of what `doctor` says.

/// How it is. Later ones are worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Worth a look, or not known.
    Warn,
    /// podfit cannot do its work like this.
    Fail,
}

impl Verdict {
    /// For a line's beginning.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// A word or two.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub finding: String,
    /// What to do about it, or next.
    pub remedy: Option<String>,
}

impl Check {
    /// As it should be.
    pub fn ok(what: &'static str, finding: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Ok,
            finding: finding.into(),
            remedy: None,
        }
    }

    /// The same, with what to do next.
    pub fn with_remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }

    /// Worth a look.
    pub fn warn(what: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Warn,
            ..Self::ok(what, finding).with_remedy(remedy)
        }
    }

    /// podfit cannot do its work like this.
    pub fn fail(what: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Fail,
            ..Self::warn(what, finding, remedy)
        }
    }

    /// It cannot be told, for want of a right or of an answer.
    pub fn unknown(what: &'static str, why: &str) -> Self {
        Self::warn(
            what,
            format!("not checked: {why}"),
            "run it as somebody with that right, or once that API answers",
        )
    }
}

/// The first of `names`, and how many more there are.
pub fn some(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    shown.join(", ") + &rest
}
