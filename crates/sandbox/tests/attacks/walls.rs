//! Attacks on the walls: the host's files, devices, kernel, network, processes.

use std::{
    fs,
    net::TcpListener,
    os::{linux::net::SocketAddrExt, unix::net::UnixListener},
};

use wheeltapper_sandbox::{Cancel, Network};

use crate::lab::{Attack, Lab, nonce, runs};

pub const ALL: &[Attack] = &[
    ("host_files_are_absent", host_files),
    ("supervisors_environment_is_absent", environment),
    ("devices_are_few_and_none_can_be_made", devices),
    ("kernel_settings_cannot_be_written", kernel_settings),
    ("no_capability_is_left", capabilities),
    ("namespaces_and_mounts_are_refused", namespaces),
    ("dangerous_calls_are_refused_on_every_abi", calls),
    ("init_cannot_be_touched", init),
    ("host_processes_are_out_of_reach", signals),
    ("priority_cannot_be_raised", priority),
    ("everything_but_the_cell_is_read_only", read_only),
    ("host_loopback_is_out_of_reach", loopback),
    ("abstract_sockets_are_out_of_reach", abstract_sockets),
    ("addresses_outside_time_out", addresses),
    ("the_port_is_the_whole_network", port),
    ("another_cells_files_are_absent", other_cell),
    ("crashes_do_not_reach_the_host", crash),
];

fn host_files(lab: &Lab) {
    let world = lab.world();
    let secret = lab.host_folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    let script = format!(
        "for path in /etc/shadow /etc/sudoers /etc/ssh /etc/pip.conf /root /var/lib /var/log /boot /mnt /opt /srv \
         /etc/hostname.host /sys/kernel /run/systemd /proc/1/root/etc '{}'; do \
         if [ -e $path ] && [ -n \"$(cat $path 2>/dev/null; ls -A $path 2>/dev/null)\" ]; then echo leak $path; fi; done; ls /home; echo done",
        secret.display()
    );
    let outcome = lab.shell(&world, &script).passed();
    assert_eq!(outcome.output, "done\n");
}

fn environment(lab: &Lab) {
    let world = lab.world();
    let outcome =
        lab.shell(&world, "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; env").passed();
    for leak in ["WHEELTAPPER_ATTACKS", "CARGO", "LD_LIBRARY_PATH", lab.folder.to_str().unwrap()] {
        assert!(!outcome.output.contains(leak), "{leak} in {}", outcome.output);
    }
}

fn devices(lab: &Lab) {
    let world = lab.world();
    lab.shell(
        &world,
        "[ \"$(ls /dev | sort | xargs)\" = 'fd full null ptmx pts random shm stderr stdin stdout urandom zero' ] || { ls /dev; exit 1; }
         for kind in 'c 1 1' 'b 254 0' 'c 0 0' 'b 8 0'; do mknod /cell/device $kind 2>/dev/null && exit 2; done
         (: < /dev/tty) 2>/dev/null && exit 3
         [ -z \"$(ls -A /sys)\" ] || exit 4
         echo x > /dev/null || exit 5
         chmod 777 /dev/null 2>/dev/null && exit 6
         exit 0",
    )
    .passed();
}

fn kernel_settings(lab: &Lab) {
    let world = lab.world();
    let before = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    lab.shell(
        &world,
        "for file in kernel/core_pattern kernel/hostname kernel/modprobe vm/drop_caches net/ipv4/ip_forward fs/binfmt_misc/register kernel/randomize_va_space; do
           (echo '|/cell/attack' > /proc/sys/$file) 2>/dev/null && echo wrote $file && exit 1; done
         (echo b > /proc/sysrq-trigger) 2>/dev/null && [ ! -c /proc/sysrq-trigger ] && exit 2
         [ -z \"$(head -c 10 /proc/kcore 2>/dev/null)\" ] || exit 3
         [ -z \"$(cat /proc/keys 2>/dev/null)\" ] || exit 4
         (echo -1000 > /proc/self/oom_score_adj) 2>/dev/null && exit 5
         exit 0",
    )
    .passed();
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), before);
}

fn capabilities(lab: &Lab) {
    let world = lab.world();
    let outcome = lab.shell(&world, "cat /proc/self/status; id -u; echo groups $(id -G | wc -w)").passed();
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(outcome.output.contains(&format!("{name}:\t0000000000000000")), "{}", outcome.output);
    }
    let outcome = outcome.says("NoNewPrivs:\t1").says("Seccomp:\t2");
    assert!(!outcome.output.lines().any(|line| line == "0"), "{}", outcome.output);
    lab.shell(&world, "cp /bin/sh sh; chmod 4755 sh; ./sh -c 'id -u'; su -c id 2>&1; exit 0").passed();
}

