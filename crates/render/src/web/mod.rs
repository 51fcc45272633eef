//! The site that cycles keep up to date: like the report, readable without JavaScript, but page by page, so that only what
//! changed is made anew. Pages carry no time of their making: the same results make the same bytes.

mod badge;
mod chart;
mod feed;
mod pages;

use std::collections::BTreeMap;

use minijinja::{Environment as Templates, Value, context};
use wheeltapper_core::{
    Phase, ProjectName, Record,
    cycle::{Cycle, Past, Standing, Transition},
};

use crate::{
    Error, Ranks,
    site::{self, ReportFile, cell_log_path, project_path, template_fault, view},
};
pub use pages::{ClusterExample, Letter, People, environments, letters};

/// Raised when a page comes out otherwise from the same results: everything is then made anew.
pub const SITE: u32 = 4;

/// Makes the pages of the site.
#[derive(Debug)]
pub struct Site {
    templates: Templates<'static>,
    program: String,
    /// The site's public address, ending in `/`; links of feeds need it.
    address: Option<String>,
}

/// All that is told of one project.
#[derive(Debug, Clone, Copy)]
pub struct ProjectInput<'a> {
    /// The newest result of each cell, with its logs.
    pub cells: &'a [(Record, BTreeMap<Phase, Vec<u8>>)],
    /// Where its cells stand.
    pub standings: &'a [Standing],
    /// Its results of the past, newest first.
    pub past: &'a [Past],
    /// Its changes, newest first.
    pub news: &'a [Transition],
    /// Who is concerned: names to be shown, and their pages.
    pub people: &'a [(String, String)],
}

impl Site {
    /// A site by this program (name and version), at this public address if it has one.
    ///
    /// # Errors
    /// [`Error::Template`], a bug.
    pub fn new(program: String, address: Option<&str>) -> Result<Site, Error> {
        let mut templates = site::templates()?;
        for (name, source) in [
            ("web.html", include_str!("../../templates/web.html")),
            ("web-macros.html", include_str!("../../templates/web-macros.html")),
            ("web-project.html", include_str!("../../templates/web-project.html")),
            ("front.html", include_str!("../../templates/front.html")),
            ("list.html", include_str!("../../templates/list.html")),
            ("absent.html", include_str!("../../templates/absent.html")),
            ("cycle.html", include_str!("../../templates/cycle.html")),
            ("cycles.html", include_str!("../../templates/cycles.html")),
            ("clusters.html", include_str!("../../templates/clusters.html")),
            ("letter.html", include_str!("../../templates/letter.html")),
            ("maintainer.html", include_str!("../../templates/maintainer.html")),
            ("badge.svg", include_str!("../../templates/badge.svg")),
        ] {
            templates.add_template(name, source).map_err(|source| template_fault(name, source))?;
        }
        let address = address.map(|address| format!("{}/", address.trim_end_matches('/')));
        Ok(Site { templates, program, address })
    }

    /// The style sheet and the search's script.
    pub fn assets() -> [ReportFile; 2] {
        [
            ReportFile::whole("style.css", site::STYLE),
            ReportFile::whole("search.js", include_str!("../../templates/search.js")),
        ]
    }

    /// A project's page, logs, badge and feed.
    ///
    /// # Errors
    /// [`Error::Template`], a bug; likewise below.
    pub fn project(&self, input: &ProjectInput<'_>) -> Result<Vec<ReportFile>, Error> {
        let Some((first, _)) = input.cells.first() else { return Ok(Vec::new()) };
        let project = &first.evidence.project;
        let mut files = Vec::new();
        for (record, logs) in input.cells.iter().filter(|(_, logs)| !logs.is_empty()) {
            files
                .extend(logs.iter().map(|(phase, text)| {
                    ReportFile::whole(site::raw_log_path(record, *phase), text.clone())
                }));
            let view = view::log(record, logs);
            let page = self.page("log.html", "../../", context! { view })?;
            files.push(ReportFile::whole(cell_log_path(record), page));
        }
        let badge = badge::Badge::of(input.standings);
        files.extend(badge.files(project, &self.templates)?);
        files.push(feed::feed(project, input.news, input.cells, self.address.as_deref())?);
        let view = view::project(input.cells);
        let web = pages::project(project, input, &badge);
        let page = self.shown("project.html", "../", web, context! { view })?;
        files.push(ReportFile::whole(project_path(project), page));
        Ok(files)
    }

    /// The front page.
    pub fn front(
        &self,
        cycles: &[Cycle],
        standings: &[Standing],
        news: &[Transition],
        examples: &BTreeMap<String, ClusterExample>,
        letters: &[Letter],
    ) -> Result<ReportFile, Error> {
        let view = pages::front(cycles, standings, news, examples, letters)?;
        Ok(ReportFile::whole("index.html", self.page("front.html", "", context! { view })?))
    }

