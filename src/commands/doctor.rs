//! `wheeltapper doctor`: tries everything that a run needs, and changes nothing.

use std::{io::Write as _, path::PathBuf};

use wheeltapper_agent::interpreter;
use wheeltapper_index::{Configuration, Surroundings, Uv};
use wheeltapper_sandbox::{Check, CheckStatus};
use wheeltapper_store::Store;

use crate::{
    args::SandboxArguments,
    exit::{Exit, Failure},
    farm,
    paths::Paths,
};

/// Tries the sandbox, the installer, the index, the interpreters and the store.
pub fn doctor(paths: &Paths, sandbox: &SandboxArguments) -> Result<Exit, Failure> {
    let mut refused = false;
    match farm::enter(paths, sandbox) {
        Ok(host) => {
            for check in host.check() {
                refused |= check.status == CheckStatus::Refused;
                print(&check)?;
            }
        }
        Err(failure) => {
            refused = true;
            print(&line("sandbox", CheckStatus::Refused, failure.message, failure.hint))?;
        }
    }
    let mut broken = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for check in runtime.block_on(rest(paths)) {
        broken |= check.status == CheckStatus::Refused;
        print(&check)?;
    }
    if refused {
        return Err(Failure::new(Exit::Sandbox, "the sandbox is not complete here").hint(
            "the lines above allow what is refused; --sandbox reduced does without, on your own risk",
        ));
    }
    if broken {
        return Err(Failure::new(Exit::Input, "something that a run needs is missing")
            .hint("the lines above say what"));
    }
    Ok(Exit::Success)
}

/// What a run needs beside the sandbox.
async fn rest(paths: &Paths) -> Vec<Check> {
    let mut checks = Vec::new();
    let found = interpreter::discover(&Paths::places(&[]));
    let usable: Vec<PathBuf> =
        found.iter().filter_map(|found| Some(found.interpreter.as_ref().ok()?.executable.clone())).collect();
    checks.push(if usable.is_empty() {
        let remedy = if cfg!(target_os = "linux") {
            "apt-get install python3 python3-dev  # or name one with --interpreter PATH"
        } else {
            "install one of python.org's, and have it registered or on PATH"
        };
        line(
            "interpreters",
            CheckStatus::Refused,
            "no usable Python was found".to_owned(),
            Some(remedy.into()),
        )
    } else {
        let detail =
            format!("{} usable of {} found; `wheeltapper env list` lists them", usable.len(), found.len());
        line("interpreters", CheckStatus::Ok, detail, None)
    });
    let surroundings = Surroundings::of_process();
    let uv = Uv::find(&surroundings, &paths.data).await;
    let program = uv.as_ref().map(|uv| uv.path.as_path());
    checks.push(match &uv {
        Some(uv) => line("installer", CheckStatus::Ok, format!("uv {} ({})", uv.version, uv.from), None),
        None => {
            let detail = format!("uv {} is fetched by the first run", wheeltapper_index::PINNED_UV);
            line("installer", CheckStatus::Ok, detail, None)
        }
    });
    match Configuration::read(&surroundings, program, &usable).await {
        Ok(configuration) => {
            for index in &configuration.indexes {
                // The address itself may hold what should not be shown; where it comes from tells the user enough.
                let detail =
                    format!("{} (from {})", index.url.host_str().unwrap_or("a local folder"), index.from);
                checks.push(line("index", CheckStatus::Ok, detail, None));
            }
            checks.extend(
                configuration.notes.into_iter().map(|note| line("index", CheckStatus::Weak, note, None)),
            );
        }
        Err(error) => {
            let hint = error.hint().map(str::to_owned);
            checks.push(line("index", CheckStatus::Refused, error.to_string(), hint));
        }
    }
    checks.push(match Store::open(&paths.data).await {
        Ok(store) => {
            let check = match store.check().await {
                Ok(()) => line("store", CheckStatus::Ok, store.file().display().to_string(), None),
                Err(error) => line("store", CheckStatus::Refused, error.to_string(), error.hint()),
            };
            store.close().await;
            check
        }
        Err(error) => line("store", CheckStatus::Refused, error.to_string(), error.hint()),
    });
    // Elsewhere compilers are no programs of PATH; builds find them by other ways.
    let tools = [("gcc", "compiles C extensions"), ("git", "is called by some builds and tests")];
    for (tool, purpose) in tools.into_iter().filter(|_| cfg!(target_os = "linux")) {
        let here = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()));
        checks.push(if here {
            line(tool, CheckStatus::Ok, purpose.to_owned(), None)
        } else {
            let remedy = format!("apt-get install {tool}");
            line(tool, CheckStatus::Weak, format!("is not here; it {purpose}"), Some(remedy))
        });
    }
    checks
}

fn line(name: &'static str, status: CheckStatus, detail: String, remedy: Option<String>) -> Check {
    Check { name, status, detail, remedy }
}

/// Prints one line of what was tried, and what would allow what is refused.
pub(super) fn print(check: &Check) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let word = match check.status {
        CheckStatus::Ok => "✓ ok",
        CheckStatus::Weak => "~ weak",
        CheckStatus::Refused => "✗ refused",
    };
    writeln!(out, "{word:<9}  {:<14}  {}", check.name, check.detail)?;
    if let Some(remedy) = &check.remedy {
        writeln!(out, "{:27}to allow it: {remedy}", "")?;
    }
    Ok(())
}
