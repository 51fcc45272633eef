//! The filter on system calls: what no test suite needs and what has been a way out of containers.
//!
//! A list of denials, not of permissions: an unknown call of tomorrow's libc must not look like a package's failure, and
//! the walls are the namespaces. Denied calls return an errno, as an old or locked-down kernel would answer, and never kill.
//! ptrace stays allowed: suites and sanitizers use it, and it reaches nothing outside the cell.

use std::io;

const EPERM: u32 = libc::EPERM as u32;
const ENOSYS: u32 = libc::ENOSYS as u32;
const EAFNOSUPPORT: u32 = libc::EAFNOSUPPORT as u32;

/// Denied outright: the native number, i386's, 32-bit ARM's. Calls since Linux 5.1 have one number everywhere.
const DENIED: &[(i64, Option<u32>, Option<u32>)] = &[
    (libc::SYS_mount, Some(21), Some(21)),
    (libc::SYS_umount2, Some(52), Some(52)),
    (libc::SYS_pivot_root, Some(217), Some(218)),
    (libc::SYS_setns, Some(346), Some(375)),
    (libc::SYS_bpf, Some(357), Some(386)),
    (libc::SYS_perf_event_open, Some(336), Some(364)),
    (libc::SYS_userfaultfd, Some(374), Some(388)),
    (libc::SYS_keyctl, Some(288), Some(311)),
    (libc::SYS_add_key, Some(286), Some(309)),
    (libc::SYS_request_key, Some(287), Some(310)),
    (libc::SYS_init_module, Some(128), Some(128)),
    (libc::SYS_delete_module, Some(129), Some(129)),
    (libc::SYS_finit_module, Some(350), Some(379)),
    (libc::SYS_kexec_load, Some(283), Some(347)),
    (libc::SYS_reboot, Some(88), Some(88)),
    (libc::SYS_swapon, Some(87), Some(87)),
    (libc::SYS_swapoff, Some(115), Some(115)),
    (libc::SYS_open_by_handle_at, Some(342), Some(371)),
    (libc::SYS_quotactl, Some(131), Some(131)),
    (libc::SYS_acct, Some(51), Some(51)),
    (libc::SYS_settimeofday, Some(79), Some(79)),
    (libc::SYS_clock_settime, Some(264), Some(262)),
    (libc::SYS_sethostname, Some(74), Some(74)),
    (libc::SYS_setdomainname, Some(121), Some(121)),
    (libc::SYS_syslog, Some(103), Some(103)),
    (libc::SYS_fanotify_init, Some(338), Some(367)),
    (libc::SYS_lookup_dcookie, Some(253), Some(249)),
    (libc::SYS_move_pages, Some(317), Some(344)),
    (libc::SYS_nfsservctl, Some(169), Some(169)),
    (libc::SYS_vhangup, Some(111), Some(111)),
];

/// The same number on every architecture: the new mount API, io_uring, `clock_settime64` of 32-bit ones.
const DENIED_EVERYWHERE: &[u32] = &[404, 425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443, 467];

/// Denied on one architecture only.
#[cfg(target_arch = "x86_64")]
const DENIED_NATIVE: &[u32] = &[
    libc::SYS_iopl as u32,
    libc::SYS_ioperm as u32,
    libc::SYS_uselib as u32,
    libc::SYS_kexec_file_load as u32,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_NATIVE: &[u32] = &[];

/// umount, stime, iopl, ioperm, vm86, vm86old, uselib. And socketcall: its address family is out of a filter's sight, so
/// it would be a way around the list of families; libraries made for Linux 4.3 or later do not use it.
const DENIED_I386: &[u32] = &[22, 25, 110, 101, 166, 113, 86, 102];

const CLONE3: u32 = 435;

/// Flags of clone and unshare that make namespaces.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32
    | CLONE_NEWTIME;
const CLONE_NEWTIME: u32 = 0x80;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ERRNO: u32 = libc::SECCOMP_RET_ERRNO;

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf: 0, k }
}
const fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}
const fn answer(value: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, value)
}
/// Skips the next statement unless the comparison holds.
const fn only_if(comparison: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: 0, jf: 1, k }
}
/// The offset of the low half of an argument in `seccomp_data`.
const fn argument(index: u32) -> u32 {
    16 + 8 * index + if cfg!(target_endian = "big") { 4 } else { 0 }
}

