//! What the resolver says when requirements cannot be had. Its words come from the trusted side, over static metadata, and have a
//! fixed form: a derivation of sentences that begin with `Because`.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    excerpt::{Excerpt, Line},
    found::Found,
};
use crate::{
    cause::{Blame, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::Evidence,
    phase::Phase,
};

struct Sentences {
    not_found: Regex,
    python: Regex,
    no_version: Regex,
    dependent: Regex,
    build: Regex,
    build_by_pip: Regex,
}

static SENTENCES: LazyLock<Sentences> = LazyLock::new(|| {
    let regex = |pattern: &str| Regex::new(pattern).expect("a literal pattern compiles");
    Sentences {
        not_found: regex(
            r"(?P<project>[\w.-]+)(?:\[[\w.,-]*\])? was not found in the (?:package registry|provided package locations)",
        ),
        python: regex(
            r"the requested Python version \([^)]*\) does not satisfy Python|(?P<project>[\w.-]+?)(?:\[[\w.,-]*\])?(?:[=<>!~][\w.,<>=!~*+]*)? depends on Python",
        ),
        no_version: regex(
            r"(?:there (?:is|are) no versions? of (?P<none>[\w.-]+)|only (?:the following versions of )?(?P<only>[\w.-]+?)(?:\[[\w.,-]*\])?(?:[<>=!~][\w.,<>=!~*+]*)? (?:is|are) available|(?:all versions of )?(?P<wheels>[\w.-]+?)(?:\[[\w.,-]*\])?(?:[=<>!~][\w.,<>=!~*+]*)? (?:has|have) no (?:usable )?wheels|[Nn]o matching distribution found for (?P<matching>[\w.-]+))",
        ),
        dependent: regex(
            r"(?P<project>[\w.-]+?)(?:\[[\w.,-]*\])?(?:==(?P<version>[\w.+!]+)|[<>!~][\w.,<>=!~*+]*)? depends on (?P<on>[\w.-]+)",
        ),
        build: regex(r"[Ff]ailed to build `(?P<project>[^`=@ ]+)(?:==(?P<version>[^`]+))?`"),
        build_by_pip: regex(
            r"^\s*(?:╰─> |ERROR: Failed building wheel for )(?P<project>[A-Za-z0-9][\w.-]*)\s*$",
        ),
    }
});

/// The cause that a resolver's refusal names, and the lines that it rests on.
pub(super) fn cause_of(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let lines = &excerpt.lines;
    let refusal = lines.iter().rposition(|line| {
        line.text.contains("No solution found when resolving")
            || line.text.contains("No matching distribution found")
    })?;
    // One sentence runs over several lines.
    let told: Vec<&Line<'_>> = lines[refusal..].iter().take(40).collect();
    let text = told.iter().map(|line| line.text.trim()).collect::<Vec<_>>().join(" ");
    let decisive = told.iter().find(|line| line.text.contains("ecause ")).unwrap_or(&told[0]);
    let sentences = &*SENTENCES;
    let named = |captures: &regex::Captures<'_>| {
        let group = |name| captures.name(name);
        ["project", "none", "only", "wheels", "matching"]
            .into_iter()
            .find_map(group)
            .map(|found| found.as_str().to_owned())
    };
    let (id, subject, detail) = if let Some(captures) = sentences.not_found.captures(&text) {
        let project = named(&captures).unwrap_or_default();
        let detail = format!("no project called {project} is on the index");
        (CauseId::DependencyNotFound, Some(project), detail)
    } else if let Some(captures) = sentences.python.captures(&text) {
        let project = sentences
            .dependent
            .captures(&text)
            .and_then(|captures| named(&captures))
            .or_else(|| named(&captures));
        let detail = format!(
            "a requirement ({}) has no release for this Python",
            project.as_deref().unwrap_or("unnamed")
        );
        (CauseId::RequiresPython, project, detail)
    } else if let Some(captures) = sentences.no_version.captures(&text) {
        let project = named(&captures).unwrap_or_default();
        let detail = format!("no release of {project} satisfies what is required of it");
        (CauseId::NoMatchingDistribution, Some(project), detail)
    } else {
        let on = sentences
            .dependent
            .captures(&text)
            .and_then(|captures| Some(captures.name("on")?.as_str().to_owned()));
        let detail = match &on {
            Some(on) => format!("the declared requirements exclude each other: they disagree about {on}"),
            None => "the declared requirements exclude each other".to_owned(),
        };
        (CauseId::DependencyConflict, on, detail)
    };
    let mut found = Found::new(id, Blame::Package, detail).confidence(Confidence::High);
    if let Some(subject) = &subject {
        found = found.subject(subject);
    }
    // A dependency that itself asks for what does not exist is to blame, not the release that requires it.
    if id == CauseId::DependencyNotFound
        && let Some(captures) = sentences
            .dependent
            .captures_iter(&text)
            .find(|captures| captures.name("on").map(|on| on.as_str()) == subject.as_deref())
        && let Some(project) =
            captures.name("project").filter(|project| project.as_str() != evidence.project.as_str())
    {
        let version = captures.name("version").map(|version| version.as_str().to_owned());
        found = found.dependency(Dependency { project: project.as_str().to_owned(), version });
    }
    let line = EvidenceLine { phase, line: decisive.number, text: short(&decisive.text) };
    Some((found, vec![line]))
}

