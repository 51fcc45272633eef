//! The rule files: loading, checking, and matching lines. A rule whose own examples disagree with it does not load.

use std::sync::LazyLock;

use regex::{Captures, Regex, RegexSet, RegexSetBuilder};
use serde::Deserialize;

use super::excerpt::is_marked;
use crate::{
    cause::{Blame, CauseId},
    evidence::Artifact,
    phase::Phase,
};

/// The memory that matching all patterns at once may take, in bytes: with less, it falls back to a way ten times slower.
const LARGEST_SET: usize = 128 << 20;

/// What a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// Lines of logs, and what single tests failed with.
    #[default]
    Line,
    /// Only what single tests failed with.
    Message,
}

/// Which of several matching lines decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// The last: programs end with their error.
    #[default]
    Last,
    /// The first behind the last call of a compiler: what follows is mostly its consequence.
    First,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The cause that it names.
    pub id: CauseId,
    /// The phases whose logs it reads.
    pub phases: Vec<Phase>,
    /// What it reads.
    #[serde(default)]
    pub reads: Reads,
    /// Which line decides.
    #[serde(default)]
    pub pick: Pick,
    /// True for lines that follow from another fault: tried when nothing else is known.
    #[serde(default)]
    pub consequence: bool,
    /// Only for cells that start from this.
    #[serde(default)]
    pub artifact: Option<Artifact>,
    /// Whose fault, unless structure says otherwise.
    pub blame: Blame,
    /// A short noun phrase, where the id's own does not do.
    #[serde(default)]
    pub title: Option<String>,
    /// A sentence; `{subject}` is the first group that matched, `{line}` the decisive line.
    detail: String,
    pattern: String,
    positive: Vec<String>,
    negative: Vec<String>,
}

/// The rules, ready to read lines.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<(Rule, Regex)>,
    set: RegexSet,
}

/// A rule file that does not load.
#[derive(Debug, thiserror::Error)]
#[error("rule file: {0}")]
pub struct RuleError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<Rule>,
}

impl Rules {
    /// Reads and checks rule files (TOML), in the order in which their rules are to be tried.
    ///
    /// # Errors
    /// When a file does not parse, a pattern does not compile, a rule has no examples, or an example disagrees.
    pub fn parse(texts: &[&str]) -> Result<Self, RuleError> {
        let mut rules = Vec::new();
        for text in texts {
            let file = toml::from_str::<RuleFile>(text).map_err(|error| RuleError(error.to_string()))?;
            for rule in file.rule {
                rules.push(checked(rule)?);
            }
        }
        let set = RegexSetBuilder::new(rules.iter().map(|(rule, _)| &rule.pattern))
            .size_limit(LARGEST_SET)
            .dfa_size_limit(LARGEST_SET)
            .build()
            .map_err(|error| RuleError(error.to_string()))?;
        Ok(Rules { rules, set })
    }

    /// Every rule, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(rule, _)| rule)
    }

    /// The rules that know this line, in order, by number.
    pub fn knowing(&self, line: &str) -> impl Iterator<Item = (usize, &Rule)> {
        self.set.matches(line).into_iter().map(|number| (number, &self.rules[number].0))
    }

    /// The rule of this number.
    pub fn rule(&self, number: usize) -> &Rule {
        &self.rules[number].0
    }

    /// What a rule takes from a line that it knows: the subject and the detail.
    pub fn particulars(&self, number: usize, line: &str) -> (Option<String>, String) {
        let (rule, pattern) = &self.rules[number];
        let captures = pattern.captures(line);
        let subject = captures.as_ref().and_then(|captures| subject_of(pattern, captures));
        let shown: String = line.trim().chars().take(300).collect();
        let named = subject.as_deref().unwrap_or(&shown);
        (subject.clone(), fill(&rule.detail, &[("subject", named), ("line", &shown)]))
    }
}

/// Puts values where a text has their names in braces. Values are not read again.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 64);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("it", |(_, value)| value));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

fn subject_of(pattern: &Regex, captures: &Captures<'_>) -> Option<String> {
    let found = pattern.capture_names().flatten().find_map(|name| captures.name(name))?;
    let text: String = in_the_source(found.as_str().trim()).chars().take(200).collect();
    (!text.is_empty()).then_some(text)
}

/// A path of the unpacked source tree as the sdist has it.
fn in_the_source(path: &str) -> &str {
    let inside = path.strip_prefix("/cell/src/").and_then(|path| path.split_once('/'));
    inside.map_or(path, |(_, inside)| inside)
}

fn checked(rule: Rule) -> Result<(Rule, Regex), RuleError> {
    let id = rule.id;
    let pattern = Regex::new(&rule.pattern).map_err(|error| RuleError(format!("{id}: {error}")))?;
    if rule.positive.is_empty() || rule.negative.is_empty() {
        return Err(RuleError(format!("{id}: needs a positive and a negative example")));
    }
    if let Some(line) = rule.positive.iter().find(|line| !pattern.is_match(line)) {
        return Err(RuleError(format!("{id}: does not match its positive example: {line}")));
    }
    if let Some(line) = rule.negative.iter().find(|line| pattern.is_match(line)) {
        return Err(RuleError(format!("{id}: matches its negative example: {line}")));
    }
    if rule.reads == Reads::Line
        && let Some(line) = rule.positive.iter().find(|line| !is_marked(line))
    {
        return Err(RuleError(format!("{id}: no mark of trouble is in its positive example: {line}")));
    }
    Ok((rule, pattern))
}

/// The rules that ship with the program.
pub fn shipped() -> &'static Rules {
    static RULES: LazyLock<Rules> =
        LazyLock::new(|| Rules::parse(FILES).expect("the shipped rules load; a test proves it"));
    &RULES
}

/// The rule files that ship with the program.
const FILES: &[&str] = &[
    include_str!("rules/building.toml"),
    include_str!("rules/importing.toml"),
    include_str!("rules/testing.toml"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_agree_with_their_examples() {
        if let Err(error) = Rules::parse(FILES) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_rule_whose_example_disagrees_does_not_load() {
        let text = r#"
            [[rule]]
            id = "abort"
            phases = ["test"]
            pattern = "error abc"
            blame = "package"
            detail = "d"
            positive = ["xyz"]
            negative = ["q"]
        "#;
        assert!(Rules::parse(&[text]).unwrap_err().to_string().contains("positive example"));
        assert!(Rules::parse(&[&text.replace("xyz", "error abc")]).is_ok());
        let unmarked = text.replace("error abc", "abc").replace("xyz", "abc");
        assert!(Rules::parse(&[&unmarked]).unwrap_err().to_string().contains("no mark"));
    }

    #[test]
    fn values_are_not_read_again() {
        assert_eq!(
            fill("a {subject} {line} {x} {", &[("subject", "{line}"), ("line", "l")]),
            "a {line} l it {"
        );
    }
}
