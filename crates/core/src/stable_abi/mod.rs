//! Which symbols of CPython an extension module may use that claims the stable ABI (PEP 384, the tag `abi3`), and since
//! which version. The table is `names.txt`; it says how it was made.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::OnceLock,
};

/// A symbol that an extension module uses and that its wheel's tags do not promise to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpromised {
    /// The symbol.
    pub symbol: String,
    /// The minor version of Python 3 from which on it belongs to the stable ABI; `None` where it never does.
    pub since: Option<u32>,
}

impl fmt::Display for Unpromised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.since {
            Some(minor) => write!(f, "{} is in the stable ABI since Python 3.{minor}", self.symbol),
            None => write!(f, "{} is not in the stable ABI", self.symbol),
        }
    }
}

/// Parts of the C API that have nothing in the stable ABI: the names of theirs that begin with one of these and `_` are
/// CPython's nevertheless.
const WITHOUT_STABLE_NAMES: &[&str] = &[
    "PyAST",
    "PyAsyncGen",
    "PyCell",
    "PyClassMethod",
    "PyCode",
    "PyConfig",
    "PyContext",
    "PyContextVar",
    "PyCoro",
    "PyDateTimeAPI",
    "PyFunction",
    "PyFuture",
    "PyGen",
    "PyHash",
    "PyInstanceMethod",
    "PyMethod",
    "PyMutex",
    "PyNode",
    "PyParser",
    "PyPickleBuffer",
    "PyPreConfig",
    "PyRun",
    "PyStaticMethod",
    "PyStatus",
    "PyStdPrinter",
    "PySymtable",
    "PyTime",
    "PyTraceMalloc",
    "PyTrash",
    "PyUnicodeWriter",
    "PyUnstable",
    "PyWideStringList",
    "PyBytesWriter",
];

/// The table: each name, and the minor version from which on it is promised.
fn names() -> &'static HashMap<&'static str, u32> {
    static NAMES: OnceLock<HashMap<&'static str, u32>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut minor = 0;
        let mut names = HashMap::new();
        for line in include_str!("names.txt").lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("3.") {
                Some(version) => minor = version.parse().expect("the table of the stable ABI is well-formed"),
                None => names.extend(line.split_whitespace().map(|name| (name, minor))),
            }
        }
        names
    })
}

/// The part of the C API that a name belongs to: `PyList` of `_PyList_Extend`.
fn part(name: &str) -> &str {
    let bare = name.trim_start_matches('_');
    bare.split_once('_').map_or(bare, |(part, _)| part)
}

/// True for a name of CPython's own C API. Other projects' names begin with `Py` as well.
fn is_of_cpython(name: &str) -> bool {
    static PARTS: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let parts = PARTS.get_or_init(|| {
        names().keys().map(|name| part(name)).chain(WITHOUT_STABLE_NAMES.iter().copied()).collect()
    });
    let begins = name.strip_prefix('_').unwrap_or(name).starts_with("Py");
    begins && name.trim_start_matches('_').contains('_') && parts.contains(part(name))
}

/// The symbols among these that a wheel for the stable ABI of Python 3.`minor` (its tag `cp3…-abi3`) must not use, sorted,
/// each once. Names that are not CPython's are none of its business.
pub fn unpromised<'a>(symbols: impl IntoIterator<Item = &'a str>, minor: u32) -> Vec<Unpromised> {
    let mut found: Vec<Unpromised> = symbols
        .into_iter()
        .filter_map(|symbol| {
            let since = names().get(symbol).copied();
            let wrong = since.map_or_else(|| is_of_cpython(symbol), |since| since > minor);
            wrong.then(|| Unpromised { symbol: symbol.to_owned(), since })
        })
        .collect();
    found.sort_by(|left, right| left.symbol.cmp(&right.symbol));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(symbols: &[&str], minor: u32) -> Vec<String> {
        unpromised(symbols.iter().copied(), minor).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_stable_abi_holds_is_kept() {
        let kept = [
            "PyList_New",
            "_Py_NoneStruct",
            "_Py_Dealloc",
            "PyExc_ValueError",
            "PyModuleDef_Init",
            "PyType_FromSpec",
            "_PyArg_ParseTuple_SizeT",
            "PyUnicode_Type",
            "Py_InitializeEx",
            "PyThread_allocate_lock",
            "memcpy",
            "PySide_nothing",
            "PyQtSlot",
            "_Python_of_another",
            "PyInit_other",
            "Pyramid_Build",
        ];
        assert_eq!(lines(&kept, 7), Vec::<String>::new());
    }

    #[test]
    fn private_full_and_too_new_names_are_told_apart() {
        assert_eq!(
            lines(&["PyFunction_Type", "PyObject_GetBuffer", "_PyUnicode_Ready", "_PyUnicode_Ready"], 8),
            [
                "PyFunction_Type is not in the stable ABI",
                "PyObject_GetBuffer is in the stable ABI since Python 3.11",
                "_PyUnicode_Ready is not in the stable ABI",
            ]
        );
        assert!(lines(&["PyObject_GetBuffer"], 11).is_empty());
    }
}
