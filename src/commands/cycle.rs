//! `wheeltapper cycle`: every project in turn, once or again and again.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use wheeltapper_coordinator::{
    Catalog, Event, RunOptions, Target,
    cycle::{Ended, Hold, Order, Walk, WalkOptions, longest, pause_file},
    letters::{self, LetterOptions},
    publish::{PublishOptions, untold},
    requirements_file,
};
use wheeltapper_core::{
    Popularity, ProjectName, Sha256, TestSource, VersionSpecifiers,
    cycle::{Cycle, CycleSummary},
};
use wheeltapper_index::{Client, ClientOptions};
use wheeltapper_store::Store;

use crate::{
    args::{CycleArguments, CycleCommand, From},
    commands::{again, overrides, run},
    exit::{Exit, Failure},
    farm::{self, Farm, FarmOptions},
    paths::Paths,
    repositories, view,
};

/// Walks a cycle, or cycle after cycle, or says whether cells may be begun.
pub fn cycle(paths: &Paths, arguments: &CycleArguments) -> Result<Exit, Failure> {
    match arguments.command {
        Some(CycleCommand::Pause) => {
            std::fs::write(pause_file(&paths.data), "")?;
            view::remark(
                "paused: no more cells are begun in this data folder until `wheeltapper cycle resume`",
            );
            return Ok(Exit::Success);
        }
        Some(CycleCommand::Resume) => {
            match std::fs::remove_file(pause_file(&paths.data)) {
                Ok(()) => view::remark("resumed"),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    view::remark("nothing was paused")
                }
                Err(error) => return Err(error.into()),
            }
            return Ok(Exit::Success);
        }
        None => {}
    }
    if arguments.top.is_none() && arguments.file.is_none() && !arguments.all {
        return Err(Failure::new(Exit::Usage, "nothing to walk").hint("use --top N, --file FILE or --all"));
    }
    if let Some(address) = arguments.from_address.as_deref().filter(|address| !letters::is_address(address)) {
        return Err(Failure::new(Exit::Usage, format!("`{address}` is no mail address")));
    }
    let _only_one = lock(&paths.data, arguments.every.is_some())?;
    match arguments.every {
        Some(every) => again::again(&paths.data, every.0),
        None => one(paths, arguments),
    }
}

/// Holds the right to walk cycles in this data folder; the kernel frees it however the process ends. Whoever begins cycles
/// again and again holds a lock of its own, so that the cycles it begins can hold theirs.
pub fn lock(data: &Path, again: bool) -> Result<File, Failure> {
    let path = data.join(if again { "cycles.lock" } else { "cycle.lock" });
    let failed = |error: std::io::Error| Failure::new(Exit::Farm, format!("{}: {error}", path.display()));
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let message = format!("another cycle is being walked in this data folder: {}", holder.trim());
            return Err(Failure::new(Exit::Input, message)
                .hint("wait for its end, stop it with Ctrl-C or SIGTERM, or use another data folder"));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(
        file,
        "process {}, begun {}",
        std::process::id(),
        Timestamp::now().strftime("%Y-%m-%d %H:%M UTC")
    )
    .map_err(failed)?;
    Ok(file)
}

