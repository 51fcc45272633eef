//! What `doctor` says of this system: each part is made once, by the very code that cells use.

use std::{fs, path::Path};

use super::{job::Job, token};
use crate::{Check, CheckStatus, Error, Limits, Mode};

/// Tries what a command needs.
pub(crate) fn checks(mode: Mode, folder: &Path) -> Vec<Check> {
    let mut checks = vec![told(
        "job",
        Job::new(&Limits::default()).map(drop),
        "limits, counts and ends all processes of a cell",
    )];
    if mode != Mode::None {
        checks.push(told("token", token::low_rights().map(drop), "no privileges, low integrity"));
        checks.push(told("label", labelled(folder), "cells write to their own folder only"));
    }
    checks.push(Check {
        name: "network",
        status: CheckStatus::Weak,
        detail: "open: nothing is cut off without an administrator's help".to_owned(),
        remedy: None,
    });
    checks
}

fn labelled(folder: &Path) -> Result<(), Error> {
    let trial = folder.join(format!("trial-{}", std::process::id()));
    fs::create_dir(&trial).map_err(|error| Error::io(format!("create {}", trial.display()), error))?;
    let labelled = token::label(&trial);
    let _ = fs::remove_dir(&trial);
    labelled
}

fn told(name: &'static str, made: Result<(), Error>, detail: &str) -> Check {
    let (status, detail) = match made {
        Ok(()) => (CheckStatus::Ok, detail.to_owned()),
        Err(error) => (CheckStatus::Refused, error.to_string()),
    };
    Check { name, status, detail, remedy: None }
}