/// A requirement that has only an sdist here, which does not build: its name, and the lines of its own build.
pub(super) fn failed_build<'a>(excerpt: &Excerpt<'a>) -> Option<(Dependency, EvidenceLine, Excerpt<'a>)> {
    let lines = &excerpt.lines;
    let Some(at) = lines.iter().position(|line| SENTENCES.build.is_match(&line.text)) else {
        return failed_build_by_pip(excerpt);
    };
    let captures = SENTENCES.build.captures(&lines[at].text)?;
    let dependency = Dependency {
        project: captures.name("project")?.as_str().to_owned(),
        version: captures.name("version").map(|version| version.as_str().to_owned()),
    };
    let evidence =
        EvidenceLine { phase: Phase::Install, line: lines[at].number, text: short(&lines[at].text) };
    let nested: Vec<Line<'a>> = lines[at + 1..]
        .iter()
        .take_while(|line| !line.text.starts_with("hint: "))
        .map(|line| {
            let text = line.text.strip_prefix("         ").or_else(|| line.text.strip_prefix("      "));
            Line {
                number: line.number,
                text: text.map_or_else(|| line.text.clone(), |text| text.to_owned().into()),
            }
        })
        .collect();
    Some((dependency, evidence, Excerpt { last: nested.last().cloned(), lines: nested }))
}

/// The same as pip tells it: what the build printed stands before the line that names the requirement.
fn failed_build_by_pip<'a>(excerpt: &Excerpt<'a>) -> Option<(Dependency, EvidenceLine, Excerpt<'a>)> {
    let lines = &excerpt.lines;
    let at = lines.iter().rposition(|line| SENTENCES.build_by_pip.is_match(&line.text))?;
    let project = SENTENCES.build_by_pip.captures(&lines[at].text)?.name("project")?.as_str().to_owned();
    let evidence =
        EvidenceLine { phase: Phase::Install, line: lines[at].number, text: short(&lines[at].text) };
    let begin = lines[..at].iter().rposition(|line| line.text.trim_end().ends_with("lines of output]"))?;
    let nested: Vec<Line<'a>> = lines[begin + 1..at]
        .iter()
        .map_while(|line| {
            let text = line.text.strip_prefix("      ")?;
            Some(Line { number: line.number, text: text.to_owned().into() })
        })
        .collect();
    let dependency = Dependency { project, version: None };
    Some((dependency, evidence, Excerpt { last: nested.last().cloned(), lines: nested }))
}

/// A line as evidence shows it.
pub(super) fn short(text: &str) -> String {
    text.trim().chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pip_names_the_requirement_after_what_its_build_printed() {
        let log = "  error: subprocess-exited-with-error\n  ╰─> [2 lines of output]\n      Traceback (most recent call last):\n        \
                   KeyError: 'x'\n      [end of output]\n  \nerror: metadata-generation-failed\n\n╰─> pycairo\n\nhint: See above";
        let (dependency, line, nested) = failed_build(&Excerpt::of(log)).unwrap();
        assert_eq!((dependency.project.as_str(), line.text.as_str()), ("pycairo", "╰─> pycairo"));
        let nested: Vec<_> = nested.lines.iter().map(|line| line.text.as_ref()).collect();
        assert_eq!(nested, ["Traceback (most recent call last):", "  KeyError: 'x'"]);
    }
}
