//! Why a cell failed, and whose fault that is.

use serde::{Deserialize, Serialize};

use crate::{phase::Phase, words::words};

words! {
    /// What went wrong. The same id may arise in several phases; the cause names the phase.
    CauseId: "cause" {
        /// `Requires-Python` of a requirement excludes the interpreter.
        RequiresPython = "requires-python",
        /// No distribution satisfies a requirement.
        NoMatchingDistribution = "no-matching-distribution",
        /// Requirements exclude each other.
        DependencyConflict = "dependency-conflict",
        /// A requirement names a project that the index does not have.
        DependencyNotFound = "dependency-not-found",
        /// A dependency has only an sdist, and that does not build.
        DependencyBuildFailed = "dependency-build-failed",
        /// The build imports something that `build-system.requires` does not name.
        UndeclaredBuildRequirement = "undeclared-build-requirement",
        /// A C header is missing.
        MissingHeader = "missing-header",
        /// A library to link with is missing.
        MissingLibrary = "missing-library",
        /// A program that the build calls is missing.
        MissingTool = "missing-tool",
        /// The compiler rejects the source.
        CompilerError = "compiler-error",
        /// The source uses a C API that this interpreter no longer has.
        RemovedCApi = "removed-c-api",
        /// A module that this interpreter's standard library no longer has.
        RemovedStdlibModule = "removed-stdlib-module",
        /// A feature that the build backend no longer has.
        RemovedSetuptoolsFeature = "removed-setuptools-feature",
        /// Metadata that the backend or the installer rejects.
        InvalidMetadata = "invalid-metadata",
        /// The built wheel is not the name and version that was asked for.
        WrongNameOrVersion = "wrong-name-or-version",
        /// The version can only be found out in a checkout.
        VersionFromVcs = "version-from-vcs",
        /// The source is Python 2 only.
        Python2Syntax = "python2-syntax",
        /// A file does not parse on this interpreter.
        InvalidSyntax = "invalid-syntax",
        /// It wants another operating system.
        NeedsOtherPlatform = "needs-other-platform",
        /// It only says that it has been given up, or replaced by another project.
        Placeholder = "placeholder",
        /// The build wants the network.
        BuildNeedsNetwork = "build-needs-network",
        /// The build backend fails in a way that no other id names.
        BuildBackendError = "build-backend-error",
        /// The sdist lacks a file that its own build reads.
        IncompleteSdist = "incomplete-sdist",
        /// A file of another distribution was overwritten.
        FileClash = "file-clash",
        /// `RECORD` is incomplete or its hashes are wrong.
        BadRecord = "bad-record",
        /// The installed set does not satisfy its own requirements.
        InconsistentRequirements = "inconsistent-requirements",
        /// An entry point does not resolve.
        BrokenEntryPoint = "broken-entry-point",
        /// The wheel's tags do not say what it holds.
        BadWheelTag = "bad-wheel-tag",
        /// It imports a module of its own that it does not ship.
        MissingOwnModule = "missing-own-module",
        /// An imported module belongs to a distribution that is not declared.
        UndeclaredDependency = "undeclared-dependency",
        /// A shared library cannot be loaded.
        MissingSharedLibrary = "missing-shared-library",
        /// Something that a dependency or the interpreter no longer offers.
        RemovedApi = "removed-api",
        /// Compiled against another binary interface.
        AbiMismatch = "abi-mismatch",
        /// The interpreter exits while importing.
        ExitsOnImport = "exits-on-import",
        /// It wants a display.
        NeedsDisplay = "needs-display",
        /// The interpreter crashes.
        Crash = "crash",
        /// Tests ran and failed.
        TestFailures = "test-failures",
        /// Test modules cannot be collected.
        CollectionError = "collection-error",
        /// The tests import something that nothing declares.
        MissingTestDependency = "missing-test-dependency",
        /// The tests read files that are not shipped.
        MissingTestData = "missing-test-data",
        /// The tests want the network.
        TestsNeedNetwork = "tests-need-network",
        /// The tests want a running service.
        TestsNeedService = "tests-need-service",
        /// The tests want a display.
        TestsNeedDisplay = "tests-need-display",
        /// The tests fail only for an unprivileged user, or only for root.
        TestsAssumeUnprivileged = "tests-assume-unprivileged",
        /// The tests assume a locale or time zone.
        TestsAssumeLocaleOrTimezone = "tests-assume-locale-or-timezone",
        /// A warning, turned into an error by the suite's own configuration.
        WarningsAsErrors = "warnings-as-errors",
        /// The time limit was hit.
        Timeout = "timeout",
        /// Neither output nor CPU use for too long.
        Inactivity = "inactivity",
        /// The memory limit was hit.
        OutOfMemory = "out-of-memory",
        /// The limit of processes was hit.
        TooManyProcesses = "too-many-processes",
        /// The disk limit was hit.
        DiskFull = "disk-full",
        /// The output limit was hit.
        OutputLimit = "output-limit",
        /// Signal 11.
        SegmentationFault = "segmentation-fault",
        /// Signal 6.
        Abort = "abort",
        /// The file cannot be had although the index answered.
        Unfetchable = "unfetchable",
        /// The archive cannot be unpacked.
        InvalidArchive = "invalid-archive",
        /// The wheel would write outside of the environment.
        PathEscape = "path-escape",
        /// No rule names it.
        Unclassified = "unclassified",
        /// Files of the release stayed behind.
        LeftoverFiles = "leftover-files",
        /// Files of other distributions were removed or damaged.
        TouchedForeignFiles = "touched-foreign-files",
        /// The installer does not recognise the installation.
        NotUninstallable = "not-uninstallable",
        /// The installer fails while removing.
        UninstallError = "uninstall-error",
        /// The index or the farm itself failed.
        FarmFault = "farm-fault",
    }
}

