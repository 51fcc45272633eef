//! The rule file: loading, checking, and matching lines. A rule whose own examples disagree with it does not load.

use std::{str::FromStr, sync::OnceLock};

use regex::Regex;
use serde::Deserialize;

use crate::{
    cause::{Blame, CauseId},
    phase::Phase,
};

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// The cause that it names.
    pub id: CauseId,
    /// The phases whose logs it reads.
    pub phases: Vec<Phase>,
    /// Whose fault, unless structure says otherwise.
    pub blame: Blame,
    /// A short noun phrase.
    pub title: String,
    detail: String,
    pattern: Regex,
}

impl Rule {
    /// The last line that matches: its number from 1, its text, and the particulars.
    pub fn last_match<'a>(&self, lines: &[&'a str]) -> Option<(usize, &'a str, String)> {
        let (index, line) = lines.iter().enumerate().rev().find(|(_, line)| self.pattern.is_match(line))?;
        let captures = self.pattern.captures(line)?;
        let first_group = self.pattern.capture_names().flatten().find_map(|name| captures.name(name));
        let mut detail = self.detail.clone();
        while let (Some(open), Some(close)) = (detail.find('{'), detail.find('}')) {
            let name = detail[open + 1..close].to_owned();
            let value = captures.name(&name).or(first_group).map_or("it", |found| found.as_str());
            detail.replace_range(open..=close, &value.replace(['{', '}'], ""));
        }
        Some((index + 1, line, detail))
    }

    /// What the named group holds in this line.
    pub fn group<'a>(&self, line: &'a str, name: &str) -> Option<&'a str> {
        self.pattern.captures(line)?.name(name).map(|found| found.as_str())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: CauseId,
    phases: Vec<Phase>,
    pattern: String,
    blame: Blame,
    title: String,
    detail: String,
    positive: Vec<String>,
    negative: Vec<String>,
}

/// A rule file that does not load.
#[derive(Debug, thiserror::Error)]
#[error("rule file: {0}")]
pub struct RuleError(String);

/// Reads and checks a rule file (TOML).
///
/// # Errors
/// When the file does not parse, a pattern does not compile, a rule has no examples, or an example disagrees.
pub fn parse(text: &str) -> Result<Vec<Rule>, RuleError> {
    let file = toml::from_str::<RuleFile>(text).map_err(|error| RuleError(error.to_string()))?;
    file.rule.into_iter().map(check).collect()
}

fn check(raw: RawRule) -> Result<Rule, RuleError> {
    let id = raw.id;
    let pattern = Regex::from_str(&raw.pattern).map_err(|error| RuleError(format!("{id}: {error}")))?;
    if raw.positive.is_empty() || raw.negative.is_empty() {
        return Err(RuleError(format!("{id}: needs a positive and a negative example")));
    }
    if let Some(line) = raw.positive.iter().find(|line| !pattern.is_match(line)) {
        return Err(RuleError(format!("{id}: does not match its positive example: {line}")));
    }
    if let Some(line) = raw.negative.iter().find(|line| pattern.is_match(line)) {
        return Err(RuleError(format!("{id}: matches its negative example: {line}")));
    }
    Ok(Rule { id, phases: raw.phases, blame: raw.blame, title: raw.title, detail: raw.detail, pattern })
}

/// The rules that ship with the program.
pub fn shipped() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| parse(include_str!("rules.toml")).expect("the shipped rules load; a test proves it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_agree_with_their_examples() {
        if let Err(error) = parse(include_str!("rules.toml")) {
            panic!("{error}");
        }
    }

    #[test]
    fn a_rule_whose_example_disagrees_does_not_load() {
        let text = r#"
            [[rule]]
            id = "abort"
            phases = ["test"]
            pattern = "abc"
            blame = "package"
            title = "t"
            detail = "d"
            positive = ["xyz"]
            negative = ["q"]
        "#;
        assert!(parse(text).unwrap_err().to_string().contains("positive example"));
    }
}
