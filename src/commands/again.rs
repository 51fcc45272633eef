//! Cycle after cycle, one at a time: each is a process of its own, so that nothing of one outlives it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    exit::{Exit, Failure},
    view,
};

/// Begins this command again and again, without `--every`, until it is stopped.
pub fn again(data: &Path, every: Duration) -> Result<Exit, Failure> {
    let program = std::env::current_exe()?;
    let arguments = without_every(std::env::args().skip(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut due = Instant::now();
        loop {
            let mut command = Command::new(&program);
            command.args(&arguments);
            // For `status`; what it says of the schedule is a convenience, and no reason to stop.
            let due_at = Timestamp::now() + SignedDuration::try_from(every).unwrap_or(SignedDuration::ZERO);
            let _ = std::fs::write(schedule_file(data), due_at.to_string());
            if let Some(exit) = one(command).await? {
                return Ok(exit);
            }
            let (next, behind) = next(due, every, Instant::now());
            if !behind.is_zero() {
                view::remark(&format!(
                    "fell behind: the next cycle was to begin {} ago; it begins now",
                    wheeltapper_render::seconds(behind.as_secs_f64())
                ));
            }
            due = next;
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                let words = wheeltapper_render::seconds(wait.as_secs_f64());
                view::remark(&format!("the next cycle begins in {words}"));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stopped() => return Ok(Exit::Interrupted),
            }
        }
    })
}

/// Where the time of the next cycle stands.
pub fn schedule_file(data: &Path) -> PathBuf {
    data.join("cycle.schedule")
}

/// Runs one cycle to its end. An exit code when there are to be no more.
async fn one(command: Command) -> Result<Option<Exit>, Failure> {
    let mut command = tokio::process::Command::from(command);
    // A process group of its own: Ctrl-C reaches it through us, and once.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let mut asked = false;
    loop {
        tokio::select! {
            status = child.wait() => {
                let code = status?.code();
                if asked || code == Some(Exit::Interrupted as i32) {
                    return Ok(Some(Exit::Interrupted));
                }
                // What the user can mend, waiting does not.
                let hopeless = [Exit::Usage, Exit::Input, Exit::Sandbox];
                if let Some(exit) = hopeless.into_iter().find(|exit| code == Some(*exit as i32)) {
                    return Ok(Some(exit));
                }
                if code != Some(0) {
                    view::remark("the cycle failed; the next one goes on with it");
                }
                return Ok(None);
            }
            signal = stopped() => {
                asked = true;
                if let Some(id) = child.id() {
                    // The program's own handler stops cleanly, and at once when asked twice.
                    let _ = Command::new("kill").args(["-s", signal, &id.to_string()]).status();
                }
            }
        }
    }
}

/// Waits for a signal to stop; its name.
async fn stopped() -> &'static str {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                _ = tokio::signal::ctrl_c() => "INT",
                _ = terminate.recv() => "TERM",
            };
        }
    }
    let _ = tokio::signal::ctrl_c().await;
    "INT"
}

/// When the next cycle is due after one that was due at `due`, and how far that is behind.
fn next(due: Instant, every: Duration, now: Instant) -> (Instant, Duration) {
    let next = due + every;
    match now.checked_duration_since(next) {
        // Turns that were missed are not made up for.
        Some(behind) => (now, behind),
        None => (next, Duration::ZERO),
    }
}

/// The command line without `--every` and its value.
fn without_every(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        if argument == "--every" {
            arguments.next();
        } else if !argument.starts_with("--every=") {
            kept.push(argument);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_that_took_too_long_is_followed_at_once_and_said_to_be_late() {
        let (start, day) = (Instant::now(), Duration::from_secs(86_400));
        let hours = |hours: u64| start + Duration::from_secs(hours * 3600);
        assert_eq!(next(start, day, hours(3)), (hours(24), Duration::ZERO));
        assert_eq!(next(start, day, hours(30)), (hours(30), Duration::from_secs(6 * 3600)));
        assert_eq!(next(hours(30), day, hours(31)), (hours(54), Duration::ZERO));
    }

    #[test]
    fn the_same_command_without_the_schedule() {
        let line = ["cycle", "--every", "24h", "--top", "3", "--every=1h"];
        assert_eq!(without_every(line.iter().map(ToString::to_string)), ["cycle", "--top", "3"]);
    }
}
