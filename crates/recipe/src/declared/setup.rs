//! `tests_require` of setuptools, in `setup.cfg` and, by its syntax tree, in `setup.py`. Nothing is executed.

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
    requirement::List,
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
        let found = with_module(&text, |body| tests_require(&text, body)).flatten();
        if let Some((requirements, line)) = found {
            let mut list = List::default();
            for requirement in requirements {
                list.take_at_root(sources.reader, sources.own, &requirement, "setup.py", line);
            }
            declared.add(Tier::TestsRequire, "tests_require", "setup.py", line, list);
        }
    }
}

fn tests_require(source: &str, body: &[Stmt]) -> Option<(Vec<String>, u32)> {
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
    for keyword in &call.arguments.keywords {
        let line = line_at(source, keyword.range.start().to_usize());
        match &keyword.arg {
            Some(name) if name.as_str() == "tests_require" => {
                return Some((evaluate(&keyword.value, &known).lines(), line));
            }
            Some(_) => {}
            None => {
                if let Literal::Dict(items) = evaluate(&keyword.value, &known)
                    && let Some((_, value)) =
                        items.iter().find(|(key, _)| key.text() == Some("tests_require"))
                {
                    return Some((value.lines(), line));
                }
            }
        }
    }
    None
}
