//! One cell in progress: the evidence so far, the logs, and how a command is run on its behalf.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use wheeltapper_core::{
    Evidence, Exit, Finding, Limit, Phase, PhaseReport, ProjectName, Reason, Status, Version,
    VersionSpecifiers,
    evidence::{Artifact, Distribution, Installed},
    metadata::Metadata,
    pep508_rs::MarkerTree,
    starved::{STARVED, may_be_of_time},
};
use wheeltapper_recipe::{Skip, SourceTree as _, wishes};
use wheeltapper_sandbox::{Bind, Command, Execution, Limits, Network, World, base_environment};

use crate::{
    agent::Agent,
    error::Error,
    installer::Call,
    job::{Job, Purpose, Report},
    places::as_in_a_cell,
    prepare::Prepared,
    resolve::{LockedWheel, Question, named_in},
    source::Source,
    trial::Different,
    turns::Company,
};

/// The wheel that is installed and tested in a cell.
#[derive(Debug)]
pub(crate) struct WheelAtHand {
    /// Its file name.
    pub filename: String,
    /// Where it is on the host.
    pub path: PathBuf,
    /// Its metadata.
    pub metadata: Metadata,
    /// Paths that it puts below site-packages, and whether they hold native code.
    pub installs: Vec<String>,
    /// Its entry points: `(group, name, reference)`.
    pub entry_points: Vec<(String, String, String)>,
    /// Compiled extension modules among `installs`.
    pub native: bool,
}

/// A command of a phase.
pub(crate) struct Step<'a> {
    pub phase: Phase,
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub directory: PathBuf,
    pub environment: Vec<(OsString, OsString)>,
    pub binds: Vec<Bind>,
    pub wall: Duration,
    pub index: bool,
    /// How the log shows the command; `None` leaves it out.
    pub shown: Option<Cow<'a, str>>,
}

impl Step<'_> {
    /// A call of the installer, within the limits of a short phase.
    pub(crate) fn of_installer(phase: Phase, world: &World, call: Call, job: &Job) -> Self {
        Step {
            phase,
            program: call.program,
            arguments: call.arguments,
            directory: world.root().to_path_buf(),
            environment: call.environment,
            binds: call.binds,
            wall: job.options.limits.step(),
            index: false,
            shown: Some(call.shown.into()),
        }
    }
}

pub(crate) struct Cell<'a> {
    pub agent: &'a Agent,
    pub job: &'a Job,
    /// The job as the environment sees it that builds, where that is another.
    builds: Option<Job>,
    pub slot: usize,
    /// The release's version; of a checkout that cannot tell, its wheel's.
    pub version: Version,
    pub evidence: Evidence,
    pub logs: BTreeMap<Phase, Vec<u8>>,
    pub asked: BTreeSet<String>,
    /// What is changed while something is tried.
    pub different: Different,
    /// Who is concerned with the release, once its metadata has been read.
    pub people: Option<wheeltapper_core::cycle::People>,
    /// What else may run while its commands do.
    pub company: Company,
    /// What is left of the time for all runs of the tests together.
    pub tests_left: Duration,
    /// Temporary files of the cell on the host.
    pub folder: tempfile::TempDir,
    started: Instant,
    progress: &'a (dyn Fn(Phase) + Sync),
}

/// The evidence of a cell in which nothing has happened yet.
pub fn blank_evidence(job: &Job) -> Evidence {
    let release = &job.release;
    let distribution = release.origin(job.artifact).and_then(|origin| {
        Some(Distribution {
            kind: job.artifact,
            filename: origin.filename().to_owned(),
            sha256: origin.sha256()?,
        })
    });
    Evidence {
        project: release.project.clone(),
        version: release.version.to_string(),
        artifact: job.artifact,
        selected: release.selected.clone(),
        requires_python: release.requires_python.clone(),
        yanked: release.yanked,
        project_status: release.project_status.clone(),
        environment: job.environment.shown.clone(),
        distribution,
        build: None,
        wheel: None,
        tested: None,
        phases: BTreeMap::new(),
        imports: Vec::new(),
        test_plan: None,
        tests: None,
        leftovers: Vec::new(),
        attempts: Vec::new(),
        elsewhere: None,
        fix: None,
        foreign_writes: Vec::new(),
        tried_plans: Vec::new(),
        repository: None,
        contact: None,
        installed: Vec::new(),
        classifiers: Vec::new(),
        unsupported: None,
        untested: None,
        farm_error: None,
    }
}

