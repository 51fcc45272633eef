//! One line out of many arguments, as `CommandLineToArgvW` and every C runtime take it apart again.

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;

/// Adds an argument to a command line. Backslashes are doubled only where a quotation mark follows.
pub(super) fn add(line: &mut Vec<u16>, argument: &[u16]) {
    let is_space = |unit: &u16| [b' ', b'\t', b'\n', 0x0b].iter().any(|space| u16::from(*space) == *unit);
    if !line.is_empty() {
        line.push(u16::from(b' '));
    }
    let quoted = argument.is_empty() || argument.iter().any(|unit| is_space(unit) || *unit == QUOTE);
    if !quoted {
        return line.extend(argument);
    }
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in argument {
        match *unit {
            BACKSLASH => backslashes += 1,
            QUOTE => {
                // Those that stand before it once more, and one for itself.
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        line.push(*unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_they_are_taken_apart() {
        let shown = |arguments: &[&str]| {
            let mut line = Vec::new();
            for argument in arguments {
                add(&mut line, &argument.encode_utf16().collect::<Vec<_>>());
            }
            String::from_utf16(&line).unwrap()
        };
        assert_eq!(shown(&["python", "-c", "a b"]), r#"python -c "a b""#);
        assert_eq!(shown(&[r"C:\with space\", ""]), r#""C:\with space\\" """#);
        assert_eq!(shown(&[r#"say "hi""#, r#"\"#, r#"a\"b"#]), r#""say \"hi\"" \ "a\\\"b""#);
    }
}
