//! Reading a built wheel (PEP 427, the binary distribution format) as the hostile file that it may be: its
//! metadata, and a list of what is wrong with it. Nothing is unpacked here; a problem is a value, not an error.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Read, Seek},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use wheeltapper_core::{ProjectName, Version};
use zip::ZipArchive;

use crate::{
    DistributionName, Error, Limits, Result, WheelName,
    unpack::{Bounded, file_name, open_zip},
};

/// Largest member that is read into memory, in bytes.
const LARGEST_MEMBER: u64 = 256 << 20;

/// A wheel that could be opened: a zip archive with one `.dist-info` folder and a sound file name.
pub struct Wheel {
    archive: ZipArchive<io::BufReader<fs::File>>,
    filename: String,
    name: WheelName,
    dist_info: String,
    packed: u64,
    members: Vec<Member>,
}

/// One entry of a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As packed, where that is UTF-8; else with replacement characters and named as a problem.
    pub path: String,
    /// Unpacked bytes, as the archive claims.
    pub size: u64,
    /// Unix mode with the file type, 0 where the archive does not say.
    pub mode: u32,
    raw: Vec<u8>,
}

/// Something wrong with a wheel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum WheelProblem {
    /// A required member (METADATA, WHEEL, RECORD) is not there.
    Missing(String),
    /// A member cannot be read or parsed; path and reason.
    Unreadable(String, String),
    /// METADATA, or the `.dist-info` folder, claims another project.
    OtherName(String),
    /// METADATA, or the `.dist-info` folder, claims another version.
    OtherVersion(String),
    /// A path that leads out of the folder it is unpacked into.
    Escapes(String),
    /// A path that is not UTF-8.
    NotUtf8(String),
    /// A symbolic link, device or FIFO.
    NotAFile(String),
    /// The same path twice.
    Twice(String),
    /// A member that RECORD does not list.
    NotRecorded(String),
    /// RECORD lists what is not there.
    RecordedAndMissing(String),
    /// RECORD's hash is not the member's.
    WrongHash(String),
    /// RECORD's size is not the member's.
    WrongSize(String),
    /// RECORD has no hash, or one weaker than SHA-256, for a member.
    WeakHash(String),
    /// A line of RECORD that is none; its number.
    BadRecordLine(usize),
    /// The tags of the file name and of WHEEL differ.
    TagsDiffer {
        /// Of the file name.
        filename: Vec<String>,
        /// Of WHEEL.
        wheel: Vec<String>,
    },
    /// A wheel for every platform holds native code.
    NativeCodeInPure(String),
}

impl WheelProblem {
    /// The finding's id, as `outcomes` spells such words.
    pub fn id(&self) -> &'static str {
        match self {
            WheelProblem::OtherName(_) | WheelProblem::OtherVersion(_) => "wrong-name-or-version",
            WheelProblem::TagsDiffer { .. } | WheelProblem::NativeCodeInPure(_) => "bad-wheel-tag",
            WheelProblem::Missing(_) | WheelProblem::Unreadable(..) => "invalid-metadata",
            WheelProblem::Escapes(_) | WheelProblem::NotAFile(_) => "path-escape",
            WheelProblem::NotUtf8(_)
            | WheelProblem::Twice(_)
            | WheelProblem::NotRecorded(_)
            | WheelProblem::RecordedAndMissing(_)
            | WheelProblem::WrongHash(_)
            | WheelProblem::WrongSize(_)
            | WheelProblem::WeakHash(_)
            | WheelProblem::BadRecordLine(_) => "bad-record",
        }
    }

    /// Whether the wheel must not be installed at all: it attacks the installer, or is another's.
    pub fn is_hostile(&self) -> bool {
        matches!(
            self,
            WheelProblem::Escapes(_)
                | WheelProblem::NotAFile(_)
                | WheelProblem::OtherName(_)
                | WheelProblem::OtherVersion(_)
        )
    }
}

