//! `wheeltapper doctor`: tries everything that a run needs, and changes nothing.

use std::io::Write as _;

use wheeltapper_sandbox::{CheckStatus, Host};

use crate::{
    args::SandboxArguments,
    exit::{Exit, Failure},
    farm,
    paths::Paths,
};

/// Tries the sandbox, and says what else a run would use.
pub fn doctor(paths: &Paths, sandbox: &SandboxArguments) -> Result<Exit, Failure> {
    let host = farm::enter(paths, sandbox)?;
    let refused = checks(&host)?;
    if refused {
        return Err(Failure::new(Exit::Sandbox, "the sandbox is not complete here")
            .hint("the lines above allow what is refused; or run with --sandbox reduced, on your own risk"));
    }
    Ok(Exit::Success)
}

fn checks(host: &Host) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    let mut refused = false;
    for check in host.check() {
        let word = match check.status {
            CheckStatus::Ok => "✓ ok     ",
            CheckStatus::Weak => "~ weak   ",
            CheckStatus::Refused => "✗ refused",
        };
        refused |= check.status == CheckStatus::Refused;
        writeln!(out, "{word}  {:<28}  {}", check.name, check.detail)?;
        if let Some(remedy) = check.remedy {
            writeln!(out, "             {remedy}")?;
        }
    }
    Ok(refused)
}