fn namespaces(lab: &Lab) {
    let world = lab.world();
    lab.shell(
        &world,
        "for flags in -U -Ur -m -n -p -i -u -C; do unshare $flags true 2>/dev/null && echo unshare $flags && exit 1; done
         mount -t tmpfs none /tmp 2>/dev/null && exit 2
         umount /tmp 2>/dev/null && exit 3
         umount -l /proc/sys 2>/dev/null && exit 4
         mount -o remount,rw / 2>/dev/null && exit 5
         chroot / true 2>/dev/null && exit 6
         nsenter -t 1 -m true 2>/dev/null && exit 7
         hostname evil 2>/dev/null && exit 8
         date -s 2001-01-01 2>/dev/null && exit 9
         exit 0",
    )
    .passed();
}

fn calls(lab: &Lab) {
    if !lab.python || !cfg!(target_arch = "x86_64") {
        return lab.skip("dangerous calls: needs python3 on x86_64");
    }
    let world = lab.world();
    lab.python(
        &world,
        r#"
import ctypes, errno, mmap, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    return errno.errorcode.get(ctypes.get_errno(), "0") if libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) == -1 else "0"
names = dict(io_uring_setup=425, bpf=321, keyctl=250, add_key=248, request_key=249, userfaultfd=323, perf_event_open=298,
             open_by_handle_at=304, kexec_load=246, init_module=175, finit_module=313, reboot=169, swapon=167, mount=165,
             umount2=166, pivot_root=155, setns=308, fsopen=430, open_tree=428, move_mount=429, mount_setattr=442,
             settimeofday=164, acct=163, syslog=103, quotactl=179, iopl=172, ioperm=173)
for name, number in names.items():
    assert call(number, 1, 0, 0, 0, 0) == "EPERM", (name, call(number, 1, 0, 0, 0, 0))
assert call(435, 0, 0) == "ENOSYS", call(435, 0, 0)
assert call(56, 0x10000000 | 17, 0, 0, 0, 0) == "EPERM"
assert call(272, 0x10000000) == "EPERM"
assert call(0x40000000 + 39) == "ENOSYS"
for family in (socket.AF_PACKET, socket.AF_ALG, socket.AF_VSOCK, socket.AF_CAN, socket.AF_BLUETOOTH):
    try: socket.socket(family, socket.SOCK_RAW if family == socket.AF_PACKET else socket.SOCK_SEQPACKET)
    except OSError as error: assert error.errno == errno.EAFNOSUPPORT, (family, error)
    else: raise SystemExit(f"family {family}")
for protocol in (9, 12, 15):
    try: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    except OSError as error: assert error.errno == errno.EAFNOSUPPORT
    else: raise SystemExit(f"netlink {protocol}")
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
# The other ABI of the same machine: push rbx; mov eax, number; clear ebx, ecx, edx; int 0x80; pop rbx; ret.
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
def other(number):
    code.seek(0)
    code.write(b"\x53\xb8" + number.to_bytes(4, "little") + b"\x31\xdb\x31\xc9\x31\xd2\xcd\x80\x5b\xc3")
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    return function()
if other(20) > 0:  # getpid, where the kernel has this ABI at all
    for number in (21, 52, 217, 346, 357, 374, 288, 425, 102, 113):
        assert other(number) == -errno.EPERM, (number, other(number))
    assert other(435) == -errno.ENOSYS
"#,
    )
    .passed();
}

