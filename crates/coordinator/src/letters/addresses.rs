//! Who is concerned, out of what metadata says of authors and maintainers: lists of addresses, written by people, for
//! people, and against harvesters. Everything here is a stranger's text; what comes out is a plain address or none.

use wheeltapper_core::{ProjectName, Sha256, cycle::People};
use wheeltapper_render::web;

/// One who is concerned with a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name as given, cleaned; empty when there is none.
    pub name: String,
    /// The address, lower case in its domain; only ASCII, no control characters, no quotes.
    pub address: Option<String>,
    /// True for a user of the index, whose name is one person's.
    pub account: bool,
}

/// The people of a project, maintainers first, then authors, then who has a role on the index; each once.
pub fn people(people: &People) -> Vec<Person> {
    let mut found: Vec<Person> = Vec::new();
    let groups = [
        of_fields(&people.maintainer, &people.maintainer_email),
        of_fields(&people.author, &people.author_email),
        of_roles(&people.roles),
    ];
    for person in groups.into_iter().flatten() {
        let same = |other: &Person| match (&person.address, &other.address) {
            (Some(one), Some(two)) => one.eq_ignore_ascii_case(two),
            _ => !person.name.is_empty() && other.name.eq_ignore_ascii_case(&person.name),
        };
        if !found.iter().any(same) {
            found.push(person);
        }
    }
    found
}

/// Those whom letters about a project go to: whom its maintainers wish, else maintainers who have an address, else authors,
/// else users of the index in a role. Nobody where they wish for issues instead.
pub fn recipients(of: &People) -> Vec<Person> {
    if let Some(wishes) = &of.wishes {
        if let Some(address) = wishes.email.as_deref().and_then(address) {
            return vec![Person { name: String::new(), address: Some(address), account: false }];
        }
        if wishes.url.is_some() {
            return Vec::new();
        }
    }
    let groups = [
        of_fields(&of.maintainer, &of.maintainer_email),
        of_fields(&of.author, &of.author_email),
        of_roles(&of.roles),
    ];
    for mut reachable in groups {
        reachable.retain(|person| person.address.is_some());
        reachable.dedup_by(|one, two| one.address == two.address);
        if !reachable.is_empty() {
            return reachable;
        }
    }
    Vec::new()
}

/// The people of a project for the site: names and pages, no addresses.
pub fn named_people(project: &ProjectName, of: &People) -> Vec<web::People> {
    people(of)
        .into_iter()
        .map(|person| {
            let identity = match &person.address {
                Some(address) => address.to_ascii_lowercase(),
                None if person.account => format!("{} on the index", person.name.to_lowercase()),
                // Without an address, two of one name may be two.
                None => format!("{} of {project}", person.name.to_lowercase()),
            };
            if person.name.is_empty() {
                let number = Sha256::of(identity.as_bytes()).short();
                return web::People::new(&format!("maintainer {}", &number[..6]), &identity);
            }
            web::People::new(&person.name, &identity)
        })
        .collect()
}

/// Users of the index. Some indexes have addresses for user names.
fn of_roles(roles: &[(String, String)]) -> Vec<Person> {
    let person = |(_, user): &(String, String)| {
        let (name, address) = entry(user);
        Person { name, address, account: true }
    };
    roles.iter().map(person).filter(|person| !person.name.is_empty() || person.address.is_some()).collect()
}

/// The people of one pair of fields. PEP 621 puts `Name <address>` into the address field; older metadata has the names in
/// one field and the addresses in the other.
fn of_fields(names: &str, addresses: &str) -> Vec<Person> {
    let mut people = Vec::new();
    let mut before = Vec::new();
    for part in parts(addresses) {
        let (name, address) = entry(&part);
        if address.is_none() && !name.is_empty() && !part.contains(['<', '@']) {
            // `Doe, Jane <jane@…>`: a part of the name that follows.
            before.push(name);
            continue;
        }
        before.push(name);
        let name = before.drain(..).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        people.push(Person { name, address, account: false });
    }
    people.extend(before.into_iter().map(|name| Person { name, address: None, account: false }));
    let named: Vec<String> =
        parts(names).iter().map(|part| clean(part)).filter(|name| !name.is_empty()).collect();
    let whole = clean(names);
    let nameless = people.iter().filter(|person| person.name.is_empty()).count();
    if nameless == people.len() && nameless == named.len() {
        for (person, name) in people.iter_mut().zip(named) {
            person.name = name;
        }
    } else if nameless == 1 && people.len() == 1 {
        people[0].name = whole;
    } else {
        for name in named {
            if !people.iter().any(|person| person.name.eq_ignore_ascii_case(&name)) {
                people.push(Person { name, address: None, account: false });
            }
        }
    }
    people.retain(|person| !person.name.is_empty() || person.address.is_some());
    people
}

