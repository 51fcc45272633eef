//! A project's badge: an image, and the data from which shields.io draws one.

use minijinja::{Environment as Templates, context};
use wheeltapper_core::{
    Outcome, ProjectName,
    cycle::{Standing, State},
};

use crate::{
    Error,
    site::{ReportFile, safe, template_fault},
};

/// What a badge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Badge {
    pub message: String,
    colour: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Green,
    Yellow,
    Red,
    Grey,
}

impl Badge {
    /// The badge of a project whose cells stand so.
    pub fn of(standings: &[Standing]) -> Badge {
        let count = |wanted: &dyn Fn(&Standing) -> bool| standings.iter().filter(|one| wanted(one)).count();
        let fails = |one: &Standing| one.is_failing() || one.state == State::Flaky;
        let came_to =
            |one: &Standing, outcome| one.result.as_ref().is_some_and(|result| result.outcome == outcome);
        let passed = count(&|one| !fails(one) && came_to(one, Outcome::Passed));
        let untested = count(&|one| !fails(one) && came_to(one, Outcome::Untested));
        let failing = count(&fails);
        let (message, colour) = match (passed + untested, failing) {
            (0, 0) => ("no result".to_owned(), Colour::Grey),
            (0, _) => ("failing".to_owned(), Colour::Red),
            (_, 0) if passed == 0 => ("installs, untested".to_owned(), Colour::Grey),
            (_, 0) => ("passing".to_owned(), Colour::Green),
            (fine, failing) => (format!("passing on {fine} of {}", fine + failing), Colour::Yellow),
        };
        Badge { message, colour }
    }

    /// The image and the data.
    pub fn files(&self, project: &ProjectName, templates: &Templates<'_>) -> Result<[ReportFile; 2], Error> {
        let (fill, word) = match self.colour {
            Colour::Green => ("#2b7a45", "brightgreen"),
            Colour::Yellow => ("#8a6100", "yellow"),
            Colour::Red => ("#b3261e", "red"),
            Colour::Grey => ("#6a7078", "lightgrey"),
        };
        let wide = self.message.len() * 7 + 14;
        let template = templates.get_template("badge.svg");
        let view = context! { message => &self.message, fill, width => 80 + wide, middle => 80 + wide / 2 };
        let image = template.and_then(|template| template.render(view));
        let image = image.map_err(|source| template_fault("badge.svg", source))?;
        let data = serde_json::json!({
            "schemaVersion": 1, "label": "wheeltapper", "message": self.message, "color": word,
        });
        Ok([
            ReportFile::whole(path(project, "svg"), image),
            ReportFile::whole(path(project, "json"), data.to_string()),
        ])
    }
}

/// Where a badge lies.
pub(super) fn path(project: &ProjectName, kind: &str) -> String {
    format!("badge/{}.{kind}", safe(project.as_str()))
}
