//! Logs of phases: small ones beside their result in the database, large ones as files named by their content.
//! A blob is on the disk, flushed and under its final name, before the transaction that refers to it.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use sqlx::Row;
use wheeltapper_core::{Phase, Sha256};

use crate::{Error, Store};

/// The folder of large logs below the data folder.
pub(crate) const BLOBS: &str = "blobs";
/// Texts longer than this, in bytes, become files.
const INLINE: usize = 256 * 1024;
/// zstd's own default: 6.5 x on logs, faster than they are printed.
pub(crate) const LEVEL: i32 = 3;
/// How an unfinished blob's name begins.
const UNFINISHED: &str = "incoming-";

/// A log ready to be referred to.
pub(crate) struct Packed {
    pub phase: Phase,
    pub bytes: i64,
    pub place: Place,
}

pub(crate) enum Place {
    Inline(Vec<u8>),
    Blob(Sha256),
}

impl Store {
    /// The log of one phase of a result, as it was printed, colours and all. None when that phase has none.
    /// A reused result answers with the log of the result that it repeats.
    ///
    /// # Errors
    /// [`Error::Blob`] when the text is gone or altered, or what SQLite says.
    pub async fn log(&self, result: &str, phase: Phase) -> Result<Option<Vec<u8>>, Error> {
        let row = sqlx::query(
            "SELECT log.data, log.blob FROM result
             JOIN log ON log.result = coalesce(result.log_owner, result.number)
             WHERE result.id = ? AND log.phase = ?",
        )
        .bind(result)
        .bind(phase.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        row.map(|row| self.unpack(result, &row)).transpose()
    }

    /// All logs of a result, by phase.
    ///
    /// # Errors
    /// As [`Store::log`].
    pub async fn logs(&self, result: &str) -> Result<BTreeMap<Phase, Vec<u8>>, Error> {
        let rows = sqlx::query(
            "SELECT log.data, log.blob, log.phase FROM result
             JOIN log ON log.result = coalesce(result.log_owner, result.number)
             WHERE result.id = ?",
        )
        .bind(result)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let phase: String = row.try_get(2).map_err(|source| self.fault(source))?;
            let phase = phase.parse().map_err(crate::error::unknown_word(result))?;
            Ok((phase, self.unpack(result, row)?))
        };
        rows.iter().map(read).collect()
    }

    fn unpack(&self, result: &str, row: &sqlx::sqlite::SqliteRow) -> Result<Vec<u8>, Error> {
        let fault = |source| self.fault(source);
        if let Some(data) = row.try_get::<Option<Vec<u8>>, _>(0).map_err(fault)? {
            return zstd::decode_all(data.as_slice()).map_err(|error| Error::unreadable(result, error));
        }
        let name: String = row.try_get(1).map_err(fault)?;
        let digest: Sha256 = name.parse().map_err(|error| Error::unreadable(result, error))?;
        let path = blob_path(&self.blobs, &digest);
        let bad = |reason: String| Error::Blob { path: path.clone(), reason };
        let file = std::fs::File::open(&path).map_err(|error| bad(error.to_string()))?;
        let text = zstd::decode_all(file).map_err(|error| bad(error.to_string()))?;
        if Sha256::of(&text) != digest {
            return Err(bad("its content is not what its name says".to_owned()));
        }
        Ok(text)
    }
}

/// Compresses the logs and writes the large ones. Blocking: compression and a disk flush.
pub(crate) fn pack(blobs: &Path, logs: BTreeMap<Phase, Vec<u8>>) -> Result<Vec<Packed>, Error> {
    let pack_one = |(phase, text): (Phase, Vec<u8>)| {
        let packed = zstd::bulk::compress(&text, LEVEL).map_err(|error| Error::folder(blobs, error))?;
        let bytes = text.len() as i64;
        if text.len() <= INLINE {
            return Ok(Packed { phase, bytes, place: Place::Inline(packed) });
        }
        let digest = Sha256::of(&text);
        let path = blob_path(blobs, &digest);
        write_blob(blobs, &path, &packed).map_err(|error| Error::folder(&path, error))?;
        Ok(Packed { phase, bytes, place: Place::Blob(digest) })
    };
    logs.into_iter().map(pack_one).collect()
}

fn blob_path(blobs: &Path, digest: &Sha256) -> PathBuf {
    let hex = digest.hex();
    blobs.join(&hex[..2]).join(format!("{}.zst", &hex[2..]))
}

fn write_blob(blobs: &Path, path: &Path, packed: &[u8]) -> std::io::Result<()> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    if path.exists() {
        return Ok(()); // The name is the content, and a name is only given to a whole file.
    }
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let unfinished = blobs.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
    let folder = path.parent().unwrap_or(blobs);
    std::fs::create_dir_all(folder)?;
    let written = (|| {
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(packed)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished); // It may never have been made; the first fault is the one to tell.
    }
    written?;
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Removes what killed processes left half-written: unfinished blobs that nobody has touched for a day.
pub(crate) fn remove_abandoned(blobs: &Path) {
    const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let Ok(entries) = std::fs::read_dir(blobs) else { return };
    for entry in entries.flatten() {
        let unfinished = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        let age = entry.metadata().and_then(|found| found.modified()).map(|time| time.elapsed());
        if unfinished && matches!(age, Ok(Ok(age)) if age > A_DAY) {
            let _ = std::fs::remove_file(entry.path()); // Housekeeping: the next opening tries again.
        }
    }
}
