//! A cause in the making, before the phase and the decisive lines are known.

use crate::{
    advice,
    cause::{Blame, Cause, CauseId, Confidence, Dependency, EvidenceLine},
    phase::Phase,
};

/// What was found out so far.
#[derive(Debug, Clone)]
pub(super) struct Found {
    id: CauseId,
    blame: Blame,
    dependency: Option<Dependency>,
    title: Option<String>,
    detail: String,
    subject: Option<String>,
    confidence: Confidence,
}

impl Found {
    pub fn new(id: CauseId, blame: Blame, detail: impl Into<String>) -> Self {
        Found {
            id,
            blame,
            dependency: None,
            title: None,
            detail: detail.into(),
            subject: None,
            confidence: Confidence::Medium,
        }
    }

    /// The particular thing: a module, header, tool, name.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    pub fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// A title of its own, instead of the id's.
    pub fn title(mut self, title: Option<String>) -> Self {
        self.title = title;
        self
    }

    /// It is this dependency's fault.
    pub fn dependency(mut self, dependency: Dependency) -> Self {
        self.blame = Blame::Dependency;
        self.dependency = Some(dependency);
        self
    }

    /// Adds to the detail.
    pub fn more(mut self, text: &str) -> Self {
        self.detail.push_str(text);
        self
    }

    pub const fn id(&self) -> CauseId {
        self.id
    }

    /// The cause, resting on these lines, the decisive one first.
    pub fn in_phase(self, phase: Phase, evidence: Vec<EvidenceLine>) -> Cause {
        Cause {
            id: self.id,
            phase,
            blame: self.blame,
            dependency: self.dependency,
            title: self.title.unwrap_or_else(|| advice::of(self.id).title.clone()),
            detail: self.detail,
            subject: self.subject,
            evidence,
            confidence: self.confidence,
        }
    }
}
