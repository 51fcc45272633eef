//! A phase run once more with one thing changed, for what that tells of the failure: what differs, and how a cell comes out
//! of it as it went in.

use wheeltapper_core::{
    Evidence, Phase, ProjectName,
    evidence::Installed,
    next_step::{Changed, Variation},
};

use crate::{cell::Cell, error::Error, job::Purpose, resolve::Question};

/// How what is installed differs from the first run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Different {
    /// The index as of this moment, RFC 3339, for requirements of these purposes.
    pub dated: Option<(String, &'static [Purpose])>,
    /// An upper bound, for whoever requires that project.
    pub bound: Option<String>,
    /// One requirement more.
    pub requirement: Option<(Purpose, String)>,
}

impl Different {
    /// The question as it is asked then.
    pub(crate) fn asked(&self, purpose: Purpose, question: &Question) -> Question {
        let mut question = question.clone();
        if let Some((until, purposes)) = &self.dated
            && purposes.contains(&purpose)
        {
            question.until = Some(until.clone());
        }
        question.constraints.extend(self.bound.clone());
        if let Some((of, requirement)) = &self.requirement
            && *of == purpose
        {
            question.requirements.push(requirement.clone());
        }
        question
    }

    /// What records call it.
    pub(crate) const fn variation(&self) -> Variation {
        match self {
            Different { requirement: Some(_), .. } => Variation::Requirement,
            Different { bound: Some(_), .. } => Variation::Bound,
            Different { dated: Some((_, [Purpose::Test])), .. } => Variation::Dated,
            Different { dated: Some(_), .. } => Variation::DatedRuntime,
            Different { .. } => Variation::Same,
        }
    }
}

impl Cell<'_> {
    /// What came of a trial, as far as the farm could make it: what it fails to try says nothing, and costs nothing.
    pub(crate) fn tried(&mut self, phase: Phase, came_of_it: Result<(), Error>) -> Result<(), Error> {
        match came_of_it {
            Err(Error::Stopped) => Err(Error::Stopped),
            Err(error) => {
                self.note(phase, &format!("--- nothing more could be tried: {error}"));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Whether there are slots left for trials beside those of cells and layers.
    pub(crate) const fn can_try(&self) -> bool {
        self.agent.slots * 4 <= wheeltapper_sandbox::MOST_SLOTS
    }

    /// Does something with other requirements than the first run; what it did to the evidence is returned instead of kept,
    /// and the logs of these phases stay as they were.
    pub(crate) fn trial<T>(
        &mut self,
        different: Different,
        phases: &[Phase],
        action: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<(T, Evidence), Error> {
        let evidence = self.evidence.clone();
        let logs: Vec<_> = phases.iter().map(|phase| (*phase, self.logs.get(phase).cloned())).collect();
        let (version, slot) = (self.version.clone(), self.slot);
        self.different = different;
        // What the first run stands on stays in its slot.
        self.slot = 2 * self.agent.slots + slot;
        self.evidence.imports.clear();
        self.evidence.installed.clear();
        let came_of_it = action(self);
        self.different = Different::default();
        (self.version, self.slot) = (version, slot);
        for (phase, log) in logs {
            match log {
                Some(log) => self.logs.insert(phase, log),
                None => self.logs.remove(&phase),
            };
        }
        let after = std::mem::replace(&mut self.evidence, evidence);
        Ok((came_of_it?, after))
    }
}

/// What was installed in both, in another version.
pub(crate) fn changed<'a>(
    before: impl Iterator<Item = &'a Installed>,
    after: &[(ProjectName, String)],
) -> Vec<Changed> {
    before
        .filter_map(|one| {
            let (_, now) = after.iter().find(|(project, _)| *project == one.project)?;
            (*now != one.version).then(|| Changed {
                project: one.project.clone(),
                first: Some(one.version.clone()),
                now: Some(now.clone()),
            })
        })
        .collect()
}
