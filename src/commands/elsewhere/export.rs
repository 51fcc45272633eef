//! `wheeltapper export TARGET… --env NAME > jobs.tar`: cells, and every file that they can need.

use std::{collections::BTreeSet, io::IsTerminal as _, sync::Arc};

use jiff::Timestamp;
use wheeltapper_agent::{
    Asked, Fetched, HostEnvironment, Installer, Job, Origin, Python, Source, Still, closure,
    recipe::{Installs, Subject},
};
use wheeltapper_coordinator::{
    Catalog, RunOptions, Target,
    elsewhere::{ExportedCell, Jobs, JobsBuilder, SCHEMA, Wanted},
    plan, requirements_file,
};
use wheeltapper_core::{Artifact, Popularity, ProjectName, Sha256, TestSource, record::IndexAnswer};
use wheeltapper_index::Uv;

use crate::{
    commands::{elsewhere::ExportArguments, overrides},
    exit::{Exit, Failure},
    farm::{self, Reading, Resolving},
    paths::Paths,
    view,
};

/// Packs jobs.
pub fn export(paths: &Paths, arguments: &ExportArguments) -> Result<Exit, Failure> {
    let out = std::io::stdout().lock();
    if out.is_terminal() {
        return Err(Failure::new(Exit::Usage, "jobs are an archive, and no text for a terminal")
            .hint("write it to a file: wheeltapper export … > jobs.tar"));
    }
    let recipes = overrides::read(&arguments.recipes)?;
    let reading = Reading::open(paths)?;
    let resolving = reading.resolving(paths)?;
    let (environment, python) = environment(&reading, &resolving.uv, &arguments.environment)?;
    let environment = Arc::new(environment);
    let options = RunOptions {
        cell: wheeltapper_core::Options {
            tests: !arguments.no_tests,
            setup_py: false,
            // A machine elsewhere has no network, and archives of jobs hold distributions only.
            source: TestSource::Sdist,
            limits: farm::limits(&arguments.limits),
        },
        artifacts: arguments.from.into(),
        jobs: 1,
        fresh: true,
        index_date: String::new(),
        recipes: Arc::new(recipes),
        run: String::new(),
        not_before: None,
    };
    let mut packing = Packing {
        reading: &reading,
        resolving: &resolving,
        asked: Asked { uv: &resolving.uv.path, python },
        environment: &environment,
        builder: JobsBuilder::default(),
        leases: Vec::new(),
        asked_about: BTreeSet::new(),
        absent: BTreeSet::new(),
        cells: Vec::new(),
    };
    let catalog = Catalog { client: reading.index.client.clone(), exclude_newer: None };
    for (name, wanted) in targets(arguments)? {
        let found = reading.runtime.block_on(catalog.choose(&name, &wanted, &environment))?;
        if let Some(reason) = found.unsupported {
            view::remark(&format!("left out: {name} is not for {}: {reason}", environment.shown.name));
            continue;
        }
        for cell in plan(found, &environment, &options) {
            packing.add(&cell.job, false)?;
            if cell.then_wheel {
                packing.add(&Job { artifact: Artifact::Wheel, ..cell.job }, true)?;
            }
        }
    }
    if packing.cells.is_empty() {
        return Err(Failure::new(Exit::Input, "nothing is left to be exported"));
    }
    packing.add_installer()?;
    let Packing { builder, asked_about, absent, cells, leases, .. } = packing;
    let count = cells.len();
    let jobs = Jobs {
        schema: SCHEMA,
        exported: Timestamp::now().to_string(),
        environment: Wanted::of(&environment),
        options: options.cell,
        cells,
        files: Vec::new(),
        absent: absent.into_iter().collect(),
        answers: answers(&reading, &asked_about),
    };
    let document = builder.write(jobs, std::io::BufWriter::new(out))?;
    drop(leases);
    let folder = paths.exports();
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{}.json", Sha256::of(&document).hex())), &document)?;
    view::remark(&format!("{count} cells for {}", environment.shown.name));
    Ok(Exit::Success)
}

/// The environment of this name, of this machine or elsewhere, and how the resolver is told of it.
fn environment(reading: &Reading, uv: &Uv, name: &str) -> Result<(HostEnvironment, Python), Failure> {
    if let Some(found) = reading.environments.iter().find(|one| one.shown.name == name) {
        let hint = "export for an environment of this host's own interpreters, with uv for its installer";
        return match (&found.installer, &found.root) {
            (Installer::Uv(_), None) => {
                Ok((found.clone(), Python::Here(found.interpreter.executable.clone())))
            }
            _ => Err(Failure::new(Exit::Input, format!("`{name}` cannot be exported for")).hint(hint)),
        };
    }
    HostEnvironment::elsewhere(name, &uv.version).ok_or_else(|| {
        farm::none_such(format!("no environment is called `{name}`"), reading.environments.iter())
    })
}

fn targets(
    arguments: &ExportArguments,
) -> Result<Vec<(ProjectName, wheeltapper_core::VersionSpecifiers)>, Failure> {
    let mut targets = Vec::new();
    for text in &arguments.targets {
        targets.push(Target::parse(text).map_err(|error| Failure::new(Exit::Usage, error.to_string()))?);
    }
    if let Some(path) = &arguments.file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
        targets.extend(requirements_file(path, &text).map_err(|error| Failure::new(Exit::Input, error))?);
    }
    if targets.is_empty() {
        return Err(Failure::new(Exit::Usage, "nothing to export").hint("name projects, or use --file FILE"));
    }
    let of_index = |target| match target {
        Target::Project(name, wanted) => Ok((name, wanted)),
        Target::Local(path) => {
            Err(Failure::new(Exit::Input, format!("{}: only releases can be exported", path.display())))
        }
    };
    targets.into_iter().map(of_index).collect()
}