impl<'a> Cell<'a> {
    pub(crate) fn new(
        agent: &'a Agent,
        job: &'a Job,
        slot: usize,
        progress: &'a (dyn Fn(Phase) + Sync),
    ) -> Result<Self, Error> {
        let evidence = blank_evidence(job);
        let folder = tempfile::Builder::new()
            .prefix("cell-")
            .tempdir_in(&agent.work)
            .map_err(Error::file(&agent.work))?;
        Ok(Cell {
            agent,
            job,
            builds: job.of_builder(),
            slot,
            version: job.release.version.clone(),
            evidence,
            logs: BTreeMap::new(),
            tests_left: job.options.limits.test(),
            asked: BTreeSet::from([job.release.project.to_string()]),
            different: Different::default(),
            company: Company::Any,
            people: None,
            folder,
            started: Instant::now(),
            progress,
        })
    }

    pub(crate) fn finish(self) -> Report {
        let asked = self.asked.into_iter().collect();
        Report { evidence: self.evidence, logs: self.logs, asked, people: self.people }
    }

    /// Begins a phase: it counts as passed until something in it fails.
    pub(crate) fn begin(&mut self, phase: Phase) {
        (self.progress)(phase);
        self.started = Instant::now();
        self.evidence.phases.insert(phase, PhaseReport::bare(Status::Passed));
    }

    /// Ends the phase; its wall time covers our own work on it, too.
    pub(crate) fn end(&mut self, phase: Phase) -> bool {
        let wall = self.started.elapsed().as_secs_f64();
        let report = self.phase(phase);
        report.wall_s = (wall * 1000.0).round() / 1000.0;
        report.status != Status::Failed
    }

    pub(crate) fn phase(&mut self, phase: Phase) -> &mut PhaseReport {
        self.evidence.phases.entry(phase).or_insert_with(|| PhaseReport::bare(Status::Passed))
    }

    pub(crate) fn skip(&mut self, phase: Phase, reason: impl Into<String>) {
        self.evidence.phases.insert(phase, PhaseReport::skipped(reason));
    }

    /// Fails the phase by structure: the finding's id names the cause where it is one of causes.
    pub(crate) fn fail(&mut self, phase: Phase, finding: Finding) {
        self.note(phase, &format!("{}: {}", finding.id, finding.text));
        let report = self.phase(phase);
        report.status = Status::Failed;
        report.findings.push(finding);
    }

    pub(crate) fn find(&mut self, phase: Phase, finding: Finding) {
        self.phase(phase).findings.push(finding);
    }

    /// Adds a line of our own to a phase's log.
    pub(crate) fn note(&mut self, phase: Phase, line: &str) {
        let log = self.logs.entry(phase).or_default();
        log.extend_from_slice(line.trim_end().as_bytes());
        log.push(b'\n');
    }

    pub(crate) fn installed(&mut self, wheels: &[LockedWheel], purpose: Purpose) {
        for wheel in wheels {
            self.asked.insert(wheel.project.to_string());
            self.evidence.installed.push(Installed {
                project: wheel.project.clone(),
                version: wheel.version.clone(),
                sha256: wheel.sha256,
                purpose: purpose.as_str().to_owned(),
            });
        }
    }

