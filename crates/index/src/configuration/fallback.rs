//! The default index where nothing is configured: from uv's own help, or from the text of a pip that is
//! somewhere here (installed, bundled with ensurepip, or a distribution's wheel). Nothing of pip is run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Index, Surroundings};
use crate::process;

/// The default that this uv has built in, as its help tells it.
pub(super) async fn of_uv(program: &Path) -> Option<Index> {
    let mut command = tokio::process::Command::new(program);
    command.args(["pip", "compile", "--help", "--color", "never"]).env_remove("UV_DEFAULT_INDEX");
    let output = process::output(&mut command, Duration::from_secs(30)).await.ok()?;
    index_in_help(&String::from_utf8_lossy(&output.stdout))
}

fn index_in_help(help: &str) -> Option<Index> {
    let after = help.split_once("--default-index")?.1;
    let address = after.split_once("by default: <")?.1.split_once('>')?.0;
    Index::parse(address, "uv's default").ok()
}

/// The default that some pip here has built in.
pub(super) fn of_pip(surroundings: &Surroundings, interpreters: &[PathBuf]) -> Option<Index> {
    let mut prefixes = BTreeSet::new();
    for interpreter in interpreters {
        for path in [Some(interpreter.clone()), fs::canonicalize(interpreter).ok()].into_iter().flatten() {
            prefixes.extend(path.parent().and_then(Path::parent).map(Path::to_owned));
        }
    }
    if let Some(path) = surroundings.variable("PATH") {
        for folder in std::env::split_paths(path) {
            for name in ["python3", "python"] {
                let found = fs::canonicalize(folder.join(name)).ok();
                prefixes.extend(
                    found.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned),
                );
            }
        }
    }
    let pyenv = match surroundings.variable("PYENV_ROOT") {
        Some(root) => Some(PathBuf::from(root)),
        None => surroundings.home.as_ref().map(|home| home.join(".pyenv")),
    };
    prefixes.extend(pyenv.iter().flat_map(|root| entries(&root.join("versions"))));
    let libraries = prefixes.iter().flat_map(|prefix| entries(&prefix.join("lib")));
    let libraries: Vec<PathBuf> =
        libraries.filter(|path| path.to_string_lossy().contains("python")).collect();
    for library in &libraries {
        for packages in ["site-packages", "dist-packages"] {
            let file = library.join(packages).join("pip/_internal/models/index.py");
            if let Some(index) = fs::read_to_string(&file).ok().and_then(|text| in_text(&text, &file)) {
                return Some(index);
            }
        }
    }
    let bundled = libraries.iter().map(|library| library.join("ensurepip/_bundled"));
    for folder in bundled.chain(surroundings.wheel_folders.iter().cloned()) {
        for file in entries(&folder) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text = match name.as_str() {
                "index.py" => fs::read_to_string(&file).ok(),
                _ if name.starts_with("pip-") && name.ends_with(".whl") => text_in_wheel(&file),
                _ => None,
            };
            if let Some(index) = text.and_then(|text| in_text(&text, &file)) {
                return Some(index);
            }
        }
    }
    None
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn text_in_wheel(path: &Path) -> Option<String> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).ok()?).ok()?;
    let mut text = String::new();
    let member = archive.by_name("pip/_internal/models/index.py").ok()?;
    std::io::Read::read_to_string(&mut std::io::Read::take(member, 1 << 16), &mut text).ok()?;
    Some(text)
}

/// Finds `PyPI = PackageIndex("<address>", …)` and the `simple` folder beneath that address.
fn in_text(text: &str, path: &Path) -> Option<Index> {
    let call = text.split_once("\nPyPI = PackageIndex(")?.1.trim_start();
    let quote = call.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let address = call[1..].split_once(quote)?.0;
    Index::parse(
        &format!("{}/simple/", address.trim_end_matches('/')),
        format!("pip's default ({})", path.display()),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_help_says() {
        let help = "      --default-index <DEFAULT_INDEX>\n  The default (by default: <https://index.example/simple>) [env]\n";
        assert_eq!(index_in_help(help).unwrap().url.as_str(), "https://index.example/simple/");
        assert!(index_in_help("--default-index <X> nothing").is_none());
    }

    #[test]
    fn what_pip_says() {
        let text = "class PackageIndex:\n    pass\n\n\nPyPI = PackageIndex(\n    \"https://index.example/\", file_storage_domain=\"f\"\n)\n";
        assert_eq!(in_text(text, Path::new("x")).unwrap().url.as_str(), "https://index.example/simple/");
        assert!(in_text("nothing", Path::new("x")).is_none());
    }
}