impl fmt::Display for WheelProblem {
    /// A sentence without its full stop. Paths are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &str| path.escape_debug().take(200).collect::<String>();
        match self {
            WheelProblem::Missing(path) => write!(f, "the wheel has no {}", shown(path)),
            WheelProblem::Unreadable(path, reason) => {
                write!(f, "`{}` cannot be read: {}", shown(path), shown(reason))
            }
            WheelProblem::OtherName(name) => write!(f, "the wheel claims to be project `{}`", shown(name)),
            WheelProblem::OtherVersion(version) => {
                write!(f, "the wheel claims to be version `{}`", shown(version))
            }
            WheelProblem::Escapes(path) => write!(f, "`{}` leads out of the wheel", shown(path)),
            WheelProblem::NotUtf8(path) => write!(f, "`{}` is a name that is not UTF-8", shown(path)),
            WheelProblem::NotAFile(path) => write!(f, "`{}` is a link or a device", shown(path)),
            WheelProblem::Twice(path) => write!(f, "`{}` is packed twice", shown(path)),
            WheelProblem::NotRecorded(path) => write!(f, "RECORD does not list `{}`", shown(path)),
            WheelProblem::RecordedAndMissing(path) => {
                write!(f, "RECORD lists `{}`, which is not there", shown(path))
            }
            WheelProblem::WrongHash(path) => write!(f, "RECORD has another hash for `{}`", shown(path)),
            WheelProblem::WrongSize(path) => write!(f, "RECORD has another size for `{}`", shown(path)),
            WheelProblem::WeakHash(path) => {
                write!(f, "RECORD has no hash as strong as SHA-256 for `{}`", shown(path))
            }
            WheelProblem::BadRecordLine(line) => write!(f, "line {line} of RECORD is none"),
            WheelProblem::TagsDiffer { filename, wheel } => {
                write!(f, "the file name says {}, WHEEL says {}", filename.join(" "), shown(&wheel.join(" ")))
            }
            WheelProblem::NativeCodeInPure(path) => {
                write!(f, "`{}` is native code in a wheel for every platform", shown(path))
            }
        }
    }
}

impl Wheel {
    /// Opens a wheel by its file name, which must be one (PEP 427).
    ///
    /// # Errors
    /// `Filename`, `Archive` where it is no zip archive or has no single `.dist-info`, `Io`.
    pub fn open(path: &Path, limits: &Limits) -> Result<Wheel> {
        Wheel::open_as(path, &file_name(path), limits)
    }

