//! What a command prints: read as it comes, kept up to a limit.

use std::{
    fs::File,
    io::{PipeReader, Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    time::Duration,
};

/// How long the output of a tree that was ended is waited for. Its pipe is closed by then, unless something got away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Collects into a log, in a thread of its own.
pub(super) struct Output {
    counted: Arc<Counted>,
    done: Receiver<()>,
}

#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    flooded: AtomicBool,
}

impl Output {
    /// Reads until the pipe's other end is closed everywhere; what comes after `most` bytes is thrown away.
    pub(super) fn collect(mut pipe: PipeReader, mut log: File, most: u64) -> Self {
        let counted = Arc::<Counted>::default();
        let counting = Arc::clone(&counted);
        let (sender, done) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = match pipe.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    Err(_) => break,
                };
                let room = most.saturating_sub(counting.bytes.load(Ordering::Relaxed));
                let taken = usize::try_from(room).unwrap_or(usize::MAX).min(length);
                // A full disk shortens the log; the run is not to blame.
                let _ = log.write_all(&buffer[..taken]);
                counting.bytes.fetch_add(taken as u64, Ordering::Relaxed);
                if taken < length {
                    counting.flooded.store(true, Ordering::Relaxed);
                }
            }
            // Nobody listens any more where it came too late.
            let _ = sender.send(());
        });
        Output { counted, done }
    }

    /// Bytes kept so far.
    pub(super) fn bytes(&self) -> u64 {
        self.counted.bytes.load(Ordering::Relaxed)
    }

    /// True once more was printed than is kept.
    pub(super) fn flooded(&self) -> bool {
        self.counted.flooded.load(Ordering::Relaxed)
    }

    /// Waits until all is read.
    pub(super) fn finish(&self) {
        let _ = self.done.recv_timeout(PATIENCE);
    }
}
