//! Serves many tiny projects, one wheel each, on the loopback until standard input ends, for `cargo xtask bench`:
//! `many COUNT` prints the address and serves `many-0`, `many-1`, ….

use std::{
    fs,
    io::{self, Write},
};

use wheeltapper_testkit::{FakeIndex, WheelSpec, build_wheel};

fn main() -> anyhow::Result<()> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    let index = FakeIndex::start()?;
    let folder = tempfile::tempdir()?;
    for number in 0..count {
        let project = folder.path().join(number.to_string());
        fs::create_dir_all(project.join("src"))?;
        let metadata = format!("[project]\nname = \"many-{number}\"\nversion = \"1.0\"\n");
        fs::write(project.join("pyproject.toml"), metadata)?;
        fs::write(project.join(format!("src/many_{number}.py")), "")?;
        index.publish(build_wheel(&project, &WheelSpec::default())?)?;
    }
    writeln!(io::stdout(), "{}", index.url())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
