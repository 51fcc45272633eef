//! `noxfile.py`, by its syntax tree: what sessions for tests install and run. Literals and constants only.

use std::collections::BTreeMap;

use ruff_python_ast::{BoolOp, Expr, ExprCall, Stmt, StmtFunctionDef};

use super::{Declared, Purpose, Sources, Tier, Way, ci::take_arguments, purpose, pyproject};
use crate::{
    invocation::interpret,
    python::{
        dotted, line_at,
        literal::{Constants, Literal, constants, evaluate, note},
        with_module,
    },
    requirement::List,
    shell::Command,
    toml_file::Toml,
    tree::join,
};

const FILE: &str = "noxfile.py";

/// Reads the file.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    let Some(text) = sources.reader.text(FILE) else { return };
    let sessions = with_module(&text, |body| {
        let known = constants(body);
        let functions: BTreeMap<&str, &StmtFunctionDef> = body
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::FunctionDef(function) => Some((function.name.as_str(), function)),
                _ => None,
            })
            .collect();
        let mut sessions = Vec::new();
        for stmt in body {
            if let Stmt::FunctionDef(function) = stmt
                && is_session(function)
            {
                let mut session = Session {
                    sources,
                    text: &text,
                    list: List::default(),
                    runs: Vec::new(),
                    directory: String::new(),
                    known: known.clone(),
                    name: parameter(function),
                    functions: &functions,
                    open: Vec::new(),
                };
                session.statements(&function.body, 0);
                let name = function.name.as_str().to_owned();
                let line = line_at(&text, function.range.start().to_usize());
                sessions.push((name, line, session.list, session.runs));
            }
        }
        sessions
    });
    let Some(mut sessions) = sessions else {
        declared.broken.push((FILE.to_owned(), 1, "no Python 3".to_owned()));
        return;
    };
    // A session that says by its name or its commands that it runs the tests.
    sessions.retain(|(name, _, _, runs)| !runs.is_empty() && purpose_of(name) != Purpose::Other);
    sessions.sort_by_key(|(name, ..)| purpose_of(name));
    for (name, line, list, runs) in sessions.into_iter().take(3) {
        let label = format!("nox session {name}");
        declared.add(Tier::Nox, label.clone(), FILE, line, list);
        for (command, line, directory) in runs {
            if let Some(invocation) = interpret(&command) {
                declared.ways.push(Way {
                    tier: Tier::Nox,
                    name: label.clone(),
                    file: FILE.to_owned(),
                    line,
                    environment: BTreeMap::new(),
                    invocation,
                    directory,
                });
            }
        }
    }
}

fn purpose_of(name: &str) -> Purpose {
    match purpose(name) {
        Purpose::Other if matches!(name, "unit" | "py" | "cov" | "coverage" | "run_tests" | "all") => {
            Purpose::TestPart
        }
        other => other,
    }
}

fn is_session(function: &StmtFunctionDef) -> bool {
    function.decorator_list.iter().any(|decorator| {
        let expr = match &decorator.expression {
            Expr::Call(call) => &call.func,
            other => other,
        };
        dotted(expr)
            .is_some_and(|name| name == "session" || name.ends_with(".session") || name == "nox_session")
    })
}

/// What a function calls the session that it is given.
fn parameter(function: &StmtFunctionDef) -> &str {
    function.parameters.iter_non_variadic_params().next().map_or("session", |first| first.name().as_str())
}

struct Session<'s> {
    sources: &'s Sources<'s>,
    text: &'s str,
    list: List,
    runs: Vec<(Command, u32, String)>,
    directory: String,
    known: Constants,
    /// What the session is called in the function that is read.
    name: &'s str,
    functions: &'s BTreeMap<&'s str, &'s StmtFunctionDef>,
    /// Functions being read, outermost first.
    open: Vec<&'s str>,
}

