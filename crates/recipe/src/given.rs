//! The requirements that an override gives, in place of what the rules find.

use crate::{
    declared::{Declaration, Sources, Tier, pyproject},
    invocation::Tool,
    needs::{Basis, Needs, runner_of},
    overrides::Override,
    requirement::{List, specifier},
    toml_file::Toml,
    tree::Reader,
};

/// What an override asks for, in place of the declared lists and of what the tests import; and the runner.
pub(crate) fn given(basis: &Basis, tool: Tool, written: &Override, reader: &Reader) -> Needs {
    let mut needs = Needs::default();
    let declaration = |key: &str, list: List| Declaration {
        tier: Tier::Cibuildwheel,
        name: format!("the override's {key}"),
        file: written.file.clone(),
        line: written.line_of(key),
        list,
    };
    let mut list = List::default();
    for (text, line) in written.requirements.iter().flatten() {
        list.take_at_root(reader, basis.about.project, text, &written.file, *line);
    }
    needs.take(basis, &declaration("requirements", list));
    let extras = written.extras.clone().unwrap_or_default();
    needs.take(basis, &declaration("extras", List { extras, ..List::default() }));
    let sources = Sources {
        reader,
        own: basis.about.project,
        python: basis.about.interpreter.version,
        extras: &basis.about.provides_extra,
    };
    let text = reader.text("pyproject.toml");
    if let Some(toml) = text.as_deref().and_then(|text| Toml::parse(text).ok()) {
        for name in written.groups.iter().flatten() {
            let group = pyproject::group(&sources, toml.root(), name);
            needs.take(basis, &declaration("groups", group));
        }
    }
    needs.why.retain(|why| !why.ends_with(": "));
    for requirement in &basis.about.runtime_requirements {
        needs.projects.extend(specifier(requirement).ok().map(|specifier| specifier.project));
    }
    if let Some(runner) = runner_of(tool) {
        needs.want(basis, runner, "the runner", None);
    }
    needs
}
