//! What one Python file says about tests: how many it holds and of which kind, what it imports, which fixtures
//! and markers it uses. Never decides what follows from that.

use std::collections::{BTreeMap, BTreeSet};

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{ExceptHandler, Expr, Identifier, Stmt, StmtClassDef, StmtFunctionDef, StmtTry};

use super::{chain, dotted, expressions, guards, line_at, text, with_module};

/// One module-level import that is not guarded by `try`, `if` or a function.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    /// Dotted, absolute.
    pub module: String,
    /// Names taken from it by `from … import`.
    pub names: Vec<String>,
    /// Counted from 1.
    pub line: u32,
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// False when only the text could be read (Python 2, syntax errors, too large).
    pub parsed: bool,
    /// Test functions and methods of `Test…` classes that only pytest (or nose) runs.
    pub functions: u32,
    /// Test methods of `unittest` classes.
    pub methods: u32,
    /// Test functions that yield: collected by nose, an error for today's pytest.
    pub yields: u32,
    pub imports: Vec<Import>,
    /// Relative imports at module level, guarded or not: the number of dots, and what follows them (empty for none).
    pub relatives: Vec<(u32, Import)>,
    /// The most dots of a relative import at module level.
    pub relative: u32,
    /// Modules and names taken by relative imports.
    pub neighbours: BTreeSet<String>,
    /// Modules behind `pytest.importorskip`, `try`, a condition, or inside a function.
    pub optional: BTreeSet<String>,
    /// Of those, the ones that the file can do without: all but those that are only inside a function.
    pub guarded: BTreeSet<String>,
    /// What tests and fixtures that nothing skips import first thing, or start as a program of its own by `-m`.
    pub late: Vec<Import>,
    /// Parameters of test functions and fixtures: the names of fixtures.
    pub parameters: BTreeSet<String>,
    /// Fixtures that the file defines, and names that `parametrize` fills.
    pub fixtures: BTreeSet<String>,
    /// `pytest.mark.X`.
    pub marks: BTreeSet<String>,
    /// Modules that `pytest_plugins` names.
    pub plugins: BTreeSet<String>,
    /// `os.environ["DJANGO_SETTINGS_MODULE"]` as set or defaulted here.
    pub django_settings: Option<String>,
    /// Starts something itself when run as a script.
    pub script: bool,
    /// Relative paths that are opened as they stand, from wherever the tests are run; none where they change directory.
    pub paths: BTreeSet<String>,
    /// Puts the working directory first on the path by itself.
    pub directory_first: bool,
}

impl Facts {
    /// Reads a file's text.
    pub(crate) fn of(source: &str, whole: bool) -> Facts {
        let parsed = if whole { with_module(source, |body| from_tree(source, body)) } else { None };
        parsed.unwrap_or_else(|| text::facts(source))
    }

    /// All tests of the file, by name.
    pub(crate) fn tests(&self) -> u32 {
        self.functions + self.methods
    }

    /// True when the file imports this top-level module, guarded or not.
    pub(crate) fn imports_top(&self, module: &str) -> bool {
        self.imports.iter().any(|import| top(&import.module) == module) || self.optional.contains(module)
    }
}

/// The first part of a dotted name.
pub(crate) fn top(module: &str) -> &str {
    module.split('.').next().unwrap_or(module)
}

fn from_tree(source: &str, body: &[Stmt]) -> Facts {
    let mut collector = Collector {
        source,
        facts: Facts { parsed: true, ..Facts::default() },
        classes: BTreeMap::new(),
        may_skip: false,
    };
    collector.statements(body, false);
    for import in guards::needed(body) {
        collector.without_guard(import);
    }
    expressions::note(source, body, &mut collector.facts);
    collector.facts
}

/// What a class in the file is to a test runner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Unittest,
    Other,
}

struct Collector<'s> {
    source: &'s str,
    facts: Facts,
    classes: BTreeMap<String, Class>,
    /// Something around may skip the tests that are looked at.
    may_skip: bool,
}

