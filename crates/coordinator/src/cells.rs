//! Cells: what of a release is tapped on an environment, and what follows from a result.

use std::sync::Arc;

use wheeltapper_agent::{Job, Origin};
use wheeltapper_core::{Outcome, Phase, Reason, Record, Status, evidence::Artifact};

use crate::{catalog::Found, run::RunOptions};

/// Which artifacts of a release are tapped (`--from`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Artifacts {
    /// The sdist; the wheel too where there is no sdist, where the source build does not succeed, or where the published
    /// wheel carries native code.
    Auto,
    /// The sdist only.
    Sdist,
    /// The published wheel only.
    Wheel,
    /// Both.
    Both,
}

/// A planned cell.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What is to be done.
    pub job: Job,
    /// Set when no sandbox needs to be started: the release says that it is not for this environment.
    pub unsupported: Option<Reason>,
    /// Whether the published wheel follows when the source build does not succeed.
    pub then_wheel: bool,
}

/// The cells of one release on one environment.
pub fn plan(
    found: Found,
    environment: &Arc<wheeltapper_agent::HostEnvironment>,
    options: &RunOptions,
) -> Vec<Cell> {
    let (sdist, wheel) = (found.release.sdist.is_some(), found.release.wheel.is_some());
    let cell = |artifact, unsupported, then_wheel| Cell {
        job: Job {
            release: found.release.clone(),
            artifact,
            environment: Arc::clone(environment),
            options: options.cell.clone(),
            overrides: options.recipes.of(&found.release.project, &found.release.version).into(),
            replay: None,
        },
        unsupported,
        then_wheel,
    };
    if let Some(reason) = found.unsupported {
        let only_wheels = options.artifacts == Artifacts::Auto && !sdist;
        let as_wheel = options.artifacts == Artifacts::Wheel || only_wheels;
        return vec![cell(if as_wheel { Artifact::Wheel } else { Artifact::Sdist }, Some(reason), false)];
    }
    let missing = Some(Reason::NoCompatibleFile);
    match options.artifacts {
        Artifacts::Auto if !sdist => vec![cell(Artifact::Wheel, None, false)],
        Artifacts::Auto if wheel && is_native(found.release.wheel.as_ref()) => {
            vec![cell(Artifact::Sdist, None, false), cell(Artifact::Wheel, None, false)]
        }
        Artifacts::Auto => vec![cell(Artifact::Sdist, None, wheel)],
        Artifacts::Sdist => vec![cell(Artifact::Sdist, if sdist { None } else { missing }, false)],
        Artifacts::Wheel => vec![cell(Artifact::Wheel, if wheel { None } else { missing }, false)],
        Artifacts::Both => vec![
            cell(Artifact::Sdist, if sdist { None } else { missing }, false),
            cell(Artifact::Wheel, if wheel { None } else { missing }, false),
        ],
    }
}

fn is_native(wheel: Option<&Origin>) -> bool {
    wheel.is_some_and(|origin| !origin.filename().ends_with("-any.whl"))
}

/// The cell of the published wheel, where it is to follow a source build that did not succeed.
pub(crate) fn following(cell: Cell, record: &Record) -> Option<Cell> {
    let built =
        record.evidence.phases.get(&Phase::Build).is_some_and(|report| report.status == Status::Passed);
    let wanted = cell.then_wheel && !built && record.verdict.outcome != Outcome::FarmError;
    if !wanted {
        return None;
    }
    let job = Job { artifact: Artifact::Wheel, ..cell.job };
    Some(Cell { job, unsupported: None, then_wheel: false })
}
