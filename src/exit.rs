//! Exit codes, and the errors that carry them. One place prints errors and picks the code.

use std::fmt;

/// The exit codes that scripts may rely on; `--help` and `docs/exit-codes.md` list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for was done. A package that fails is a result, not an error.
    Success = 0,
    /// An outcome that `--fail-on` names was found; or `repro` came out otherwise.
    FailOn = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something that was named does not exist or cannot be read: a project, an environment, a file, a setting.
    Input = 3,
    /// The sandbox is refused here; `wheeltapper doctor` says why.
    Sandbox = 4,
    /// The farm failed: the index, the disk, the store; or cells ended as farm errors.
    Farm = 5,
    /// The user stopped it; the same command goes on.
    Interrupted = 130,
}

/// An error with its exit code and the way out.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What is wrong, as a fragment that names the thing.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), hint: None }
    }

    /// Adds the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl From<wheeltapper_index::Error> for Failure {
    fn from(error: wheeltapper_index::Error) -> Self {
        let (exit, hint) = (exit_of(error.kind()), error.hint().map(str::to_owned));
        Failure { exit, message: error.to_string(), hint }
    }
}

/// The code for a failure of the index's side.
fn exit_of(kind: wheeltapper_index::Kind) -> Exit {
    use wheeltapper_index::Kind;
    match kind {
        Kind::User | Kind::Absent | Kind::Package => Exit::Input,
        Kind::Farm | Kind::Local => Exit::Farm,
    }
}

impl From<wheeltapper_store::Error> for Failure {
    fn from(error: wheeltapper_store::Error) -> Self {
        Failure { exit: Exit::Farm, hint: error.hint(), message: error.to_string() }
    }
}

impl From<wheeltapper_sandbox::Error> for Failure {
    fn from(error: wheeltapper_sandbox::Error) -> Self {
        let remedy = match &error {
            wheeltapper_sandbox::Error::Refused { remedy, .. } => remedy.clone(),
            _ => None,
        };
        Failure::new(Exit::Sandbox, error.to_string()).hint(remedy.unwrap_or_else(|| {
            "`wheeltapper doctor` tries the whole sandbox and prints what would allow it".to_owned()
        }))
    }
}

impl From<wheeltapper_agent::Error> for Failure {
    fn from(error: wheeltapper_agent::Error) -> Self {
        match error {
            wheeltapper_agent::Error::Sandbox(error) => error.into(),
            wheeltapper_agent::Error::Index(error) => error.into(),
            wheeltapper_agent::Error::Repository(error) => error.into(),
            other => Failure::new(Exit::Farm, other.to_string()),
        }
    }
}

impl From<wheeltapper_repository::Error> for Failure {
    fn from(error: wheeltapper_repository::Error) -> Self {
        use wheeltapper_repository::Error;
        let exit = match &error {
            Error::Absent { .. } | Error::Refused { .. } | Error::Settings { .. } => Exit::Input,
            Error::Lost { .. } | Error::NoGit(_) | Error::File { .. } => Exit::Farm,
        };
        Failure::new(exit, error.to_string())
    }
}

impl From<wheeltapper_platforms::Error> for Failure {
    fn from(error: wheeltapper_platforms::Error) -> Self {
        use wheeltapper_platforms::Error;
        let exit = match &error {
            Error::Definition { .. }
            | Error::Unknown { .. }
            | Error::Archive(_)
            | Error::Tool { .. }
            | Error::Busy { .. } => Exit::Input,
            Error::Sandbox(_) => Exit::Sandbox,
            Error::Lost { .. } | Error::File { .. } => Exit::Farm,
            Error::Files(error) => exit_of(error.kind()),
        };
        Failure { exit, message: error.to_string(), hint: error.hint() }
    }
}

impl From<wheeltapper_coordinator::Error> for Failure {
    fn from(error: wheeltapper_coordinator::Error) -> Self {
        use wheeltapper_coordinator::Error;
        match error {
            Error::Index(error) => error.into(),
            Error::Store(error) => error.into(),
            Error::Render(error) => {
                Failure::new(Exit::Farm, error.to_string()).hint("this is a bug of wheeltapper")
            }
            error @ Error::Site { .. } => Failure::new(Exit::Farm, error.to_string())
                .hint("what was there before is as it was; the next cycle tries again"),
            Error::User { message, hint } => Failure { exit: Exit::Input, message, hint },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Whoever reads our output may stop reading: `wheeltapper log … | head` is no failure.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::new(Exit::Success, "");
        }
        Failure::new(Exit::Farm, error.to_string())
    }
}
