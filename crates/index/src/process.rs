//! Running a helper program to its end: within a time, with nothing on its standard input.

use std::{
    io,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::Command;

/// Runs it; its output is read, and it is killed when the time is over.
pub(crate) async fn output(command: &mut Command, within: Duration) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let run = async {
        loop {
            match command.output().await {
                // A program that was just written is busy for as long as another thread's child, forked in
                // that moment, has not yet become its own program.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                other => return other,
            }
        }
    };
    tokio::time::timeout(within, run).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
