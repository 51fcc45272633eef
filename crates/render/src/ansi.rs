//! The colours of a log: the SGR part of ECMA-48, read character by character with the state carried from line to
//! line. Every other control sequence is dropped; other control characters are left to be shown as signs.

use std::{iter::Peekable, str::Chars};

/// How characters look. Colours are the sixteen of terminals, 0–15; others become the nearest of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub foreground: Option<u8>,
    pub background: Option<u8>,
    pub bold: bool,
    pub faint: bool,
    pub italic: bool,
    pub underline: bool,
    pub reverse: bool,
}

impl Style {
    /// CSS classes, blank-separated; empty for plain text.
    pub fn classes(self) -> String {
        let (foreground, background) = if self.reverse {
            (self.background, self.foreground)
        } else {
            (self.foreground, self.background)
        };
        let mut classes: Vec<String> = Vec::new();
        classes.extend(foreground.map(|colour| format!("f{colour}")));
        classes.extend(background.map(|colour| format!("b{colour}")));
        let flags = [
            (self.bold, "bold"),
            (self.faint, "faint"),
            (self.italic, "italic"),
            (self.underline, "under"),
            (self.reverse && foreground.is_none() && background.is_none(), "reverse"),
        ];
        classes.extend(flags.iter().filter(|(set, _)| *set).map(|(_, class)| (*class).to_owned()));
        classes.join(" ")
    }

    /// Applies the parameters of one `ESC [ … m`.
    fn select(&mut self, parameters: &str) {
        let numbers: Vec<u16> =
            parameters.split([';', ':']).map(|number| number.parse().unwrap_or_default()).collect();
        let mut rest = numbers.as_slice();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match *first {
                0 => *self = Style::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 => self.underline = true,
                7 => self.reverse = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underline = false,
                27 => self.reverse = false,
                30..=37 => self.foreground = Some((first - 30) as u8),
                39 => self.foreground = None,
                40..=47 => self.background = Some((first - 40) as u8),
                49 => self.background = None,
                90..=97 => self.foreground = Some((first - 82) as u8),
                100..=107 => self.background = Some((first - 92) as u8),
                38 | 48 => {
                    let (colour, left) = extended(rest);
                    rest = left;
                    if *first == 38 { self.foreground = colour } else { self.background = colour }
                }
                _ => {}
            }
        }
    }
}

/// `5;n` or `2;r;g;b` after 38 or 48, and what follows it.
fn extended(numbers: &[u16]) -> (Option<u8>, &[u16]) {
    match numbers {
        [5, index, rest @ ..] => (Some(of_256(*index)), rest),
        [2, red, green, blue, rest @ ..] => (Some(nearest(*red, *green, *blue)), rest),
        _ => (None, &[]),
    }
}

/// One of the 256 colours: 16 named, a cube of 6 × 6 × 6, 24 greys.
fn of_256(index: u16) -> u8 {
    match index {
        0..=15 => index as u8,
        16..=231 => {
            let level = |step: u16| if step == 0 { 0 } else { 55 + step * 40 };
            let cube = index - 16;
            nearest(level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        _ => {
            let grey = 8 + index.min(255).saturating_sub(232) * 10;
            nearest(grey, grey, grey)
        }
    }
}

/// The nearest of the sixteen: bit 0 red, bit 1 green, bit 2 blue, bit 3 bright.
fn nearest(red: u16, green: u16, blue: u16) -> u8 {
    let strongest = red.max(green).max(blue);
    if strongest < 48 {
        return 0;
    }
    let weakest = red.min(green).min(blue);
    if strongest - weakest < 32 {
        return match strongest {
            0..=95 => 8,
            96..=223 => 7,
            _ => 15,
        };
    }
    let bit = |value: u16, position: u8| u8::from(value * 2 > strongest + weakest) << position;
    (bit(red, 0) | bit(green, 1) | bit(blue, 2)) | (u8::from(strongest > 215) << 3)
}

/// Calls `piece` with each stretch of `line` that looks alike, control sequences removed; `style` goes on into the
/// next line.
pub(crate) fn pieces(line: &str, style: &mut Style, mut piece: impl FnMut(Style, &str)) {
    let mut characters = line.chars().peekable();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            text.push(character);
            continue;
        }
        let before = *style;
        escape(&mut characters, style);
        if before != *style && !text.is_empty() {
            piece(before, &text);
            text.clear();
        }
    }
    if !text.is_empty() {
        piece(*style, &text);
    }
}

/// Reads what follows ESC.
fn escape(characters: &mut Peekable<Chars<'_>>, style: &mut Style) {
    match characters.peek() {
        Some('[') => {
            characters.next();
            let mut parameters = String::new();
            for character in characters.by_ref() {
                match character {
                    '\u{20}'..='\u{3f}' => parameters.push(character),
                    'm' => return style.select(&parameters),
                    _ => return,
                }
            }
        }
        // Titles and hyperlinks: up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(character) = characters.next() {
                match character {
                    '\u{7}' => return,
                    '\u{1b}' => {
                        characters.next_if_eq(&'\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        // Character sets: one intermediate, one final character.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
            characters.next();
            characters.next();
        }
        Some(_) => {
            characters.next();
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> String {
        let mut text = String::new();
        pieces(line, &mut Style::default(), |_, piece| text.push_str(piece));
        text
    }

    fn shown(lines: &[&str]) -> Vec<String> {
        let mut style = Style::default();
        let show = |line: &&str| {
            let mut shown = String::new();
            pieces(line, &mut style, |style, text| match style.classes().as_str() {
                "" => shown.push_str(text),
                classes => shown.push_str(&format!("<{classes}:{text}>")),
            });
            shown
        };
        lines.iter().map(show).collect()
    }

    #[test]
    fn colours_become_classes_and_go_on_over_lines() {
        let lines = shown(&["a \u{1b}[1;31mred", "still\u{1b}[0m plain", "\u{1b}[92mbright\u{1b}[39m no"]);
        assert_eq!(lines, ["a <f1 bold:red>", "<f1 bold:still> plain", "<f10:bright> no"]);
    }

    #[test]
    fn many_colours_become_sixteen() {
        assert_eq!(
            shown(&["\u{1b}[38;5;196mx\u{1b}[38;2;10;200;10my\u{1b}[48:5:244mz\u{1b}[m."]),
            ["<f9:x><f2:y><f2 b7:z>."]
        );
        assert_eq!((nearest(0, 0, 0), nearest(255, 255, 255), nearest(0, 0, 255)), (0, 15, 12));
    }

    #[test]
    fn other_sequences_are_dropped_and_cut_ones_do_no_harm() {
        assert_eq!(
            plain("\u{1b}[2K\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{1b}\\ \u{1b}(Bend\u{1b}"),
            "link end"
        );
        assert_eq!(plain("\u{1b}[38;5"), "");
        assert_eq!(plain("\u{1b}[99999999999;-1mx"), "x");
        assert_eq!(shown(&["\u{1b}[7mr\u{1b}[31ms"]), ["<reverse:r><b1:s>"]);
    }
}
