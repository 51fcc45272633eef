//! Fetch: the distribution comes through the index, its hash verified.

use wheeltapper_core::{Finding, Phase, evidence::Distribution};
use wheeltapper_index::{Error as IndexError, Kind};

use crate::{cell::Cell, error::Error, index::Fetched, job::Origin};

/// Fetches the file that the cell starts from. `None` when the package itself is at fault: gone, or too large.
pub(crate) fn fetch(cell: &mut Cell<'_>, origin: &Origin) -> Result<Option<Fetched>, Error> {
    cell.begin(Phase::Fetch);
    let fetched = match cell.agent.index.fetch(origin) {
        Ok(fetched) => {
            cell.evidence.distribution = Some(Distribution {
                kind: cell.job.artifact,
                filename: origin.filename().to_owned(),
                sha256: fetched.sha256(),
            });
            Some(fetched)
        }
        Err(error) if is_packages_fault(&error) => {
            cell.fail(Phase::Fetch, Finding::new("unfetchable", error.to_string(), Vec::new()));
            None
        }
        Err(error) => return Err(error.into()),
    };
    cell.end(Phase::Fetch);
    Ok(fetched)
}

/// True when the index answered, and the answer is that the file cannot be had.
pub(crate) fn is_packages_fault(error: &IndexError) -> bool {
    match error.kind() {
        Kind::Absent | Kind::Package => true,
        Kind::User | Kind::Farm | Kind::Local => false,
    }
}