    /// Runs a command of a phase in a world; its output goes to the phase's log, its use of resources to the phase.
    pub(crate) fn run(&mut self, world: &World, step: Step<'_>) -> Result<Execution, Error> {
        let limits = &self.job.options.limits;
        let log = self.folder.path().join("output");
        let mut environment = base_environment(world.root(), world.temporary());
        environment.push(("VIRTUAL_ENV".into(), world.root().join("env").into()));
        environment.extend(step.environment);
        let mut binds = self.job.environment.binds();
        binds.extend(step.binds);
        let command = Command {
            program: step.program,
            arguments: step.arguments,
            environment,
            directory: step.directory,
            binds,
            network: if step.index { Network::Port } else { Network::None },
            limits: Limits {
                wall: step.wall,
                inactivity: limits.inactivity(),
                memory: limits.memory,
                processes: limits.processes,
                output: limits.output,
                ..Limits::default()
            },
            log: log.clone(),
        };
        let execution = self.agent.execute(world, &command, self.company, &self.agent.index)?;
        let output = as_in_a_cell(std::fs::read(&log).map_err(Error::file(&log))?, world.root());
        if let Some(shown) = &step.shown {
            self.note(step.phase, &format!("$ {shown}"));
        }
        self.logs.entry(step.phase).or_default().extend_from_slice(&output);
        if output.last().is_some_and(|byte| *byte != b'\n') {
            self.logs.entry(step.phase).or_default().push(b'\n');
        }
        if let Some(error) = &execution.start_error
            && step.phase != Phase::Test
        {
            // Only the tests' own program is named by the package.
            return Err(Error::Installer(format!("{}: a command could not be started: {error}", step.phase)));
        }
        if let Some(error) = &execution.start_error {
            self.note(step.phase, &format!("it could not be started: {error}"));
        }
        self.account(step.phase, &execution);
        Ok(execution)
    }

