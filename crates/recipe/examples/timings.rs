//! How long it takes to work out plans: for each folder given (an unpacked sdist), its name, files, tests and the median of
//! several rounds in milliseconds, parted by tabs. For `cargo xtask bench --recipe`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use wheeltapper_core::{ProjectName, Version};
use wheeltapper_recipe::{About, Interpreter, SourceTree, TreeFile, plan, unbuilt};

const ROUNDS: usize = 7;

struct Folder {
    root: PathBuf,
    files: Vec<TreeFile>,
}

impl Folder {
    fn read(root: &Path) -> io::Result<Folder> {
        let mut files = Vec::new();
        let mut open = vec![root.to_path_buf()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let (path, metadata) = (entry.path(), entry.metadata()?);
                if metadata.is_dir() {
                    open.push(path);
                } else if metadata.is_file() {
                    let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                    files.push(TreeFile { path: relative, size: metadata.len() });
                }
            }
        }
        Ok(Folder { root: root.to_path_buf(), files })
    }
}

impl SourceTree for Folder {
    fn files(&self) -> &[TreeFile] {
        &self.files
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.root.join(path)).ok()?;
        io::Read::read_to_end(&mut io::Read::take(file, limit), &mut bytes).ok()?;
        Some(bytes)
    }
}

fn main() -> io::Result<()> {
    for argument in std::env::args_os().skip(1) {
        let root = PathBuf::from(argument);
        let folder = Folder::read(&root)?;
        let name = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let project = name.split('-').next().unwrap_or_default();
        let project: ProjectName = project.parse().map_err(|_| io::Error::other("a folder is no project"))?;
        let expected = unbuilt(&folder, project.as_str());
        let about = About {
            project: &project,
            version: &Version::new([1]),
            import_names: expected.import_names,
            installed_files: expected.installed_files,
            native: expected.native,
            runtime_requirements: Vec::new(),
            provides_extra: BTreeMap::new(),
            overrides: Vec::new(),
            interpreter: Interpreter {
                version: (3, 13),
                implementation: "cpython".into(),
                platform: "linux".into(),
            },
        };
        let mut took = Vec::new();
        let mut tests = 0;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            tests = plan(&folder, &about).expected_tests;
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        println!("{name}\t{}\t{tests}\t{:.2}", folder.files.len(), took[ROUNDS / 2]);
    }
    Ok(())
}