impl Collector<'_> {
    fn statements(&mut self, body: &[Stmt], guarded: bool) {
        for stmt in body {
            match stmt {
                Stmt::Import(import) => {
                    for alias in &import.names {
                        self.import(
                            alias.name.as_str(),
                            Vec::new(),
                            import.range.start().to_usize(),
                            guarded,
                        );
                    }
                }
                Stmt::ImportFrom(import) if import.level > 0 => {
                    self.facts.relative = self.facts.relative.max(import.level);
                    let names: Vec<String> =
                        import.names.iter().map(|alias| alias.name.as_str().to_owned()).collect();
                    let line = line_at(self.source, import.range.start().to_usize());
                    let dotted = import.module.as_ref().map_or("", |module| module.as_str()).to_owned();
                    self.facts.relatives.push((import.level, Import { module: dotted, names, line }));
                    let module = import.module.iter().flat_map(|module| module.as_str().split('.'));
                    let names = import.names.iter().map(|alias| alias.name.as_str());
                    self.facts.neighbours.extend(module.chain(names).map(str::to_owned));
                }
                Stmt::ImportFrom(import) => {
                    if let Some(module) = &import.module {
                        let names = import.names.iter().map(|alias| alias.name.as_str().to_owned()).collect();
                        self.import(module.as_str(), names, import.range.start().to_usize(), guarded);
                    }
                }
                Stmt::FunctionDef(function) => self.function(function, None),
                Stmt::ClassDef(class) => self.class(class),
                Stmt::If(branch) => {
                    if is_main_guard(&branch.test) {
                        self.facts.script = true;
                    }
                    self.statements(&branch.body, true);
                    for clause in &branch.elif_else_clauses {
                        self.statements(&clause.body, true);
                    }
                }
                Stmt::Try(attempt) => self.attempt(attempt, guarded),
                Stmt::With(with) => self.statements(&with.body, guarded),
                Stmt::For(each) => self.statements(&each.body, true),
                Stmt::While(each) => self.statements(&each.body, true),
                Stmt::Assign(assign) => {
                    let target = assign.targets.first();
                    if matches!(target, Some(Expr::Name(name)) if name.id.as_str() == "pytest_plugins") {
                        self.plugins(&assign.value);
                    }
                    self.may_skip |=
                        matches!(target, Some(Expr::Name(name)) if name.id.as_str() == "pytestmark");
                    let of_path = |expr: &Expr| dotted(expr).is_some_and(|name| name == "sys.path");
                    if let (Some(Expr::Subscript(subscript)), Expr::List(list)) = (target, &*assign.value)
                        && of_path(&subscript.value)
                    {
                        self.facts.directory_first |= list.elts.first().is_some_and(is_here);
                    }
                    if let Some(Expr::Subscript(subscript)) = target
                        && text_of(&subscript.slice) == Some("DJANGO_SETTINGS_MODULE")
                    {
                        self.facts.django_settings = text_of(&assign.value).map(str::to_owned);
                    }
                }
                _ => {}
            }
        }
    }

    fn attempt(&mut self, attempt: &StmtTry, guarded: bool) {
        self.statements(&attempt.body, guarded || !attempt.handlers.is_empty());
        for ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
            self.statements(&handler.body, true);
        }
        self.statements(&attempt.orelse, guarded || !attempt.handlers.is_empty());
        self.statements(&attempt.finalbody, guarded);
    }

    fn import(&mut self, module: &str, names: Vec<String>, offset: usize, guarded: bool) {
        if guarded {
            self.facts.optional.insert(top(module).to_owned());
            self.facts.guarded.insert(top(module).to_owned());
        } else {
            let line = line_at(self.source, offset);
            self.facts.imports.push(Import { module: module.to_owned(), names, line });
        }
    }

    /// Notes an import that stands behind a guard as one that must succeed.
    fn without_guard(&mut self, import: &Stmt) {
        let before = self.facts.imports.len();
        self.statements(std::slice::from_ref(import), false);
        for import in &self.facts.imports[before..] {
            self.facts.guarded.remove(top(&import.module));
        }
    }

    fn plugins(&mut self, value: &Expr) {
        let items: Vec<&Expr> = match value {
            Expr::List(list) => list.elts.iter().collect(),
            Expr::Tuple(tuple) => tuple.elts.iter().collect(),
            other => vec![other],
        };
        self.facts.plugins.extend(items.into_iter().filter_map(text_of).map(str::to_owned));
    }

    fn class(&mut self, class: &StmtClassDef) {
        let name = class.name.as_str();
        let bases: Vec<String> =
            class.arguments.iter().flat_map(|arguments| arguments.args.iter()).filter_map(dotted).collect();
        let is_unittest = bases.iter().any(|base| {
            let last = base.rsplit('.').next().unwrap_or(base);
            match self.classes.get(base.as_str()) {
                Some(kind) => *kind == Class::Unittest,
                None => last.ends_with("TestCase") || (last.contains("Test") && !last.starts_with("Test")),
            }
        });
        self.classes.insert(name.to_owned(), if is_unittest { Class::Unittest } else { Class::Other });
        let outer = self.may_skip;
        self.may_skip |= !class.decorator_list.iter().all(|decorator| always_runs(&decorator.expression));
        let collected_by_pytest = name.starts_with("Test");
        for stmt in &class.body {
            match stmt {
                Stmt::FunctionDef(function) if is_unittest || collected_by_pytest => {
                    self.function(function, Some(is_unittest));
                }
                Stmt::FunctionDef(function) => {
                    self.fixture(function);
                }
                // No runner looks for cases inside a class of another name: so they are hidden where others derive from them.
                Stmt::ClassDef(inner) if collected_by_pytest && inner.name.starts_with("Test") => {
                    self.class(inner);
                }
                _ => {}
            }
        }
        self.may_skip = outer;
    }

    /// `method`: `None` for a function, else whether the class is unittest's.
    fn function(&mut self, function: &StmtFunctionDef, method: Option<bool>) {
        let name = function.name.as_str();
        if self.fixture(function) || !name.starts_with("test") {
            return;
        }
        self.late(function);
        if method == Some(true) {
            self.facts.methods += 1;
        } else {
            self.facts.functions += 1;
            self.parameters(function);
        }
        let managed = is_decorated(function, &["manager", "coroutine"]);
        if !managed && !function.is_async && yields(&function.body) {
            self.facts.yields += 1;
        }
    }

    /// Notes a fixture; true when the function is one.
    fn fixture(&mut self, function: &StmtFunctionDef) -> bool {
        let is_fixture = is_decorated(function, &["fixture"]);
        if is_fixture {
            self.facts.fixtures.insert(function.name.as_str().to_owned());
            for decorator in &function.decorator_list {
                if let Expr::Call(call) = &decorator.expression {
                    let named = call
                        .arguments
                        .keywords
                        .iter()
                        .filter(|keyword| keyword.arg.as_ref().is_some_and(|arg| arg.as_str() == "name"));
                    self.facts
                        .fixtures
                        .extend(named.filter_map(|keyword| text_of(&keyword.value)).map(str::to_owned));
                }
            }
            self.parameters(function);
            self.late(function);
        }
        is_fixture
    }

    /// Notes what a function imports before it does anything else, unless something may skip it.
    fn late(&mut self, function: &StmtFunctionDef) {
        let runs = function.decorator_list.iter().all(|decorator| always_runs(&decorator.expression));
        if self.may_skip || !runs {
            return;
        }
        let begins = |stmt: &&Stmt| match stmt {
            Stmt::Import(_) | Stmt::ImportFrom(_) => true,
            Stmt::Expr(expr) => expr.value.is_string_literal_expr(),
            _ => false,
        };
        for stmt in function.body.iter().take_while(begins) {
            let (modules, range) = match stmt {
                Stmt::Import(import) => {
                    (import.names.iter().map(|alias| &alias.name).collect(), import.range)
                }
                Stmt::ImportFrom(import) if import.level == 0 => {
                    (Vec::from_iter(&import.module), import.range)
                }
                _ => continue,
            };
            let line = line_at(self.source, range.start().to_usize());
            let import = |module: &Identifier| Import { module: module.to_string(), names: Vec::new(), line };
            self.facts.late.extend(modules.into_iter().map(import));
        }
    }

    fn parameters(&mut self, function: &StmtFunctionDef) {
        if is_decorated(function, &["patch", "given"]) {
            return;
        }
        // A parameter with a default is no fixture.
        let parameters =
            function.parameters.iter_non_variadic_params().filter(|parameter| parameter.default.is_none());
        for name in parameters.map(|parameter| parameter.parameter.name.as_str()) {
            if !self.facts.parameters.contains(name) {
                self.facts.parameters.insert(name.to_owned());
            }
        }
    }
}

pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::StringLiteral(literal) => Some(literal.value.to_str()),
        _ => None,
    }
}

/// True for the working directory as an entry of the path.
pub(super) fn is_here(expr: &Expr) -> bool {
    matches!(text_of(expr), Some("" | "."))
        || matches!(expr, Expr::Call(call) if dotted(&call.func).is_some_and(|name| name == "os.getcwd"))
}

/// True for a decorator that lets its test run in any case.
fn always_runs(decorator: &Expr) -> bool {
    const HARMLESS: &[&str] = &[
        "fixture",
        "parametrize",
        "patch",
        "object",
        "dict",
        "asyncio",
        "anyio",
        "given",
        "settings",
        "example",
        "staticmethod",
        "classmethod",
        "usefixtures",
        "filterwarnings",
    ];
    names_of_decorator(decorator)
        .and_then(|mut names| names.next())
        .is_some_and(|name| HARMLESS.contains(&name))
}

/// True where the name of a decorator holds one of these words.
fn is_decorated(function: &StmtFunctionDef, words: &[&str]) -> bool {
    let holds = |name: &str| words.iter().any(|word| name.contains(word));
    let decorators = function.decorator_list.iter();
    let mut names = decorators.filter_map(|decorator| names_of_decorator(&decorator.expression)).flatten();
    names.any(holds)
}