/// Walks one cycle.
fn one(paths: &Paths, arguments: &CycleArguments) -> Result<Exit, Failure> {
    let popularity = run::popularity(arguments.popularity.as_deref())?;
    let named = named(arguments, &popularity)?;
    let recipes = overrides::read(&arguments.recipes)?;
    let exclude_newer = arguments.cells.exclude_newer.as_deref().map(run::date).transpose()?;
    let source = repositories::source(paths, arguments.cells.source.source)?;
    let limits = farm::limits(&arguments.limits);
    let jobs =
        arguments.cells.jobs.map_or_else(|| farm::default_jobs(limits.memory), |jobs| jobs as usize).min(100);
    let host = farm::enter(paths, &arguments.sandbox)?;
    farm::require_complete(&host)?;
    let farm = Farm::open(
        paths,
        host,
        &FarmOptions {
            interpreters: arguments.environments.interpreter.clone(),
            exclude_newer,
            jobs,
            popularity: popularity.clone(),
            ..FarmOptions::default()
        },
    )?;
    let environments = farm.chosen(&arguments.environments)?;
    let names: Vec<&str> = environments.iter().map(|environment| environment.shown.name.as_str()).collect();
    let index_date = exclude_newer.map(|date| date.to_string()).unwrap_or_default();
    let cell =
        wheeltapper_core::Options { tests: !arguments.cells.no_tests, setup_py: false, source, limits };
    let scope = scope(arguments, &named, &names, &cell, &index_date);
    let not_before = farm.runtime.block_on(time_to_count_from(&farm.store))?;
    let site = site(paths, arguments);
    if let Some(last) = farm.runtime.block_on(untold(&farm.store, &site))? {
        publish(paths, arguments, &farm, &popularity, &last)?;
    }
    let began = not_before.map_or_else(Timestamp::now, |least| Timestamp::now().max(least));
    let cycle = farm.runtime.block_on(begin(&farm.store, &scope, began))?;
    let listing = Instant::now();
    let order = match named {
        Some(projects) => Order::of(projects, &popularity),
        None => {
            view::remark("listing the index's projects");
            let all = farm.runtime.block_on(farm.agent.index.client.names())?;
            Order::of(all.into_iter().map(|name| (name, VersionSpecifiers::empty())), &popularity)
        }
    };
    if arguments.all {
        view::remark(&format!("listed in {}", seconds(listing.elapsed())));
    }
    farm.runtime.block_on(farm.store.advance_cycle(cycle.number, &cycle.cursor, order.len() as u64))?;
    view::remark(&format!(
        "cycle {}: {} projects on {}, {jobs} cells at a time",
        cycle.number,
        order.len(),
        names.join(", ")
    ));
    let options = WalkOptions {
        longest: longest(&cell.limits),
        oldest: arguments.older_than.map(|age| age.0),
        run: RunOptions {
            cell,
            artifacts: arguments.cells.from.into(),
            jobs,
            fresh: false,
            recipes: Arc::new(recipes),
            index_date,
            run: cycle.run.clone(),
            not_before,
        },
    };
    let walk = Walk {
        handle: farm.runtime.handle(),
        agent: &farm.agent,
        store: &farm.store,
        cycle: &cycle,
        order: &order,
        environments: &environments,
        options: &options,
    };
    let begun = Instant::now();
    let ended = march(paths, arguments, &farm, &walk, exclude_newer)?;
    view::remark(&format!("walked in {}", seconds(begun.elapsed())));
    let now = not_before.map_or_else(Timestamp::now, |least| Timestamp::now().max(least));
    let summary = match ended {
        Ended::Complete => farm.runtime.block_on(farm.store.end_cycle(cycle.number, &now.to_string()))?,
        Ended::Unfinished => farm.runtime.block_on(farm.store.count_cycle(cycle.number))?,
    };
    if !farm.agent.cancel.is_cancelled() {
        let after = farm.runtime.block_on(farm.store.cycles(1))?.into_iter().next().unwrap_or(cycle.clone());
        farm.runtime.block_on(letters::ask_roles(&farm.agent.index.client, &farm.store, &cycle))?;
        publish(paths, arguments, &farm, &popularity, &after)?;
    }
    tell(&cycle, &summary, ended)?;
    let stopped = farm.agent.cancel.is_cancelled();
    farm.runtime.block_on(farm.store.close());
    Ok(if stopped { Exit::Interrupted } else { Exit::Success })
}

/// Where the site is kept.
fn site(paths: &Paths, arguments: &CycleArguments) -> PathBuf {
    arguments.site.clone().unwrap_or_else(|| paths.data.join("site"))
}

/// Tells what a cycle brought: the site, and letters.
fn publish(
    paths: &Paths,
    arguments: &CycleArguments,
    farm: &Farm,
    popularity: &Popularity,
    cycle: &Cycle,
) -> Result<(), Failure> {
    let handle = farm.runtime.handle();
    let options = PublishOptions {
        program: format!("wheeltapper {}", env!("CARGO_PKG_VERSION")),
        address: arguments.address.clone(),
        ranks: popularity.ranks().collect(),
        workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        site: site(paths, arguments),
    };
    let published = wheeltapper_coordinator::publish::publish(handle, &farm.store, &options)?;
    view::remark(&format!(
        "site: {}: {} files written, {} projects made anew",
        options.site.display(),
        published.written,
        published.projects
    ));
    let options = LetterOptions {
        outbox: arguments.outbox.clone().unwrap_or_else(|| paths.data.join("outbox")),
        from: arguments.from_address.clone().unwrap_or_else(|| letters::NOBODY.to_owned()),
        address: arguments.address.clone(),
    };
    let written = letters::write(handle, &farm.store, cycle, &options)?;
    if written > 0 {
        view::remark(&format!("letters: {written} new in {}; none is sent", options.outbox.display()));
    }
    Ok(())
}

/// Walks, with a view of it.
fn march(
    paths: &Paths,
    arguments: &CycleArguments,
    farm: &Farm,
    walk: &Walk<'_>,
    exclude_newer: Option<Timestamp>,
) -> Result<Ended, Failure> {
    let pause = pause_file(&paths.data);
    let deadline = arguments.budget.and_then(|hours| {
        let budget = Duration::try_from_secs_f64(hours * 3600.0).ok()?;
        Instant::now().checked_add(budget)
    });
    let hold = || {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            Hold::Stop
        } else if pause.exists() {
            Hold::Pause
        } else {
            Hold::Go
        }
    };
    // A view of the index of its own, made anew now and then: the pages of a whole index do not fit in memory.
    let catalog = || {
        let options = ClientOptions { cache: Some(paths.data.join("pages")), ..ClientOptions::default() };
        let configuration = farm.agent.index.client.configuration().clone();
        Ok(Catalog { client: Client::new(configuration, options)?, exclude_newer })
    };
    let (sender, receiver) = mpsc::channel::<Event>();
    let jobs = walk.options.run.jobs;
    let (ended, sender) = std::thread::scope(|scope| {
        scope.spawn(move || view::watch(&receiver, jobs));
        let ended = walk.walk(&catalog, &hold, &sender);
        // A slot that hangs keeps its sender for good; the view ends all the same.
        let _ = sender.send(Event::Ended);
        (ended, sender)
    });
    drop(sender);
    Ok(ended?)
}