    fn account(&mut self, phase: Phase, execution: &Execution) {
        let report = self.phase(phase);
        report.cpu_s =
            Some(report.cpu_s.unwrap_or(0.0) + (execution.cpu.as_secs_f64() * 1000.0).round() / 1000.0);
        if !execution.waited.is_zero() {
            let waited = (execution.waited.as_secs_f64() * 1000.0).round() / 1000.0;
            report.cpu_wait_s = Some(report.cpu_wait_s.unwrap_or(0.0) + waited);
        }
        report.peak_memory = report.peak_memory.max(execution.peak_memory);
        report.peak_memory_source = Some(execution.peak_memory_source.as_str().to_owned());
        (report.exit, report.signal) = match execution.exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
        };
        report.limit = report.limit.or(execution.limit);
        if execution.was_starved() && may_be_of_time(execution.limit, None) {
            report.findings.push(starved(execution));
        }
        if execution.left_processes > 0 {
            let text = format!("{} processes were left behind and ended", execution.left_processes);
            report.findings.push(Finding::new("left-processes", text, Vec::new()));
        }
    }

    /// Makes ready what a question asks for, as [`Agent::prepare`] does, with what is changed while something is tried.
    pub(crate) fn prepare(
        &self,
        purpose: Purpose,
        below: &[ProjectName],
        question: &Question,
    ) -> Result<Prepared, Error> {
        let job = match (&self.builds, purpose) {
            (Some(builds), Purpose::Build) => builds,
            (_, Purpose::Build | Purpose::Runtime | Purpose::Test) => self.job,
        };
        self.agent.prepare(job, self.slot, purpose, below, &self.different.asked(purpose, question))
    }

    /// Requirements that cannot be had: the phase fails, or the tests are not run, for what the installer says.
    pub(crate) fn impossible(
        &mut self,
        phase: Phase,
        question: &Question,
        words: &str,
        limit: Option<Limit>,
    ) {
        // The refusal rests on the answers about these projects: when one of them changes, it is asked again.
        let rests_on = question.projects().chain(named_in(words)).map(|project| project.to_string());
        self.asked.extend(rests_on);
        self.note(phase, words);
        if let Some(limit) = limit {
            let text = format!("a requirement has only an sdist here, and building it hit the {limit} limit");
            self.find(phase, Finding::new("dependency-build-failed", text, Vec::new()));
        }
    }

    /// Records what a phase wrote outside of the environment, HOME and the working copy included.
    pub(crate) fn record_foreign_writes(&mut self, paths: impl Iterator<Item = PathBuf>) {
        const MOST: usize = 200;
        for path in paths {
            let text = shown_path(&path);
            let expected = ["env", "cache", "report", "src", "out"]
                .iter()
                .any(|ours| path.starts_with(ours) || path == Path::new(ours));
            if !expected
                && self.evidence.foreign_writes.len() < MOST
                && !self.evidence.foreign_writes.contains(&text)
            {
                self.evidence.foreign_writes.push(text);
            }
        }
    }

    /// True when an override says that this environment is skipped: the record then says why. Also keeps what the maintainers
    /// wish of mail.
    pub(crate) fn is_skipped(&mut self, source: &Source) -> bool {
        let wishes = wishes(source, &self.job.overrides);
        self.evidence.contact = wishes.contact;
        let markers = &self.job.environment.interpreter.markers;
        let holds = |skip: &&(String, Skip)| {
            skip.1.when.parse::<MarkerTree>().is_ok_and(|marker| marker.evaluate(markers, &[]))
        };
        let Some((file, skip)) = wishes.skip.iter().find(holds) else { return false };
        let text = format!("{} ({file}:{})", skip.reason, skip.line);
        self.find(Phase::Fetch, Finding::new(Reason::EnvironmentSkipped.as_str(), text, Vec::new()));
        self.evidence.unsupported = Some(Reason::EnvironmentSkipped);
        true
    }

    /// What the sdist itself says of where it is for: its classifiers are kept, and of a file that no index lists its
    /// `Requires-Python` is heeded. False when it is not for this interpreter.
    pub(crate) fn admitted(&mut self, source: &Source) -> bool {
        let Some(text) = source.read("PKG-INFO", 1 << 20) else { return true };
        let metadata = Metadata::parse(&String::from_utf8_lossy(&text));
        self.evidence.classifiers = metadata.classifiers;
        self.people = Some(metadata.people);
        if self.evidence.requires_python.is_none() {
            self.evidence.requires_python = metadata.requires_python;
        }
        let specifiers = self.evidence.requires_python.as_deref().and_then(|text| text.parse().ok());
        let version = self.job.environment.interpreter.version.only_release();
        let admits = specifiers.is_none_or(|specifiers: VersionSpecifiers| specifiers.contains(&version));
        if !admits {
            self.evidence.unsupported = Some(Reason::RequiresPython);
        }
        admits
    }

    /// The file under its own name: readers of wheels go by it, and the store names files by what they hold.
    pub(crate) fn with_its_name(&self, path: &Path, filename: &str) -> Result<PathBuf, Error> {
        let named = self.folder.path().join(filename);
        if std::fs::hard_link(path, &named).is_err() {
            std::fs::copy(path, &named).map_err(Error::file(&named))?;
        }
        Ok(named)
    }

    /// True when the cell starts from the sdist.
    pub(crate) fn starts_from_source(&self) -> bool {
        self.job.artifact == Artifact::Sdist
    }
}

/// That a run did not get its processor time.
pub(crate) fn starved(execution: &Execution) -> Finding {
    let (waited, wall) = (execution.waited.as_secs_f64(), execution.wall.as_secs_f64());
    let text = format!(
        "it waited for a processor for {waited:.1} of {wall:.1} s, while this machine did other work"
    );
    Finding::new(STARVED, text, Vec::new())
}

/// `1 file`, `2 files`.
pub(crate) fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

/// A path for records: as it is where it is UTF-8, else escaped as Rust's debug form of `OsStr` does.
pub(crate) fn shown_path(path: &Path) -> String {
    match path.to_str() {
        // Records of every system spell paths alike.
        Some(text) if cfg!(windows) => text.replace('\\', "/"),
        Some(text) => text.to_owned(),
        None => format!("{:?}", path.as_os_str()).trim_matches('"').to_owned(),
    }
}
