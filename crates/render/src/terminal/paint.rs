//! Colours on a terminal. They only ever repeat what a sign and a word say.

use wheeltapper_core::{Outcome, Status};

/// Whether colours are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub bool);

impl Paint {
    fn with(self, codes: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{codes}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub fn outcome(self, outcome: Outcome, text: &str) -> String {
        let codes = match outcome {
            Outcome::Passed => "32",
            Outcome::Untested => "33",
            Outcome::Unsupported => "2",
            Outcome::FarmError => "35",
            Outcome::FetchFailed
            | Outcome::BuildFailed
            | Outcome::InstallFailed
            | Outcome::ImportFailed
            | Outcome::TestFailed
            | Outcome::UninstallFailed => "31",
        };
        self.with(codes, text)
    }

    pub fn status(self, status: Status, text: &str) -> String {
        match status {
            Status::Passed => self.with("32", text),
            Status::Failed => self.with("31", text),
            Status::Skipped => self.with("2", text),
        }
    }

    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    pub fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// The sign of a phase's status.
pub(crate) const fn sign(status: Status) -> &'static str {
    match status {
        Status::Passed => "✓",
        Status::Failed => "✗",
        Status::Skipped => "–",
    }
}
