//! Setting up a run on this machine: the sandbox, the installer, the environments, the index. What `run`, `repro` and
//! `doctor` share.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tokio::runtime::{Handle, Runtime};
use wheeltapper_agent::{
    Agent, HostEnvironment, Index, Installer, LAYERS_LIMIT, Layers, Resolver,
    interpreter::{self, Found},
};
use wheeltapper_core::{
    Limits, Popularity, ProjectName,
    environment::{Containment, platform_and_rest},
};
use wheeltapper_index::{
    Client, ClientOptions, Configuration, Files, FilesOptions, LocalFile, Proxy, ProxyOptions, Surroundings,
    Uv,
};
use wheeltapper_repository::Repositories;
use wheeltapper_sandbox::{Cancel, CheckStatus, Host, Mode, Settings};
use wheeltapper_store::Store;

use crate::{
    LAUNCHER,
    args::{EnvironmentArguments, InstallWith, LimitArguments, SandboxArguments},
    exit::{Exit, Failure},
    paths::Paths,
    platforms::Platforms,
    repositories, view,
};

/// Everything that a run stands on.
pub struct Farm {
    /// Runs what is asynchronous.
    pub runtime: Runtime,
    /// Brings reports home.
    pub agent: Arc<Agent>,
    /// The environments of this machine.
    pub environments: Vec<Arc<HostEnvironment>>,
    /// The platforms that are defined, and those that were built.
    pub platforms: Platforms,
    /// Results.
    pub store: Store,
    /// When the run began.
    pub started: Timestamp,
    /// Serves the resolver's index; the index is gone with it.
    _serving: wheeltapper_index::Serving,
}

/// What the user decided.
#[derive(Debug, Default)]
pub struct FarmOptions {
    /// Interpreters beside those that are found.
    pub interpreters: Vec<PathBuf>,
    /// The date behind which the index is hidden.
    pub exclude_newer: Option<Timestamp>,
    /// Sdists and wheels that the index is to show as if they had been published.
    pub local: Vec<PathBuf>,
    /// Those files are all there is, and no index is asked; of these projects it is known that there are none.
    pub closed: Option<BTreeSet<ProjectName>>,
    /// Slots.
    pub jobs: usize,
    /// Which projects are well known.
    pub popularity: Popularity,
}

/// Enters the sandbox's world. The process must still have one thread only.
pub fn enter(paths: &Paths, sandbox: &SandboxArguments) -> Result<Host, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Farm, format!("this program's own file is not found: {error}"))
    })?;
    let host = wheeltapper_sandbox::enter(Settings {
        mode: sandbox.sandbox,
        runtime: paths.runtime(),
        launcher: (program, vec![LAUNCHER.into()]),
    })?;
    match sandbox.sandbox {
        Mode::Full => {}
        Mode::Reduced => view::remark(
            "WARNING: --sandbox reduced: strangers' code can read this machine's files. Every result says so.",
        ),
        Mode::None => view::remark(
            "WARNING: --sandbox none: strangers' code runs as you, unconfined. Every result says so.",
        ),
    }
    Ok(host)
}

/// Tries the complete sandbox before any stranger's code runs in it.
pub fn require_complete(host: &Host) -> Result<(), Failure> {
    match host.check().into_iter().find(|check| check.status == CheckStatus::Refused) {
        None => Ok(()),
        Some(check) => {
            let failure = Failure::new(
                Exit::Sandbox,
                format!("the sandbox is refused here: {}: {}", check.name, check.detail),
            );
            let reduced =
                "`wheeltapper doctor` shows all of it; --sandbox reduced does without, on your own risk";
            Err(failure.hint(check.remedy.unwrap_or_else(|| reduced.to_owned())))
        }
    }
}

