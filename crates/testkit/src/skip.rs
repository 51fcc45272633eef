//! Tests that cannot run here say so, loudly: on standard error, and in the file that `cargo xtask test` reads, since
//! test runners swallow what a passing test prints.

use std::{fs::OpenOptions, io::Write};

/// The variable that names the file to which each skip is appended.
pub const FILE: &str = "WHEELTAPPER_SKIPS";

/// Ends the calling test as skipped, with the reason, formatted as by `format!`.
///
/// `skip!("no chromium here")` returns `()`; `skip!("no gcc here" => Ok(()))` returns the value after the arrow.
/// `cargo xtask test` fails in CI on a skip that `xtask/expected-skips.txt` does not expect.
#[macro_export]
macro_rules! skip {
    ($reason:expr => $value:expr) => {{
        fn here() {}
        $crate::skip::record($crate::skip::caller(here), &$reason.to_string());
        return $value;
    }};
    ($($reason:tt)+) => {{
        fn here() {}
        $crate::skip::record($crate::skip::caller(here), &format!($($reason)+));
        return;
    }};
}

/// The path of the function in which this marker function was declared, e.g. `e2e::fixtures::passes`.
pub fn caller<Marker>(_marker: Marker) -> &'static str {
    let path = std::any::type_name::<Marker>();
    let path = path.strip_suffix("::here").unwrap_or(path);
    path.trim_end_matches("::{{closure}}")
}

/// Tells that this test was skipped, and why. Use [`skip!`](crate::skip!).
pub fn record(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {}\n", reason.replace('\n', " "));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(FILE) {
        // One write in append mode: tests of several processes never mix their lines.
        let file = OpenOptions::new().append(true).create(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of skips can be written");
    }
}
