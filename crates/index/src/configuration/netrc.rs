//! Secrets by host from a netrc file (`$NETRC`, `~/.netrc`), as uv, pip and curl read it.

use std::{collections::BTreeMap, path::PathBuf};

use super::Surroundings;
use crate::Credentials;

/// Secrets by host. A file that cannot be read is no file.
pub(super) fn read(surroundings: &Surroundings) -> BTreeMap<String, Credentials> {
    let path = match surroundings.variable("NETRC") {
        Some(path) => Some(PathBuf::from(path)),
        None => surroundings.home.as_ref().map(|home| home.join(".netrc")),
    };
    path.and_then(|path| std::fs::read_to_string(path).ok()).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> BTreeMap<String, Credentials> {
    // Comments are whole lines; a macro definition runs to the next empty line and is not followed.
    let mut words = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro || line.trim_start().starts_with('#') {
            in_macro &= !line.trim().is_empty();
            continue;
        }
        in_macro = line.trim_start().starts_with("macdef");
        if !in_macro {
            words.extend(line.split_whitespace());
        }
    }
    let mut found = BTreeMap::new();
    let mut words = words.into_iter();
    let (mut host, mut login, mut password) = (None::<String>, String::new(), String::new());
    let mut keep = |host: &mut Option<String>, login: &mut String, password: &mut String| {
        if let Some(host) = host.take()
            && !(login.is_empty() && password.is_empty())
        {
            found
                .entry(host)
                .or_insert_with(|| Credentials::new(std::mem::take(login), std::mem::take(password)));
        }
        login.clear();
        password.clear();
    };
    while let Some(word) = words.next() {
        let unquoted = |word: Option<&str>| word.unwrap_or("").trim_matches('"').to_owned();
        match word {
            "machine" => {
                keep(&mut host, &mut login, &mut password);
                host = words.next().map(str::to_ascii_lowercase);
            }
            "default" => keep(&mut host, &mut login, &mut password),
            "login" => login = unquoted(words.next()),
            "password" => password = unquoted(words.next()),
            "account" => drop(words.next()),
            _ => {}
        }
    }
    keep(&mut host, &mut login, &mut password);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines() {
        let found = parse(
            "# c\nmachine A.example login u password p\nmacdef x\n machine no login a password b\n\nmachine b.example\n  password t\ndefault login d password e",
        );
        assert_eq!(found["a.example"], Credentials::new("u", "p"));
        assert_eq!(found["b.example"], Credentials::new("", "t"));
        // A default would send a secret to every host that any page names.
        assert_eq!(found.len(), 2);
    }
}