impl Farm {
    /// Sets everything up; prints what it has to fetch.
    pub fn open(paths: &Paths, host: Host, options: &FarmOptions) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let cancel = Cancel::new()?;
        stop_on_interrupt(&runtime, cancel.clone());
        let handle = runtime.handle().clone();
        let platforms = Platforms::open(paths)?;
        let found = interpreter::discover(&Paths::places(&options.interpreters));
        let files = Files::open(&paths.data, FilesOptions::default())?;
        let local: Vec<LocalFile> =
            options.local.iter().map(|path| LocalFile::read(path)).collect::<Result<_, _>>()?;
        let (uv, client) = match options.closed.is_some() {
            true => handle.block_on(given_installer(paths, &local))?,
            false => handle.block_on(installer_and_index(paths, &files, &found))?,
        };
        let uv_inside = match platforms.built.is_empty() {
            true => uv.clone(),
            false => handle.block_on(uv.anywhere(&paths.data, &client, &files))?,
        };
        let (exclude_newer, closed) = (options.exclude_newer, options.closed.clone());
        let proxy_options = ProxyOptions { exclude_newer, local, closed, ..ProxyOptions::default() };
        let proxy = Proxy::new(client.clone(), files.clone(), proxy_options);
        let (serving, address) = serve_resolver(&handle, &proxy)?;
        let uvs = [&uv, &uv_inside].map(|uv| uv.version.as_str());
        let environments = platforms.environments(&found, uvs, &host.containment());
        let work = wheeltapper_agent::Work::open(&paths.runtime().join("work"))?;
        let started = Timestamp::now();
        let run = format!("{}-{}", started.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let agent = Agent {
            host: Arc::new(host),
            index: Index { handle: handle.clone(), client, files, proxy },
            resolver: Resolver::new(paths.data.join("uv-cache"), address),
            repositories: repositories::open(paths, &work)?,
            uv_inside: uv_inside.path,
            uv: uv.path,
            popularity: options.popularity.clone(),
            layers: Layers::open(&paths.data.join("layers"), LAYERS_LIMIT)?,
            work,
            slots: options.jobs,
            turns: wheeltapper_agent::Turns::default(),
            run,
            cancel,
        };
        let store = handle.block_on(Store::open(&paths.data))?;
        Ok(Farm {
            runtime,
            agent: Arc::new(agent),
            environments: environments.into_iter().map(Arc::new).collect(),
            platforms,
            store,
            started,
            _serving: serving,
        })
    }

    /// The environments that are asked for; by default every usable one that its makers still support.
    pub fn chosen(&self, arguments: &EnvironmentArguments) -> Result<Vec<Arc<HostEnvironment>>, Failure> {
        let all = &self.environments;
        let none = |what: String| none_such(what, all.iter().map(AsRef::as_ref));
        let today = self.started.strftime("%Y-%m-%d").to_string();
        for name in arguments.names.iter().filter(|name| *name != "all") {
            if !all.iter().any(|environment| environment.is_called(name)) {
                let error = none(format!("no environment is called `{name}`"));
                return Err(match self.platforms.not_built(name) {
                    Some(hint) => error.hint(hint),
                    None => error,
                });
            }
        }
        for path in &arguments.interpreter {
            let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            if !all.iter().any(|environment| {
                environment.interpreter.executable == real || environment.source == "given"
            }) {
                let why = interpreter::ask(path).err().unwrap_or_else(|| "it cannot be used".to_owned());
                return Err(Failure::new(Exit::Input, format!("the interpreter {}: {why}", path.display())));
            }
        }
        for prefix in &arguments.python {
            if !all.iter().any(|one| one.is_machines_own() && is_of_version(one, prefix)) {
                return Err(none(format!("no Python {prefix} was found")));
            }
        }
        let named =
            !arguments.names.is_empty() || !arguments.python.is_empty() || !arguments.interpreter.is_empty();
        let wanted = |environment: &HostEnvironment| {
            if !named {
                return environment.is_machines_own()
                    && environment.interpreter.supported_until().is_none_or(|until| until >= today.as_str());
            }
            arguments.names.iter().any(|wanted| wanted == "all" || *wanted == environment.shown.name)
                || environment.is_machines_own()
                    && arguments.python.iter().any(|prefix| is_of_version(environment, prefix))
                || (environment.source == "given" && !arguments.interpreter.is_empty())
        };
        let with_pip = |environment: &HostEnvironment| {
            let asked = |name: &String| *name != environment.shown.name && environment.is_called(name);
            arguments.names.iter().any(asked)
        };
        let mut chosen = Vec::new();
        for environment in all {
            let everywhere = arguments.installer == InstallWith::Pip;
            if wanted(environment) {
                chosen.push(self.provided(environment, everywhere)?);
            }
            if with_pip(environment) && !(everywhere && wanted(environment)) {
                chosen.push(self.provided(environment, true)?);
            }
        }
        for stale in self.platforms.stale() {
            if chosen.iter().any(|one| platform_and_rest(&one.shown.name).0 == stale.name) {
                let name = &stale.name;
                view::remark(&format!(
                    "{name} is as it was built; `wheeltapper env build {name}` brings what its definition says now"
                ));
            }
        }
        if chosen.is_empty() {
            return Err(none("no Python here that its makers still support".to_owned()));
        }
        Ok(chosen)
    }

