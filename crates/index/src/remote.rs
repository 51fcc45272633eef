//! Reading METADATA out of a wheel that is still at the index, by ranges: the archive's end first, then what
//! the archive's directory points at. A server without ranges sends the whole file, which works too.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

use crate::{Client, Error, File, Result, wheel};

/// Largest METADATA that is believed, in bytes.
pub(crate) const LARGEST_METADATA: u64 = 16 << 20;
/// Largest whole answer taken from a server that knows no ranges.
const LARGEST_WHOLE: u64 = 256 << 20;
/// What is asked for at once.
const STEP: u64 = 32 << 10;
/// A sound wheel needs three: the end, the directory, the member. A hostile one must not ask for ever.
const MOST_REQUESTS: usize = 12;

/// METADATA of a remote wheel.
pub(crate) async fn metadata(client: &Client, file: &File) -> Result<Bytes> {
    let (tail, total) = client.bytes(file, Some(format!("bytes=-{STEP}")), LARGEST_WHOLE).await?;
    let total = total.unwrap_or(tail.len() as u64);
    let mut window =
        Window { total, parts: vec![(total.saturating_sub(tail.len() as u64), tail)], at: 0, missing: None };
    for _ in 0..MOST_REQUESTS {
        window.at = 0;
        window.missing = None;
        match wheel::metadata_of(&mut window, &file.filename, &file.distribution) {
            Ok(found) => return Ok(found.into()),
            Err(error) => {
                let Some(start) = window.missing.take() else { return Err(error) };
                let next =
                    window.parts.iter().map(|(at, _)| *at).filter(|at| *at > start).min().unwrap_or(total);
                // A member may be longer than one step: ask for more each time.
                let length = STEP << window.parts.len().min(8);
                let end = next.min(start.saturating_add(length)).min(total);
                let range = format!("bytes={start}-{}", end.saturating_sub(1));
                let (bytes, ranged) = client.bytes(file, Some(range), LARGEST_WHOLE).await?;
                let start = if ranged.is_some() { start } else { 0 };
                if bytes.is_empty() {
                    break;
                }
                window.parts.push((start, bytes));
            }
        }
    }
    Err(Error::archive(&file.filename, "its directory cannot be read in parts"))
}

/// A file of which some parts are here; reading elsewhere fails and says where.
struct Window {
    total: u64,
    parts: Vec<(u64, Bytes)>,
    at: u64,
    missing: Option<u64>,
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.total || buffer.is_empty() {
            return Ok(0);
        }
        for (start, bytes) in &self.parts {
            let Some(offset) = self.at.checked_sub(*start).filter(|offset| *offset < bytes.len() as u64)
            else {
                continue;
            };
            let rest = &bytes[offset as usize..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.at += length as u64;
            return Ok(length);
        }
        self.missing = Some(self.at);
        Err(io::Error::other("this part is not here yet"))
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.total.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
