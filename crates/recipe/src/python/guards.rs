//! Imports that a file guards by `try` and cannot do without all the same: its decorators and base classes use their names.

use std::collections::BTreeSet;

use ruff_python_ast::visitor::{Visitor, walk_expr};
use ruff_python_ast::{Alias, Decorator, ExceptHandler, Expr, Stmt, StmtTry};

/// The import statements of a module's `try` statements whose names are needed to load it and that no handler gives.
pub(super) fn needed(body: &[Stmt]) -> Vec<&Stmt> {
    let attempts: Vec<&StmtTry> = body.iter().filter_map(Stmt::as_try_stmt).collect();
    if attempts.is_empty() {
        return Vec::new();
    }
    let mut used = Used::default();
    for stmt in body {
        match stmt {
            Stmt::FunctionDef(function) => used.decorators(&function.decorator_list),
            Stmt::ClassDef(class) => {
                used.decorators(&class.decorator_list);
                for base in class.arguments.iter().flat_map(|arguments| arguments.args.iter()) {
                    used.visit_expr(base);
                }
            }
            _ => {}
        }
    }
    let mut needed = Vec::new();
    for attempt in attempts {
        let Some(given) = given(attempt) else { continue };
        let imports =
            attempt.body.iter().filter(|stmt| matches!(stmt, Stmt::Import(_) | Stmt::ImportFrom(_)));
        let imports: Vec<&Stmt> = imports.collect();
        let bound = imports.iter().flat_map(|stmt| names(stmt));
        if bound.into_iter().any(|name| used.0.contains(name) && !given.contains(name)) {
            needed.extend(imports);
        }
    }
    needed
}

/// What the handlers bind in place of what could not be imported; `None` where they end the file instead.
fn given(attempt: &StmtTry) -> Option<BTreeSet<&str>> {
    let mut given = BTreeSet::new();
    for ExceptHandler::ExceptHandler(handler) in &attempt.handlers {
        for stmt in &handler.body {
            match stmt {
                Stmt::Assign(assign) => given.extend(assign.targets.iter().filter_map(name_of)),
                Stmt::Import(_) | Stmt::ImportFrom(_) => given.extend(names(stmt)),
                Stmt::FunctionDef(function) => {
                    given.insert(function.name.as_str());
                }
                Stmt::ClassDef(class) => {
                    given.insert(class.name.as_str());
                }
                Stmt::Pass(_) => {}
                _ => return None,
            }
        }
    }
    (!attempt.handlers.is_empty()).then_some(given)
}

fn name_of(expr: &Expr) -> Option<&str> {
    expr.as_name_expr().map(|name| name.id.as_str())
}

/// The names that an import binds.
fn names<'a>(stmt: &'a Stmt) -> Vec<&'a str> {
    let aliases = match stmt {
        Stmt::Import(import) => &import.names,
        Stmt::ImportFrom(import) => &import.names,
        _ => return Vec::new(),
    };
    let bound = |alias: &'a Alias| alias.asname.as_ref().unwrap_or(&alias.name).as_str();
    aliases.iter().map(|alias| bound(alias).split('.').next().unwrap_or("")).collect()
}

/// Names that stand where the module is loaded.
#[derive(Default)]
struct Used<'a>(BTreeSet<&'a str>);

impl<'a> Used<'a> {
    fn decorators(&mut self, decorators: &'a [Decorator]) {
        for decorator in decorators {
            self.visit_expr(&decorator.expression);
        }
    }
}

impl<'a> Visitor<'a> for Used<'a> {
    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => {
                self.0.insert(name.id.as_str());
            }
            Expr::Lambda(_) => {}
            other => walk_expr(self, other),
        }
    }
}
