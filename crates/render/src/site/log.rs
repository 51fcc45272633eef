//! A log as HTML: numbered lines with their colours as classes. Long logs are cut in the middle, long lines at their
//! end; what a cause rests on is always shown. The whole text lies beside the page.

use std::ops::Range;

use minijinja::Value;

use crate::{
    ansi::{Style, pieces},
    text::push_visible,
};

/// Lines shown from the beginning and the end of a long log, and around each decisive line.
const HEAD: usize = 400;
const TAIL: usize = 1600;
const AROUND: usize = 15;
/// Characters of a line.
const LINE: usize = 2000;

/// The log as the content of a `pre` element. `prefix` begins the anchors (`build` makes `build-1`); `decisive` are
/// line numbers from 1, marked and always shown.
pub(crate) fn html(log: &[u8], prefix: &str, decisive: &[usize]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    let shown = windows(lines.len(), decisive);
    let mut html = String::with_capacity(text.len().min(1 << 20) * 2);
    let mut style = Style::default();
    let mut shown = shown.into_iter().peekable();
    for (index, line) in lines.iter().enumerate() {
        let Some(window) = shown.peek() else { break };
        if index < window.start {
            pieces(line, &mut style, |_, _| {}); // The colours go on through what is not shown.
            continue;
        }
        let number = index + 1;
        let class = if decisive.contains(&number) { " class=\"decisive\"" } else { "" };
        html.push_str(&format!(
            "<span{class} id=\"{prefix}-{number}\"><a href=\"#{prefix}-{number}\">{number}</a>"
        ));
        push_line(&mut html, line, &mut style);
        html.push_str("</span>\n");
        if number == window.end {
            shown.next();
            if let Some(next) = shown.peek() {
                html.push_str(&format!("<em>… {} lines are left out here …</em>\n", next.start - number));
            }
        }
    }
    html
}

/// The ranges of lines to show, in order, apart from each other.
fn windows(lines: usize, decisive: &[usize]) -> Vec<Range<usize>> {
    if lines <= HEAD + TAIL {
        return if lines == 0 { Vec::new() } else { std::iter::once(0..lines).collect() };
    }
    let around = |number: &usize| {
        let index = number.saturating_sub(1).min(lines);
        index.saturating_sub(AROUND)..(index + AROUND + 1).min(lines)
    };
    let mut ranges: Vec<Range<usize>> = decisive.iter().filter(|number| **number > 0).map(around).collect();
    ranges.extend([0..HEAD, lines - TAIL..lines]);
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn push_line(html: &mut String, line: &str, style: &mut Style) {
    let line = line.trim_end_matches('\r');
    let mut room = LINE;
    let mut left_out = 0;
    pieces(line, style, |style, text| {
        let classes = style.classes();
        if !classes.is_empty() && room > 0 {
            html.push_str(&format!("<span class=\"{classes}\">"));
        }
        let open = !classes.is_empty() && room > 0;
        for character in text.chars() {
            if room == 0 {
                left_out += 1;
                continue;
            }
            room -= 1;
            push_escaped(html, character);
        }
        if open {
            html.push_str("</span>");
        }
    });
    if left_out > 0 {
        html.push_str(&format!("<em> … {left_out} characters more</em>"));
    }
}

fn push_escaped(html: &mut String, character: char) {
    match character {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#39;"),
        other => push_visible(html, other),
    }
}

/// A sentence as HTML: what stands between two backticks is code, everything else text.
pub(crate) fn prose(text: &str) -> Value {
    let mut html = String::with_capacity(text.len() + 16);
    let mut inside = false;
    let mut ticks = text.matches('`').count() / 2 * 2; // One without a partner stays as it is.
    for character in text.chars() {
        if character == '`' && ticks > 0 {
            ticks -= 1;
            html.push_str(if inside { "</code>" } else { "<code>" });
            inside = !inside;
        } else {
            push_escaped(&mut html, character);
        }
    }
    Value::from_safe_string(html)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_controls_are_shown_as_text() {
        let shown = html(b"<script>alert(1)</script>\x07\n\x1b[31m&\x1b[0m\xff\r\n", "build", &[2]);
        assert_eq!(
            shown,
            "<span id=\"build-1\"><a href=\"#build-1\">1</a>&lt;script&gt;alert(1)&lt;/script&gt;␇</span>\n\
             <span class=\"decisive\" id=\"build-2\"><a href=\"#build-2\">2</a><span class=\"f1\">&amp;</span>\u{fffd}</span>\n"
        );
    }

    #[test]
    fn long_logs_keep_head_tail_and_what_decides() {
        let log: String = (1..=10_000).map(|number| format!("line {number}\n")).collect();
        let shown = html(log.as_bytes(), "test", &[5_000]);
        for kept in ["line 1<", "line 400<", "line 5000<", "line 8401<", "line 10000<"] {
            assert!(shown.contains(kept), "{kept}");
        }
        assert!(!shown.contains("line 401<") && !shown.contains("line 8400<"));
        assert!(shown.contains("… 4584 lines are left out here …"));
        assert_eq!(windows(0, &[7]), Vec::<Range<usize>>::new());
        assert_eq!(windows(5_000, &[9_999]), [0..400, 3400..5000]);
    }

    #[test]
    fn code_in_prose_is_marked_and_markup_is_not_believed() {
        assert_eq!(prose("no `a<b>` 'here'").as_str(), Some("no <code>a&lt;b&gt;</code> &#39;here&#39;"));
        assert_eq!(prose("`a` and ` <i>").as_str(), Some("<code>a</code> and ` &lt;i&gt;"));
    }

    #[test]
    fn long_lines_are_cut() {
        let shown = html("x".repeat(5_000).as_bytes(), "test", &[]);
        assert!(shown.contains("… 3000 characters more"), "{shown}");
    }
}
