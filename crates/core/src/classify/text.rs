//! A cause from the text of a log: what Python raised last, then what rules know, then what follows from something unknown.

use std::cmp::Reverse;

use super::{
    exceptions::{self, Exception},
    excerpt::{Excerpt, Line},
    found::Found,
    resolver::short,
    rules::{Pick, Reads, Rule, shipped},
    traceback::{Owner, Raised, last_chain, owner},
};
use crate::{
    advice,
    cause::{Blame, CauseId, Confidence, EvidenceLine},
    evidence::Evidence,
    phase::Phase,
};

/// How a compiler's call begins, after which its diagnostics stand.
const COMPILERS: &[&str] = &[
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "clang++",
    "x86_64-linux-gnu-gcc",
    "x86_64-linux-gnu-g++",
    "building '",
];

/// The cause that the lines name, and the decisive line.
pub(super) fn cause_of(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let chain = last_chain(excerpt);
    // What a program exits with is its own word; what fails while that is told is not the reason.
    let exits = chain.iter().filter(|raised| raised.class == "SystemExit");
    exits
        .chain(&chain)
        .find_map(|raised| from_exception(evidence, phase, excerpt, raised))
        .or_else(|| from_rules(evidence, phase, excerpt))
        .or_else(|| own_setup(evidence, phase, excerpt, chain.first()?))
}

fn reads(rule: &Rule, evidence: &Evidence, phase: Phase) -> bool {
    rule.reads == Reads::Line
        && rule.phases.contains(&phase)
        && rule.artifact.is_none_or(|artifact| artifact == evidence.artifact)
}

fn from_exception(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
    raised: &Raised<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let line = &excerpt.lines[raised.at];
    let exception = Exception { phase, line: line.text.trim(), frames: &raised.frames };
    if let Some(found) = exceptions::cause_of(evidence, exception) {
        return Some((found, decisive(phase, line)));
    }
    // A message may run over several lines.
    let behind = excerpt.lines[raised.at..].iter().take(4);
    for line in behind {
        let known = shipped().knowing(&line.text);
        let mut known = known.filter(|(_, rule)| reads(rule, evidence, phase) && !rule.consequence);
        if let Some((number, rule)) = known.next() {
            let found = told(number, rule, line);
            return Some((blamed(evidence, phase, found, rule.blame, &raised.frames), decisive(phase, line)));
        }
    }
    None
}

/// What rules know of the lines: compilers' diagnostics, then the rest, then what follows from something unknown.
fn from_rules(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let known: Vec<Known> = excerpt
        .lines
        .iter()
        .enumerate()
        .flat_map(|(at, line)| shipped().knowing(&line.text).map(move |(rule, _)| Known { at, rule }))
        .filter(|known| reads(shipped().rule(known.rule), evidence, phase))
        .collect();
    from_compiler(phase, excerpt, &known)
        .or_else(|| from_lines(evidence, phase, excerpt, &known, false))
        .or_else(|| from_lines(evidence, phase, excerpt, &known, true))
}

/// A line that a rule knows, both by number.
#[derive(Debug, Clone, Copy)]
struct Known {
    at: usize,
    rule: usize,
}

/// The first diagnostic behind the last call of a compiler. What it leaves open, a later one of the same call may tell.
fn from_compiler(phase: Phase, excerpt: &Excerpt<'_>, known: &[Known]) -> Option<(Found, Vec<EvidenceLine>)> {
    let lines = &excerpt.lines;
    let called = |line: &Line<'_>| {
        let program = line.text.split(' ').next().unwrap_or("");
        COMPILERS.contains(&program.rsplit('/').next().unwrap_or("")) || line.text.starts_with("building '")
    };
    let last_call = lines.iter().rposition(called).map_or(0, |at| at + 1);
    let first_from = |from: usize| {
        let of_compiler = |known: &&Known| known.at >= from && shipped().rule(known.rule).pick == Pick::First;
        let named = |known: &&Known| shipped().rule(known.rule).id != CauseId::CompilerError;
        let mut diagnostics = known.iter().filter(of_compiler);
        let first = diagnostics.clone().next();
        diagnostics.find(named).or(first).copied()
    };
    let Known { at, rule } = first_from(last_call).or_else(|| first_from(0))?;
    let line = &lines[at];
    let mut found = told(rule, shipped().rule(rule), line);
    if found.id() == CauseId::MissingHeader
        && let Some(header) = own_header(&lines[at..], line)
    {
        let detail = format!("the source includes {header}, which the sdist does not ship");
        found = Found::new(CauseId::IncompleteSdist, Blame::Package, detail).subject(header);
    }
    Some((found, decisive(phase, line)))
}

