//! What holds without the full sandbox: the same phases, limits and reading back; never root; and what landlock holds.

use std::fs;

use wheeltapper_sandbox::{Bind, Cancel, CheckStatus, Error, Mode, Network};

use crate::{
    lab::{Attack, Lab},
    limits, reading, world,
};

pub const ALL: &[Attack] = &[
    ("cells_are_never_root", never_root),
    ("the_mode_is_told_loudly", loud),
    ("nothing_is_shown_elsewhere", binds),
    ("the_port_is_served", port),
    ("seccomp_and_landlock_hold", reduced_walls),
    ("slots_are_exclusive", world::slots),
    ("phases_are_exact", world::phases),
    ("forks_share_what_is_sealed", world::forks),
    ("failures_to_start_are_told", start),
    ("cancelled", world::cancelled),
    ("layers_are_never_written", world::layers),
    ("links_are_not_followed", reading::links),
    ("fifos_and_sockets_are_not_opened", reading::fifos),
    ("paths_stay_beneath", reading::beneath),
    ("writes_pass_no_link", reading::writes),
    ("memory_hog", limits::memory_hog),
    ("disk_filler", limits::disk_filler_in_tree),
    ("output_flood", limits::output_flood),
    ("busy_forever", limits::busy),
    ("asleep_forever", limits::asleep),
    ("termination_ignored", limits::termination_ignored),
    ("daemon_left_behind", limits::daemon),
    ("figures_are_taken", limits::figures),
];

fn never_root(lab: &Lab) {
    let world = lab.world();
    let outcome =
        lab.shell(&world, "id -u; cat /proc/self/status; cat /proc/self/environ; pwd; umask").passed();
    assert_ne!(outcome.output.lines().next(), Some("0"));
    let outcome = outcome.says("CapEff:\t0000000000000000").says("NoNewPrivs:\t1");
    assert!(!outcome.output.contains("WHEELTAPPER"), "{}", outcome.output);
}

fn loud(lab: &Lab) {
    let checks = lab.host.check();
    assert!(
        checks.iter().any(|check| check.name == "containment" && check.status == CheckStatus::Weak),
        "{checks:?}"
    );
    let containment = lab.host.containment();
    assert_eq!((containment.sandbox.as_str(), containment.network.as_str()), (lab.mode.as_str(), "host"));
}

fn binds(lab: &Lab) {
    let world = lab.world();
    let shown = lab.host_folder();
    fs::write(shown.join("file"), "shown").unwrap();
    let path = shown.join("file").display().to_string();
    let mut command = lab.command(&world, "/bin/cat", &[&path]);
    command.binds = vec![crate::lab::bind(&shown)];
    lab.run(&world, &command).passed().says("shown");
    command.binds = vec![Bind { source: shown, target: "/elsewhere".into() }];
    assert!(matches!(world.run(&command, &Cancel::new().unwrap(), None), Err(Error::Refused { .. })));
}

fn port(lab: &Lab) {
    if !lab.python {
        return lab.skip("the port: needs python3");
    }
    let world = lab.world();
    let script = format!(
        "import socket; print(socket.create_connection(('127.0.0.1', {}), 10).recv(10))",
        world.port()
    );
    let mut command = lab.command(&world, "/usr/bin/python3", &["-I", "-c", &script]);
    command.network = Network::Port;
    let mut served = None;
    let mut serve = |listener: std::net::TcpListener| {
        served = Some(std::thread::spawn(move || {
            std::io::Write::write_all(&mut listener.accept().unwrap().0, b"hello").unwrap();
        }));
    };
    world.run(&command, &Cancel::new().unwrap(), Some(&mut serve)).unwrap();
    served.unwrap().join().unwrap();
    assert_eq!(fs::read_to_string(&command.log).unwrap(), "b'hello'\n");
}

fn reduced_walls(lab: &Lab) {
    if lab.mode != Mode::Reduced {
        return;
    }
    let world = lab.world();
    lab.shell(&world, "unshare -Ur true 2>/dev/null && exit 1; grep -q 'Seccomp:.2' /proc/self/status")
        .passed();
    if lab.host.check().iter().any(|check| check.detail.contains("no landlock")) {
        return lab.skip("landlock: this kernel has none");
    }
    let secret = lab.host_folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    let script = format!(
        "cat {0} && exit 1; echo x > {0} && exit 2; echo x > here; echo y > $TMPDIR/there",
        secret.display()
    );
    lab.shell(&world, &script).passed();
}

fn start(lab: &Lab) {
    let world = lab.world();
    let outcome = lab.run(&world, &lab.command(&world, "none-such", &[]));
    assert_eq!(outcome.execution.exit, wheeltapper_core::Exit::Code(127));
    assert!(outcome.execution.start_error.is_some());
}