/// The parts of a list: commas and semicolons outside quotes, angle brackets and parentheses; lines, too.
fn parts(text: &str) -> Vec<String> {
    const LONGEST: usize = 20_000;
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut quoted, mut escaped, mut angle, mut round) = (false, false, false, 0_u32);
    for character in text.chars().take(LONGEST) {
        let plain = !quoted && !angle && round == 0;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => angle = true,
            '>' if !quoted => angle = false,
            '(' if !quoted => round += 1,
            ')' if !quoted => round = round.saturating_sub(1),
            ',' | ';' | '\n' if plain => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(character);
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// The name and the address of one part of a list.
fn entry(part: &str) -> (String, Option<String>) {
    if let Some((name, rest)) = part.rsplit_once('<') {
        let inside = rest.split('>').next().unwrap_or_default();
        return (clean(name), address(inside));
    }
    if let Some(found) = address(part) {
        return (String::new(), Some(found));
    }
    // `jane@example.org (Jane Doe)`: the comment is the name (RFC 822).
    if let Some((before, comment)) = part.split_once('(')
        && let Some(found) = address(before)
    {
        return (clean(comment.trim_end().trim_end_matches(')')), Some(found));
    }
    // `Jane Doe jane@example.org`
    let mut words: Vec<&str> = part.split_whitespace().collect();
    if let Some(index) = words.iter().position(|word| word.contains('@') && address(word).is_some()) {
        let found = address(words.remove(index));
        return (clean(&words.join(" ")), found);
    }
    (clean(part), None)
}

/// A plain address, also where it is written for people only: `jane at example dot org`, `jane[at]example.org`.
fn address(text: &str) -> Option<String> {
    let mut text = text.trim().trim_matches(['<', '>', '"', '\'']).trim().to_owned();
    if !text.contains('@') {
        let lower = text.to_lowercase();
        for (shown, meant) in [("at", "@"), ("dot", ".")] {
            for (open, close) in
                [("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"), ("_", "_"), ("-", "-"), (" ", " ")]
            {
                if !lower.is_ascii() {
                    return None;
                }
                let word = format!("{open}{shown}{close}");
                let spaced = text.to_ascii_lowercase();
                if spaced.contains(&word) && !(meant == "@" && spaced.contains('@')) {
                    text = spaced.replace(&word, meant);
                }
            }
        }
        text.retain(|character| character != ' ');
    }
    let (local, domain) = text.split_once('@')?;
    let domain = domain.to_ascii_lowercase();
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-.".contains(&byte);
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let domain_fits = domain.len() <= 190 && domain.contains('.') && domain.split('.').all(label);
    let lower = local.to_ascii_lowercase();
    let unreachable = ["noreply", "no-reply", "donotreply", "nospam", "no-spam", "removethis"];
    let nobody = unreachable.iter().any(|word| lower.contains(word) || domain.contains(word));
    // Names that RFC 2606 and RFC 6761 keep for examples and for nobody.
    let reserved = ["example.com", "example.org", "example.net", "localhost.localdomain"];
    let top = domain.rsplit('.').next().unwrap_or_default();
    let nowhere = ["example", "invalid", "test", "local", "localhost", "localdomain"].contains(&top)
        || reserved.contains(&domain.as_str());
    (local_fits && domain_fits && !nobody && !nowhere && !top.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| format!("{local}@{domain}"))
}

/// A name: one line, without quotes, brackets and anything like an address; empty where the text says that there is none.
fn clean(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|character| !matches!(character, '"' | '<' | '>' | '\\' | '(' | ')' | '[' | ']'))
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    let words: Vec<&str> = kept.split_whitespace().filter(|word| !word.contains('@')).take(12).collect();
    let name: String = words.join(" ").trim_matches([',', ';', '.', '-', '\'']).chars().take(80).collect();
    let nobody =
        ["unknown", "none", "n/a", "na", "author", "your name", "todo", "null", "undefined", "various"];
    if nobody.contains(&name.to_lowercase().as_str()) || !name.chars().any(char::is_alphabetic) {
        return String::new();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(author: &str, author_email: &str) -> Vec<(String, Option<String>)> {
        of_fields(author, author_email).into_iter().map(|person| (person.name, person.address)).collect()
    }

    fn one(name: &str, address: &str) -> (String, Option<String>) {
        (name.to_owned(), (!address.is_empty()).then(|| address.to_owned()))
    }

    #[test]
    fn lists_of_addresses_as_people_write_them() {
        for (author, author_email, wanted) in [
            ("Jane Doe", "jane@doe.net", vec![one("Jane Doe", "jane@doe.net")]),
            (
                "",
                "Jane Doe <Jane@DOE.net>, j2@x.org",
                vec![one("Jane Doe", "Jane@doe.net"), one("", "j2@x.org")],
            ),
            ("", "\"Doe, Jane\" <jane@doe.net>", vec![one("Doe, Jane", "jane@doe.net")]),
            ("", "Doe, Jane <jane@doe.net>", vec![one("Doe, Jane", "jane@doe.net")]),
            ("A, B", "a@x.org, b@x.org", vec![one("A", "a@x.org"), one("B", "b@x.org")]),
            ("Solo", "UNKNOWN", vec![one("Solo", "")]),
            ("UNKNOWN", "UNKNOWN", vec![]),
            ("None", "n/a", vec![]),
            ("", "jane@doe.net (Jane Doe)", vec![one("Jane Doe", "jane@doe.net")]),
            ("Jane", "jane at doe dot net", vec![one("Jane", "jane@doe.net")]),
            ("Jane", "jane[at]doe[dot]net", vec![one("Jane", "jane@doe.net")]),
            ("Jane", "jane (at) doe.net", vec![one("Jane", "jane@doe.net")]),
            (
                "Team",
                "team@x.org; Lead <lead@x.org>",
                vec![one("", "team@x.org"), one("Lead", "lead@x.org"), one("Team", "")],
            ),
            ("Bot", "12+bot@users.noreply.host.org", vec![one("Bot", "")]),
            ("X", "x@example.com", vec![one("X", "")]),
            ("X", "x@localhost", vec![one("X", "")]),
        ] {
            assert_eq!(of(author, author_email), wanted, "{author:?} {author_email:?}");
        }
    }

    #[test]
    fn nothing_breaks_out() {
        for hostile in [
            "jane@doe.net\r\nBcc: all@x.org",
            "a@b.org>\r\nBcc: <c@d.org",
            "\"\r\nSubject: x\" <a@b.org>",
            "<script>alert(1)</script>@x.org",
            "a@b.org%0aBcc:c@d.org",
            "a\0@b.org",
            "ünï@cödé.org",
            "a@b..org",
            "@",
            "<<<<>>>>@@@,,,;;;(((",
        ] {
            for person in of_fields(hostile, hostile) {
                let all = format!("{}{}", person.name, person.address.clone().unwrap_or_default());
                assert!(
                    !all.contains(['\r', '\n', '\0', '<', '>', '"', ' '].map(|c| if c == ' ' {
                        '\t'
                    } else {
                        c
                    })),
                    "{all:?}"
                );
                assert!(
                    person
                        .address
                        .iter()
                        .all(|address| address.is_ascii() && address.matches('@').count() == 1)
                );
            }
        }
        let long = "x".repeat(100_000);
        assert!(
            of_fields(&long, &format!("{long}@{long}.org")).iter().all(|person| person.address.is_none())
        );
    }

    #[test]
    fn letters_go_to_maintainers_and_pages_show_no_address() {
        let fields = People {
            author: "Old Author".to_owned(),
            author_email: "old@x.org".to_owned(),
            maintainer: String::new(),
            maintainer_email: "New One <new@x.org>".to_owned(),
            roles: vec![
                ("Organization".to_owned(), "the-crew".to_owned()),
                ("Owner".to_owned(), "<b>no</b> one@x.org".to_owned()),
            ],
            ..People::default()
        };
        let to: Vec<_> = recipients(&fields).into_iter().filter_map(|person| person.address).collect();
        assert_eq!(to, ["new@x.org"]);
        let project = "six".parse().unwrap();
        let shown = named_people(&project, &fields);
        assert_eq!(
            shown.iter().map(|person| person.name.as_str()).collect::<Vec<_>>(),
            ["New One", "Old Author", "the-crew", "bno"]
        );
        assert!(shown.iter().all(|person| !format!("{person:?}").contains('@')));
    }
}
