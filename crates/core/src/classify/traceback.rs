//! Python's tracebacks: which exception ended the interpreter, and whose code raised it.

use super::excerpt::Excerpt;
use crate::{cause::Dependency, evidence::Evidence, modules};

/// How many exceptions of a chain are read.
const LONGEST_CHAIN: usize = 6;

/// The exception that a log ends with.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Raised<'a> {
    /// Where the exception's own line is among the excerpt's lines.
    pub at: usize,
    /// Its class, e.g. `ModuleNotFoundError`.
    pub class: &'a str,
    /// Files of the frames, outermost first.
    pub frames: Vec<&'a str>,
}

/// The last traceback of an excerpt, then those that it followed from, the latest first.
pub(super) fn last_chain<'a>(excerpt: &'a Excerpt<'_>) -> Vec<Raised<'a>> {
    let lines = &excerpt.lines;
    let begins = |at: &usize| lines[*at].text.trim_start().starts_with("Traceback (most recent");
    let mut chain: Vec<Raised<'a>> = Vec::new();
    let mut end = lines.len();
    while chain.len() < LONGEST_CHAIN {
        let Some(begin) = (0..end).rev().find(begins) else { break };
        // What stands between two tracebacks says whether one followed from the other.
        let Some(raised) = raised_in(excerpt, begin, end) else { break };
        let linked = |line: &str| line.contains("above exception");
        if !chain.is_empty() && !lines[raised.at..end].iter().any(|line| linked(&line.text)) {
            break;
        }
        chain.push(raised);
        end = begin;
    }
    if chain.is_empty() {
        // A source that does not parse is told without a traceback when it is the first file.
        let begin = lines.iter().rposition(|line| frame(&line.text).is_some());
        chain.extend(begin.and_then(|begin| raised_in(excerpt, begin, lines.len())));
    }
    chain
}

/// The exception at the end of the traceback that begins on this line.
fn raised_in<'a>(excerpt: &'a Excerpt<'_>, begin: usize, end: usize) -> Option<Raised<'a>> {
    let lines = &excerpt.lines;
    let indent = indent_of(&lines[begin].text);
    let mut frames = Vec::new();
    for (at, line) in lines.iter().enumerate().take(end).skip(begin) {
        if let Some(file) = frame(&line.text) {
            frames.push(file);
            continue;
        }
        let text = line.text.trim_start();
        if !frames.is_empty()
            && indent_of(&line.text) <= indent
            && let Some(class) = class_of(text)
        {
            return Some(Raised { at, class, frames });
        }
    }
    None
}

/// The class of an exception's line: `a.b.SomeError: message`, or `SomeError` alone.
fn class_of(line: &str) -> Option<&str> {
    let class = line.split_once(": ").map_or(line.trim_end_matches([':', ' ']), |(class, _)| class);
    let named = !class.is_empty()
        && class.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && class.chars().all(|each| each.is_alphanumeric() || matches!(each, '.' | '_' | '<' | '>'));
    named.then_some(class)
}

fn frame(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    rest.split_once('"').map(|(file, _)| file)
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whose code a frame is in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Owner {
    /// `setup.py`, or what is exec'd in its stead.
    Setup,
    /// A file of the release: in its source tree or in its installation.
    Release,
    /// A distribution that was installed beside it.
    Other(Dependency),
    /// Something in site-packages that no table knows.
    Unknown,
}

/// The owner of the innermost frame that is not the interpreter's own.
pub(super) fn owner(evidence: &Evidence, frames: &[&str]) -> Option<Owner> {
    frames.iter().rev().find_map(|file| owner_of(evidence, file))
}

fn owner_of(evidence: &Evidence, file: &str) -> Option<Owner> {
    if let Some((_, inside)) = file.rsplit_once("/site-packages/") {
        let module = inside.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
        if is_own(evidence, &module) {
            return Some(Owner::Release);
        }
        let top = module.split('.').next()?;
        return Some(installed_as(evidence, top).map_or(Owner::Unknown, Owner::Other));
    }
    if file == "<string>" || file == "setup.py" || file.ends_with("/setup.py") {
        return Some(Owner::Setup);
    }
    if file.starts_with('<') || file.contains("/lib/python") || file.contains("/out/build.py") {
        return None;
    }
    Some(Owner::Release)
}

/// True for a module that is the release's, or would be if it were there. Of a namespace that many share only the part is its
/// own in which it has modules.
pub(super) fn is_own(evidence: &Evidence, module: &str) -> bool {
    let top = module.split('.').next().unwrap_or(module);
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let named = top.to_ascii_lowercase().replace('_', "-") == evidence.project.as_str();
    named
        || evidence.imports.iter().any(|import| {
            let own = import.module.as_str();
            own == top || is_below(module, own) || is_below(own, module)
        })
}

/// The installed distribution that provides a top-level module, as far as names and the table tell.
pub(super) fn installed_as(evidence: &Evidence, top: &str) -> Option<Dependency> {
    let name = top.to_ascii_lowercase().replace('_', "-");
    let provides = |project: &str| project == name || modules::providers(top).any(|known| known == project);
    let found = evidence.installed.iter().find(|installed| provides(installed.project.as_str()))?;
    Some(Dependency { project: found.project.to_string(), version: Some(found.version.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_and_its_frames() {
        let log = "Traceback (most recent call last):\n  File \"a.py\", line 1, in x\n    import y\nModuleNotFoundError: No module named 'y'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/x/setup.py\", line 9, in <module>\n    z()\n  File \"/x/b.py\", line 2, in z\n    raise Stop\nb.Stop: enough\n[end]\n";
        let excerpt = Excerpt::of(log);
        let chain = last_chain(&excerpt);
        assert_eq!((chain[0].class, chain[0].frames.len()), ("b.Stop", 2));
        assert_eq!(excerpt.lines[chain[0].at].number, 13);
        assert_eq!((chain[1].class, chain.len()), ("ModuleNotFoundError", 2));
    }

    #[test]
    fn a_file_that_does_not_parse() {
        let log =
            "  File \"setup.py\", line 3\n    print \"x\"\n    ^^^^^\nSyntaxError: Missing parentheses\n";
        let excerpt = Excerpt::of(log);
        assert_eq!(last_chain(&excerpt).first().map(|raised| raised.class), Some("SyntaxError"));
        assert!(last_chain(&Excerpt::of("no error here\n")).is_empty());
    }
}
