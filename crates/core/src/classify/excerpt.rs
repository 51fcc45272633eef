//! The lines of a log that can decide: those that hold a mark of trouble, and what belongs to a traceback's frame.
//! Built in one pass, bounded in number and in length, so that a hostile log costs no more than reading it once.

use std::{borrow::Cow, collections::VecDeque, sync::LazyLock};

use regex::Regex;

/// How much of a line is kept, in bytes.
const LONGEST_LINE: usize = 4096;
/// How many lines are kept from the beginning of a log, and how many from its end.
const FIRST: usize = 1_000;
const LAST: usize = 8_000;
/// How many lines after a traceback's frame belong to it: its source, the carets, and the exception at the end. A resolver's
/// sentence runs on as far.
const BEHIND_A_FRAME: usize = 4;

/// What every decisive line has: a rule whose examples lack all of these does not load.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    let marks = [
        "rror",
        "xception",
        "Warning",
        "Exit:",
        "File \"",
        "depends on ",
        "Traceback",
        "==> ",
        "╰─> ",
        "--- again",
        "not found",
        "ot met",
        "annot ",
        "can't ",
        "Can't ",
        "o such",
        "ecause ",
        "nable to",
        "ailed to",
        "ould not",
        "issing",
        "equire",
        "GLIBC",
        "undefined",
        "o module",
        "efused",
        "o solution",
        "unsatisfiable",
        "unreachable",
        "DISPLAY",
        "display",
        "failed with",
        "not a git",
        "does not",
        "collect2",
        "ld: ",
        "gcc ",
        "g++ ",
        "cc ",
        "clang",
        "is invalid",
        "not supported",
        "macOS",
        "Windows",
        "untouched",
        "unsupported",
        "Failed",
        "deprecated",
        "doesn't",
        "is not ",
        "NOTFOUND",
        "not valid",
        "only ",
        "must ",
        "'_version'",
        "Unknown ",
        "need",
        "nvalid",
        "Downloading ",
        "#include",
        "building '",
        "size changed",
        "compiled using",
        "Killed",
        "esource",
        "Caused by",
        ".pyx:",
        "stopped",
    ];
    let pattern = marks.map(regex::escape).join("|");
    Regex::new(&pattern).expect("an alternation of literals compiles")
});

/// True when the excerpt of a log keeps this line.
pub(super) fn is_marked(line: &str) -> bool {
    MARKS.is_match(line)
}

/// One line that was kept.
#[derive(Debug, Clone)]
pub(super) struct Line<'a> {
    /// Its number in the log, from 1.
    pub number: usize,
    /// Its text without terminal escapes, cut around its first mark where it is very long.
    pub text: Cow<'a, str>,
}

/// What is kept of a log.
#[derive(Debug, Clone, Default)]
pub(super) struct Excerpt<'a> {
    /// In the order of the log.
    pub lines: Vec<Line<'a>>,
    /// The last line that is not blank, whatever it says.
    pub last: Option<Line<'a>>,
}

