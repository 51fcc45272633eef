//! Slots as a crew: threads that take tasks and bring them back. A task that never comes back is given up after a time,
//! and with it its slot; it cannot hold the end. Knows nothing of cells.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// What a slot does with a task.
pub(super) type Work<T, R> = Arc<dyn Fn(usize, T) -> R + Send + Sync>;

/// What came of a task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Returned<R> {
    /// The work's answer, with the task's tag.
    Done(u64, R),
    /// It took too long and is given up, with the task's tag; its slot is lost.
    Hung(u64),
}

/// Threads that take tasks.
pub(super) struct Crew<T, R> {
    slots: Vec<Slot<T>>,
    returns: Receiver<(usize, R)>,
    longest: Duration,
}

struct Slot<T> {
    tasks: Sender<T>,
    busy: Option<(u64, Instant)>,
    lost: bool,
}

impl<T: Send + 'static, R: Send + 'static> Crew<T, R> {
    /// So many slots; none may work on a task for longer than `longest`.
    pub(super) fn new(slots: usize, longest: Duration, work: &Work<T, R>) -> Self {
        let (sender, returns) = mpsc::channel();
        let slots = (0..slots).filter_map(|number| {
            let (tasks, receiver) = mpsc::channel::<T>();
            let (sender, work) = (sender.clone(), Arc::clone(work));
            let named = thread::Builder::new().name(format!("slot-{number}"));
            // Not joined: a thread that hangs ends with the process.
            named
                .spawn(move || {
                    for task in receiver {
                        if sender.send((number, work(number, task))).is_err() {
                            return;
                        }
                    }
                })
                .ok()?;
            Some(Slot { tasks, busy: None, lost: false })
        });
        Crew { slots: slots.collect(), returns, longest }
    }

    /// Gives a task to an idle slot; gives it back when there is none.
    pub(super) fn give(&mut self, tag: u64, task: T) -> Result<(), T> {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.busy.is_none() && !slot.lost) else {
            return Err(task);
        };
        slot.tasks.send(task).map_err(|returned| returned.0)?;
        slot.busy = Some((tag, Instant::now()));
        Ok(())
    }

    /// How many slots could take a task now.
    pub(super) fn idle(&self) -> usize {
        self.slots.iter().filter(|slot| slot.busy.is_none() && !slot.lost).count()
    }

    /// How many slots work.
    pub(super) fn busy(&self) -> usize {
        self.slots.iter().filter(|slot| slot.busy.is_some()).count()
    }

    /// True when every slot is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.slots.iter().all(|slot| slot.lost)
    }

    /// What comes back within this time.
    pub(super) fn wait(&mut self, at_most: Duration) -> Option<Returned<R>> {
        match self.returns.recv_timeout(at_most) {
            Ok((number, answer)) => {
                // What a lost slot brings at last has been given up.
                let (tag, _) = self.slots[number].busy.take()?;
                Some(Returned::Done(tag, answer))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                let longest = self.longest;
                let hung = self
                    .slots
                    .iter_mut()
                    .find(|slot| slot.busy.as_ref().is_some_and(|(_, since)| since.elapsed() >= longest))?;
                hung.lost = true;
                hung.busy.take().map(|(tag, _)| Returned::Hung(tag))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_task_that_hangs_does_not_hold_the_end() {
        let (_never, forever) = mpsc::channel::<()>();
        let forever = Mutex::new(forever);
        let work: Work<u32, u32> = Arc::new(move |_, task| {
            if task == 0 {
                let _ = forever.lock().unwrap().recv();
            }
            task * 2
        });
        let mut crew = Crew::new(2, Duration::ZERO, &work);
        crew.give(7, 0).unwrap();
        let mut returned = Vec::new();
        while returned.is_empty() {
            returned.extend(crew.wait(Duration::from_millis(1)));
        }
        assert_eq!(returned, [Returned::Hung(7)]);
        assert_eq!((crew.idle(), crew.busy(), crew.is_lost()), (1, 0, false));
        // The other slot goes on.
        crew.longest = Duration::from_secs(3600);
        crew.give(8, 21).unwrap();
        assert_eq!(crew.give(9, 1), Err(1));
        let mut back = None;
        while back.is_none() {
            back = crew.wait(Duration::from_millis(50));
        }
        assert_eq!(back, Some(Returned::Done(8, 42)));
    }
}
