//! `tests_require` of setuptools, in `setup.cfg` and, by its syntax tree, in `setup.py`; and what setuptools would refuse of
//! `install_requires` there. Nothing is executed.

use ruff_python_ast::{
    Expr, ExprCall, Stmt,
    visitor::{Visitor, walk_expr},
};

use super::{Declared, Sources, Tier};
use crate::{
    ini::{Ini, lines},
    python::{
        dotted, line_at,
        literal::{Literal, constants, evaluate, note},
        with_module,
    },
    requirement::{List, NO_REQUIREMENT, specifier},
    tree::{Reader, SourceTree},
};

/// Reads both files.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    if let Some(text) = sources.reader.text("setup.cfg") {
        let ini = Ini::parse(&text);
        if let Some(entry) = ini.get("options", "tests_require") {
            let mut list = List::default();
            for line in lines(&entry.value).flat_map(|line| line.split(';').next().map(|_| line)) {
                list.take_at_root(sources.reader, sources.own, line, "setup.cfg", entry.line);
            }
            declared.add(Tier::TestsRequire, "[options] tests_require", "setup.cfg", entry.line, list);
        }
    }
    if let Some(text) = sources.reader.text("setup.py") {
        let found = with_module(&text, |body| keyword(&text, body, "tests_require")).flatten();
        if let Some((requirements, line)) = found {
            let mut list = List::default();
            for requirement in requirements {
                list.take_at_root(sources.reader, sources.own, &requirement, "setup.py", line);
            }
            declared.add(Tier::TestsRequire, "tests_require", "setup.py", line, list);
        }
    }
}

/// A requirement of the release that no build can read, whatever interpreter it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRequirement {
    /// As it is written.
    pub text: String,
    /// The file that it stands in, relative to the tree's root.
    pub file: String,
    /// Where `install_requires` stands there, counted from 1.
    pub line: u32,
}

/// The first of `install_requires` in `setup.py` or `setup.cfg` that is no requirement (PEP 508).
pub fn unreadable_requirement(tree: &dyn SourceTree) -> Option<UnreadableRequirement> {
    let reader = Reader::new(tree);
    let script = reader.text("setup.py").and_then(|text| {
        let (requirements, line) =
            with_module(&text, |body| keyword(&text, body, "install_requires")).flatten()?;
        Some(("setup.py", requirements, line))
    });
    let configured = reader.text("setup.cfg").and_then(|text| {
        let ini = Ini::parse(&text);
        let entry = ini.get("options", "install_requires")?;
        Some(("setup.cfg", lines(&entry.value).map(str::to_owned).collect(), entry.line))
    });
    [script, configured].into_iter().flatten().find_map(|(file, requirements, line): (_, Vec<String>, _)| {
        let text = requirements.into_iter().find(|text| is_unreadable(text))?;
        Some(UnreadableRequirement { text, file: file.to_owned(), line })
    })
}

/// True for what setuptools takes for a requirement and cannot read. Comments and continued lines are none.
fn is_unreadable(text: &str) -> bool {
    let text = text.split(" #").next().unwrap_or(text).trim();
    let is_other = text.is_empty() || text.starts_with('#') || text.ends_with('\\') || text.contains("file:");
    !is_other && specifier(text) == Err(NO_REQUIREMENT)
}

/// The lines of a list that is given to `setup()`, and where.
pub(crate) fn keyword(source: &str, body: &[Stmt], wanted: &str) -> Option<(Vec<String>, u32)> {
    struct Setup<'a>(Option<&'a ExprCall>);
    impl<'a> Visitor<'a> for Setup<'a> {
        fn visit_expr(&mut self, expr: &'a Expr) {
            if let Expr::Call(call) = expr
                && dotted(&call.func).is_some_and(|name| name == "setup" || name.ends_with(".setup"))
            {
                self.0 = Some(call);
            }
            walk_expr(self, expr);
        }
    }
    let mut known = constants(body);
    for stmt in body {
        if let Stmt::If(branch) = stmt {
            branch.body.iter().for_each(|stmt| note(stmt, &mut known));
        }
    }
    let mut setup = Setup(None);
    setup.visit_body(body);
    let call = setup.0?;
    call.arguments.keywords.iter().find_map(|keyword| {
        let line = line_at(source, keyword.range.start().to_usize());
        let value = evaluate(&keyword.value, &known);
        match (&keyword.arg, value) {
            (Some(name), value) => (name.as_str() == wanted).then(|| (value.lines(), line)),
            (None, Literal::Dict(items)) => {
                let (_, value) = items.iter().find(|(key, _)| key.text() == Some(wanted))?;
                Some((value.lines(), line))
            }
            (None, _) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    #[test]
    fn a_requirement_that_no_build_can_read_is_found() {
        let found = |file, text| unreadable_requirement(&tree(&[(file, text)])).map(|one| one.text);
        let script =
            "needs = ['a>=1'  # a comma is missing\n    'b>=2', 'c']\nsetup(install_requires=needs)\n";
        assert_eq!(found("setup.py", script).as_deref(), Some("a>=1b>=2"));
        let configured = "[options]\ninstall_requires =\n    a\n    b=>1\n";
        assert_eq!(found("setup.cfg", configured).as_deref(), Some("b=>1"));
        let sound =
            "setup(install_requires='''\n# why\na[x]>=1; python_version < '3'\nb @ https://c/d\n''')\n";
        assert_eq!(found("setup.py", sound), None);
        assert_eq!(found("setup.py", "setup(install_requires=[x, 'a==' + x])\n"), None);
    }
}
