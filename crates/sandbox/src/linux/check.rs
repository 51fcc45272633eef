//! What `doctor` asks: the complete sandbox is tried by the very code that cells use, and each part is answered for.

use std::{
    fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
};

use super::{
    enter::{Host, Power, remedy},
    remove,
};
use crate::{
    Bind, Cancel, Check, CheckStatus, Command, Error, Execution, Limits, Mode, Network, ScratchLimits,
    base_environment,
};

/// The slot of the trial run: the last one, which no worker has.
const SLOT: usize = 255;

/// The parts of a sandbox in the order in which a run makes them, with the steps that belong to each.
const PARTS: &[(&str, &[&str])] = &[
    ("namespaces", &["make namespaces", "map the user", "start init", "make a user namespace for ownership"]),
    ("cgroup", &["make the cgroup", "join the cgroup"]),
    ("network", &["bring loopback up", "listen inside", "pass the listener out"]),
    (
        "mounts",
        &["set the host name", "make mounts private", "mount the root", "show ", "usr", "mount devpts"],
    ),
    ("proc", &["mount proc", "mask /proc"]),
    ("layers", &["layer ", "mount the layers' folder", "mount the scratch"]),
    ("overlay", &["mount the overlay"]),
    ("seccomp", &["install the seccomp filter", "set no_new_privs", "drop capabilities"]),
];