impl<'a> Excerpt<'a> {
    /// Reads a log once.
    pub fn of(log: &'a str) -> Self {
        let mut first: Vec<Line<'a>> = Vec::new();
        let mut last: VecDeque<Line<'a>> = VecDeque::new();
        let mut keep = |line: Line<'a>| {
            if first.len() < FIRST {
                return first.push(line);
            }
            if last.len() == LAST {
                last.pop_front();
            }
            last.push_back(line);
        };
        let (mut start, mut number, mut behind) = (0, 1, 0_usize);
        while start < log.len() {
            let mark = if behind > 0 { None } else { MARKS.find_at(log, start).map(|found| found.start()) };
            if behind == 0 {
                let Some(mark) = mark else { break };
                let line_start = log[start..mark].rfind('\n').map_or(start, |at| start + at + 1);
                number += newlines(&log[start..line_start]);
                start = line_start;
            }
            let from = mark.unwrap_or(start);
            let end = log[from..].find('\n').map_or(log.len(), |at| from + at);
            let text = cleaned(&log[start..end], from - start);
            behind = if text.trim_start().starts_with("File \"") || text.contains("ecause ") {
                BEHIND_A_FRAME
            } else {
                behind.saturating_sub(1)
            };
            keep(Line { number, text });
            start = end + 1;
            number += 1;
        }
        first.extend(last);
        Excerpt { lines: first, last: last_line(log) }
    }

    /// The part of the log below a heading, up to the next heading of that kind.
    pub fn section(&self, heading: &str, name: &str) -> Option<Excerpt<'a>> {
        let begin = self.lines.iter().position(|line| line.text.strip_prefix(heading) == Some(name))? + 1;
        let rest = &self.lines[begin..];
        let end = rest.iter().position(|line| line.text.starts_with("==> ")).unwrap_or(rest.len());
        Some(Excerpt { lines: rest[..end].to_vec(), last: rest[..end].last().cloned() })
    }

    /// The part after the last line that begins so; all of it where there is none.
    pub fn after(mut self, heading: &str) -> Self {
        if let Some(begin) = self.lines.iter().rposition(|line| line.text.starts_with(heading)) {
            self.lines.drain(..=begin);
        }
        self
    }

    /// The part before the first line that begins so.
    pub fn before(mut self, heading: &str) -> Self {
        if let Some(end) = self.lines.iter().position(|line| line.text.starts_with(heading)) {
            self.lines.truncate(end);
            self.last = self.lines.last().cloned();
        }
        self
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn last_line(log: &str) -> Option<Line<'_>> {
    let end = log.trim_end().len();
    if end == 0 {
        return None;
    }
    let start = log[..end].rfind('\n').map_or(0, |at| at + 1);
    Some(Line { number: newlines(&log[..start]) + 1, text: cleaned(&log[start..end], 0) })
}

/// The line without escapes, and a window of it around the mark where it is too long.
fn cleaned(line: &str, mark: usize) -> Cow<'_, str> {
    let line = if line.len() > LONGEST_LINE {
        let start = line.floor_char_boundary(mark.saturating_sub(LONGEST_LINE / 4));
        &line[start..line.floor_char_boundary((start + LONGEST_LINE).min(line.len()))]
    } else {
        line
    };
    if line.contains(['\x1b', '\r']) { strip_colours(line).into() } else { line.into() }
}

/// The text without terminal escape sequences.
pub fn strip_colours(text: &str) -> String {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\r")
            .expect("a literal pattern compiles")
    });
    PATTERN.replace_all(text, "").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'a>(excerpt: &'a Excerpt<'_>) -> Vec<(usize, &'a str)> {
        excerpt.lines.iter().map(|line| (line.number, line.text.as_ref())).collect()
    }

    #[test]
    fn marked_lines_keep_their_numbers() {
        let log = "a\nb\n\x1b[31mValueError\x1b[0m: x\nc\n\n  File \"a.py\", line 1\n    x\n\nKeyFault: 1\nz\nz\nz\nlast\n";
        let excerpt = Excerpt::of(log);
        let shown = texts(&excerpt);
        assert_eq!(&shown[..3], &[(3, "ValueError: x"), (6, "  File \"a.py\", line 1"), (7, "    x")]);
        assert_eq!(shown[4], (9, "KeyFault: 1"));
        assert_eq!(excerpt.last.map(|line| line.number), Some(13));
    }

    #[test]
    fn a_hostile_log_stays_small() {
        let long = format!("{}é error {}", "x".repeat(10_000_000), "é".repeat(1_000_000));
        let excerpt = Excerpt::of(&long);
        assert_eq!(excerpt.lines.len(), 1);
        assert!(excerpt.lines[0].text.len() <= LONGEST_LINE && excerpt.lines[0].text.contains(" error "));
        let many = "error\n".repeat(100_000);
        assert_eq!(Excerpt::of(&many).lines.len(), FIRST + LAST);
        assert_eq!(Excerpt::of(&many).lines.last().map(|line| line.number), Some(100_000));
        assert!(Excerpt::of("").lines.is_empty());
        assert!(Excerpt::of("\n\n").last.is_none());
    }

    #[test]
    fn sections_end_at_the_next_heading() {
        let excerpt = Excerpt::of("==> import a\nerror 1\n==> import b\nerror 2\n==> resolve b:c\nerror 3\n");
        let section = excerpt.section("==> import ", "b").unwrap();
        assert_eq!(texts(&section), [(4, "error 2")]);
        assert!(excerpt.section("==> import ", "c").is_none());
    }
}