fn init(lab: &Lab) {
    if !lab.python {
        return lab.skip("init: needs python3");
    }
    let world = lab.world();
    lab.python(
        &world,
        r#"
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
for name in ("mem", "environ", "maps", "fd/0", "root/etc", "cwd/etc", "syscall"):
    try: open(f"/proc/1/{name}", "rb").read(1)
    except (PermissionError, FileNotFoundError, IsADirectoryError): pass
    else: raise SystemExit(name)
try: os.listdir("/proc/1/fd")
except PermissionError: pass
else: raise SystemExit("fd")
assert libc.ptrace(16, 1, 0, 0) == -1
for number in range(1, 65):
    if number not in (signal.SIGCHLD,):
        try: os.kill(1, number)
        except OSError: pass
child = os.fork()
if child == 0:
    assert libc.ptrace(0, 0, 0, 0) == 0  # tracing within the cell stays possible
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"#,
    )
    .passed();
}

fn signals(lab: &Lab) {
    let world = lab.world();
    let own = std::process::id();
    let outcome = lab
        .shell(
            &world,
            &format!("kill -0 {own} 2>/dev/null && exit 1; ls /proc | grep -c '^[0-9]'; kill -9 -1 2>/dev/null; exit 0"),
        )
        .passed();
    // Init, the shell, ls and grep.
    assert!(outcome.output.trim().parse::<u32>().unwrap() <= 4, "{}", outcome.output);
}

fn priority(lab: &Lab) {
    if !lab.python {
        return lab.skip("priority: needs python3");
    }
    let world = lab.world();
    lab.python(
        &world,
        r#"
import os, resource
for attempt in (lambda: os.setpriority(os.PRIO_PROCESS, 0, -10),
                lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
                lambda: resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)),
                lambda: resource.setrlimit(resource.RLIMIT_CORE, (10**6, 10**6))):
    try: attempt()
    except (PermissionError, ValueError): pass
    else: raise SystemExit("raised")
"#,
    )
    .passed();
}

fn read_only(lab: &Lab) {
    let world = lab.world();
    let shown = lab.host_folder();
    fs::write(shown.join("file"), "as it was").unwrap();
    let mut command = lab.command(
        &world,
        "/bin/sh",
        &[
            "-c",
            "for path in / /usr /usr/bin /etc /etc/ssl /dev /home /run /var /shown /proc; do
               (: > $path/attack) 2>/dev/null && echo wrote $path && exit 1; done
             (echo attack > /shown/file) 2>/dev/null && exit 2
             (echo attack >> /etc/passwd) 2>/dev/null && exit 3
             rm -f /shown/file 2>/dev/null && exit 4
             for path in /cell /cell/home /tmp /var/tmp /dev/shm; do : > $path/file || exit 5; done
             cat /shown/file",
        ],
    );
    command.binds = vec![
        wheeltapper_sandbox::Bind { source: shown.clone(), target: "/shown".into() },
        crate::lab::bind(&shown),
    ];
    let outcome = lab.run(&world, &command).passed();
    assert_eq!(outcome.output, "as it was");
    assert_eq!(fs::read_to_string(shown.join("file")).unwrap(), "as it was");
    // A link in the cell does not lead a bind astray.
    lab.shell(&world, "ln -s /usr /cell/astray").passed();
    command.binds = vec![wheeltapper_sandbox::Bind { source: shown, target: "/cell/astray/x".into() }];
    assert!(world.run(&command, &Cancel::new().unwrap(), None).is_err());
    assert!(!std::path::Path::new("/usr/x").exists());
}

