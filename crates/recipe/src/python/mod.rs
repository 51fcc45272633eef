//! Python sources, read and never run. Owns parsing within bounds that hostile text cannot exceed.
//! What the trees say is in `facts` and `literal`; sources that do not parse are read by `text`.

mod expressions;
pub(crate) mod facts;
mod guards;
pub(crate) mod literal;
mod text;

use ruff_python_ast::{
    Expr, InterpolatedStringElement, Pattern, Stmt,
    token::TokenKind,
    visitor::{Visitor, walk_expr, walk_interpolated_string_element, walk_pattern, walk_stmt},
};
use ruff_python_parser::{Mode, lexer, parse_module};

use crate::tree::PYTHON_LIMIT;

/// Nodes nested deeper than this are not walked; real code stays below a hundred.
const DEEPEST: usize = 200;

/// Below this count of bytes that can nest, a source cannot nest dangerously.
const HARMLESS: usize = 20_000;

/// The bytes that can nest, by their value.
const NESTS: [bool; 256] = {
    let (mut table, mut at) = ([false; 256], 0);
    let nesting = b"([{-+~*/%@&|^<>=.:!";
    while at < nesting.len() {
        table[nesting[at] as usize] = true;
        at += 1;
    }
    table
};

/// Parses a module and hands its statements over. `None` when it does not parse as Python 3, is too large, or
/// nests deeper than real code does.
pub(crate) fn with_module<R>(source: &str, use_it: impl FnOnce(&[Stmt]) -> R) -> Option<R> {
    if source.len() as u64 > PYTHON_LIMIT || !is_parsable(source) {
        return None;
    }
    let parsed = parse_module(source).ok()?;
    let mut depth = Depth::default();
    depth.visit_body(parsed.suite());
    if depth.exceeded {
        // Dropping recurses once a level, so it gets a stack for as many levels as the limits above allow.
        stacker::grow(64 << 20, || drop(parsed));
        return None;
    }
    Some(use_it(parsed.suite()))
}

/// CPython itself refuses 200 nested brackets; operators are bounded so that the parser's memory is.
fn is_parsable(source: &str) -> bool {
    if source.len() <= HARMLESS || source.bytes().filter(|byte| NESTS[usize::from(*byte)]).count() <= HARMLESS
    {
        return true;
    }
    let mut lexer = lexer::lex(source, Mode::Module);
    let (mut brackets, mut operators) = (0usize, 0usize);
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return true,
            TokenKind::Newline => (brackets, operators) = (0, 0),
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => brackets += 1,
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => brackets = brackets.saturating_sub(1),
            TokenKind::Comma | TokenKind::Colon => {}
            kind if kind.is_operator() || kind.is_keyword() => operators += 1,
            _ => {}
        }
        if brackets > DEEPEST || operators > HARMLESS {
            return false;
        }
    }
}

/// Finds out whether a tree nests deeper than [`DEEPEST`], without going there.
#[derive(Default)]
struct Depth {
    now: usize,
    exceeded: bool,
}

impl Depth {
    fn one_deeper(&mut self, walk: impl FnOnce(&mut Self)) {
        if self.now >= DEEPEST {
            self.exceeded = true;
        }
        if !self.exceeded {
            self.now += 1;
            walk(self);
            self.now -= 1;
        }
    }
}

impl<'a> Visitor<'a> for Depth {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        self.one_deeper(|depth| walk_stmt(depth, stmt));
    }
    fn visit_expr(&mut self, expr: &'a Expr) {
        self.one_deeper(|depth| walk_expr(depth, expr));
    }
    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        self.one_deeper(|depth| walk_pattern(depth, pattern));
    }
    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        self.one_deeper(|depth| walk_interpolated_string_element(depth, element));
    }
}

/// The line of a byte offset, counted from 1.
pub(crate) fn line_at(source: &str, offset: usize) -> u32 {
    let before = source.as_bytes().get(..offset).unwrap_or_default();
    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count() + 1).unwrap_or(u32::MAX)
}

/// `a.b.c` of an attribute chain that starts with a name.
pub(crate) fn dotted(expr: &Expr) -> Option<String> {
    let mut parts: Vec<&str> = chain(expr)?.collect();
    parts.reverse();
    Some(parts.join("."))
}

/// The names of an attribute chain that starts with a name, the last first.
pub(crate) fn chain(expr: &Expr) -> Option<impl Iterator<Item = &str>> {
    let mut first = expr;
    while let Expr::Attribute(attribute) = first {
        first = &attribute.value;
    }
    let mut rest = first.is_name_expr().then_some(Some(expr))?;
    Some(std::iter::from_fn(move || match rest.take()? {
        Expr::Attribute(attribute) => {
            rest = Some(&attribute.value);
            Some(attribute.attr.as_str())
        }
        Expr::Name(name) => Some(name.id.as_str()),
        _ => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bottomless_sources_are_refused_and_dropped_without_overflowing() {
        let size = PYTHON_LIMIT as usize - 10;
        let half = size / 2;
        for source in [
            "[".repeat(size),
            format!("{}{}", "(".repeat(half), ")".repeat(half)),
            format!("x = {}1", "-".repeat(size - 10)),
            format!("x = ({}1)", "-\n".repeat(half - 10)),
            format!("x = {}1", "not ".repeat(size / 4 - 4)),
            format!("x = a{}", ".a".repeat(half - 10)),
            format!("x = a{}", "()".repeat(half - 10)),
            format!("x = 1{}", "+1".repeat(half - 10)),
            format!("x = {}1", "lambda:".repeat(size / 7 - 4)),
            format!("x = 1{}", " if 1 else 1".repeat(size / 12 - 4)),
            format!("match x:\n case {}", "[".repeat(half)),
            "f\"{x:".repeat(size / 5),
            format!("x = f'{}'", "{x:".repeat(size / 3 - 4)),
        ] {
            assert!(with_module(&source, |_| ()).is_none(), "{}", &source[..40]);
        }
        let ladder: String = (0..700).map(|depth| format!("{}if 1:\n", " ".repeat(depth))).collect();
        assert!(with_module(&ladder, |_| ()).is_none());
    }

    #[test]
    fn ordinary_modules_are_read_with_all_of_todays_syntax() {
        let source = "type X[T] = list[T]\nmatch 1:\n    case {'a': [*_]}: pass\nf\"{'a' + f'{1:{2}}'}\"\n";
        assert_eq!(with_module(source, <[Stmt]>::len), Some(3));
        assert_eq!(with_module("print 'python two'\n", <[Stmt]>::len), None);
        let table = format!("x = [{}]\n", "-1, (2, 3), ".repeat(21_000));
        assert!(with_module(&table, |_| ()).is_none(), "a table past the bounds is read as text");
    }
}
