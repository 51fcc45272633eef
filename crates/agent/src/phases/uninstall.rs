//! Uninstall: by the environment's installer, on the environment as it was before test requirements came. Every file that
//! the release's install wrote must be gone.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use wheeltapper_core::{Finding, Phase, Status};
use wheeltapper_sandbox::{ChangeKind, Changes, FileType};

use crate::{
    cell::{self, Cell, Step, shown_path},
    error::Error,
    installer::Task,
    phases::install::Installation,
};

/// The most paths that a record lists.
const MOST: usize = 200;

/// Removes the release and looks at what stayed.
pub(crate) fn uninstall(cell: &mut Cell<'_>, installation: &Installation) -> Result<(), Error> {
    cell.begin(Phase::Uninstall);
    let world = installation.world.fork()?;
    let project = [cell.job.release.project.to_string()];
    let call = cell.agent.call(&world, &cell.job.environment, Task::Remove(&project));
    let execution = cell.run(&world, Step::of_installer(Phase::Uninstall, &world, call, cell.job))?;
    let changes = world.changes()?;
    if !execution.exit.success() {
        cell.phase(Phase::Uninstall).status = Status::Failed;
    } else if !changes.list.iter().any(|change| is_gone(change.kind)) {
        // Installers say "not installed" and exit with status 0 for what it does not recognise.
        let text = "the installer removed nothing".to_owned();
        cell.fail(Phase::Uninstall, Finding::new("not-uninstallable", text, Vec::new()));
    }
    compare(cell, installation, &changes);
    cell.end(Phase::Uninstall);
    Ok(())
}

fn compare(cell: &mut Cell<'_>, installation: &Installation, changes: &Changes) {
    if changes.cut {
        let text = "more changes than can be compared".to_owned();
        return cell.find(Phase::Uninstall, Finding::new("not-compared", text, Vec::new()));
    }
    let removed: HashSet<&Path> = changes
        .list
        .iter()
        .filter(|change| is_gone(change.kind))
        .map(|change| change.path.as_path())
        .collect();
    let gone = |path: &Path| path.ancestors().any(|above| removed.contains(above));
    let stayed: Vec<&PathBuf> = installation.files.iter().filter(|path| !gone(path)).collect();
    cell.evidence.leftovers = stayed.iter().take(MOST).map(|path| shown_path(path)).collect();
    if !stayed.is_empty() && cell.phase(Phase::Uninstall).status == Status::Passed {
        let text = format!("{} of the release stayed behind", cell::files(stayed.len()));
        let evidence = cell.evidence.leftovers.clone();
        cell.fail(Phase::Uninstall, Finding::new("leftover-files", text, evidence));
    }
    let own_files = cell.job.environment.installer.own_files();
    let foreign: Vec<String> = changes
        .list
        .iter()
        .filter(|change| change.path.starts_with("env") && change.file_type != FileType::Directory)
        .filter(|change| change.kind != ChangeKind::Created && !installation.files.contains(&change.path))
        .filter(|change| !is_bytecode(&change.path))
        .filter(|change| !own_files.iter().any(|own| change.path == Path::new(own)))
        .map(|change| shown_path(&change.path))
        .take(MOST)
        .collect();
    if !foreign.is_empty() {
        let text = format!("{} of other distributions removed or changed", cell::files(foreign.len()));
        cell.fail(Phase::Uninstall, Finding::new("touched-foreign-files", text, foreign));
    }
}

const fn is_gone(kind: ChangeKind) -> bool {
    match kind {
        ChangeKind::Deleted | ChangeKind::DirectoryReplaced => true,
        ChangeKind::Created | ChangeKind::Replaced => false,
    }
}

/// Bytecode belongs to the module that it was compiled from; installers remove it with the module.
fn is_bytecode(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "pyc")
}
