//! Requirement specifiers of strangers, before they are handed to an installer as lines of a file. Such a file knows options
//! (`-r`, `--index-url`), addresses and variables; what is no plain specifier is refused here.

use wheeltapper_core::pep508_rs::{Requirement, VersionOrUrl};

/// The specifiers as an installer may read them: in the parser's own spelling, or, where only an installer more lenient than
/// PEP 508 would take one, as it stands, when nothing in it could be anything else than a specifier.
///
/// # Errors
/// Words that name the first one that is refused, and why.
pub(crate) fn plain(specifiers: &[String]) -> Result<Vec<String>, String> {
    specifiers.iter().map(|text| one(text)).collect()
}

fn one(text: &str) -> Result<String, String> {
    let refused = |why: &str| Err(format!("InvalidRequirement: `{}`: {why}", shown(text)));
    match text.parse::<Requirement>() {
        Ok(requirement) => match requirement.version_or_url {
            Some(VersionOrUrl::Url(_)) => refused("requirements with an address are not followed"),
            Some(VersionOrUrl::VersionSpecifier(_)) | None => Ok(requirement.to_string()),
        },
        Err(error) if is_harmless(text) => {
            drop(error);
            Ok(text.trim().to_owned())
        }
        Err(error) => refused(&error.message.to_string()),
    }
}

/// True for one line that starts with a name and holds nothing that could be an option, an address, a path or a variable.
fn is_harmless(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !text.contains(" -")
        && text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || " ._-[](),<>=!~*+;'\"".contains(character))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_addresses_paths_and_variables_are_refused() {
        for hostile in [
            "-r /etc/shadow",
            "--index-url http://x/",
            "a\n-r /etc/shadow",
            "a @ http://127.0.0.1/a-1-py3-none-any.whl",
            "a @ file:///etc/shadow",
            "git+https://x/y",
            "./a",
            "a; -r x",
            "${HOME}",
            "a --config-settings x",
            "",
        ] {
            assert!(plain(&[hostile.to_owned()]).is_err(), "{hostile}");
        }
    }

    #[test]
    fn specifiers_go_through_also_those_that_only_installers_take() {
        let good = ["a", "a[b]>=1; python_version < '3'", "foo (>=1.0.*)", "a>1,"].map(str::to_owned);
        assert_eq!(plain(&good).unwrap().len(), 4);
    }
}