/// A header that the source includes as a file of its own (`#include "x.h"`) and that no known system package has.
fn own_header<'a>(lines: &'a [Line<'_>], diagnostic: &Line<'_>) -> Option<&'a str> {
    let include = lines.iter().skip(1).take(2).find(|line| line.text.contains("#include"))?;
    if include.number > diagnostic.number + 2 {
        return None;
    }
    let (_, quoted) = include.text.split_once("#include \"")?;
    let (header, _) = quoted.split_once('"')?;
    advice::debian_package(CauseId::MissingHeader, header).is_none().then_some(header)
}

/// The first rule, in order, that knows a line, and the last line that it knows.
fn from_lines(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
    known: &[Known],
    consequences: bool,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let fits = |known: &&Known| {
        let rule = shipped().rule(known.rule);
        rule.consequence == consequences && rule.pick == Pick::Last
    };
    let Known { at, rule } =
        *known.iter().filter(fits).min_by_key(|known| (known.rule, Reverse(known.at)))?;
    let line = &excerpt.lines[at];
    let before = Excerpt { lines: excerpt.lines[..=at].to_vec(), last: None };
    let frames = last_chain(&before).into_iter().next().map(|raised| raised.frames).unwrap_or_default();
    let (number, rule) = (rule, shipped().rule(rule));
    Some((blamed(evidence, phase, told(number, rule, line), rule.blame, &frames), decisive(phase, line)))
}

/// The build's own code raised something that no rule knows: that much is sure.
fn own_setup(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
    raised: &Raised<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let own = matches!(owner(evidence, &raised.frames), Some(Owner::Setup | Owner::Release));
    if phase != Phase::Build || !own {
        return None;
    }
    let line = &excerpt.lines[raised.at];
    let detail =
        format!("its own build code raises {}", short(&line.text).chars().take(200).collect::<String>());
    let found = Found::new(CauseId::BuildBackendError, Blame::Package, detail).subject(raised.class);
    Some((found.title(Some("its build code raises an error".to_owned())), decisive(phase, line)))
}

fn told(number: usize, rule: &Rule, line: &Line<'_>) -> Found {
    let (subject, detail) = shipped().particulars(number, &line.text);
    let found = Found::new(rule.id, rule.blame, detail).title(rule.title.clone());
    match subject {
        Some(subject) => found.subject(subject),
        None => found,
    }
}

/// The package's fault is a dependency's where the dependency's code raised. In a build its requirements raise on its behalf.
fn blamed(evidence: &Evidence, phase: Phase, found: Found, blame: Blame, frames: &[&str]) -> Found {
    match owner(evidence, frames) {
        Some(Owner::Other(dependency)) if blame == Blame::Package && phase != Phase::Build => {
            found.dependency(dependency)
        }
        _ => found,
    }
}

pub(super) fn decisive(phase: Phase, line: &Line<'_>) -> Vec<EvidenceLine> {
    vec![EvidenceLine { phase, line: line.number, text: short(&line.text) }]
}

/// What is left when nothing is known: the last line that looks like an error, and little confidence.
pub(super) fn unknown(phase: Phase, exit: Option<i32>, excerpt: &Excerpt<'_>) -> (Found, Vec<EvidenceLine>) {
    let looks_like_one = |line: &&Line<'_>| {
        let text = line.text.trim_start();
        text.contains("Error") || text.contains("error:") || text.starts_with("Exception")
    };
    let line = excerpt.lines.iter().rev().find(looks_like_one).or(excerpt.last.as_ref());
    let evidence = line.map(|line| decisive(phase, line)).unwrap_or_default();
    let id = match phase {
        Phase::Build => CauseId::BuildBackendError,
        Phase::Uninstall => CauseId::UninstallError,
        Phase::Fetch | Phase::Install | Phase::Import | Phase::Test => CauseId::Unclassified,
    };
    let exit = exit.map_or_else(String::new, |code| format!(" with exit status {code}"));
    let detail =
        evidence.first().map_or_else(|| format!("the {phase} phase failed{exit}"), |line| line.text.clone());
    (Found::new(id, Blame::Package, detail).confidence(Confidence::Low), evidence)
}
