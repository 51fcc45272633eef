//! Where the report's files lie. Names from results are only ever letters, digits, `.`, `_` and `-`.

use wheeltapper_core::{Phase, ProjectName, Record, Sha256};

/// `project/six.html`.
pub fn project_path(project: &ProjectName) -> String {
    format!("project/{}.html", safe(project.as_str()))
}

/// `log/six/debian12-cp313-sdist.html`: all logs of a cell.
pub fn cell_log_path(record: &Record) -> String {
    format!("log/{}/{}.html", safe(record.evidence.project.as_str()), cell_name(record))
}

/// `log/six/debian12-cp313-sdist-build.txt`: one log as it was printed.
pub(crate) fn raw_log_path(record: &Record, phase: Phase) -> String {
    format!("log/{}/{}-{phase}.txt", safe(record.evidence.project.as_str()), cell_name(record))
}

/// `debian12-cp313-sdist`: a cell within its project, also its anchor.
pub(crate) fn cell_name(record: &Record) -> String {
    cell_anchor(&record.evidence.environment.name, record.evidence.artifact.as_str())
}

pub(crate) fn cell_anchor(environment: &str, artifact: &str) -> String {
    format!("{}-{artifact}", safe(environment))
}

/// The name itself where it is harmless; otherwise its harmless characters and a part of its digest, so that two names
/// never meet in one file.
pub(crate) fn safe(name: &str) -> String {
    let harmless =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 120 && !name.starts_with('.') && name.chars().all(harmless) {
        return name.to_owned();
    }
    let kept: String = name.chars().filter(|character| character.is_ascii_alphanumeric()).take(60).collect();
    format!("{kept}-{}", Sha256::of(name.as_bytes()).short())
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(safe("debian12-cp313t"), "debian12-cp313t");
        for name in ["../../etc", "", ".hidden", "a/b", "nul\0", "ü", "a b"] {
            let safe = safe(name);
            assert!(!safe.contains(['/', '\\', '\0', ' ']) && !safe.starts_with('.'), "{safe}");
        }
        assert_ne!(safe("a/b"), safe("a:b"));
    }
}
