//! What pytest is told to leave out, since it cannot work here: tests that need a network or a system around them. Always said in
//! the plan.

use std::collections::BTreeSet;

use wheeltapper_core::plan::Working;

use super::{Case, Draft};
use crate::{
    pytest_config::{PytestConfig, default_patterns, matches},
    survey::{TestFile, is_under},
};

/// Markers by which suites name tests that need a network.
const NETWORK: &[&str] = &[
    "network",
    "internet",
    "online",
    "requires_network",
    "requires_internet",
    "needs_network",
    "needs_internet",
    "network_test",
    "uses_network",
    "require_network",
    "require_internet",
    "remote_data",
];

/// Folders beside those of unit tests, by their names, whose tests want a system that the suite does not bring.
const OF_A_SYSTEM: &[&str] = &[
    "system",
    "integration",
    "e2e",
    "conformance",
    "acceptance",
    "perf",
    "performance",
    "live",
    "smoke",
    "samples",
];

/// Folders of tests that need nothing.
const OF_UNITS: &[&str] = &["unit", "units", "unit_tests", "unittests"];

/// Modules by which files talk to a service, an account or a browser.
const CLIENTS: &[&str] = &[
    "boto3",
    "botocore",
    "aiobotocore",
    "azure",
    "docker",
    "testcontainers",
    "kubernetes",
    "selenium",
    "playwright",
    "psycopg",
    "psycopg2",
    "asyncpg",
    "pymysql",
    "MySQLdb",
    "mysql",
    "redis",
    "pymongo",
    "kafka",
    "confluent_kafka",
    "pika",
    "ldap3",
    "openai",
    "anthropic",
    "cassandra",
    "elasticsearch",
    "snowflake",
];

impl Case<'_> {
    /// Where unit tests lie in a folder of their own, and no configuration says what to collect: the folders beside it that are
    /// called after what they need. Their maintainers run these apart. Beside a configuration that leaves it open the name is
    /// not enough: the folder's files have to ask for a service, too.
    pub(super) fn without_system(&self, draft: &mut Draft) {
        let tests = &self.survey.tests;
        let has_units = tests.iter().any(|file| file.path.split('/').any(|part| OF_UNITS.contains(&part)));
        let is_whole = draft.working == Working::SourceTree && draft.directory.is_empty();
        let is_configured = self.config.is_some();
        if self.says_what_to_collect() || !has_units || !is_whole {
            return;
        }
        let arguments = super::ways::paths(&draft.command[1..]);
        let selected: Vec<&TestFile> =
            tests.iter().filter(|file| self.is_selected(file, &arguments)).collect();
        // Also where nothing was counted: what pytest comes across is told by its name.
        let is_collected = |path: &&str| {
            let by_name = default_patterns().iter().any(|pattern| matches(pattern, path));
            by_name && (arguments.is_empty() || arguments.iter().any(|argument| is_under(path, argument)))
        };
        let paths = self.reader.files().iter().map(|file| file.0).filter(is_collected);
        let folders: BTreeSet<&str> = paths.filter_map(of_a_system).collect();
        let named = |folder: &&str| arguments.iter().any(|argument| is_under(argument, folder));
        let wants_it = |folder: &&&str| !is_configured || self.asks_for_a_service(folder);
        for folder in folders.iter().filter(|folder| !named(folder)).filter(wants_it).take(20) {
            draft.command.push(format!("--ignore={folder}"));
            draft.deselected.push(format!(
                "{folder}: its name says that it wants a system, and there are unit tests beside it"
            ));
            let left_out = selected.iter().filter(|file| is_under(&file.path, folder));
            let count: u64 = left_out.map(|file| self.collected(file, false)).sum();
            draft.expected = draft.expected.saturating_sub(count);
        }
    }

    /// True for a configuration of pytest that names what to collect.
    fn says_what_to_collect(&self) -> bool {
        let names = |config: &PytestConfig| {
            !config.testpaths.is_empty() || !super::ways::paths(&config.addopts).is_empty()
        };
        self.config.as_ref().is_some_and(names)
    }

    /// True when a file below this folder imports a service's client, or reads who it is from the environment.
    fn asks_for_a_service(&self, folder: &str) -> bool {
        let below = self.survey.all().filter(|file| is_under(&file.path, folder));
        let asks = |file: &TestFile| {
            CLIENTS.iter().any(|client| file.facts.imports_top(client))
                || self.reader.text(&file.path).is_some_and(|text| text.contains("os.environ["))
        };
        below.into_iter().any(asks)
    }

    /// Leaves tests out that say by their marker that they need a network: there is none. Told in the plan, never silent.
    pub(super) fn without_network(&self, draft: &mut Draft) {
        let chosen = |words: &[String]| {
            let at = words.iter().position(|word| word == "-m")?;
            Some((at + 1, words.get(at + 1)?.clone()))
        };
        // `python -m pytest` has an `-m` of its own.
        let start = draft.command.iter().position(|word| word == "pytest").map_or(0, |at| at + 1);
        let own = chosen(&draft.command[start..]);
        let configured = self.config.as_ref().and_then(|config| chosen(&config.addopts));
        let expression = own.as_ref().or(configured.as_ref()).map(|(_, text)| text.clone());
        let mut found: Vec<(&str, &str)> = Vec::new();
        for mark in NETWORK {
            let says = |text: &String| {
                text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == *mark)
            };
            // A plugin of its own skips these unless it is asked not to.
            let by_plugin = *mark == "remote_data" && self.skips_remote_data();
            if expression.as_ref().is_some_and(says) || by_plugin {
                continue;
            }
            let user = self.survey.tests.iter().find(|file| file.facts.marks.contains(*mark));
            found.extend(user.map(|file| (*mark, file.path.as_str())));
        }
        if found.is_empty() {
            return;
        }
        let without: Vec<String> = found.iter().map(|(mark, _)| format!("not {mark}")).collect();
        let without = match expression {
            Some(text) => format!("({text}) and {}", without.join(" and ")),
            None => without.join(" and "),
        };
        match own {
            Some((at, _)) => draft.command[start + at].clone_from(&without),
            None => draft.command.extend(["-m".to_owned(), without]),
        }
        for (mark, file) in found {
            let because = format!("{file} marks tests so, and there is no network");
            draft.deselected.push(format!("-m \"not {mark}\": {because}"));
        }
    }

    /// True when pytest-remotedata is in force by what is declared.
    fn skips_remote_data(&self) -> bool {
        self.declared
            .lists
            .iter()
            .flat_map(|list| &list.list.specifiers)
            .any(|placed| matches!(placed.specifier.project.as_str(), "pytest-remotedata" | "pytest-astropy"))
    }
}

/// The folder above a file that is called after what its tests need.
fn of_a_system(path: &str) -> Option<&str> {
    let at = path.split('/').position(|part| OF_A_SYSTEM.contains(&part))?;
    let length = path.split('/').take(at + 1).map(|part| part.len() + 1).sum::<usize>() - 1;
    (length < path.len()).then(|| &path[..length])
}
