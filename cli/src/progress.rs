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

    /// Says what happens, and draws how much of it is done.
    pub fn part(&self, what: &str, done: u64, all: u64) {
        const WIDTH: u64 = 30;
        let all = all.max(1);
        let full = (done.min(all) * WIDTH / all) as usize;
        let bar: String = "█".repeat(full) + &"·".repeat(WIDTH as usize - full);
        self.say(&format!("{what} {bar} {:>3} %", done.min(all) * 100 / all));
    }

    /// Takes the line away.
    pub fn clear(&self) {
        if self.watched {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
