//! What stands in on the host for the interpreter of a root file system, which cannot run there: a program that answers the
//! resolver's one question, what it is, with the words that the interpreter itself gave inside.

use std::path::{Path, PathBuf};

use wheeltapper_core::Sha256;

use crate::{agent::Agent, error::Error, installer::Task, job::Job, layout::Layout};

impl Agent {
    /// What the resolver is to take for the environment's interpreter: the interpreter itself, or what stands in for it.
    pub(crate) fn asked_of(&self, job: &Job, slot: usize) -> Result<PathBuf, Error> {
        let environment = &job.environment;
        if environment.root.is_none() {
            return Ok(environment.interpreter.executable.clone());
        }
        let base = self.base_layers(job, slot)?;
        let key = Sha256::of_parts(["stand-in", "1", &environment.shown.digest.hex()]);
        let folder = self.layers.get::<Error>(slot, &key, |folder| {
            let world = self.world(job, self.slots + slot, &base)?;
            let [asked, answer] = ["ask/python", "ask/answer"].map(|name| world.root().join(name));
            let python = world.root().join(Layout::of(&environment.interpreter).python());
            let [python, path] = [&python, &answer].map(|path| path.display().to_string());
            let script = format!("#!/bin/sh\n{python} \"$@\" > {path} && exec cat {path}\n");
            world.write(Path::new("ask/python"), script.as_bytes(), 0o755)?;
            let call = self.call(&world, environment, Task::Look(&asked));
            let (words, execution) = self.install_in(&world, job, call, None)?;
            if !execution.exit.success() {
                return Err(Error::Installer(format!("uv does not understand the interpreter: {words}")));
            }
            write(folder, &world.read(Path::new("ask/answer"), 1 << 20)?)
        })?;
        Ok(folder.join("python"))
    }
}

fn write(folder: &Path, answer: &[u8]) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for (name, text) in
        [("answer.json", answer), ("python", b"#!/bin/sh\nexec cat \"${0%/*}/answer.json\"\n".as_slice())]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::file(&path))?;
    }
    executable(&folder.join("python"))
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(Error::file(path))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<(), Error> {
    Ok(())
}
