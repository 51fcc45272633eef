//! What the expressions of a Python file say about tests: markers, `importorskip`, settings, imports inside functions, paths
//! that are opened, programs that are started.

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Expr, ExprCall, ExprList, Stmt};

use super::{
    dotted,
    facts::{Facts, Import, is_here, text_of, top},
    line_at,
};

/// Adds what the expressions of a module say.
pub(super) fn note(source: &str, body: &[Stmt], facts: &mut Facts) {
    let mut expressions = Expressions { source, facts, changes_directory: false };
    expressions.visit_body(body);
    if expressions.changes_directory {
        expressions.facts.paths.clear();
    }
}

struct Expressions<'f> {
    source: &'f str,
    facts: &'f mut Facts,
    changes_directory: bool,
}

/// Calls whose first argument is a path that must be there, taken as it stands.
const OPENERS: &[&str] =
    &["open", "read_csv", "exists", "isfile", "isdir", "listdir", "copy", "copyfile", "copytree"];

/// Methods of `Path(…)` that go to the disk.
const OF_PATH: &[&str] =
    &["open", "read_text", "read_bytes", "exists", "is_file", "is_dir", "iterdir", "glob"];

/// The most paths that are kept of a file.
const MOST_PATHS: usize = 100;

impl Expressions<'_> {
    /// Notes the module that a command runs: `[sys.executable, "-m", "module", …]`.
    fn program(&mut self, list: &ExprList) {
        if let [python, flag, module, ..] = list.elts.as_slice()
            && dotted(python).is_some_and(|name| name == "sys.executable")
            && text_of(flag) == Some("-m")
            && let Some(module) = text_of(module)
        {
            let line = line_at(self.source, list.range.start().to_usize());
            self.facts.late.push(Import { module: module.to_owned(), names: Vec::new(), line });
        }
    }

    /// Notes the path that a call opens: a literal, or literals joined.
    fn path(&mut self, call: &ExprCall, called: &str) {
        self.changes_directory |= called == "chdir";
        let arguments = &call.arguments.args;
        let of_os = |function: &Expr| dotted(function).is_some_and(|name| name.ends_with("path.join"));
        let of_path = match &*call.func {
            Expr::Attribute(attribute) if OF_PATH.contains(&called) => match &*attribute.value {
                Expr::Call(inner) if dotted(&inner.func).is_some_and(|name| name.ends_with("Path")) => {
                    inner.arguments.args.first().and_then(text_of)
                }
                _ => None,
            },
            _ => None,
        };
        let path = if let Some(path) = of_path {
            Some(path.to_owned())
        } else if OPENERS.contains(&called) {
            arguments.first().and_then(text_of).map(str::to_owned)
        } else if called == "join" && of_os(&call.func) {
            arguments.iter().map(text_of).collect::<Option<Vec<_>>>().map(|parts| parts.join("/"))
        } else {
            None
        };
        let plain = |path: &String| {
            !path.is_empty()
                && path.len() < 200
                && !path.starts_with(['/', '~'])
                && !path.contains("://")
                && path.contains(|c: char| c.is_alphanumeric())
        };
        if self.facts.paths.len() < MOST_PATHS {
            self.facts.paths.extend(path.filter(plain));
        }
    }
}

impl<'a> Visitor<'a> for Expressions<'_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if let Stmt::FunctionDef(function) = stmt {
            for inner in &function.body {
                match inner {
                    Stmt::Import(import) => {
                        self.facts
                            .optional
                            .extend(import.names.iter().map(|alias| top(alias.name.as_str()).to_owned()));
                    }
                    Stmt::ImportFrom(import) if import.level == 0 => {
                        self.facts
                            .optional
                            .extend(import.module.iter().map(|module| top(module.as_str()).to_owned()));
                    }
                    _ => {}
                }
            }
        }
        ruff_python_ast::visitor::walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Attribute(attribute) => {
                if let Expr::Attribute(inner) = &*attribute.value
                    && inner.attr.as_str() == "mark"
                    && matches!(&*inner.value, Expr::Name(name) if name.id.as_str() == "pytest")
                {
                    self.facts.marks.insert(attribute.attr.as_str().to_owned());
                }
            }
            Expr::Call(call) => {
                let first = call.arguments.args.first().and_then(text_of);
                let called = match &*call.func {
                    Expr::Attribute(attribute) => attribute.attr.as_str(),
                    Expr::Name(name) => name.id.as_str(),
                    _ => "",
                };
                self.path(call, called);
                if called == "insert" && dotted(&call.func).is_some_and(|name| name == "sys.path.insert") {
                    self.facts.directory_first |= call.arguments.args.get(1).is_some_and(is_here);
                }
                match (called, first) {
                    ("parametrize", Some(names)) => {
                        for name in names.split(',').map(str::trim) {
                            if !self.facts.fixtures.contains(name) {
                                self.facts.fixtures.insert(name.to_owned());
                            }
                        }
                    }
                    ("parametrize", None) => {
                        let names = match call.arguments.args.first() {
                            Some(Expr::List(list)) => list.elts.as_slice(),
                            Some(Expr::Tuple(tuple)) => tuple.elts.as_slice(),
                            _ => &[],
                        };
                        self.facts.fixtures.extend(names.iter().filter_map(text_of).map(str::to_owned));
                    }
                    ("importorskip" | "import_module", Some(module)) => {
                        self.facts.optional.insert(top(module).to_owned());
                        self.facts.guarded.insert(top(module).to_owned());
                    }
                    ("setdefault", Some("DJANGO_SETTINGS_MODULE")) => {
                        let value = call.arguments.args.get(1).and_then(text_of);
                        self.facts.django_settings = value.map(str::to_owned);
                    }
                    _ => {}
                }
            }
            Expr::List(list) => self.program(list),
            _ => {}
        }
        walk_expr(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_puts_its_directory_first_says_so() {
        let first = |source: &str| Facts::of(source, true).directory_first;
        assert!(
            first("import sys\nsys.path[0:0] = ['']\n")
                && first("import sys, os\nsys.path.insert(0, os.getcwd())\n")
        );
        assert!(!first("import sys\nsys.path.insert(0, '../x')\nsys.argv[0:0] = ['']\n"));
    }

    #[test]
    fn paths_are_those_opened_as_they_stand() {
        let source = "import os\nGRAPH = os.path.join('..', 'data', 'a.csv')\nHERE = os.path.join(os.path.dirname(__file__), 'b')\n\
                      def test_a():\n    open('c/d.txt')\n    open('/e')\n    (HERE / 'f/g.txt').read_text()\n    ','.join('h')\n\
                      \x20   Path('i/j').read_text()\n    assert Path('k/l') == m\n";
        let paths = |source: &str| Facts::of(source, true).paths.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(paths(source), "../data/a.csv c/d.txt i/j");
        assert_eq!(paths(&format!("{source}os.chdir('x')\n")), "");
    }
}