/// The projects that the command line names; none for `--all`.
fn named(
    arguments: &CycleArguments,
    popularity: &Popularity,
) -> Result<Option<Vec<(ProjectName, VersionSpecifiers)>>, Failure> {
    if let Some(path) = &arguments.file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
        let targets = requirements_file(path, &text).map_err(|error| Failure::new(Exit::Input, error))?;
        let projects = targets.into_iter().filter_map(|target| match target {
            Target::Project(name, specifiers) => Some((name, specifiers)),
            Target::Local(_) => None,
        });
        return Ok(Some(projects.collect()));
    }
    Ok(arguments.top.map(|count| {
        let names = popularity.top(count).iter();
        names.map(|name| (name.clone(), VersionSpecifiers::empty())).collect()
    }))
}

/// What a cycle walks and how, in words: an unfinished cycle of the same is gone on with.
fn scope(
    arguments: &CycleArguments,
    named: &Option<Vec<(ProjectName, VersionSpecifiers)>>,
    environments: &[&str],
    options: &wheeltapper_core::Options,
    index_date: &str,
) -> String {
    let what = match (named, arguments.top) {
        (None, _) => "all projects".to_owned(),
        (Some(_), Some(count)) => format!("the {count} most downloaded projects"),
        (Some(named), None) => format!("{} projects of a file", named.len()),
    };
    let mut parts: Vec<String> = match (named, arguments.top) {
        (Some(named), None) => named.iter().map(|(name, wanted)| format!("{name}{wanted}")).collect(),
        _ => Vec::new(),
    };
    parts.push(options.limits.fingerprint());
    let tests = match (options.tests, options.source) {
        (false, _) => "without tests",
        (true, TestSource::Sdist) => "with tests",
        (true, TestSource::Auto) => "with tests, also of repositories",
        (true, TestSource::Repository) => "with tests of repositories",
    };
    let date = if index_date.is_empty() { String::new() } else { format!(", index of {index_date}") };
    let from = match arguments.cells.from {
        From::Auto => "",
        From::Sdist => ", from source",
        From::Wheel => ", as published",
        From::Both => ", from source and as published",
    };
    // What is too long to be said comes behind a sign, as a digest.
    let rest = Sha256::of_parts(parts.iter().map(String::as_str)).short();
    format!("{what} on {}, {tests}{from}{date} #{rest}", environments.join(", "))
}

/// The time that this cycle counts on from, where the machine's clock shows less than the store knows.
async fn time_to_count_from(store: &Store) -> Result<Option<Timestamp>, Failure> {
    let newest = store.newest_time().await?.and_then(|time| time.parse::<Timestamp>().ok());
    let Some(newest) = newest.filter(|newest| *newest > Timestamp::now()) else { return Ok(None) };
    view::remark(&format!(
        "WARNING: this machine's clock went backwards: it shows {}, and the newest result is of {}; \
         times are counted on from there",
        Timestamp::now().strftime("%Y-%m-%d %H:%M UTC"),
        newest.strftime("%Y-%m-%d %H:%M UTC"),
    ));
    Ok(Some(newest))
}

/// Goes on with the unfinished cycle of this scope, or begins one. One of another scope is ended as it stands.
async fn begin(store: &Store, scope: &str, now: Timestamp) -> Result<Cycle, Failure> {
    if let Some(last) = store.cycles(1).await?.into_iter().next().filter(|cycle| cycle.ended.is_none()) {
        if last.scope == scope {
            view::remark(&format!("going on with cycle {}, begun {}", last.number, &last.started[..16]));
            return Ok(last);
        }
        store.end_cycle(last.number, &now.to_string()).await?;
        view::remark(&format!(
            "cycle {} was unfinished and of another kind; it is ended as it stands",
            last.number
        ));
    }
    let run = format!("cycle-{}-{}", now.strftime("%Y%m%dT%H%M%S%3fZ"), std::process::id());
    Ok(store.begin_cycle(&run, scope, &now.to_string()).await?)
}

fn seconds(time: Duration) -> String {
    wheeltapper_render::seconds(time.as_secs_f64())
}

/// Prints what a cycle came to.
fn tell(cycle: &Cycle, summary: &CycleSummary, ended: Ended) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let colour = view::colour_on_stdout();
    writeln!(out, "\n{}", wheeltapper_render::cycle_summary(cycle.number, summary, colour))?;
    if ended == Ended::Unfinished {
        view::remark("the cycle is unfinished; the same command goes on with it");
    }
    Ok(())
}
