//! `wheeltapper log PROJECT ENV [PHASE]`.

use std::io::Write as _;

use wheeltapper_core::Phase;

use crate::{
    commands::show::{blocking, project_name},
    exit::{Exit, Failure},
    paths::Paths,
};

/// Prints the stored log of a cell, byte for byte.
pub fn log(paths: &Paths, project: &str, environment: &str, phase: Option<Phase>) -> Result<Exit, Failure> {
    let name = project_name(project)?;
    blocking(paths, async |store| {
        let records = store.latest(&name).await?;
        let of_environment: Vec<_> =
            records.iter().filter(|record| record.evidence.environment.name == environment).collect();
        if of_environment.is_empty() {
            let known: Vec<&str> =
                records.iter().map(|record| record.evidence.environment.name.as_str()).collect();
            let failure =
                Failure::new(Exit::Input, format!("nothing is stored of {name} on `{environment}`"));
            return Err(if known.is_empty() {
                failure.hint(format!("`wheeltapper run {name}` taps it"))
            } else {
                failure.hint(format!("there are results on {}", known.join(", ")))
            });
        }
        let mut out = std::io::stdout().lock();
        for record in of_environment {
            for (logged, bytes) in store.logs(&record.id).await? {
                if phase.is_none_or(|wanted| wanted == logged) {
                    if phase.is_none() {
                        writeln!(out, "=== {} · {} · {logged}", record.evidence.artifact, environment)?;
                    }
                    out.write_all(&bytes)?;
                }
            }
        }
        Ok(Exit::Success)
    })
}