    /// The environment of this name, ready for cells.
    pub fn environment(&self, name: &str) -> Result<Option<Arc<HostEnvironment>>, Failure> {
        let found = self.environments.iter().find(|environment| environment.is_called(name));
        found.map(|environment| self.provided(environment, environment.shown.name != name)).transpose()
    }

    /// The environment with the pip that it gets, where that is what installs into it.
    fn provided(
        &self,
        environment: &Arc<HostEnvironment>,
        with_pip: bool,
    ) -> Result<Arc<HostEnvironment>, Failure> {
        if !with_pip && environment.installer != Installer::Pip(None) {
            return Ok(Arc::clone(environment));
        }
        let environment = HostEnvironment::clone(environment).with_pip();
        let pip = Installer::newest_pip(&self.agent.index, &environment)?;
        Ok(Arc::new(environment.with_installer(pip)))
    }
}

/// Whether an environment's Python has this version, which is given by prefix: 3.13 or 3.13.0.
pub fn is_of_version(environment: &HostEnvironment, prefix: &str) -> bool {
    let version = &environment.shown.python;
    version == prefix || version.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
}

/// Says what was asked for in vain, and what environments there are.
pub fn none_such<'a>(what: String, all: impl Iterator<Item = &'a HostEnvironment>) -> Failure {
    let names: Vec<&str> = all.map(|environment| environment.shown.name.as_str()).collect();
    let hint = if names.is_empty() {
        "no usable Python was found; `wheeltapper env list` says why".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Failure::new(Exit::Input, what).hint(hint)
}

/// What looking at releases needs: the index and the store of files, and no sandbox, since nothing is run.
pub struct Reading {
    /// Runs what is asynchronous.
    pub runtime: Runtime,
    /// The index.
    pub index: Index,
    /// Unpacked sdists.
    pub layers: Layers,
    /// Projects' repositories; `None` where there is no git.
    pub repositories: Option<Repositories>,
    /// A folder for temporary files.
    pub work: wheeltapper_agent::Work,
    /// The environments of this machine: those of root file systems, then the host's, each oldest Python first.
    pub environments: Vec<HostEnvironment>,
    /// What they stand on stays as long as this.
    _platforms: Platforms,
}

impl Reading {
    /// Opens what is there; starts nothing.
    pub fn open(paths: &Paths) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let handle = runtime.handle().clone();
        let platforms = Platforms::open(paths)?;
        let found = interpreter::discover(&Paths::places(&[]));
        let surroundings = Surroundings::of_process();
        let executables: Vec<PathBuf> = found
            .iter()
            .filter_map(|found| Some(found.interpreter.as_ref().ok()?.executable.clone()))
            .collect();
        let configuration = handle.block_on(async {
            let here = Uv::find(&surroundings, &paths.data).await;
            Configuration::read(&surroundings, here.as_ref().map(|uv| uv.path.as_path()), &executables).await
        })?;
        let options = ClientOptions { cache: Some(paths.data.join("pages")), ..ClientOptions::default() };
        let client = Client::new(configuration, options)?;
        let files = Files::open(&paths.data, FilesOptions::default())?;
        let proxy = Proxy::new(client.clone(), files.clone(), ProxyOptions::default());
        let work = wheeltapper_agent::Work::open(&paths.runtime().join("work"))?;
        Ok(Reading {
            index: Index { handle, client, files, proxy },
            layers: Layers::open(&paths.data.join("layers"), LAYERS_LIMIT)?,
            repositories: repositories::open(paths, &work)?,
            work,
            environments: platforms.environments(&found, ["", ""], &Containment::default()),
            _platforms: platforms,
            runtime,
        })
    }
}

