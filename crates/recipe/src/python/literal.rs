//! Values of Python expressions that can be known without running anything: literals, names of constants,
//! concatenations, f-strings of those, paths made from the file's own. Anything else is [`Literal::Unknown`].

use std::collections::HashMap;

use ruff_python_ast::{Expr, FStringPart, InterpolatedStringElement, Operator, Stmt};

/// A value as far as it can be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal {
    Text(String),
    Bool(bool),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
    Unknown,
}

impl Literal {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Literal::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a list, or the lines of a text, as setuptools takes requirements.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Literal::Text(text) => {
                text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            Literal::List(items) => items.iter().filter_map(Literal::text).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

/// Names and what they hold.
pub(crate) type Constants = HashMap<String, Literal>;

/// How large a value may grow; `x = x + x` forty times is a file of a kilobyte.
const LARGEST: usize = 2_000;

/// Module-level assignments whose values can be known, in order.
pub(crate) fn constants(body: &[Stmt]) -> Constants {
    let mut known = Constants::new();
    for stmt in body {
        note(stmt, &mut known);
    }
    known
}

/// Takes note of one assignment.
pub(crate) fn note(stmt: &Stmt, known: &mut Constants) {
    match stmt {
        Stmt::Assign(assign) => {
            if let [Expr::Name(name)] = assign.targets.as_slice() {
                let value = evaluate(&assign.value, known);
                known.insert(name.id.as_str().to_owned(), value);
            } else if let [Expr::Subscript(subscript)] = assign.targets.as_slice()
                && let Expr::Name(name) = &*subscript.value
            {
                let (key, value) = (evaluate(&subscript.slice, known), evaluate(&assign.value, known));
                if let Some(Literal::Dict(items)) = known.get_mut(name.id.as_str()) {
                    items.push((key, value));
                }
            }
        }
        Stmt::AnnAssign(assign) => {
            if let (Expr::Name(name), Some(value)) = (&*assign.target, &assign.value) {
                let value = evaluate(value, known);
                known.insert(name.id.as_str().to_owned(), value);
            }
        }
        Stmt::AugAssign(assign) => {
            if let Expr::Name(name) = &*assign.target {
                let right = evaluate(&assign.value, known);
                let left = known.remove(name.id.as_str()).unwrap_or(Literal::Unknown);
                known.insert(name.id.as_str().to_owned(), add(left, right));
            }
        }
        _ => {}
    }
}

/// The value of an expression.
pub(crate) fn evaluate(expr: &Expr, known: &Constants) -> Literal {
    bounded(match expr {
        Expr::StringLiteral(literal) => Literal::Text(literal.value.to_str().to_owned()),
        Expr::BooleanLiteral(literal) => Literal::Bool(literal.value),
        // The file lies in the tree's root, which paths are relative to.
        Expr::Name(name) if name.id.as_str() == "__file__" => Literal::Text("./__file__".to_owned()),
        Expr::Name(name) => known.get(name.id.as_str()).cloned().unwrap_or(Literal::Unknown),
        Expr::List(list) => sequence(&list.elts, known),
        Expr::Tuple(tuple) => sequence(&tuple.elts, known),
        Expr::Set(set) => sequence(&set.elts, known),
        Expr::Dict(dict) => {
            let mut items = Vec::new();
            for item in &dict.items {
                match (&item.key, evaluate(&item.value, known)) {
                    (Some(key), value) => items.push((evaluate(key, known), value)),
                    (None, Literal::Dict(spread)) => items.extend(spread),
                    (None, _) => {}
                }
            }
            Literal::Dict(items)
        }
        Expr::BinOp(operation) if operation.op == Operator::Add => {
            add(evaluate(&operation.left, known), evaluate(&operation.right, known))
        }
        Expr::BinOp(operation) if operation.op == Operator::Div => {
            joined([&*operation.left, &*operation.right].into_iter(), known)
        }
        Expr::Attribute(attribute) if attribute.attr.as_str() == "parent" => {
            parent(evaluate(&attribute.value, known))
        }
        Expr::FString(string) => formatted(string.value.iter(), known),
        Expr::Subscript(subscript) => {
            match (evaluate(&subscript.value, known), evaluate(&subscript.slice, known)) {
                (Literal::Dict(items), key) => items
                    .into_iter()
                    .find(|(known, _)| *known == key)
                    .map_or(Literal::Unknown, |(_, value)| value),
                _ => Literal::Unknown,
            }
        }
        Expr::Call(call) => called(call, known),
        _ => Literal::Unknown,
    })
}

fn sequence(items: &[Expr], known: &Constants) -> Literal {
    let mut values = Vec::new();
    for item in items {
        match item {
            Expr::Starred(starred) => match evaluate(&starred.value, known) {
                Literal::List(inner) => values.extend(inner),
                _ => values.push(Literal::Unknown),
            },
            item => values.push(evaluate(item, known)),
        }
    }
    Literal::List(values)
}

/// Parts of a path, joined as `pathlib` and `os.path.join` do; known when each of them is.
fn joined<'e>(parts: impl Iterator<Item = &'e Expr>, known: &Constants) -> Literal {
    let mut path = String::new();
    for part in parts {
        let Literal::Text(part) = evaluate(part, known) else { return Literal::Unknown };
        if path.is_empty() || path == "." || part.starts_with('/') {
            path = part;
        } else if part != "." {
            path = format!("{}/{part}", path.trim_end_matches('/'));
        }
    }
    Literal::Text(path)
}

/// The folder that a path lies in.
fn parent(path: Literal) -> Literal {
    match path {
        Literal::Text(path) => {
            Literal::Text(path.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned())
        }
        _ => Literal::Unknown,
    }
}

/// `dict(a=…)`, `list(…)`, `"…".split()` and paths by `Path` and `os.path`; nothing else is looked into.
fn called(call: &ruff_python_ast::ExprCall, known: &Constants) -> Literal {
    match &*call.func {
        Expr::Name(name) if name.id.as_str() == "dict" => Literal::Dict(
            call.arguments
                .keywords
                .iter()
                .filter_map(|keyword| {
                    Some((
                        Literal::Text(keyword.arg.as_ref()?.as_str().to_owned()),
                        evaluate(&keyword.value, known),
                    ))
                })
                .collect(),
        ),
        Expr::Name(name) if matches!(name.id.as_str(), "list" | "tuple" | "sorted" | "set") => {
            call.arguments.args.first().map_or(Literal::List(Vec::new()), |arg| evaluate(arg, known))
        }
        Expr::Name(name) if matches!(name.id.as_str(), "Path" | "PurePath" | "str") => {
            joined(call.arguments.args.iter(), known)
        }
        Expr::Attribute(attribute) => match (attribute.attr.as_str(), evaluate(&attribute.value, known)) {
            ("Path" | "PurePath", _) => joined(call.arguments.args.iter(), known),
            ("join", Literal::Unknown) => joined(call.arguments.args.iter(), known),
            ("dirname", Literal::Unknown) => {
                call.arguments.args.first().map_or(Literal::Unknown, |path| parent(evaluate(path, known)))
            }
            ("abspath" | "realpath" | "fspath", Literal::Unknown) => {
                call.arguments.args.first().map_or(Literal::Unknown, |path| evaluate(path, known))
            }
            ("resolve" | "absolute" | "as_posix", path @ Literal::Text(_)) => path,
            ("split" | "splitlines", Literal::Text(text)) if call.arguments.args.is_empty() => {
                Literal::List(text.split_whitespace().map(|word| Literal::Text(word.to_owned())).collect())
            }
            ("format" | "strip", Literal::Text(text))
                if call.arguments.args.is_empty() && !text.contains('{') =>
            {
                Literal::Text(text.trim().to_owned())
            }
            _ => Literal::Unknown,
        },
        _ => Literal::Unknown,
    }
}

fn formatted<'e>(parts: impl Iterator<Item = &'e FStringPart>, known: &Constants) -> Literal {
    let mut text = String::new();
    for part in parts {
        match part {
            FStringPart::Literal(literal) => text.push_str(literal.as_str()),
            FStringPart::FString(string) => {
                for element in &string.elements {
                    match element {
                        InterpolatedStringElement::Literal(literal) => text.push_str(&literal.value),
                        InterpolatedStringElement::Interpolation(inner) => {
                            match evaluate(&inner.expression, known) {
                                Literal::Text(value) => text.push_str(&value),
                                _ => return Literal::Unknown,
                            }
                        }
                    }
                }
            }
        }
    }
    Literal::Text(text)
}

