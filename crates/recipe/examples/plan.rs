//! Reads a directory (or several, each an unpacked sdist) and prints the plans and what they rest on.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use wheeltapper_core::{ProjectName, Version};
use wheeltapper_recipe::{About, Interpreter, SourceTree, TreeFile, plan};

struct Folder {
    root: std::path::PathBuf,
    files: Vec<TreeFile>,
}

impl Folder {
    fn new(root: &Path) -> Folder {
        let mut files = Vec::new();
        let mut open = vec![root.to_path_buf()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path();
                    let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    files.push(TreeFile {
                        path: relative,
                        size: entry.metadata().map_or(0, |data| data.len()),
                    });
                }
            }
        }
        Folder { root: root.to_path_buf(), files }
    }
}

impl SourceTree for Folder {
    fn files(&self) -> &[TreeFile] {
        &self.files
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.root.join(path)).ok()?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, limit), &mut bytes).ok()?;
        Some(bytes)
    }
}

fn main() {
    for argument in std::env::args().skip(1) {
        let root = Path::new(&argument);
        let folder = Folder::new(root);
        let metadata = fs::read_to_string(root.join("PKG-INFO")).unwrap_or_default();
        let headers: Vec<(&str, &str)> = metadata
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": "))
            .collect();
        let all = |name: &str| {
            headers.iter().filter(|header| header.0 == name).map(|header| header.1).collect::<Vec<_>>()
        };
        let name = all("Name").first().map_or("unknown", |name| name).to_owned();
        let project: ProjectName = name.parse().unwrap_or_else(|_| "unknown".parse().expect("a name"));
        let version: Version =
            all("Version").first().and_then(|text| text.parse().ok()).unwrap_or_else(|| Version::new([0]));
        let mut extras: BTreeMap<String, Vec<String>> =
            all("Provides-Extra").into_iter().map(|extra| (extra.to_owned(), Vec::new())).collect();
        let mut runtime = Vec::new();
        for requirement in all("Requires-Dist") {
            match requirement.split_once("extra ==") {
                Some((head, extra)) => {
                    let extra = extra.trim().trim_matches(|c| "'\")".contains(c)).to_owned();
                    let head = head.split(';').next().unwrap_or(head).trim().to_owned();
                    extras.entry(extra).or_default().push(head);
                }
                None => runtime.push(requirement.to_owned()),
            }
        }
        let (import_names, installed_files) = guess_wheel(&folder, &project);
        let native = folder
            .files
            .iter()
            .any(|file| [".c", ".pyx", ".cpp", ".rs"].iter().any(|end| file.path.ends_with(end)));
        let about = About {
            project: &project,
            version: &version,
            import_names,
            installed_files,
            native,
            runtime_requirements: runtime,
            provides_extra: extras,
            overrides: Vec::new(),
            interpreter: Interpreter {
                version: (3, 13),
                implementation: "cpython".into(),
                platform: "linux".into(),
            },
        };
        let start = Instant::now();
        let plans = plan(&folder, &about);
        println!(
            "== {project} {version} ({} files, {:.1} ms)",
            folder.files.len(),
            start.elapsed().as_secs_f64() * 1e3
        );
        println!("   modules {:?}, native {native}, tests {}", about.import_names, plans.expected_tests);
        if let Some(none) = plans.none {
            println!("   none: {none}");
        }
        for (number, plan) in plans.plans.iter().enumerate() {
            println!(
                "   {}. {} in {} ({})",
                number + 1,
                plan.command.join(" "),
                plan.directory,
                plan.working
            );
            println!(
                "      requires {:?} extras {:?} env {:?} expects {:?}",
                plan.requirements, plan.extras, plan.environment, plan.expected_tests
            );
            if number == 0 || std::env::var_os("ALL").is_some() {
                for why in &plan.why {
                    println!("      - {why}");
                }
            }
        }
        for inferred in &plans.inferred {
            println!(
                "   inferred {} for {} ({}:{:?})",
                inferred.project, inferred.needed_for, inferred.file, inferred.line
            );
        }
        for ignored in plans.ignored.iter().take(5) {
            println!("   ignored {}: {} {}", ignored.file, ignored.what, ignored.because);
        }
    }
}

/// What a wheel would hold, guessed from the tree (a real caller has the wheel). `WITHOUT_TESTS` leaves tests out.
fn guess_wheel(folder: &Folder, project: &ProjectName) -> (Vec<String>, Vec<String>) {
    let listed = folder.files.iter().find(|file| file.path.ends_with(".egg-info/top_level.txt"));
    let mut names: Vec<String> = match listed.and_then(|file| folder.read(&file.path, 10_000)) {
        Some(bytes) => String::from_utf8_lossy(&bytes).split_whitespace().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    if names.is_empty() {
        let wanted = project.escaped();
        let short = wanted.trim_start_matches("python_").trim_start_matches("py").to_owned();
        let mut tops: Vec<String> = folder
            .files
            .iter()
            .filter_map(|file| {
                let path = ["src/", "lib/", "python/"]
                    .iter()
                    .find_map(|prefix| file.path.strip_prefix(prefix))
                    .unwrap_or(&file.path);
                path.strip_suffix("/__init__.py")
                    .or(path.strip_suffix(".py"))
                    .filter(|top| !top.contains('/'))
                    .map(str::to_owned)
            })
            .collect();
        tops.sort();
        tops.dedup();
        names = tops
            .iter()
            .filter(|top| **top == wanted || **top == short || folder.has(&format!("src/{top}/__init__.py")))
            .cloned()
            .collect();
    }
    let without_tests = std::env::var_os("WITHOUT_TESTS").is_some();
    let mut files = Vec::new();
    for file in &folder.files {
        let path = ["src/", "lib/", "python/"]
            .iter()
            .find_map(|prefix| file.path.strip_prefix(prefix))
            .unwrap_or(&file.path);
        let mine =
            names.iter().any(|name| path == format!("{name}.py") || path.starts_with(&format!("{name}/")));
        if mine && !(without_tests && path.contains("test")) {
            files.push(path.to_owned());
        }
    }
    (names, files)
}

impl Folder {
    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }
}
