//! What hostile packages try, against the real kernel: as root, and again as a plain user. Each attack must fail.
//!
//! `cargo test -p wheeltapper-sandbox --test attacks [-- FILTER]`; with `--bench` it measures the sandbox's own cost instead.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test suite with a main of its own")]

#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod promises;
#[cfg(target_os = "linux")]
mod reading;
#[cfg(target_os = "linux")]
mod roots;
#[cfg(target_os = "linux")]
mod supervisor;
#[cfg(target_os = "linux")]
mod walls;
#[cfg(target_os = "linux")]
mod world;

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    return lab::main(
        &[walls::ALL, limits::ALL, reading::ALL, world::ALL, roots::ALL, supervisor::ALL],
        promises::ALL,
    );
    #[cfg(not(target_os = "linux"))]
    std::process::ExitCode::SUCCESS
}
