//! The symbols that an ELF shared object wants from others (its dynamic symbol table), read as the hostile bytes that they
//! are. Nothing else of the format; no other binary format.

/// Most symbols that are looked at.
const MOST: usize = 1_000_000;
/// The longest name that is taken, in bytes; longer ones are mangled C++.
const LONGEST: usize = 256;

/// `SHT_DYNSYM`, the section type of the dynamic symbol table (System V ABI, chapter 4).
const DYNAMIC_SYMBOLS: u32 = 11;

/// Where the fields are that are needed, in files of 32 and of 64 bits.
struct Layout {
    wide: bool,
    little: bool,
}

impl Layout {
    fn number(&self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let field = bytes.get(at..at.checked_add(size)?)?;
        let folded = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(match self.little {
            true => field.iter().rev().fold(0, folded),
            false => field.iter().fold(0, folded),
        })
    }

    /// A field of the size of an address: at one place in files of 32 bits, at another in those of 64.
    fn word(&self, bytes: &[u8], narrow: usize, wide: usize) -> Option<usize> {
        let (at, size) = if self.wide { (wide, 8) } else { (narrow, 4) };
        self.number(bytes, at, size)?.try_into().ok()
    }
}

/// `PT_INTERP`, the segment that names a program's loader (System V ABI, chapter 5).
const LOADER: u64 = 3;

/// True when a program's first bytes (some 4 KiB) name no loader: it wants no library of the system it runs on.
pub fn is_static(beginning: &[u8]) -> bool {
    let segments = || {
        let wide = *beginning.get(4)? == 2;
        let layout = Layout { wide, little: *beginning.get(5)? == 1 };
        let table = layout.word(beginning, 0x1c, 0x20)?;
        let at = if wide { 0x36 } else { 0x2a };
        let size = usize::try_from(layout.number(beginning, at, 2)?).ok()?;
        let count = usize::try_from(layout.number(beginning, at + 2, 2)?).ok()?;
        (0..count)
            .map(|index| layout.number(beginning, table.checked_add(index.checked_mul(size)?)?, 4))
            .collect::<Option<Vec<u64>>>()
    };
    beginning.starts_with(b"\x7fELF") && segments().is_some_and(|kinds| !kinds.contains(&LOADER))
}

/// The names of undefined dynamic symbols, in the order of the table; `None` where the bytes are no ELF file that has a
/// sound table of them.
pub fn undefined_symbols(file: &[u8]) -> Option<Vec<&str>> {
    if !file.starts_with(b"\x7fELF") {
        return None;
    }
    let layout = Layout { wide: *file.get(4)? == 2, little: *file.get(5)? == 1 };
    let table = layout.word(file, 0x20, 0x28)?;
    let (size, count) = if layout.wide { (0x3a, 0x3c) } else { (0x2e, 0x30) };
    let size = usize::try_from(layout.number(file, size, 2)?).ok()?;
    let count = usize::try_from(layout.number(file, count, 2)?).ok()?;
    let section = |index: usize| file.get(table.checked_add(index.checked_mul(size)?)?..)?.get(..size);
    let content = |header: &[u8]| {
        let (start, length) = (layout.word(header, 0x10, 0x18)?, layout.word(header, 0x14, 0x20)?);
        file.get(start..start.checked_add(length)?)
    };
    let dynamic = (0..count)
        .filter_map(section)
        .find(|header| layout.number(header, 4, 4) == Some(u64::from(DYNAMIC_SYMBOLS)))?;
    let link = usize::try_from(layout.number(dynamic, if layout.wide { 0x28 } else { 0x18 }, 4)?).ok()?;
    let names = content(section(link)?)?;
    let symbols = content(dynamic)?.chunks_exact(if layout.wide { 24 } else { 16 }).take(MOST);
    let undefined = symbols.filter(|symbol| {
        let section = if layout.wide { 6 } else { 14 };
        layout.number(symbol, section, 2) == Some(0)
    });
    Some(
        undefined
            .filter_map(|symbol| {
                let start = usize::try_from(layout.number(symbol, 0, 4)?).ok()?;
                let name = names.get(start..)?;
                let end = name.iter().take(LONGEST).position(|byte| *byte == 0)?;
                std::str::from_utf8(&name[..end]).ok().filter(|name| !name.is_empty())
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object with these symbols: a header, the symbols, their names, and three section headers.
    fn object(wide: bool, little: bool, symbols: &[(&str, bool)]) -> Vec<u8> {
        let number = |value: usize, size: usize| -> Vec<u8> {
            let bytes = (value as u64).to_le_bytes()[..size].to_vec();
            if little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let put = |into: &mut Vec<u8>, at: usize, value: usize, size: usize| {
            into[at..at + size].copy_from_slice(&number(value, size));
        };
        let (mut names, mut table) = (vec![0], Vec::new());
        for (name, defined) in symbols {
            let mut symbol = vec![0; if wide { 24 } else { 16 }];
            put(&mut symbol, 0, names.len(), 4);
            put(&mut symbol, if wide { 6 } else { 14 }, usize::from(*defined), 2);
            names.extend(name.bytes().chain([0]));
            table.extend(symbol);
        }
        let header = if wide { 64 } else { 52 };
        let size = if wide { 64 } else { 40 };
        let section = |kind: usize, start: usize, length: usize, link: usize| {
            let mut section = vec![0; size];
            put(&mut section, 4, kind, 4);
            let word = if wide { 8 } else { 4 };
            put(&mut section, if wide { 0x18 } else { 0x10 }, start, word);
            put(&mut section, if wide { 0x20 } else { 0x14 }, length, word);
            put(&mut section, if wide { 0x28 } else { 0x18 }, link, 4);
            section
        };
        let mut file = vec![0; header];
        file[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 2 - u8::from(little)]);
        let end = header + table.len() + names.len();
        put(&mut file, if wide { 0x28 } else { 0x20 }, end, if wide { 8 } else { 4 });
        put(&mut file, if wide { 0x3a } else { 0x2e }, size, 2);
        put(&mut file, if wide { 0x3c } else { 0x30 }, 3, 2);
        let (symbols, strings) = (table.len(), names.len());
        file.extend(table);
        file.extend(names);
        file.extend(section(0, 0, 0, 0));
        file.extend(section(11, header, symbols, 2));
        file.extend(section(3, header + symbols, strings, 0));
        file
    }

    #[test]
    fn undefined_symbols_of_every_shape_of_file_are_named() {
        for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
            let file = object(wide, little, &[("", false), ("PyList_New", false), ("PyInit_a", true)]);
            assert_eq!(undefined_symbols(&file), Some(vec!["PyList_New"]), "{wide} {little}");
        }
    }

    #[test]
    fn whatever_is_cut_or_changed_is_no_panic() {
        let file = object(true, true, &[("PyList_New", false)]);
        for end in 0..file.len() {
            let _ = undefined_symbols(&file[..end]);
        }
        for at in 0..file.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = file.clone();
                changed[at] = byte;
                let _ = undefined_symbols(&changed);
            }
        }
        assert_eq!(undefined_symbols(b"MZ"), None);
    }
}