words! {
    /// Whose fault a failure is.
    Blame: "blame" {
        /// The release's own.
        Package = "package",
        /// One of its dependencies'.
        Dependency = "dependency",
        /// The interpreter's.
        Interpreter = "interpreter",
        /// The operating system's or the image's.
        Platform = "platform",
        /// Ours: its tests were run wrongly.
        Recipe = "recipe",
        /// Ours: the farm failed.
        Farm = "farm",
    }
}

words! {
    /// How sure a cause is.
    Confidence: "confidence" {
        /// A structured signal says so.
        High = "high",
        /// The text of the log says so.
        Medium = "medium",
        /// A guess by elimination.
        Low = "low",
    }
}

/// One line of a log that a cause rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLine {
    /// Which phase's log.
    pub phase: Phase,
    /// Line number, from 1; 0 when the evidence is not a log line.
    pub line: usize,
    /// The line's text, without colours.
    pub text: String,
}

/// The distribution that a `dependency` blame names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Its project.
    pub project: String,
    /// The version that was installed.
    pub version: Option<String>,
}

impl Cause {
    /// True when a rule or a structured signal names it; false for what is left by elimination.
    pub fn is_classified(&self) -> bool {
        match self.id {
            CauseId::Unclassified => self.blame == Blame::Recipe,
            CauseId::BuildBackendError | CauseId::UninstallError => self.confidence != Confidence::Low,
            _ => true,
        }
    }
}

/// Why a cell failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// What went wrong.
    pub id: CauseId,
    /// Where.
    pub phase: Phase,
    /// Whose fault.
    pub blame: Blame,
    /// The dependency, when the blame is one's.
    pub dependency: Option<Dependency>,
    /// A short noun phrase for tables.
    pub title: String,
    /// A sentence with the particulars, e.g. the module's name.
    pub detail: String,
    /// The particular thing: the module, header, tool or name; null where there is none.
    #[serde(default)]
    pub subject: Option<String>,
    /// The decisive line first.
    pub evidence: Vec<EvidenceLine>,
    /// How sure.
    pub confidence: Confidence,
}