fn add(left: Literal, right: Literal) -> Literal {
    bounded(match (left, right) {
        (Literal::Text(left), Literal::Text(right)) => Literal::Text(left + &right),
        (Literal::List(mut left), Literal::List(right)) => {
            left.extend(right);
            Literal::List(left)
        }
        // What is known of a list is still worth having.
        (Literal::List(known), Literal::Unknown) | (Literal::Unknown, Literal::List(known)) => {
            Literal::List(known)
        }
        _ => Literal::Unknown,
    })
}

fn bounded(value: Literal) -> Literal {
    if weight(&value, LARGEST) > LARGEST { Literal::Unknown } else { value }
}

fn weight(value: &Literal, budget: usize) -> usize {
    match value {
        Literal::Text(text) => text.len() / 16 + 1,
        Literal::Bool(_) | Literal::Unknown => 1,
        Literal::List(items) => {
            let mut sum = 1;
            for item in items {
                sum += weight(item, budget);
                if sum > budget {
                    break;
                }
            }
            sum
        }
        Literal::Dict(items) => {
            let mut sum = 1;
            for (key, value) in items {
                sum += weight(key, budget) + weight(value, budget);
                if sum > budget {
                    break;
                }
            }
            sum
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::python::with_module;

    fn value(source: &str, name: &str) -> Literal {
        with_module(source, |body| constants(body).remove(name)).unwrap().unwrap_or(Literal::Unknown)
    }

    #[test]
    fn simple_constants_are_known() {
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(value("a = 'x' 'y'\nb = a + f'{a}!'\n", "b"), text("xyxy!"));
        assert_eq!(value("a = ['x']\na += ['y']\nb = [*a, 'z']\n", "b").lines(), ["x", "y", "z"]);
        assert_eq!(value("e = {'t': ['p']}\ne['u'] = e['t'] + ['q']\nx = e['u']\n", "x").lines(), ["p", "q"]);
        assert_eq!(value("a = open('x').read()\n", "a"), Literal::Unknown);
        assert_eq!(value("a = ['p'] + f()\n", "a").lines(), ["p"]);
        assert_eq!(value("a = 'p q'.split()\n", "a").lines(), ["p", "q"]);
    }

    #[test]
    fn paths_from_the_file_are_relative_to_it() {
        let source = "R = Path(__file__).parent\nT = R / 'a' / 'b.txt'\n\
                      D = os.path.dirname(os.path.abspath(__file__))\nU = os.path.join(D, 'c')\n\
                      V = pathlib.Path('x').resolve() / 'y'\nW = R / g()\n";
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!((value(source, "T"), value(source, "U")), (text("a/b.txt"), text("c")));
        assert_eq!((value(source, "V"), value(source, "W")), (text("x/y"), Literal::Unknown));
    }

    #[test]
    fn doubling_does_not_explode() {
        let source = format!("a = ['x', 'y']\n{}", "a = [a, a]\n".repeat(60));
        assert!(weight(&value(&source, "a"), LARGEST) <= LARGEST);
    }
}
