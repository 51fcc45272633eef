//! Shell lines, parsed and never run: words, quotes, assignments, `&&`. Anything that would need a shell to know
//! (substitutions, redirections, globs) makes the command unknown rather than guessed.

/// One simple command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// `NAME=value` before the command.
    pub environment: Vec<(String, String)>,
    pub words: Vec<String>,
}

/// The simple commands of a line, in order. A command that only a shell understands is left out.
pub(crate) fn commands(line: &str) -> Vec<Command> {
    let mut found = Vec::new();
    let mut tokens = Vec::new();
    let mut usable = true;
    for token in tokenize(line).into_iter().chain([Token::End]) {
        match token {
            Token::Word(word) => tokens.push(word),
            Token::Unknown => usable = false,
            Token::End => {
                let words = std::mem::take(&mut tokens);
                if std::mem::replace(&mut usable, true) && !words.is_empty() {
                    found.push(command(words));
                }
            }
        }
        if found.len() > 50 {
            break;
        }
    }
    found
}

/// The words of a command, as `shlex.split` gives them.
pub(crate) fn words(line: &str) -> Vec<String> {
    tokenize(line)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            Token::End | Token::Unknown => None,
        })
        .collect()
}

fn command(words: Vec<String>) -> Command {
    let mut command = Command::default();
    let mut words = words.into_iter().peekable();
    if words.peek().is_some_and(|word| word == "env") {
        words.next();
    }
    while let Some(word) = words.next_if(|word| assignment(word).is_some()) {
        command.environment.extend(assignment(&word));
    }
    command.words = words.collect();
    command
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let valid = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then(|| (name.to_owned(), value.to_owned()))
}

enum Token {
    Word(String),
    /// `;`, `&&`, `||`, `|`, `&`.
    End,
    /// Something that needs a shell.
    Unknown,
}

fn tokenize(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' | '"' => {
                let open = word.get_or_insert_default();
                while let Some(inner) = characters.next() {
                    match inner {
                        inner if inner == c => break,
                        '\\' if c == '"' => open.extend(characters.next()),
                        '$' | '`' if c == '"' => {
                            tokens.push(Token::Unknown);
                            open.push(inner);
                        }
                        inner => open.push(inner),
                    }
                }
            }
            '\\' => {
                let next = characters.next();
                if next != Some('\n') {
                    word.get_or_insert_default().extend(next);
                }
            }
            '#' if word.is_none() => break,
            c if c.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            ';' | '&' | '|' => {
                tokens.extend(word.take().map(Token::Word));
                tokens.push(Token::End);
            }
            '$' | '`' | '(' | ')' => {
                tokens.push(Token::Unknown);
                word.get_or_insert_default().push(c);
            }
            '<' | '>' if word.is_none() => tokens.push(Token::Unknown),
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fall_into_commands() {
        let found = commands("cd tests && X=1 Y='a b' python -m pytest \"-k not slow\" # run\n");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].environment, [("X".into(), "1".into()), ("Y".into(), "a b".into())]);
        assert_eq!(found[1].words, ["python", "-m", "pytest", "-k not slow"]);
    }

    #[test]
    fn what_needs_a_shell_is_left_out() {
        assert_eq!(commands("pytest $(cat files); pytest tests")[0].words, ["pytest", "tests"]);
        assert!(commands("pytest `id`").is_empty() && commands("pytest \"$X\"").is_empty());
    }
}
