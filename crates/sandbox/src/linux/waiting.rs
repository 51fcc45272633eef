//! How long a run waited for a processor that others had, from what the kernel keeps of each of its threads
//! (`/proc/<tid>/schedstat`). A lower bound: threads that come and go between two looks are not seen.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

/// How often threads are looked at.
const EVERY: Duration = Duration::from_millis(200);

/// The most threads that are looked at.
const MOST_THREADS: usize = 256;

/// What was seen so far.
pub(super) struct Waiting {
    looked: Instant,
    /// CPU time that the run had used by then.
    cpu: Duration,
    /// What each thread had waited by then.
    known: BTreeMap<i32, Duration>,
    total: Duration,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Waiting { looked: Instant::now(), cpu: Duration::ZERO, known: BTreeMap::new(), total: Duration::ZERO }
    }

    /// Time in which a thread of the run was ready and did not run, not counting what the run's own threads kept each other
    /// waiting.
    pub(super) const fn total(&self) -> Duration {
        self.total
    }

    /// True when it is time to look again.
    pub(super) fn is_due(&self) -> bool {
        self.looked.elapsed() >= EVERY
    }

    /// Looks at the threads that there are now; `cpu` is what the run has used by now.
    pub(super) fn look(&mut self, threads: &[i32], cpu: Duration) {
        let now = Instant::now();
        let waited: BTreeMap<i32, Duration> =
            threads.iter().take(MOST_THREADS).filter_map(|thread| Some((*thread, delay(*thread)?))).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.total += stolen(
            &self.known,
            &waited,
            now.duration_since(self.looked),
            cpu.saturating_sub(self.cpu),
            processors,
        );
        (self.looked, self.cpu, self.known) = (now, cpu, waited);
    }
}

/// What the thread that waited longest in this time waited, less what the run's own use of all processors explains.
fn stolen(
    before: &BTreeMap<i32, Duration>,
    after: &BTreeMap<i32, Duration>,
    time: Duration,
    cpu: Duration,
    processors: usize,
) -> Duration {
    let longest = after
        .iter()
        .map(|(thread, waited)| waited.saturating_sub(before.get(thread).copied().unwrap_or_default()))
        .max()
        .unwrap_or_default();
    let own = cpu / u32::try_from(processors).unwrap_or(u32::MAX);
    longest.min(time.saturating_sub(own))
}

/// How long a thread has waited for a processor, the second number of its `schedstat`.
fn delay(thread: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{thread}/schedstat")).ok()?;
    text.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_took_counts() {
        let waited = |pairs: &[(i32, u64)]| -> BTreeMap<i32, Duration> {
            pairs.iter().map(|(thread, millis)| (*thread, Duration::from_millis(*millis))).collect()
        };
        let (before, after) = (waited(&[(1, 100), (2, 0)]), waited(&[(1, 150), (2, 70), (3, 10)]));
        let of = |cpu| {
            let cpu = Duration::from_millis(cpu);
            stolen(&before, &after, Duration::from_millis(100), cpu, 2).as_millis()
        };
        assert_eq!(of(30), 70, "one thread that had a third of one processor");
        assert_eq!(of(200), 0, "its own threads had both processors");
        assert_eq!(of(120), 40);
        assert_eq!(stolen(&after, &after, Duration::from_millis(100), Duration::ZERO, 2), Duration::ZERO);
    }

    #[test]
    fn the_kernel_tells_of_this_thread() {
        assert!(
            delay(std::process::id() as i32).is_some()
                || !std::path::Path::new("/proc/self/schedstat").exists()
        );
    }
}