fn loopback(lab: &Lab) {
    if !lab.python {
        return lab.skip("loopback: needs python3");
    }
    let world = lab.world();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        r#"
import socket
for address in ("127.0.0.1", "127.0.0.2", "localhost", "::1", "0.0.0.0"):
    try: socket.create_connection((address, {port}), 1)
    except OSError: pass
    else: raise SystemExit(address)
"#
    );
    lab.python(&world, &script).passed();
}

fn abstract_sockets(lab: &Lab) {
    if !lab.python {
        return lab.skip("abstract sockets: needs python3");
    }
    let world = lab.world();
    let name = nonce();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let script = format!(
        r#"
import socket
try: socket.socket(socket.AF_UNIX).connect("\0{name}")
except ConnectionRefusedError: pass
else: raise SystemExit("connected")
assert "{name}" not in open("/proc/net/unix").read()
"#
    );
    lab.python(&world, &script).passed();
}

fn addresses(lab: &Lab) {
    if !lab.python {
        return lab.skip("addresses: needs python3");
    }
    let world = lab.world();
    lab.python(
        &world,
        r#"
import socket
for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2001:db8::1")):
    if family == socket.AF_INET6 and not socket.has_dualstack_ipv6(): continue
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(0.2)
    try: s.connect((address, 80))
    except TimeoutError: pass
    else: raise SystemExit("connected")
try: socket.getaddrinfo("example.invalid", 80)
except socket.gaierror: pass
else: raise SystemExit("resolved")
assert socket.gethostbyname(socket.gethostname()) == "127.0.0.1"
assert {entry[4][0] for entry in socket.getaddrinfo("localhost", 1)} == {"127.0.0.1", "::1"}
"#,
    )
    .passed();
}

fn port(lab: &Lab) {
    if !lab.python {
        return lab.skip("the port: needs python3");
    }
    let world = lab.world();
    let script = format!(
        r#"
import socket
s = socket.create_connection(("127.0.0.1", {port}), 10)
assert s.recv(100) == b"hello"
s.close()
for other in (1, 80, 443, 5432):
    try: socket.create_connection(("127.0.0.1", other), 1)
    except ConnectionRefusedError: pass
    else: raise SystemExit(str(other))
"#,
        port = world.port()
    );
    let mut command = lab.command(&world, "/usr/bin/python3", &["-I", "-c", &script]);
    command.network = Network::Port;
    let mut served = None;
    let mut serve = |listener: TcpListener| {
        served = Some(std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, b"hello").unwrap();
        }));
    };
    let execution = world.run(&command, &Cancel::new().unwrap(), Some(&mut serve)).unwrap();
    assert!(execution.exit.success(), "{}", fs::read_to_string(&command.log).unwrap());
    served.unwrap().join().unwrap();
    // Without the port nothing listens there.
    command.network = Network::None;
    assert!(!lab.run(&world, &command).execution.exit.success());
}

fn other_cell(lab: &Lab) {
    let (mine, theirs) = (lab.world(), lab.world());
    lab.shell(
        &theirs,
        "echo secret > /cell/secret; echo secret > /tmp/secret; echo secret > /dev/shm/secret",
    )
    .passed();
    let outcome = lab
        .shell(
            &mine,
            "grep -rs secret /cell /tmp /dev/shm /run /home /var; ls /proc/1/root 2>/dev/null; echo done",
        )
        .passed();
    assert_eq!(outcome.output, "done\n");
    assert!(mine.changes().unwrap().list.is_empty());
}

fn crash(lab: &Lab) {
    let world = lab.world();
    let mark = nonce();
    let outcome =
        lab.shell(&world, &format!("ulimit -c unlimited 2>/dev/null; sleep {mark} & kill -ABRT $$"));
    assert_eq!(outcome.execution.exit, wheeltapper_core::Exit::Signal(6));
    assert_eq!(outcome.execution.left_processes, 1);
    assert!(!runs(&mark));
    assert!(world.changes().unwrap().list.is_empty());
}
