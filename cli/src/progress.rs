//! A line that says what is going on, while somebody watches a terminal.

use std::io::{IsTerminal, Write, stderr};

/// Writes over itself, and is gone in the end. Nothing is written where nobody watches.
pub struct Progress {
    watched: bool,
}

impl Progress {
    /// On standard error, so that the answer can be piped on.
    pub fn new() -> Self {
        Self {
            watched: stderr().is_terminal(),
        }
    }

    /// Says what happens now.
    pub fn say(&self, what: &str) {
        if self.watched {
            // A line that is not seen is no harm.
            let _ = write!(stderr(), "\r\x1b[K{what} …");
            let _ = stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.watched {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
