//! For which machine a program was made, read from the first bytes of its file (ELF).

/// What a program's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// `x86_64`, `aarch64`, …; the number in hexadecimal for those that have no name here.
    pub(crate) name: String,
    /// It is a program of 32 bits.
    pub(crate) narrow: bool,
}

impl Machine {
    /// Reads a header; `None` for what is no ELF file.
    pub(crate) fn read(bytes: &[u8]) -> Option<Machine> {
        if !bytes.starts_with(b"\x7fELF") {
            return None;
        }
        let narrow = *bytes.get(4)? == 1;
        let (low, high) = match *bytes.get(5)? {
            1 => (*bytes.get(18)?, *bytes.get(19)?),
            _ => (*bytes.get(19)?, *bytes.get(18)?),
        };
        let number = u16::from_le_bytes([low, high]);
        let name = match number {
            3 => "i386",
            21 => "ppc64",
            22 => "s390x",
            40 => "arm",
            62 => "x86_64",
            183 => "aarch64",
            243 => "riscv64",
            258 => "loongarch64",
            other => return Some(Machine { name: format!("{other:#x}"), narrow }),
        };
        Some(Machine { name: name.to_owned(), narrow })
    }

    /// True when its programs run on this machine without an emulator.
    pub(crate) fn runs_here(&self) -> bool {
        let here = std::env::consts::ARCH;
        self.name == here || (here == "x86_64" && self.name == "i386")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_the_machine() {
        let header = |class: u8, order: u8, machine: [u8; 2]| {
            let mut bytes = b"\x7fELF".to_vec();
            bytes.extend([class, order, 1, 0]);
            bytes.resize(18, 0);
            bytes.extend(machine);
            Machine::read(&bytes).unwrap()
        };
        assert_eq!(header(2, 1, [62, 0]).name, "x86_64");
        assert_eq!(header(1, 1, [3, 0]), Machine { name: "i386".to_owned(), narrow: true });
        assert_eq!(header(2, 2, [0, 22]).name, "s390x");
        assert!(!header(2, 2, [0, 22]).runs_here());
        assert_eq!(Machine::read(b"#!/bin/sh\n"), None);
        assert_eq!(Machine::read(b"\x7fELF\x02"), None);
    }
}