    /// Opens a wheel that is stored under another name than its own.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_as(path: &Path, filename: &str, limits: &Limits) -> Result<Wheel> {
        let filename = filename.to_owned();
        let name = match DistributionName::guess(&filename)? {
            DistributionName::Wheel(name) => name,
            DistributionName::Sdist { .. } => return Err(Error::Filename(filename)),
        };
        let file = fs::File::open(path).map_err(Error::io("open", path))?;
        let packed = file.metadata().map_err(Error::io("read", path))?.len();
        let mut archive = open_zip(io::BufReader::with_capacity(1 << 16, file), &filename)?;
        if archive.len() as u64 > limits.entries {
            return Err(Error::archive(filename, format!("it has more than {} entries", limits.entries)));
        }
        let mut members = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            let entry = archive
                .by_index_raw(index)
                .map_err(|error| Error::archive(&filename, format!("entry {index}: {error}")))?;
            let raw = entry.name_raw().to_vec();
            members.push(Member {
                path: String::from_utf8_lossy(&raw).into_owned(),
                size: entry.size(),
                mode: entry.unix_mode().unwrap_or(0),
                raw,
            });
        }
        let dist_info = dist_info(members.iter().map(|member| member.path.as_str()), &filename)?;
        Ok(Wheel { archive, filename, name, dist_info, packed, members })
    }

    /// The file name taken apart.
    pub fn name(&self) -> &WheelName {
        &self.name
    }

    /// The `.dist-info` folder's name.
    pub fn dist_info(&self) -> &str {
        &self.dist_info
    }

    /// Every entry, in the order of the archive's directory; folders end in `/`.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member's bytes, at most 256 MiB; `None` where there is none.
    ///
    /// # Errors
    /// `Archive` where it cannot be unpacked or is larger.
    pub fn read(&mut self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.members.iter().rposition(|member| member.path == path) {
            Some(index) => read_member(&mut self.archive, index, &self.filename, LARGEST_MEMBER).map(Some),
            None => Ok(None),
        }
    }

    /// A file of `.dist-info`: `METADATA`, `WHEEL`, `RECORD`, `entry_points.txt` …
    ///
    /// # Errors
    /// As `read`.
    pub fn read_info(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = format!("{}/{name}", self.dist_info);
        self.read(&path)
    }

    /// Everything that is wrong with the wheel, sorted, measured against the project and version asked for.
    /// Reads all of it.
    ///
    /// # Errors
    /// `Archive` where it unpacks to more than the limits allow.
    pub fn check(
        &mut self,
        project: &ProjectName,
        version: &Version,
        limits: &Limits,
    ) -> Result<Vec<WheelProblem>> {
        let mut problems = BTreeSet::new();
        self.check_identity(project, version, &mut problems);
        self.check_tags(&mut problems);
        let record = self.record(&mut problems);
        let mut left = Bounded::new(io::empty(), self.packed, limits);
        let mut seen = BTreeSet::new();
        let signatures =
            ["RECORD", "RECORD.jws", "RECORD.p7s"].map(|name| format!("{}/{name}", self.dist_info));
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let path = member.path.clone();
            if std::str::from_utf8(&member.raw).is_err() {
                problems.insert(WheelProblem::NotUtf8(path.clone()));
            }
            if escapes(&path) {
                problems.insert(WheelProblem::Escapes(path.clone()));
            }
            if !matches!(member.mode & 0o170000, 0 | 0o100000 | 0o040000) {
                problems.insert(WheelProblem::NotAFile(path.clone()));
            }
            if !seen.insert(path.clone()) {
                problems.insert(WheelProblem::Twice(path.clone()));
            }
            if path.ends_with('/') {
                continue;
            }
            let recorded = record.as_ref().and_then(|record| record.get(&path));
            let (algorithm, promised) =
                recorded.and_then(|(hash, _)| hash.split_once('=')).unwrap_or(("", ""));
            let (digest, size, start) = match hash_member(&mut self.archive, index, algorithm, &mut left) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                    return Err(Error::archive(
                        &self.filename,
                        "it unpacks to more than the limit (an archive bomb)",
                    ));
                }
                Err(error) => {
                    problems.insert(WheelProblem::Unreadable(path, error.to_string()));
                    continue;
                }
            };
            if self.name.is_pure() && is_native(&start, &path) {
                problems.insert(WheelProblem::NativeCodeInPure(path.clone()));
            }
            if record.is_none() || signatures.contains(&path) {
                continue;
            }
            let Some((_, recorded_size)) = recorded else {
                problems.insert(WheelProblem::NotRecorded(path));
                continue;
            };
            if recorded_size.is_some_and(|recorded| recorded != size) {
                problems.insert(WheelProblem::WrongSize(path.clone()));
            }
            match digest {
                Some(found) if found == promised.trim_end_matches('=') => {}
                Some(_) => drop(problems.insert(WheelProblem::WrongHash(path))),
                None => drop(problems.insert(WheelProblem::WeakHash(path))),
            }
        }
        for path in record.iter().flat_map(BTreeMap::keys) {
            if escapes(path) {
                problems.insert(WheelProblem::Escapes(path.clone()));
            } else if !seen.contains(path) && !signatures.contains(path) {
                problems.insert(WheelProblem::RecordedAndMissing(path.clone()));
            }
        }
        Ok(problems.into_iter().collect())
    }

    fn check_identity(
        &mut self,
        project: &ProjectName,
        version: &Version,
        problems: &mut BTreeSet<WheelProblem>,
    ) {
        let folder = self.dist_info.trim_end_matches(".dist-info").to_owned();
        let (name, said) = folder.rsplit_once('-').unwrap_or((folder.as_str(), ""));
        let mut claims = vec![
            (self.name.project.to_string(), self.name.version.to_string()),
            (name.to_owned(), said.replace('_', "-")),
        ];
        if let Some(metadata) = self.required("METADATA", problems) {
            let headers = headers(&metadata);
            let first = |wanted: &str| {
                headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
            };
            match (first("name"), first("version")) {
                (Some(name), Some(version)) => claims.push((name, version)),
                _ => {
                    let reason = "it has no Name or no Version".to_owned();
                    problems.insert(WheelProblem::Unreadable("METADATA".to_owned(), reason));
                }
            }
        }
        for (name, said) in claims {
            if name.parse::<ProjectName>().ok().as_ref() != Some(project) {
                problems.insert(WheelProblem::OtherName(name));
            }
            if said.parse::<Version>().ok().as_ref() != Some(version) {
                problems.insert(WheelProblem::OtherVersion(said));
            }
        }
    }

    fn check_tags(&mut self, problems: &mut BTreeSet<WheelProblem>) {
        let Some(wheel) = self.required("WHEEL", problems) else { return };
        let mut said: Vec<String> = Vec::new();
        for (_, value) in headers(&wheel).into_iter().filter(|(name, _)| name == "tag") {
            // A tag may be compressed here too.
            let [python, abi, platform] = match value.split('-').collect::<Vec<_>>().as_slice() {
                [python, abi, platform] => [*python, *abi, *platform].map(str::to_owned),
                _ => {
                    problems
                        .insert(WheelProblem::Unreadable("WHEEL".to_owned(), format!("the tag `{value}`")));
                    continue;
                }
            };
            for python in python.split('.') {
                for abi in abi.split('.') {
                    for platform in platform.split('.') {
                        if said.len() < 10_000 {
                            said.push(format!("{python}-{abi}-{platform}"));
                        }
                    }
                }
            }
        }
        let mut named = self.name.tags();
        named.sort();
        said.sort();
        said.dedup();
        if named != said {
            problems.insert(WheelProblem::TagsDiffer { filename: named, wheel: said });
        }
    }

    fn record(
        &mut self,
        problems: &mut BTreeSet<WheelProblem>,
    ) -> Option<BTreeMap<String, (String, Option<u64>)>> {
        let text = self.required("RECORD", problems)?;
        let mut rows = BTreeMap::new();
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match csv_line(line).as_slice() {
                [path, hash, size] if size.is_empty() || size.parse::<u64>().is_ok() => {
                    rows.insert(path.clone(), (hash.clone(), size.parse().ok()));
                }
                _ => drop(problems.insert(WheelProblem::BadRecordLine(at + 1))),
            }
        }
        Some(rows)
    }

    fn required(&mut self, name: &str, problems: &mut BTreeSet<WheelProblem>) -> Option<String> {
        match self.read_info(name) {
            Ok(Some(bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(None) => {
                problems.insert(WheelProblem::Missing(name.to_owned()));
                None
            }
            Err(error) => {
                problems.insert(WheelProblem::Unreadable(name.to_owned(), error.to_string()));
                None
            }
        }
    }
}

/// METADATA of a wheel that is read through anything that can seek.
pub(crate) fn metadata_of(
    reader: impl Read + Seek,
    filename: &str,
    distribution: &DistributionName,
) -> Result<Vec<u8>> {
    let mut archive = open_zip(reader, filename)?;
    let names: Vec<_> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let folder = dist_info(names.iter().map(String::as_str), filename)?;
    let claimed = folder.split('-').next().and_then(|name| name.parse::<ProjectName>().ok());
    if claimed.as_ref() != Some(distribution.project()) {
        return Err(Error::archive(filename, "its .dist-info is another project's"));
    }
    let index = archive
        .index_for_name(&format!("{folder}/METADATA"))
        .ok_or_else(|| Error::archive(filename, "it has no METADATA"))?;
    read_member(&mut archive, index, filename, crate::remote::LARGEST_METADATA)
}

/// The one `.dist-info` folder at the top.
fn dist_info<'a>(paths: impl Iterator<Item = &'a str>, filename: &str) -> Result<String> {
    let folders: BTreeSet<&str> = paths
        .filter_map(|path| path.split_once('/').map(|(top, _)| top))
        .filter(|top| top.ends_with(".dist-info"))
        .collect();
    let mut folders = folders.into_iter();
    match (folders.next(), folders.next()) {
        (Some(folder), None) => Ok(folder.to_owned()),
        (None, _) => Err(Error::archive(filename, "it has no .dist-info folder")),
        _ => Err(Error::archive(filename, "it has several .dist-info folders")),
    }
}

