//! Whose turn it is: most commands run beside each other, some want the machine for themselves.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What else of this farm may run while a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Anything.
    Any,
    /// Nothing.
    None,
}

/// Lets commands run beside each other, and one by itself where that is asked for: it waits for the others to end, and they
/// for it.
#[derive(Debug, Default)]
pub struct Turns(RwLock<()>);

/// Held while a command runs.
pub(crate) enum Turn<'t> {
    Shared { _lock: RwLockReadGuard<'t, ()> },
    Own { _lock: RwLockWriteGuard<'t, ()> },
}

impl Turns {
    /// Waits until a command may run in this company; it does while what is returned is held.
    pub(crate) fn take(&self, company: Company) -> Turn<'_> {
        match company {
            Company::Any => Turn::Shared { _lock: self.0.read().unwrap_or_else(PoisonError::into_inner) },
            Company::None => Turn::Own { _lock: self.0.write().unwrap_or_else(PoisonError::into_inner) },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn who_wants_the_machine_waits_for_the_others() {
        let turns = Turns::default();
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            let (one, other) = (turns.take(Company::Any), turns.take(Company::Any));
            scope.spawn(|| {
                let _turn = turns.take(Company::None);
                sender.send(()).expect("somebody listens");
            });
            assert!(receiver.try_recv().is_err(), "it ran beside two others");
            drop((one, other));
            receiver.recv().expect("its turn came");
        });
        let _again = turns.take(Company::Any);
    }
}
