//! Linters and type checkers that run beside the tests as plugins of pytest. They reach deep into pytest, so that an old one stops a
//! new pytest before any test is collected; the plan without them is for then.

use wheeltapper_core::{TestPlan, plan::Runner};

use super::Case;
use crate::requirement::specifier;

/// The plugins, each with the options that are its own.
const CHECKERS: &[(&str, &[&str])] = &[
    ("pytest-bandit", &["--bandit"]),
    ("pytest-black", &["--black"]),
    ("pytest-checkdocs", &["--checkdocs"]),
    ("pytest-codestyle", &["--codestyle"]),
    ("pytest-enabler", &[]),
    ("pytest-flake8", &["--flake8"]),
    ("pytest-flakes", &["--flakes"]),
    ("pytest-isort", &["--isort"]),
    ("pytest-mypy", &["--mypy", "--mypy-ignore-missing-imports"]),
    ("pytest-pep8", &["--pep8"]),
    ("pytest-pycodestyle", &["--pycodestyle"]),
    ("pytest-pydocstyle", &["--pydocstyle"]),
    ("pytest-pylama", &["--pylama"]),
    ("pytest-pylint", &["--pylint", "--pylint-rcfile"]),
    ("pytest-ruff", &["--ruff", "--ruff-format"]),
];

impl Case<'_> {
    /// The same plan without such plugins and their options; `None` where there are none.
    pub(super) fn without_checkers(&self, plan: &TestPlan) -> Option<TestPlan> {
        let mut kept = plan.clone();
        for extra in std::mem::take(&mut kept.extras) {
            match self.about.provides_extra.get(&extra) {
                Some(brings) if brings.iter().any(|text| is_checker(text)) => {
                    // They hold here, which their markers say for an installation with the extra.
                    let plain = brings.iter().filter_map(|text| text.split(';').next());
                    kept.requirements.extend(plain.map(|text| text.trim().to_owned()));
                }
                _ => kept.extras.push(extra),
            }
        }
        kept.requirements.retain(|text| !is_checker(text));
        let addopts = self.config.as_ref().map_or(&[][..], |config| &config.addopts);
        let options: Vec<&str> = addopts.iter().map(String::as_str).filter(|word| !is_option(word)).collect();
        let is_less = kept.extras != plan.extras || kept.requirements.len() < plan.requirements.len();
        let is_plain = options.iter().all(|word| !word.contains([' ', '\'', '"', '\\', '\n']));
        if plan.runner != Runner::Pytest || !is_less && options.len() == addopts.len() || !is_plain {
            return None;
        }
        kept.command.extend(["-o".to_owned(), format!("addopts={}", options.join(" "))]);
        kept.why
            .push("without linters that run as plugins, in case one of them stops this pytest".to_owned());
        Some(kept)
    }
}

fn is_checker(requirement: &str) -> bool {
    let requirement = requirement.split(';').next().unwrap_or(requirement);
    specifier(requirement)
        .is_ok_and(|specifier| CHECKERS.iter().any(|(project, _)| *project == specifier.project.as_str()))
}

fn is_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    CHECKERS.iter().any(|(_, options)| options.contains(&name))
}