fn read_member<R: Read + Seek>(
    archive: &mut ZipArchive<R>,
    index: usize,
    filename: &str,
    limit: u64,
) -> Result<Vec<u8>> {
    let wrong = |error: &dyn fmt::Display| Error::archive(filename, format!("entry {index}: {error}"));
    let entry = archive.by_index(index).map_err(|error| wrong(&error))?;
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    if bytes.len() as u64 > limit {
        return Err(wrong(&format_args!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// The digest as RECORD spells it, where the algorithm is a strong one; bytes; the first bytes of a member.
fn hash_member(
    archive: &mut ZipArchive<io::BufReader<fs::File>>,
    index: usize,
    algorithm: &str,
    bound: &mut Bounded<io::Empty>,
) -> io::Result<(Option<String>, u64, Vec<u8>)> {
    let mut entry = archive.by_index(index).map_err(io::Error::other)?;
    let mut hasher: Option<Box<dyn sha2::digest::DynDigest>> = match algorithm {
        "sha256" => Some(Box::new(sha2::Sha256::default())),
        "sha384" => Some(Box::new(sha2::Sha384::default())),
        "sha512" => Some(Box::new(sha2::Sha512::default())),
        _ => None,
    };
    let (mut size, mut start) = (0, Vec::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = entry.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        let bytes = &buffer[..length];
        if !bound.spend(length as u64) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if let Some(hasher) = &mut hasher {
            hasher.update(bytes);
        }
        size += length as u64;
        if start.len() < 4 {
            start.extend_from_slice(&bytes[..length.min(4)]);
        }
    }
    Ok((hasher.map(|hasher| URL_SAFE_NO_PAD.encode(hasher.finalize())), size, start))
}

/// ELF and Mach-O wherever they are, Windows extension modules by name. Launchers (`.exe`), which installers
/// carry as data, are not counted.
fn is_native(start: &[u8], path: &str) -> bool {
    const MACH_O: [[u8; 4]; 4] = [
        [0xfe, 0xed, 0xfa, 0xce],
        [0xfe, 0xed, 0xfa, 0xcf],
        [0xce, 0xfa, 0xed, 0xfe],
        [0xcf, 0xfa, 0xed, 0xfe],
    ];
    start.starts_with(b"\x7fELF")
        || start.get(..4).is_some_and(|magic| MACH_O.iter().any(|known| known == magic))
        || (start.starts_with(b"MZ")
            && [".pyd", ".dll"].iter().any(|end| path.to_ascii_lowercase().ends_with(end)))
}

fn escapes(path: &str) -> bool {
    let drive = path.as_bytes().get(1) == Some(&b':');
    path.starts_with(['/', '\\'])
        || drive
        || path.contains('\0')
        || path.split(['/', '\\']).any(|part| part == "..")
}

/// Headers of an e-mail-like text, names in lower case, up to the first empty line; folded lines are joined.
pub(crate) fn headers(text: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    headers
}

/// One line of comma-separated values with double quotes.
fn csv_line(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(character) = characters.next() {
        let field = fields.last_mut().expect("there is always a field");
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests;
