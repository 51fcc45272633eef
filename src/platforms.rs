//! The platforms of this machine: what is defined, what was built of it, and the environments that they make together with
//! the interpreters of the host.

use std::sync::Arc;

use wheeltapper_agent::{
    HostEnvironment, Installer,
    environment::{Names, Platform, environments},
    interpreter::{self, Found},
};
use wheeltapper_core::environment::Containment;
use wheeltapper_platforms::{Built, Catalogue, Images, Installs, Lease, Source};

use crate::{exit::Failure, paths::Paths, view};

/// What is defined, and what was built of it.
#[derive(Debug)]
pub struct Platforms {
    /// What is defined.
    pub catalogue: Catalogue,
    /// What was built. None of it is removed while this lives.
    pub built: Vec<(Built, Lease)>,
}

impl Platforms {
    /// Reads the user's definitions, and takes hold of what was built.
    pub fn open(paths: &Paths) -> Result<Self, Failure> {
        let catalogue = Catalogue::read(&paths.definitions)?;
        let images = Images::open(&paths.data)?;
        let mut built = Vec::new();
        for name in images.names()? {
            match images
                .built(&name)
                .and_then(|one| one.map(|one| Ok((images.lease(&one)?, one))).transpose())
            {
                Ok(one) => built.extend(one.map(|(lease, built)| (built, lease))),
                Err(error) => view::remark(&format!("{name} is left out: {}", Failure::from(error))),
            }
        }
        Ok(Platforms { catalogue, built })
    }

    /// All environments within these limits (none are said where nothing is run): those of root file systems, then the host's; `uvs` are the versions of uv for the host and for the
    /// others. Where the host's own have the name of one that was built, they also say where they were found.
    pub fn environments(
        &self,
        found: &[Found],
        uvs: [&str; 2],
        limits: &Containment,
    ) -> Vec<HostEnvironment> {
        let [on_host, inside] = uvs;
        let mut names = Names::default();
        let mut all = Vec::new();
        for (built, lease) in &self.built {
            let platform = built.platform(lease);
            let definition = self.catalogue.all().iter().find(|definition| definition.name == built.name);
            let installer = definition.and_then(|definition| definition.installer);
            let inside = environments(&built.found(lease), &platform, inside, limits, &mut names);
            all.extend(inside.into_iter().map(|environment| with(environment, installer)));
        }
        let host = Platform::of_host();
        for definition in self.catalogue.all() {
            if let Source::Host { interpreter: path } = &definition.source {
                let answer = interpreter::ask(path);
                let found = [Found { path: path.clone(), source: "defined", interpreter: answer }];
                let platform = Platform { short: definition.name.clone(), ..host.clone() };
                let own = environments(&found, &platform, on_host, limits, &mut names);
                all.extend(own.into_iter().map(|environment| with(environment, definition.installer)));
            }
        }
        all.extend(environments(found, &host, on_host, limits, &mut names));
        let mut all = with_builders(all);
        // Less than the full sandbox shows cells this machine's own system only. Names stay what they are.
        let complete = matches!(limits.sandbox.as_str(), "full" | "");
        all.retain(|environment| complete || environment.root.is_none());
        all
    }

    /// What is to be done about an environment that is not there, where its platform is defined.
    pub fn not_built(&self, name: &str) -> Option<String> {
        let definition = self.catalogue.find(name).ok()?;
        let built = self.built.iter().find(|(built, _)| built.name == definition.name);
        Some(match built {
            None => format!("`wheeltapper env build {}` makes it", definition.name),
            Some((built, _)) => {
                let inside: Vec<String> = built
                    .interpreters
                    .iter()
                    .filter_map(|inside| {
                        Some(format!("{}-{}", built.name, inside.answer.as_ref().ok()?.tag()))
                    })
                    .collect();
                format!("{} has {}", built.name, inside.join(", "))
            }
        })
    }

    /// Those that were built of another definition than stands now.
    pub fn stale(&self) -> impl Iterator<Item = &Built> {
        self.built.iter().map(|(built, _)| built).filter(|built| {
            let now = self.catalogue.all().iter().find(|definition| definition.name == built.name);
            now.is_some_and(|definition| definition.digest() != built.definition)
        })
    }
}

/// All environments, those that cannot start programs with the newest usable one of this machine as what does it for them; or
/// without them, where there is none.
fn with_builders(all: Vec<HostEnvironment>) -> Vec<HostEnvironment> {
    let builds = |environment: &&HostEnvironment| {
        let python = &environment.interpreter;
        environment.is_machines_own()
            && python.implementation == "cpython"
            && !python.free_threaded
            && python.minor() >= (3, 8)
    };
    let builder = all.iter().filter(builds).max_by_key(|one| one.interpreter.version.clone());
    let builder = builder.cloned().map(Arc::new);
    let each = all.into_iter().filter_map(|environment| match environment.interpreter.is_emscripten() {
        true => Some(environment.with_builder(Arc::clone(builder.as_ref()?))),
        false => Some(environment),
    });
    each.collect()
}

/// The environment with the installer that its platform's definition names.
fn with(environment: HostEnvironment, installer: Option<Installs>) -> HostEnvironment {
    match installer {
        // Which pip, the index says.
        Some(Installs::Pip) => environment.with_installer(Installer::Pip(None)),
        Some(Installs::Uv) | None => environment,
    }
}