/// What asks which files satisfy requirements, on the trusted side.
pub struct Resolving {
    /// The uv that it runs.
    pub uv: Uv,
    /// The resolver.
    pub resolver: Resolver,
    /// Serves its index; the index is gone with it.
    _serving: wheeltapper_index::Serving,
}

impl Reading {
    /// Makes ready to resolve; fetches the installer where there is none.
    pub fn resolving(&self, paths: &Paths) -> Result<Resolving, Failure> {
        let Index { handle, client, files, proxy } = &self.index;
        let surroundings = Surroundings::of_process();
        let uv = handle.block_on(Uv::provide(&surroundings, &paths.data, client, files, &[]))?;
        let (serving, address) = serve_resolver(handle, proxy)?;
        let resolver = Resolver::new(paths.data.join("uv-cache"), address);
        Ok(Resolving { uv, resolver, _serving: serving })
    }
}

/// The installer, and the index that it, pip, or a library that knows the default says is to be used.
async fn installer_and_index(paths: &Paths, files: &Files, found: &[Found]) -> Result<(Uv, Client), Failure> {
    let surroundings = Surroundings::of_process();
    let interpreters: Vec<PathBuf> =
        found.iter().filter_map(|found| Some(found.interpreter.as_ref().ok()?.executable.clone())).collect();
    let here = Uv::find(&surroundings, &paths.data).await;
    let program = here.as_ref().map(|uv| uv.path.as_path());
    let configuration = Configuration::read(&surroundings, program, &interpreters).await?;
    let options = ClientOptions { cache: Some(paths.data.join("pages")), ..ClientOptions::default() };
    let client = Client::new(configuration, options)?;
    let uv = match here {
        Some(uv) => uv,
        None => {
            view::remark("fetching the installer, uv; this is done once");
            Uv::provide(&surroundings, &paths.data, &client, files, &interpreters).await?
        }
    };
    Ok((uv, client))
}

/// The installer out of the files that were given, and an index that has nothing beside them.
async fn given_installer(paths: &Paths, given: &[LocalFile]) -> Result<(Uv, Client), Failure> {
    let client = Client::new(Configuration::default(), ClientOptions::default())?;
    if let Some(here) = Uv::find(&Surroundings::of_process(), &paths.data).await {
        return Ok((here, client));
    }
    let wheel = given.iter().find(|file| file.distribution.project().as_str() == "uv");
    let none = || Failure::new(Exit::Input, "neither this machine nor the jobs have a uv");
    let wheel = wheel.ok_or_else(none)?;
    Ok((Uv::unpack(&paths.data, &wheel.path, &wheel.filename).await?, client))
}

/// The proxy on this host's loopback, for the trusted resolver.
fn serve_resolver(handle: &Handle, proxy: &Proxy) -> Result<(wheeltapper_index::Serving, String), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("http://{}/simple/", listener.local_addr()?);
    let _inside = handle.enter();
    Ok((proxy.serve(listener)?, address))
}

/// The first Ctrl-C stops cleanly, the second at once.
fn stop_on_interrupt(runtime: &Runtime, cancel: Cancel) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    runtime.spawn(async move {
        loop {
            interrupted().await;
            if ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
            cancel.cancel();
            view::remark("stopping; what has settled is stored (once more to stop at once)");
        }
    });
}

/// Waits for Ctrl-C, or for SIGTERM where there is such a thing.
pub async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// Limits of a cell from the command line.
pub fn limits(arguments: &LimitArguments) -> Limits {
    Limits {
        build_s: arguments.limit_build,
        step_s: arguments.limit_step,
        test_s: arguments.limit_test,
        inactivity_s: arguments.limit_inactivity,
        memory: arguments.limit_memory << 20,
        processes: arguments.limit_processes,
        output: arguments.limit_output << 20,
        disk: arguments.limit_disk << 20,
    }
}

/// How many cells run at a time: a core each, and memory for each cell's limit where that is known; at least one.
pub fn default_jobs(memory_of_cell: u64) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().split(' ').next()?.parse::<u64>().ok().map(|kib| kib << 10)
    });
    // Most cells stay far below their limit: half of it each is set aside.
    let by_memory = available
        .map_or(cores, |bytes| usize::try_from(bytes / (memory_of_cell / 2).max(1)).unwrap_or(cores));
    cores.min(by_memory).clamp(1, 100)
}