/// The system calls of one architecture.
struct Abi {
    audit: u32,
    denied: Vec<u32>,
    clone: u32,
    /// Which of clone's arguments holds the flags.
    clone_flags: u32,
    unshare: u32,
    socket: u32,
    /// x86_64 only: numbers from here on belong to x32.
    foreign_from: Option<u32>,
}

impl Abi {
    fn program(&self) -> Vec<libc::sock_filter> {
        let mut code = vec![load(0)];
        if let Some(first) = self.foreign_from {
            code.extend([only_if(libc::BPF_JGE, first), answer(ERRNO | ENOSYS)]);
        }
        for number in &self.denied {
            code.extend([only_if(libc::BPF_JEQ, *number), answer(ERRNO | EPERM)]);
        }
        // Its flags lie in memory; libraries fall back to clone.
        code.extend([only_if(libc::BPF_JEQ, CLONE3), answer(ERRNO | ENOSYS)]);
        for (number, flags) in [(self.clone, self.clone_flags), (self.unshare, 0)] {
            let body = [
                load(argument(flags)),
                only_if(libc::BPF_JSET, NAMESPACES),
                answer(ERRNO | EPERM),
                answer(ALLOW),
            ];
            code.push(skip_unless(number, body.len()));
            code.extend(body);
        }
        let mut body = vec![load(argument(0))];
        for family in [libc::AF_UNSPEC, libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
            body.extend([only_if(libc::BPF_JEQ, family as u32), answer(ALLOW)]);
        }
        body.push(skip_unless(libc::AF_NETLINK as u32, 3));
        body.extend([
            load(argument(2)),
            only_if(libc::BPF_JEQ, libc::NETLINK_ROUTE as u32),
            answer(ALLOW),
            answer(ERRNO | EAFNOSUPPORT),
        ]);
        code.push(skip_unless(self.socket, body.len()));
        code.extend(body);
        code.push(answer(ALLOW));
        code
    }
}

fn skip_unless(k: u32, statements: usize) -> libc::sock_filter {
    let jf = u8::try_from(statements).expect("bodies are a dozen statements long");
    libc::sock_filter { code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, jt: 0, jf, k }
}

fn abis() -> Vec<Abi> {
    let common = || DENIED_EVERYWHERE.iter().copied();
    let native = Abi {
        audit: native_audit(),
        denied: DENIED
            .iter()
            .map(|row| row.0 as u32)
            .chain(common())
            .chain(DENIED_NATIVE.iter().copied())
            .collect(),
        clone: libc::SYS_clone as u32,
        clone_flags: u32::from(cfg!(target_arch = "s390x")),
        unshare: libc::SYS_unshare as u32,
        socket: libc::SYS_socket as u32,
        foreign_from: cfg!(target_arch = "x86_64").then_some(0x4000_0000),
    };
    let mut abis = vec![native];
    if cfg!(target_arch = "x86_64") {
        let rows = DENIED.iter().filter_map(|row| row.1);
        abis.push(Abi {
            audit: 0x4000_0003,
            denied: rows.chain(common()).chain(DENIED_I386.iter().copied()).collect(),
            clone: 120,
            clone_flags: 0,
            unshare: 310,
            socket: 359,
            foreign_from: None,
        });
    } else if cfg!(target_arch = "aarch64") {
        abis.push(Abi {
            audit: 0x4000_0028,
            denied: DENIED.iter().filter_map(|row| row.2).chain(common()).collect(),
            clone: 120,
            clone_flags: 0,
            unshare: 337,
            socket: 281,
            foreign_from: None,
        });
    }
    abis
}

/// `AUDIT_ARCH_*`: the ELF machine, 64 bit, little-endian.
const fn native_audit() -> u32 {
    #[cfg(target_arch = "x86_64")]
    return 0xC000_003E;
    #[cfg(target_arch = "aarch64")]
    return 0xC000_00B7;
    #[cfg(target_arch = "riscv64")]
    return 0xC000_00F3;
    #[cfg(target_arch = "s390x")]
    return 0x8000_0016;
    #[cfg(target_arch = "powerpc64")]
    return if cfg!(target_endian = "little") { 0xC000_0015 } else { 0x8000_0015 };
}

