//! A TOML document with the line each value stands on. Owns nothing of what the keys mean.
//! Every accessor answers `None` or nothing for a value of the wrong type.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A parsed document.
pub(crate) struct Toml<'a> {
    text: &'a str,
    root: DeValue<'a>,
}

/// A value inside a document.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d> {
    text: &'d str,
    at: usize,
    value: &'d DeValue<'d>,
}

impl<'a> Toml<'a> {
    /// Parses a document. The error is the line, counted from 1, and what is wrong there.
    pub(crate) fn parse(text: &'a str) -> Result<Toml<'a>, (u32, String)> {
        match DeTable::parse(text) {
            Ok(table) => Ok(Toml { text, root: DeValue::Table(table.into_inner()) }),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                Err((line_of(text, at), error.message().chars().take(120).collect()))
            }
        }
    }

    pub(crate) fn root(&self) -> Value<'_> {
        Value { text: self.text, at: 0, value: &self.root }
    }
}

fn line_of(text: &str, at: usize) -> u32 {
    let before = text.as_bytes().get(..at.min(text.len())).unwrap_or_default();
    u32::try_from(before.iter().filter(|byte| **byte == b'\n').count() + 1).unwrap_or(u32::MAX)
}

impl<'d> Value<'d> {
    fn inner(self, spanned: &'d Spanned<DeValue<'d>>) -> Value<'d> {
        Value { text: self.text, at: spanned.span().start, value: spanned.get_ref() }
    }

    /// The value's line, counted from 1.
    pub(crate) fn line(self) -> u32 {
        line_of(self.text, self.at)
    }

    /// The value under a key of a table.
    pub(crate) fn get(self, key: &str) -> Option<Value<'d>> {
        match self.value {
            DeValue::Table(table) => table.get(key).map(|value| self.inner(value)),
            _ => None,
        }
    }

    /// The value under a path of keys.
    pub(crate) fn path(self, keys: &[&str]) -> Option<Value<'d>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    pub(crate) fn str(self) -> Option<&'d str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// A scalar as configuration readers turn it into text.
    pub(crate) fn scalar(self) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Boolean(value) => Some(value.to_string()),
            DeValue::Integer(value) => Some(value.to_string()),
            DeValue::Float(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn integer(self) -> Option<i64> {
        match self.value {
            DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix()).ok(),
            _ => None,
        }
    }

    pub(crate) fn is_array(self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    pub(crate) fn is_table(self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    /// Keys and values of a table, in the document's order of keys as parsed; nothing for anything else.
    pub(crate) fn entries(self) -> Vec<(&'d str, Value<'d>)> {
        match self.value {
            DeValue::Table(table) => {
                table.iter().map(|(key, value)| (key.get_ref().as_ref(), self.inner(value))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The items of an array; nothing for anything else.
    pub(crate) fn items(self) -> Vec<Value<'d>> {
        match self.value {
            DeValue::Array(array) => array.iter().map(|value| self.inner(value)).collect(),
            _ => Vec::new(),
        }
    }

    /// The texts of an array, or the one text that stands in place of an array.
    pub(crate) fn strings(self) -> Vec<&'d str> {
        match self.value {
            DeValue::String(text) => vec![text],
            _ => self.items().into_iter().filter_map(Value::str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines() {
        let toml = Toml::parse("[a]\nb = [\n 'x',\n 3,\n]\n").unwrap();
        let b = toml.root().path(&["a", "b"]).unwrap();
        assert_eq!((b.line(), b.strings()), (2, vec!["x"]));
        assert_eq!(b.items()[1].line(), 4);
        assert!(toml.root().path(&["a", "b", "c"]).is_none());
    }

    #[test]
    fn broken_and_bottomless_documents_are_errors() {
        assert_eq!(Toml::parse("a = 1\nb = = 2\n").err().unwrap().0, 2);
        assert!(Toml::parse(&format!("{} = 1", vec!["a"; 100_000].join("."))).is_err());
        assert!(Toml::parse(&format!("a = {}", "[".repeat(100_000))).is_err());
    }
}
