//! Whether the requirements of what was installed hold, as `pip check` asks. What lies in an environment is strangers': it is
//! read through the world's own walls, and only as text.

use wheeltapper_core::{
    Finding, Phase,
    consistency::{self, Installed, Unsatisfied},
    metadata::Metadata,
};
use wheeltapper_sandbox::{FileType, World};

use crate::{
    cell::{Cell, shown_path},
    layout::Layout,
    prepare::distribution,
};

/// The largest METADATA that is read, in bytes. A long description comes after what counts.
const LARGEST: u64 = 16 << 20;
/// The most requirements of one distribution that are asked about.
const MOST_REQUIREMENTS: usize = 10_000;
/// The most lines of evidence.
const MOST: usize = 20;

/// Compares what is installed in the world with what it requires. A requirement of the release that does not hold fails the
/// install; one of a distribution beside it is told, and is not the release's fault.
pub(super) fn check(cell: &mut Cell<'_>, world: &World, release: &Metadata) {
    let own = cell.job.release.project.clone();
    let Some(mut installed) = in_world(cell, world) else { return };
    // What was checked before it was installed is surer than what was read back.
    installed.insert(own.clone(), release.clone());
    let unsatisfied = consistency::unsatisfied(&installed, &cell.job.environment.interpreter.markers);
    let (ours, others): (Vec<_>, Vec<_>) = unsatisfied.into_iter().partition(|one| one.by == own);
    if let Some(first) = ours.first() {
        let text = first.to_string();
        cell.fail(Phase::Install, Finding::new("inconsistent-requirements", text, lines(&ours)));
    }
    if let Some(first) = others.first() {
        let text = format!("what was installed beside the release does not fit together: {first}");
        cell.find(Phase::Install, Finding::new("dependency-inconsistent", text, lines(&others)));
    }
}

fn lines(unsatisfied: &[Unsatisfied]) -> Vec<String> {
    unsatisfied.iter().take(MOST).map(ToString::to_string).collect()
}

/// The distributions of the environment: their names and versions by the folders that the installer made, their
/// requirements by METADATA, where that can be read as a file of its own. `None` when the environment cannot be listed.
fn in_world(cell: &mut Cell<'_>, world: &World) -> Option<Installed> {
    let site = Layout::of(&cell.job.environment.interpreter).site_packages;
    let entries = match world.list(&site) {
        Ok(entries) => entries,
        Err(error) => {
            cell.note(Phase::Install, &format!("{} cannot be listed: {error}", shown_path(&site)));
            return None;
        }
    };
    let mut installed = Installed::new();
    for entry in entries.iter().filter(|entry| entry.file_type == FileType::Directory) {
        let Some((project, version)) = distribution(&entry.name) else { continue };
        let text = world.read(&site.join(&entry.name).join("METADATA"), LARGEST).unwrap_or_default();
        let mut said = Metadata::parse(&String::from_utf8_lossy(&text));
        said.requires_dist.truncate(MOST_REQUIREMENTS);
        installed.insert(project, Metadata { version, ..said });
    }
    Some(installed)
}