fn names_of_decorator(expr: &Expr) -> Option<impl Iterator<Item = &str>> {
    match expr {
        Expr::Call(call) => chain(&call.func),
        other => chain(other),
    }
}

fn is_main_guard(test: &Expr) -> bool {
    match test {
        Expr::Compare(compare) => {
            matches!(&*compare.left, Expr::Name(name) if name.id.as_str() == "__name__")
        }
        _ => false,
    }
}

/// True when a body yields itself, not in a function within.
fn yields(body: &[Stmt]) -> bool {
    struct Finder(bool);
    impl<'a> Visitor<'a> for Finder {
        fn visit_stmt(&mut self, stmt: &'a Stmt) {
            if !matches!(stmt, Stmt::FunctionDef(_) | Stmt::ClassDef(_)) {
                ruff_python_ast::visitor::walk_stmt(self, stmt);
            }
        }
        fn visit_expr(&mut self, expr: &'a Expr) {
            match expr {
                Expr::Yield(_) | Expr::YieldFrom(_) => self.0 = true,
                Expr::Lambda(_) | Expr::Generator(_) => {}
                other => walk_expr(self, other),
            }
        }
    }
    let mut finder = Finder(false);
    finder.visit_body(body);
    finder.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_kind() {
        let facts = Facts::of(
            "import unittest, pytest\nfrom six.moves import x\n\
             def test_a(mocker, n=1): pass\ndef test_b():\n    yield check, 1\n\
             @pytest.fixture\ndef test_data(tmp_path): yield 1\n\
             class A(unittest.TestCase):\n    def test_c(self): pass\n    def helper(self): pass\n\
             class B(A):\n    def test_d(self): pass\n\
             class TestE:\n    def test_f(self, httpserver): pass\n    class TestG:\n        def test_h(self): pass\n\
             class Helper:\n    def test_not(self): pass\n\
             class Bases:\n    class Tests(unittest.TestCase):\n        def test_not(self): pass\n",
            true,
        );
        assert!(facts.parsed);
        assert_eq!((facts.functions, facts.methods, facts.yields), (4, 2, 1));
        assert!(facts.parameters.contains("mocker") && facts.parameters.contains("httpserver"));
        assert!(!facts.parameters.contains("n"));
        assert!(facts.fixtures.contains("test_data"));
    }

    #[test]
    fn only_bare_imports_are_needed() {
        let facts = Facts::of(
            "import a.b\ntry:\n    import c\nexcept ImportError:\n    import d\nelse:\n    import e\nif x:\n    import f\n\
             def g():\n    import h\ni = pytest.importorskip('i.j')\nfrom . import k\nfrom ..l import m\n",
            true,
        );
        assert_eq!(facts.imports, [Import { module: "a.b".into(), names: vec![], line: 1 }]);
        assert_eq!(facts.optional.iter().map(String::as_str).collect::<String>(), "cdefhi");
        assert_eq!(facts.guarded.iter().map(String::as_str).collect::<String>(), "cdefi");
        assert_eq!(facts.relative, 2);
    }

    #[test]
    fn what_tests_import_as_they_run_is_needed_where_nothing_skips_them() {
        let late = |source: &str| {
            let facts = Facts::of(source, true);
            facts.late.into_iter().map(|import| import.module).collect::<Vec<_>>().join(" ")
        };
        let source = "import sys\n@pytest.mark.parametrize('x', [1])\ndef test_a(x):\n    \"why\"\n    import a.b\n    f()\n    import c\n\
                      @pytest.mark.skipif(X, reason='')\ndef test_b():\n    import d\n\
                      @unittest.skipUnless(X, '')\nclass TestC:\n    def test_c(self):\n        from e import f\n\
                      def helper():\n    import g\n@pytest.fixture\ndef i(): from h import j\n\
                      def test_d(): run([sys.executable, '-m', 'k', '-x'])\n";
        assert_eq!(late(source), "a.b h k");
        assert_eq!(late(&format!("pytestmark = pytest.mark.skipif(X)\n{source}")), "k");
    }

    #[test]
    fn what_decorators_use_is_needed_whatever_guards_its_import() {
        let guard =
            "try:\n    import a\n    from b.c import given, st as s\nexcept ImportError:\n    a = None\n";
        let needed = |rest: &str| {
            let facts = Facts::of(&format!("{guard}{rest}"), true);
            facts.imports.iter().map(|import| import.module.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needed("@given(1)\ndef test_a(): pass\n"), "a b.c");
        assert_eq!(needed("@skipif(a is None)\nclass TestB:\n    def test_c(self): given(a)\n"), "");
        let skips = guard.replace("a = None", "pytest.skip('no a')");
        assert!(Facts::of(&format!("{skips}@given(1)\ndef test_a(): pass\n"), true).imports.is_empty());
    }

    #[test]
    fn django_settings_and_plugins_are_found() {
        let facts = Facts::of(
            "import os\npytest_plugins = ['pytester', 'x.y']\n\
             def main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'tests.settings')\n\
             @pytest.mark.django_db\nclass TestX: pass\nif __name__ == '__main__':\n    main()\n",
            true,
        );
        assert_eq!(facts.django_settings.as_deref(), Some("tests.settings"));
        assert!(facts.script && facts.plugins.contains("x.y") && facts.marks.contains("django_db"));
    }
}
