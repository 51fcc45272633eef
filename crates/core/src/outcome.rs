//! The one word that sums up a cell.

use crate::{phase::Phase, words::words};

words! {
    /// The outcome of a cell.
    Outcome: "outcome" {
        /// Every phase passed; tests were run and passed.
        Passed = "passed",
        /// Every phase that could run passed; no tests were run.
        Untested = "untested",
        /// The distribution could not be fetched although the index answered.
        FetchFailed = "fetch-failed",
        /// The wheel could not be built.
        BuildFailed = "build-failed",
        /// The release could not be installed.
        InstallFailed = "install-failed",
        /// A module that decides could not be imported.
        ImportFailed = "import-failed",
        /// The tests ran and did not all pass.
        TestFailed = "test-failed",
        /// The installer could not remove it, or files of it stayed.
        UninstallFailed = "uninstall-failed",
        /// The release itself says that it is not for this environment.
        Unsupported = "unsupported",
        /// Our own fault; retried, never counted against the package.
        FarmError = "farm-error",
    }
}

impl Outcome {
    /// The outcome of a cell whose first failed phase this is.
    pub const fn failed_in(phase: Phase) -> Outcome {
        match phase {
            Phase::Fetch => Outcome::FetchFailed,
            Phase::Build => Outcome::BuildFailed,
            Phase::Install => Outcome::InstallFailed,
            Phase::Import => Outcome::ImportFailed,
            Phase::Test => Outcome::TestFailed,
            Phase::Uninstall => Outcome::UninstallFailed,
        }
    }

    /// True when the package failed in some phase. Neither `unsupported`, `untested` nor `farm-error` is a failure.
    pub const fn is_failure(self) -> bool {
        match self {
            Outcome::FetchFailed
            | Outcome::BuildFailed
            | Outcome::InstallFailed
            | Outcome::ImportFailed
            | Outcome::TestFailed
            | Outcome::UninstallFailed => true,
            Outcome::Passed | Outcome::Untested | Outcome::Unsupported | Outcome::FarmError => false,
        }
    }

    /// A sign of one column that tells the outcome without colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Outcome::Passed => "✓",
            Outcome::Untested => "○",
            Outcome::FetchFailed => "F",
            Outcome::BuildFailed => "B",
            Outcome::InstallFailed => "I",
            Outcome::ImportFailed => "M",
            Outcome::TestFailed => "T",
            Outcome::UninstallFailed => "U",
            Outcome::Unsupported => "–",
            Outcome::FarmError => "!",
        }
    }
}

words! {
    /// Why an outcome is `untested` or `unsupported`, or why a phase was skipped.
    Reason: "reason" {
        /// The distribution ships no tests.
        NoTestsShipped = "no-tests-shipped",
        /// Tests are shipped, but no rule recognises how they are run.
        NoRunnerRecognised = "no-runner-recognised",
        /// Tests are shipped, and none of our plans could start them.
        TestsCouldNotRun = "tests-could-not-run",
        /// The tests' requirements cannot be installed beside the release's own.
        TestRequirementsConflict = "test-requirements-conflict",
        /// The user asked for no tests.
        TestsDisabled = "tests-disabled",
        /// `Requires-Python` excludes this interpreter.
        RequiresPython = "requires-python",
        /// Only wheels for other platforms, and no sdist that could be built for this one.
        NoCompatibleFile = "no-compatible-file",
        /// It failed, and its operating-system classifiers name only other systems.
        OsClassifier = "os-classifier",
        /// An override, the maintainers' or the user's, says that this environment is skipped.
        EnvironmentSkipped = "environment-skipped",
        /// An earlier phase failed.
        EarlierPhaseFailed = "earlier-phase-failed",
        /// A published wheel needs no build.
        PublishedWheel = "published-wheel",
        /// Files had to be removed by us, which proves nothing.
        NotRemovedByInstaller = "not-removed-by-installer",
    }
}
