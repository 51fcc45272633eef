//! The registry of Windows, as its own program prints it: what the system is, and which interpreters were installed (PEP 514).

use std::path::{Path, PathBuf};

use crate::platform::said;

/// Where the system says what it is.
pub(crate) const SYSTEM: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion";

/// Where interpreters are registered: for this user, for all, and for all in 32 bits.
const PYTHONS: &[&str] =
    &[r"HKCU\SOFTWARE\Python", r"HKLM\SOFTWARE\Python", r"HKLM\SOFTWARE\WOW6432Node\Python"];

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub key: String,
    /// `(Default)` for the one without a name.
    pub name: String,
    pub data: String,
}

/// The values of a key and of all below it; `None` where there is no such key, or no registry.
pub(crate) fn query(key: &str) -> Option<Vec<Value>> {
    let root = std::env::var_os("SystemRoot")?;
    let program = Path::new(&root).join("System32").join("reg.exe");
    Some(parse(&said(program.to_str()?, &["query", key, "/s"])?))
}

/// Keys stand at the beginning of a line; below, indented, each value: its name, its type, its data.
pub(crate) fn parse(text: &str) -> Vec<Value> {
    let mut key = String::new();
    let mut values = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if let Some(value) = line.strip_prefix("    ") {
            let parts: Vec<&str> = value.splitn(3, "    ").collect();
            if let [name, _, data] = parts.as_slice() {
                values.push(Value { key: key.clone(), name: (*name).to_owned(), data: (*data).to_owned() });
            }
        } else if !line.is_empty() {
            line.clone_into(&mut key);
        }
    }
    values
}

/// Executables of the interpreters that are registered; on other systems none.
pub fn interpreters() -> Vec<PathBuf> {
    PYTHONS.iter().filter_map(|key| query(key)).flat_map(|values| executables(&values)).collect()
}

/// The `ExecutablePath` of each `InstallPath`, or `python.exe` in that folder where there is none.
fn executables(values: &[Value]) -> Vec<PathBuf> {
    let mut keys: Vec<&str> = values.iter().map(|value| value.key.as_str()).collect();
    keys.retain(|key| key.ends_with(r"\InstallPath"));
    keys.dedup();
    let executable = |key: &str| {
        let value = |name: &str| values.iter().find(|value| value.key == key && value.name == name);
        let named = value("ExecutablePath").map(|value| PathBuf::from(&value.data));
        named.or_else(|| Some(Path::new(&value("(Default)")?.data).join("python.exe")))
    };
    keys.into_iter().filter_map(executable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_interpreters_are_found() {
        let text = r"
HKEY_LOCAL_MACHINE\SOFTWARE\Python\PythonCore
    DisplayName    REG_SZ    Python Software Foundation

HKEY_LOCAL_MACHINE\SOFTWARE\Python\PythonCore\3.13\InstallPath
    (Default)    REG_SZ    C:\Python313\
    ExecutablePath    REG_SZ    C:\Python313\python.exe

HKEY_LOCAL_MACHINE\SOFTWARE\Python\Other\1\InstallPath
    (Default)    REG_SZ    D:\with space
";
        let found = executables(&parse(text));
        assert_eq!(found[0], PathBuf::from(r"C:\Python313\python.exe"));
        assert_eq!(found[1], Path::new(r"D:\with space").join("python.exe"));
        assert_eq!(found.len(), 2);
    }
}
