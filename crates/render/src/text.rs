//! Hostile text made harmless to read: control and direction-changing characters become visible signs.
//! Escaping for HTML, XML or Markdown is the writers' own.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Shows control characters as signs (`␛`, `␀`), C1 controls, direction overrides and invisible separators as
/// `⟨U+202E⟩`. Line feeds and tabs stay. The result can be printed on a terminal.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|character| sign_of(character).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        push_visible(&mut shown, character);
    }
    Cow::Owned(shown)
}

/// Appends a character, or the sign that shows it.
pub(crate) fn push_visible(shown: &mut String, character: char) {
    match sign_of(character) {
        Some(Sign::Picture(picture)) => shown.push(picture),
        Some(Sign::Number) => shown.push_str(&format!("⟨U+{:04X}⟩", character as u32)),
        None => shown.push(character),
    }
}

enum Sign {
    Picture(char),
    Number,
}

fn sign_of(character: char) -> Option<Sign> {
    match character {
        '\n' | '\t' => None,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + character as u32).map(Sign::Picture),
        '\u{7f}' => Some(Sign::Picture('␡')),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some(Sign::Number),
        _ => None,
    }
}

/// One line of at most `columns` terminal columns: visible, runs of white space as one blank, cut with `…`.
pub(crate) fn one_line(text: &str, columns: usize) -> String {
    // Four characters a column bound the work on a hostile text of megabytes.
    let head: String = text.chars().take(columns.saturating_mul(4).saturating_add(256)).collect();
    let words: Vec<&str> = head.split_whitespace().collect();
    cut(&visible(&words.join(" ")), columns)
}

/// The text cut to so many terminal columns, `…` included.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 0;
    for character in text.chars() {
        let width = character.width().unwrap_or(0);
        if used + width + 1 > columns {
            break;
        }
        used += width;
        shown.push(character);
    }
    shown.push('…');
    shown
}

/// The text followed by blanks up to so many terminal columns.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

/// Lines of at most `columns`, broken between words; a longer word stays whole.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("plain\n\ttext"), "plain\n\ttext");
        assert_eq!(visible("\u{1b}[2J\u{7}\r\0"), "␛[2J␇␍␀");
        assert_eq!(visible("abc\u{202e}fed\u{9b}31m"), "abc⟨U+202E⟩fed⟨U+009B⟩31m");
    }

    #[test]
    fn lines_are_cut_by_columns_not_by_bytes() {
        assert_eq!(one_line("  several\n  words ", 40), "several words");
        assert_eq!(one_line("日本語日本語", 7), "日本語…");
        assert_eq!(cut("exactly", 7), "exactly");
        assert_eq!(pad("日", 4), "日  ");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    }
}