/// The whole program: by architecture, then by call. An architecture that is not listed gets ENOSYS for everything.
pub(super) fn program() -> Vec<libc::sock_filter> {
    let mut code = vec![load(4)];
    for abi in abis() {
        let section = abi.program();
        code.push(libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 1,
            jf: 0,
            k: abi.audit,
        });
        let length = u32::try_from(section.len()).expect("a section is a hundred statements long");
        code.push(statement(libc::BPF_JMP | libc::BPF_JA, length));
        code.extend(section);
    }
    code.push(answer(ERRNO | ENOSYS));
    code
}

/// Installs the filter on this thread and what it starts. `no_new_privs` must be set.
pub(super) fn install() -> io::Result<()> {
    let program = program();
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let wanted = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program outlives the call, which copies it, and its length is told.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const wanted) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn verdict(arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number.to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend([0; 8]);
        arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
        let code = program();
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let statement = code[at];
            let operation = u32::from(statement.code);
            at += 1;
            let jump = |holds: bool| usize::from(if holds { statement.jt } else { statement.jf });
            match operation {
                0x20 => {
                    let from = statement.k as usize;
                    accumulator = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
                }
                0x06 => return statement.k,
                0x05 => at += statement.k as usize,
                0x15 => at += jump(accumulator == statement.k),
                0x35 => at += jump(accumulator >= statement.k),
                0x45 => at += jump(accumulator & statement.k != 0),
                other => panic!("unknown operation {other:#x}"),
            }
        }
    }

    #[test]
    fn calls_are_judged_on_every_abi() {
        for abi in abis() {
            for number in &abi.denied {
                assert_eq!(verdict(abi.audit, *number, [0; 6]), ERRNO | EPERM, "call {number}");
            }
            assert_eq!(verdict(abi.audit, CLONE3, [0; 6]), ERRNO | ENOSYS);
            let mut flags = [0; 6];
            flags[abi.clone_flags as usize] = 0x11;
            assert_eq!(verdict(abi.audit, abi.clone, flags), ALLOW);
            flags[abi.clone_flags as usize] |= libc::CLONE_NEWUSER as u64;
            assert_eq!(verdict(abi.audit, abi.clone, flags), ERRNO | EPERM);
            assert_eq!(verdict(abi.audit, abi.unshare, [libc::CLONE_FILES as u64, 0, 0, 0, 0, 0]), ALLOW);
            assert_eq!(
                verdict(abi.audit, abi.unshare, [libc::CLONE_NEWNS as u64, 0, 0, 0, 0, 0]),
                ERRNO | EPERM
            );
            let socket = |family: i32, protocol: u64| {
                verdict(abi.audit, abi.socket, [family as u64, 1, protocol, 0, 0, 0])
            };
            for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
                assert_eq!(socket(family, 0), ALLOW);
            }
            assert_eq!(socket(libc::AF_NETLINK, 0), ALLOW);
            assert_eq!(socket(libc::AF_NETLINK, 9), ERRNO | EAFNOSUPPORT);
            for family in [libc::AF_ALG, libc::AF_PACKET, libc::AF_VSOCK] {
                assert_eq!(socket(family, 0), ERRNO | EAFNOSUPPORT);
            }
        }
    }

    #[test]
    fn foreign_architectures_have_no_calls() {
        assert_eq!(verdict(0x1234, 1, [0; 6]), ERRNO | ENOSYS);
        if cfg!(target_arch = "x86_64") {
            assert_eq!(verdict(native_audit(), 0x4000_0000, [0; 6]), ERRNO | ENOSYS);
        }
    }

    #[test]
    fn ordinary_calls_pass() {
        for number in [libc::SYS_read, libc::SYS_execve, libc::SYS_ptrace, libc::SYS_personality] {
            assert_eq!(verdict(native_audit(), number as u32, [0; 6]), ALLOW);
        }
    }
}