/// What a cell must be able to do, in words of exit statuses.
const TRIAL: &str = "
    [ \"$(id -u)\" != 0 ] || exit 10
    grep -q '^CapEff:.0*$' /proc/self/status || exit 11
    grep -q '^Seccomp:.2' /proc/self/status || exit 12
    echo changed > layer/file || exit 13
    rm -r layer/folder && mkdir layer/folder && echo new > layer/folder/new || exit 14
    [ ! -e layer/folder/old ] || exit 15
    : > /dev/null || exit 16
    [ -r /proc/self/stat ] || exit 17
    exit 0
";

impl Host {
    /// Tries everything that a cell needs and tells of each part what came of it, and one line that helps where one is known.
    /// Nothing of the host is changed.
    pub fn check(&self) -> Vec<Check> {
        let mut checks = vec![self.who()];
        if self.inner.settings.mode == Mode::Full {
            match self.trial() {
                Ok(execution) => checks.extend(self.parts(None, Some(&execution))),
                Err(error) => checks.extend(self.parts(Some(&error), None)),
            }
        } else {
            checks.push(self.loud());
        }
        checks.push(self.limits());
        checks.push(self.scratch());
        checks
    }

    fn who(&self) -> Check {
        let detail = match self.inner.power {
            Power::Root { first_uid } => {
                format!("root; cells run as uid {first_uid} and up, one for each slot")
            }
            Power::User { uid, .. } => format!("uid {uid}, with a user namespace"),
        };
        ok("user", detail)
    }

    fn loud(&self) -> Check {
        Check {
            name: "containment",
            status: CheckStatus::Weak,
            detail: match self.inner.settings.mode {
                Mode::Reduced => super::reduced::describe(),
                _ => "none: packages can read and change whatever this user can".to_owned(),
            },
            remedy: Some("wheeltapper doctor --sandbox full".to_owned()),
        }
    }

    /// One run of the complete sandbox, on a layer of the disk that holds the runtime folder.
    fn trial(&self) -> Result<Execution, Error> {
        let folder = self.inner.settings.runtime.join(format!("{}-check", self.inner.name));
        let result = self.trial_in(&folder);
        remove::tree(&folder)?;
        result
    }

    fn trial_in(&self, folder: &Path) -> Result<Execution, Error> {
        let io = |error: io::Error| Error::io(format!("write {}", folder.display()), error);
        let layer: PathBuf = folder.join("lower");
        fs::create_dir_all(layer.join("layer/folder")).map_err(io)?;
        fs::write(layer.join("layer/folder/old"), "").map_err(io)?;
        fs::write(layer.join("layer/file"), "").map_err(io)?;
        let world = self.world(SLOT, &[layer], ScratchLimits { bytes: 4 << 20, inodes: 1000 })?;
        let command = Command {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), TRIAL.into()],
            environment: base_environment(world.root(), world.temporary()),
            directory: world.root().to_owned(),
            binds: vec![Bind { source: folder.to_owned(), target: "/bound/here".into() }],
            network: Network::Port,
            limits: Limits::default(),
            log: folder.join("log"),
        };
        let mut heard = false;
        let mut listener = |_: TcpListener| heard = true;
        let execution = world.run(&command, &Cancel::new()?, Some(&mut listener))?;
        if heard {
            Ok(execution)
        } else {
            Err(Error::SetUp {
                step: "pass the listener out".to_owned(),
                reason: "nothing arrived".to_owned(),
            })
        }
    }

    /// The parts up to the one that failed, if one did.
    fn parts(&self, error: Option<&Error>, execution: Option<&Execution>) -> Vec<Check> {
        let mut checks = Vec::new();
        for (name, steps) in PARTS {
            if *name == "cgroup" && self.inner.cgroup.is_err() {
                continue;
            }
            if let Some(Error::SetUp { step, reason }) = error
                && steps.iter().any(|known| step.starts_with(known))
            {
                checks.push(Check {
                    name,
                    status: CheckStatus::Refused,
                    detail: format!("{step}: {reason}"),
                    remedy: self.remedy_for(name),
                });
                return checks;
            }
            checks.push(ok(name, String::new()));
        }
        match (error, execution.map(|execution| execution.exit)) {
            (Some(error), _) => {
                // A step that belongs to no part came before some that were taken for good.
                checks.clear();
                checks.push(refusal("complete run", error));
            }
            (None, Some(exit)) => match exit {
                wheeltapper_core::Exit::Code(0) => checks.push(ok("complete run", String::new())),
                wheeltapper_core::Exit::Code(14 | 15) => {
                    checks.retain(|check| check.name != "overlay");
                    checks.push(Check {
                        name: "overlay",
                        status: CheckStatus::Refused,
                        detail: "a directory of a layer cannot be replaced".to_owned(),
                        remedy: self.remedy_for("overlay"),
                    });
                }
                other => checks.push(Check {
                    name: "complete run",
                    status: CheckStatus::Refused,
                    detail: format!("the trial ended with {other}"),
                    remedy: None,
                }),
            },
            (None, None) => {}
        }
        checks
    }

    fn remedy_for(&self, part: &str) -> Option<String> {
        let denied = io::Error::from_raw_os_error(libc::EPERM);
        match part {
            "layers" => {
                Some("keep wheeltapper's data on ext4, xfs, btrfs or tmpfs (XDG_DATA_HOME)".to_owned())
            }
            "overlay" => Some("run wheeltapper as root, or on Linux 5.19 or later".to_owned()),
            "proc" if remedy(&denied).is_none() => {
                Some("docker run --security-opt systempaths=unconfined …".to_owned())
            }
            _ => remedy(&denied),
        }
    }

    fn limits(&self) -> Check {
        match &self.inner.cgroup {
            Ok(place) => {
                ok("limits", format!("cgroup {}: memory, processes, CPU time of each cell", place.version()))
            }
            Err(reason) => Check {
                name: "limits",
                status: CheckStatus::Weak,
                detail: format!("no cgroup ({reason}): memory is watched, not limited"),
                remedy: Some(if Path::new("/run/systemd/system").exists() {
                    "systemd-run --user --scope -p Delegate=yes wheeltapper …".to_owned()
                } else {
                    "run wheeltapper as root".to_owned()
                }),
            },
        }
    }

    fn scratch(&self) -> Check {
        if self.inner.scratch_on_disk {
            return Check {
                name: "scratch",
                status: CheckStatus::Weak,
                detail: "on disk, where its size is watched, not limited: this kernel's tmpfs has no user attributes"
                    .to_owned(),
                remedy: Some("run wheeltapper as root, or on Linux 6.6 or later".to_owned()),
            };
        }
        ok("scratch", "in memory, limited in bytes and files".to_owned())
    }
}

fn ok(name: &'static str, detail: String) -> Check {
    let detail = if detail.is_empty() { "works".to_owned() } else { detail };
    Check { name, status: CheckStatus::Ok, detail, remedy: None }
}

/// A refusal as a check, for whoever could not even enter.
fn refusal(name: &'static str, error: &Error) -> Check {
    Check {
        name,
        status: CheckStatus::Refused,
        detail: error.to_string(),
        remedy: error.hint().map(str::to_owned),
    }
}

impl From<&Error> for Check {
    /// What `doctor` says when [`enter`](crate::enter) itself fails.
    fn from(error: &Error) -> Self {
        refusal("sandbox", error)
    }
}
