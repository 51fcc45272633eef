//! Which environment variables a package may set around its tests: not those that are the sandbox's, or another tool's.

const NOT_THEIRS: &[&str] = &[
    "PATH",
    "HOME",
    "CI",
    "TMPDIR",
    "TMP",
    "TEMP",
    "USER",
    "SHELL",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "TERM",
    "FORCE_COLOR",
    "NO_COLOR",
    "PY_COLORS",
];
const PREFIXES: &[&str] = &[
    "COVERAGE",
    "COV_",
    "PIP_",
    "UV_",
    "VIRTUALENV",
    "TOX",
    "NOX",
    "CIBW",
    "GITHUB",
    "CODECOV",
    "TOXENV",
    "CONDA",
];

/// True for a valid name that a package may set.
pub(crate) fn is_theirs(name: &str) -> bool {
    let valid = !name.is_empty()
        && name.len() < 100
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid && !NOT_THEIRS.contains(&name) && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