    /// All cycles in one table, with the trends.
    pub fn cycles(&self, cycles: &[Cycle]) -> Result<ReportFile, Error> {
        let view = pages::cycles(cycles)?;
        Ok(ReportFile::whole("cycles.html", self.page("cycles.html", "", context! { view })?))
    }

    /// The pages of a cycle: its figures, and the list behind each of them.
    pub fn cycle(
        &self,
        cycle: &Cycle,
        standings: &[Standing],
        absent: &[(ProjectName, String)],
    ) -> Result<Vec<ReportFile>, Error> {
        let folder = format!("cycle/{}", cycle.number);
        let mut files = Vec::new();
        let listed = pages::has_lists(cycle, standings);
        let view = context! { cycle => pages::cycle(cycle, "", listed) };
        let page = self.page("cycle.html", "../../", context! { view })?;
        files.push(ReportFile::whole(format!("{folder}/index.html"), page));
        for (state, view) in pages::lists(cycle, standings) {
            let page = self.page("list.html", "../../", context! { view })?;
            files.push(ReportFile::whole(format!("{folder}/{state}.html"), page));
        }
        if !absent.is_empty() {
            let view = pages::absent(cycle, absent);
            let page = self.page("absent.html", "../../", context! { view })?;
            files.push(ReportFile::whole(format!("{folder}/not-planned.html"), page));
        }
        if listed {
            let lines = pages::cells_jsonl(cycle, standings);
            files.push(ReportFile::whole(format!("{folder}/cells.jsonl"), lines));
        }
        Ok(files)
    }

    /// A page an environment.
    pub fn environment(&self, name: &str, standings: &[Standing]) -> Result<ReportFile, Error> {
        let view = pages::environment(name, standings);
        let page = self.page("list.html", "../", context! { view })?;
        Ok(ReportFile::whole(pages::environment_path(name), page))
    }

    /// Failures that look alike.
    pub fn clusters(
        &self,
        standings: &[Standing],
        examples: &BTreeMap<String, ClusterExample>,
        ranks: &Ranks,
    ) -> Result<ReportFile, Error> {
        let view = pages::clusters(standings, examples, ranks);
        Ok(ReportFile::whole("clusters.html", self.page("clusters.html", "", context! { view })?))
    }

    /// The signatures of the clusters that are shown, whose examples the caller is to bring.
    pub fn signatures(standings: &[Standing], ranks: &Ranks) -> Vec<(String, String)> {
        pages::signatures(standings, ranks)
    }

    /// One page of the list of all projects: those of one letter, or a part of them.
    pub fn letter(
        &self,
        letter: &Letter,
        all: &[Letter],
        standings: &[Standing],
        environments: &[String],
    ) -> Result<ReportFile, Error> {
        let view = pages::letter(letter, all, standings, environments);
        Ok(ReportFile::whole(letter.path.clone(), self.page("letter.html", "../", context! { view })?))
    }

    /// The entrance of the list of all projects.
    pub fn letters(&self, all: &[Letter], projects: usize) -> Result<ReportFile, Error> {
        let view = pages::letters_index(all, projects);
        Ok(ReportFile::whole("a-z/index.html", self.page("letter.html", "../", context! { view })?))
    }

    /// A page of the projects of one who is concerned with them.
    pub fn maintainer(&self, person: &People, standings: &[&[Standing]]) -> Result<ReportFile, Error> {
        let view = pages::maintainer(person, standings);
        Ok(ReportFile::whole(person.path.clone(), self.page("maintainer.html", "../", context! { view })?))
    }

    /// The small lists of names that the search reads, by their first two characters.
    pub fn names<'a>(projects: impl Iterator<Item = &'a ProjectName>) -> Vec<ReportFile> {
        let mut lists: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for project in projects {
            let key: String = project.as_str().chars().chain(['_']).take(2).collect();
            lists.entry(key).or_default().push(project.as_str());
        }
        let file = |(key, names): (String, Vec<&str>)| {
            let text = serde_json::to_vec(&names).unwrap_or_default();
            ReportFile::whole(format!("names/{key}.json"), text)
        };
        lists.into_iter().map(file).collect()
    }

    fn page(&self, template: &str, root: &str, view: Value) -> Result<String, Error> {
        // `web` tells the shared templates that they are a part of this site.
        self.shown(template, root, Value::from(true), view)
    }

    fn shown(&self, template: &str, root: &str, web: Value, view: Value) -> Result<String, Error> {
        let page = context! { root, class => "", generated => "", program => &self.program, web, ..view };
        let rendered = self.templates.get_template(template).and_then(|template| template.render(page));
        rendered.map_err(|source| template_fault(template, source))
    }
}