/// Digests of what the index says of these projects today.
fn answers(reading: &Reading, projects: &BTreeSet<ProjectName>) -> Vec<IndexAnswer> {
    let page = |project: &ProjectName| reading.runtime.block_on(reading.index.proxy.page(project)).ok();
    let answer = |project: &ProjectName| {
        Some(IndexAnswer { project: project.to_string(), digest: page(project)?.digest })
    };
    projects.iter().filter_map(answer).collect()
}

struct Packing<'a> {
    reading: &'a Reading,
    resolving: &'a Resolving,
    asked: Asked<'a>,
    environment: &'a HostEnvironment,
    builder: JobsBuilder,
    /// Files are kept from being evicted until they are packed.
    leases: Vec<Fetched>,
    asked_about: BTreeSet<ProjectName>,
    absent: BTreeSet<ProjectName>,
    cells: Vec<ExportedCell>,
}

impl Packing<'_> {
    /// Adds a cell and what it needs; says so when that cannot be told without running strangers' code.
    fn add(&mut self, job: &Job, after_failed_build: bool) -> Result<(), Failure> {
        let release = &job.release;
        let sdist = release.sdist.as_ref().map(|origin| self.fetch(origin)).transpose()?;
        let wheel = release.wheel.as_ref().map(|origin| self.fetch(origin)).transpose()?;
        let source = match &sdist {
            Some((filename, file)) => {
                Source::unpacked(&self.reading.layers, 0, file.path(), filename, &file.sha256())?.ok()
            }
            None => None,
        };
        let installs = match (&wheel, &source) {
            (Some((filename, file)), _) => Installs::of_wheel(file.path(), filename).unwrap_or_default(),
            (None, Some(source)) => Installs::of_sources(source, &release.project),
            (None, None) => Installs::default(),
        };
        let popularity = Popularity::shipped();
        let (project, version) = (&release.project, &release.version);
        let plans = match &source {
            Some(source) if job.options.tests => {
                let (environment, overrides) = (self.environment, &job.overrides);
                let subject = Subject {
                    project,
                    version,
                    installs: &installs,
                    environment,
                    popularity: &popularity,
                    overrides,
                };
                subject.plans(source)
            }
            _ => Default::default(),
        };
        let of_build = source.as_ref().filter(|_| job.artifact == Artifact::Sdist);
        let still = Still { project, version, source: of_build, metadata: &installs.metadata, plans: &plans };
        let needed = closure(&self.resolving.resolver, self.environment, &self.asked, still)?;
        let needed = match needed {
            Ok(needed) => needed,
            Err(what) => {
                let what = what.lines().next().unwrap_or_default();
                view::remark(&format!(
                    "left out: {project} {version}: what it needs is not known beforehand: {what}"
                ));
                return Ok(());
            }
        };
        self.asked_about.insert(project.clone());
        for name in needed.in_vain {
            let page = self.reading.runtime.block_on(self.reading.index.proxy.page(&name));
            if let Err(wheeltapper_index::Error::ProjectNotFound(name)) = page {
                self.absent.insert(name);
            }
        }
        for wheel in &needed.wheels {
            self.asked_about.insert(wheel.project.clone());
            let file = self.reading.index.fetch_wheel(wheel)?;
            self.keep(&wheel.filename, file);
        }
        let [sdist, wheel] =
            [sdist, wheel].map(|file| file.map(|(filename, file)| self.keep(&filename, file)));
        self.cells.push(ExportedCell {
            project: project.clone(),
            version: version.to_string(),
            artifact: job.artifact,
            selected: release.selected.clone(),
            requires_python: release.requires_python.clone(),
            yanked: release.yanked,
            project_status: release.project_status.clone(),
            sdist,
            wheel,
            after_failed_build,
        });
        Ok(())
    }

    /// The uv that runs there, where the index has it; else that machine needs one of its own.
    fn add_installer(&mut self) -> Result<(), Failure> {
        let project = "uv".parse().map_err(|_| Failure::new(Exit::Farm, "uv is a name"))?;
        let shown = &self.environment.shown;
        let page = match self.reading.runtime.block_on(self.reading.index.client.project(&project)) {
            Err(error) if error.kind() == wheeltapper_index::Kind::Absent => None,
            page => Some(page?),
        };
        let file = page.as_ref().and_then(|page| Uv::listed(&page.files, &shown.os, &shown.arch));
        let Some(file) = file else {
            view::remark(&format!(
                "the index has no uv for {} on {}: one must be there",
                shown.os, shown.arch
            ));
            return Ok(());
        };
        let (filename, fetched) = self.fetch(&Origin::Index(Box::new(file.clone())))?;
        self.keep(&filename, fetched);
        Ok(())
    }

    fn fetch(&self, origin: &Origin) -> Result<(String, Fetched), Failure> {
        Ok((origin.filename().to_owned(), self.reading.index.fetch(origin)?))
    }

    fn keep(&mut self, filename: &str, file: Fetched) -> String {
        self.builder.add(filename, file.sha256(), file.path());
        self.leases.push(file);
        filename.to_owned()
    }
}
