//! Serves every fixture on the loopback until standard input ends, to try them by hand:
//! `cargo run -p wheeltapper-testkit --example serve`, then give pip or uv the address that it prints.
//! With `--hostile` the hostile archives too.

use std::io::{self, Write};

use wheeltapper_testkit::{FakeIndex, hostile};

fn main() -> anyhow::Result<()> {
    let index = FakeIndex::with_fixtures()?;
    if std::env::args().any(|argument| argument == "--hostile") {
        for artifact in hostile::all(&std::env::temp_dir().join("wheeltapper-escaped"))? {
            index.publish(artifact)?;
        }
    }
    writeln!(io::stdout(), "{}", index.url())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
