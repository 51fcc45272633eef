//! Cells of one release beside each other: what passes on one interpreter tells of what fails on another. What it tells is
//! decided in `core`.

use std::collections::BTreeMap;

use wheeltapper_core::{
    Evidence, Phase, Record,
    classify::classify,
    elsewhere::{Elsewhere, passes_in},
};

use crate::{error::Error, runner::Runner};

impl Runner {
    /// A stored cell of the same release in which the tests pass that fail in this one.
    pub(crate) fn elsewhere(&self, evidence: &Evidence) -> Option<Elsewhere> {
        evidence.tests.as_ref().filter(|tests| !tests.failing.is_empty())?;
        let others = self.handle.block_on(self.store.latest(&evidence.project)).ok()?;
        others.iter().find_map(|other| passes_in(evidence, &other.evidence))
    }

    /// Judges the stored failures of the same release again that this result says something of.
    pub(crate) fn judge_older(&self, record: &Record) -> Result<(), Error> {
        if record.evidence.tests.is_none() {
            return Ok(());
        }
        for older in self.handle.block_on(self.store.latest(&record.evidence.project))? {
            let found = passes_in(&older.evidence, &record.evidence);
            if found.is_none() || older.evidence.elsewhere.is_some() {
                continue;
            }
            let logs = self.handle.block_on(self.store.logs(&older.id))?;
            let texts: BTreeMap<Phase, String> = logs
                .into_iter()
                .map(|(phase, log)| (phase, String::from_utf8_lossy(&log).into_owned()))
                .collect();
            let evidence = Evidence { elsewhere: found, ..older.evidence };
            let verdict = classify(&evidence, &texts);
            self.handle.block_on(self.store.rejudge(&Record { evidence, verdict, ..older }))?;
        }
        Ok(())
    }
}