impl Session<'_> {
    fn statements(&mut self, body: &[Stmt], depth: u8) {
        if depth > 10 {
            return;
        }
        for stmt in body {
            note(stmt, &mut self.known);
            match stmt {
                Stmt::Expr(stmt) => {
                    if let Expr::Call(call) = &*stmt.value {
                        self.call(call);
                    }
                }
                Stmt::If(branch) => {
                    self.statements(&branch.body, depth + 1);
                    for clause in &branch.elif_else_clauses {
                        self.statements(&clause.body, depth + 1);
                    }
                }
                Stmt::With(with) => {
                    for item in &with.items {
                        if let Expr::Call(call) = &item.context_expr {
                            self.call(call);
                        }
                    }
                    self.statements(&with.body, depth + 1);
                }
                Stmt::Try(attempt) => {
                    self.statements(&attempt.body, depth + 1);
                    self.statements(&attempt.finalbody, depth + 1);
                }
                Stmt::For(each) => self.statements(&each.body, depth + 1),
                _ => {}
            }
        }
    }

    fn call(&mut self, call: &ExprCall) {
        if let Expr::Name(called) = &*call.func {
            return self.helper(called.id.as_str(), call);
        }
        let Expr::Attribute(attribute) = &*call.func else { return };
        if !matches!(&*attribute.value, Expr::Name(name) if name.id.as_str() == self.name) {
            return;
        }
        let line = line_at(self.text, call.range_start.to_usize());
        match attribute.attr.as_str() {
            "install" => {
                self.groups(call);
                let words = self.words(call);
                take_arguments(self.sources, &words, FILE, line, &mut self.list);
            }
            "run" | "run_always" | "run_install" => {
                let words = self.words(call);
                if words.first().is_some_and(|word| word == "uv")
                    || words.iter().take(4).any(|word| word == "pip")
                {
                    if let Some(at) = words.iter().position(|word| word == "install") {
                        take_arguments(self.sources, &words[at + 1..], FILE, line, &mut self.list);
                    }
                    for group in words.iter().filter_map(|word| word.strip_prefix("--group=")) {
                        self.group(group);
                    }
                    if words.get(1).is_none_or(|word| word != "run") {
                        return;
                    }
                }
                if !words.is_empty() && self.runs.len() < 20 {
                    let environment = self.environment(call);
                    self.runs.push((Command { environment, words }, line, self.directory.clone()));
                }
            }
            "chdir" | "cd" => {
                if let Some(folder) =
                    self.words(call).first().and_then(|folder| join(&self.directory, folder))
                {
                    self.directory = folder;
                }
            }
            _ => {}
        }
    }

    /// A function of the file that is given the session does its part of the work.
    fn helper(&mut self, name: &str, call: &ExprCall) {
        let given = call.arguments.args.first();
        let is_given = matches!(given, Some(Expr::Name(given)) if given.id.as_str() == self.name);
        let Some((name, function)) = self.functions.get_key_value(name).filter(|_| is_given) else { return };
        if self.open.len() > 5 || self.open.contains(name) {
            return;
        }
        let outer = std::mem::replace(&mut self.name, parameter(function));
        self.open.push(name);
        self.statements(&function.body, 0);
        self.open.pop();
        self.name = outer;
    }

    /// The texts among the arguments. `*session.posargs` is nothing, `session.posargs or […]` its default.
    fn words(&self, call: &ExprCall) -> Vec<String> {
        let mut words = Vec::new();
        for argument in &call.arguments.args {
            let (expr, spread) = match argument {
                Expr::Starred(starred) => (&*starred.value, true),
                other => (other, false),
            };
            let expr = match expr {
                Expr::BoolOp(choice) if choice.op == BoolOp::Or => choice.values.last().unwrap_or(expr),
                other => other,
            };
            match evaluate(expr, &self.known) {
                Literal::Text(text) if !spread => words.push(text),
                Literal::List(items) if spread => {
                    words.extend(items.iter().filter_map(Literal::text).map(str::to_owned))
                }
                _ => {}
            }
        }
        words
    }

    fn environment(&self, call: &ExprCall) -> Vec<(String, String)> {
        let keyword = call
            .arguments
            .keywords
            .iter()
            .find(|keyword| keyword.arg.as_ref().is_some_and(|arg| arg.as_str() == "env"));
        match keyword.map(|keyword| evaluate(&keyword.value, &self.known)) {
            Some(Literal::Dict(items)) => items
                .iter()
                .filter_map(|(name, value)| Some((name.text()?.to_owned(), value.text()?.to_owned())))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// `*nox.project.dependency_groups(pyproject, "test")`.
    fn groups(&mut self, call: &ExprCall) {
        for argument in &call.arguments.args {
            if let Expr::Starred(starred) = argument
                && let Expr::Call(inner) = &*starred.value
                && dotted(&inner.func).is_some_and(|name| name.ends_with("dependency_groups"))
            {
                for name in inner.arguments.args.iter().skip(1) {
                    if let Literal::Text(name) = evaluate(name, &self.known) {
                        self.group(&name);
                    }
                }
            }
        }
    }

    fn group(&mut self, name: &str) {
        let Some(text) = self.sources.reader.text("pyproject.toml") else { return };
        let Ok(toml) = Toml::parse(&text) else { return };
        let group = pyproject::group(self.sources, toml.root(), name);
        self.list.specifiers.extend(group.specifiers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::tree, tree::Reader};

    #[test]
    fn sessions_are_followed_into_the_functions_that_are_given_them() {
        let text = "import nox\nEXTRA = ['b']\ndef _install(s, *more):\n    s.install('a', *EXTRA)\n    _install(s)\n\
                    @nox.session(python=['3.13'])\ndef tests(ses):\n    _install(ses)\n    ses.chdir('sub')\n    \
                    ses.run('pytest', *(ses.posargs or ['tests']), env={'A': '1'})\n";
        let tree = tree(&[("noxfile.py", text)]);
        let reader = Reader::new(&tree);
        let own = "p".parse().unwrap();
        let sources = Sources { reader: &reader, own: &own, python: (3, 13), extras: &BTreeMap::new() };
        let mut declared = Declared::default();
        read(&sources, &mut declared);
        let list = &declared.lists[0].list.specifiers;
        assert_eq!(list.iter().map(|one| one.specifier.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let way = &declared.ways[0];
        assert_eq!((way.invocation.words.join(" "), way.directory.as_str()), ("pytest tests".into(), "sub"));
        assert_eq!(way.invocation.environment, [("A".to_owned(), "1".to_owned())]);
    }
}
