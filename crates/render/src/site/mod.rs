//! The report: a static site of results, readable without JavaScript, from a folder as from a server. Made project by
//! project, so that memory holds one project and a line a cell. Returns files; writing them is the caller's.

mod log;
mod paths;
pub(crate) mod view;

use std::collections::BTreeMap;

use minijinja::{Environment as Templates, UndefinedBehavior, context, syntax::SyntaxConfig};
use wheeltapper_core::{Phase, Record};

use crate::{Error, Ranks, figures::Figures, groups::Cell};
pub(crate) use paths::{cell_anchor, raw_log_path, safe};
pub use paths::{cell_log_path, project_path};

pub(crate) const STYLE: &str = include_str!("../../templates/style.css");
/// How many projects one page of the matrix holds.
const ROWS: usize = 400;

/// What the report says about itself.
#[derive(Debug, Clone, Default)]
pub struct ReportOptions {
    /// When it was made, for people, e.g. `2026-11-22 10:03 UTC`.
    pub generated: String,
    /// Name and version of the program.
    pub program: String,
    /// Popularity ranks, to put first what holds up most people; may be empty.
    pub ranks: Ranks,
}

/// How a file of the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is all there is; an older file is replaced.
    Whole,
    /// It is added to what this report has written before; the caller starts with an empty file.
    Append,
}

/// A file of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Relative to the report's folder, `/` between parts, safe on every file system.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// How to write it.
    pub mode: Mode,
}

impl ReportFile {
    pub(crate) fn whole(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        ReportFile { path: path.into(), bytes: bytes.into(), mode: Mode::Whole }
    }
}

/// A report in the making: [`Report::project`] for each project, then [`Report::finish`].
#[derive(Debug)]
pub struct Report {
    templates: Templates<'static>,
    options: ReportOptions,
    figures: Figures,
    cells: Vec<Cell>,
    interpreters: BTreeMap<String, String>,
}

impl Report {
    /// An empty report.
    ///
    /// # Errors
    /// [`Error::Template`], a bug.
    pub fn new(options: ReportOptions) -> Result<Report, Error> {
        let templates = templates()?;
        Ok(Report {
            templates,
            options,
            figures: Figures::default(),
            cells: Vec::new(),
            interpreters: BTreeMap::new(),
        })
    }

    /// The pages of one project from all its cells and their logs: its page, its logs (as pages and as they were
    /// printed), its lines of `records.jsonl`. Nothing without cells.
    ///
    /// # Errors
    /// [`Error::Template`] or [`Error::Json`], bugs.
    pub fn project(
        &mut self,
        cells: &[(Record, BTreeMap<Phase, Vec<u8>>)],
    ) -> Result<Vec<ReportFile>, Error> {
        let Some((first, _)) = cells.first() else { return Ok(Vec::new()) };
        let mut files = Vec::new();
        let mut lines = Vec::new();
        for (record, logs) in cells {
            self.figures.add(record);
            self.cells.push(Cell::of(record));
            let environment = &record.evidence.environment;
            let interpreter = format!("{} {}", environment.implementation, environment.python);
            self.interpreters.insert(environment.name.clone(), interpreter);
            serde_json::to_writer(&mut lines, record)
                .map_err(|source| Error::Json { id: record.id.clone(), source })?;
            lines.push(b'\n');
            files.extend(self.logs(record, logs)?);
        }
        let view = view::project(cells);
        let path = project_path(&first.evidence.project);
        files.push(ReportFile::whole(path, self.page("project.html", "../", "", context! { view })?));
        files.push(ReportFile { path: "records.jsonl".to_owned(), bytes: lines, mode: Mode::Append });
        Ok(files)
    }

    fn logs(&self, record: &Record, logs: &BTreeMap<Phase, Vec<u8>>) -> Result<Vec<ReportFile>, Error> {
        let mut files = Vec::new();
        for (phase, text) in logs {
            files.push(ReportFile::whole(raw_log_path(record, *phase), text.clone()));
        }
        if !logs.is_empty() {
            let view = view::log(record, logs);
            let path = cell_log_path(record);
            files.push(ReportFile::whole(path, self.page("log.html", "../../", "", context! { view })?));
        }
        Ok(files)
    }

    /// The front page, the further pages of the matrix, and the style sheet.
    ///
    /// # Errors
    /// [`Error::Template`], a bug.
    pub fn finish(mut self) -> Result<Vec<ReportFile>, Error> {
        self.cells.sort_by(|left, right| left.project.cmp(&right.project));
        let matrix = view::matrix(&self.cells, &self.interpreters);
        let pages = matrix.rows.chunks(ROWS).count().max(1);
        let name = |page: usize| {
            if page == 0 { "index.html".to_owned() } else { format!("matrix-{}.html", page + 1) }
        };
        let records = ReportFile { path: "records.jsonl".to_owned(), bytes: Vec::new(), mode: Mode::Append };
        let mut files = vec![ReportFile::whole("style.css", STYLE), records];
        for page in 0..pages {
            let rows = matrix.rows.chunks(ROWS).nth(page).unwrap_or_default();
            let others: Vec<_> =
                (0..pages).map(|other| context! { number => other + 1, href => name(other) }).collect();
            let view = context! {
                front => page == 0,
                page => page + 1,
                pages => if pages > 1 { others } else { Vec::new() },
                figures => view::figures(&self.figures),
                sections => if page == 0 { view::sections(&self.cells, &self.options.ranks) } else { Vec::new() },
                platforms => &matrix.platforms,
                environments => &matrix.environments,
                both_artifacts => matrix.both_artifacts,
                rows,
                projects => matrix.rows.len(),
            };
            files.push(ReportFile::whole(
                name(page),
                self.page("index.html", "", "front", context! { view })?,
            ));
        }
        Ok(files)
    }

    /// `root` leads from the page to the report's folder.
    fn page(&self, template: &str, root: &str, class: &str, view: minijinja::Value) -> Result<String, Error> {
        let page = context! {
            root,
            class,
            web => false,
            generated => &self.options.generated,
            program => &self.options.program,
            ..view
        };
        let rendered = self.templates.get_template(template).and_then(|template| template.render(page));
        rendered.map_err(|source| template_fault(template, source))
    }
}

/// The templates that the report and the site of cycles share.
pub(crate) fn templates() -> Result<Templates<'static>, Error> {
    let mut templates = Templates::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    templates.set_syntax(syntax.map_err(|source| template_fault("syntax", source))?);
    templates.add_filter("prose", log::prose);
    for (name, source) in [
        ("base.html", include_str!("../../templates/base.html")),
        ("macros.html", include_str!("../../templates/macros.html")),
        ("index.html", include_str!("../../templates/index.html")),
        ("project.html", include_str!("../../templates/project.html")),
        ("cell.html", include_str!("../../templates/cell.html")),
        ("log.html", include_str!("../../templates/log.html")),
    ] {
        templates.add_template(name, source).map_err(|source| template_fault(name, source))?;
    }
    Ok(templates)
}

pub(crate) fn template_fault(page: &str, source: minijinja::Error) -> Error {
    Error::Template { page: page.to_owned(), source }
}
