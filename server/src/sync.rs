//! The locks between the writing thread and connections. In the tests of this crate a lock is also a place where another
//! thread of a schedule may go on, so that schedules can be tried, and where a task may panic; elsewhere it is a plain
//! one.

#[cfg(not(test))]
pub use parking_lot::Mutex;
#[cfg(test)]
pub use tried::Mutex;

#[cfg(test)]
pub(crate) mod tried {
    use std::cell::Cell;

    use parking_lot::MutexGuard;
    use shuttle::thread::yield_now;

    thread_local! {
        /// True while schedules are tried on this thread of the system.
        static TRYING: Cell<bool> = const { Cell::new(false) };
        /// The task that panics, and at which of the locks that it takes from now on.
        static PANIC: Cell<Option<(tokio::task::Id, u32)>> = const { Cell::new(None) };
    }

    /// Has a task of this thread of the system panic, once, when it has taken so many locks.
    pub(crate) fn panics_at(task: tokio::task::Id, lock: u32) {
        PANIC.set(Some((task, lock)));
    }

    /// True where the task has not panicked; it will not any more.
    pub(crate) fn panics_no_more() -> bool {
        PANIC.take().is_some()
    }

    fn may_panic() {
        let Some((task, left)) = PANIC.get().filter(|(task, _)| tokio::task::try_id() == Some(*task)) else {
            return;
        };
        PANIC.set((left > 1).then_some((task, left - 1)));
        assert!(left > 1, "on purpose, with a lock in its hands");
    }

    /// Has schedules tried on this thread of the system, or no more.
    pub(crate) fn trying(trying: bool) {
        TRYING.set(trying);
    }

    /// A lock before which others may go on.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(parking_lot::Mutex<T>);

    impl<T> Mutex<T> {
        /// A lock around a value.
        pub fn new(value: T) -> Mutex<T> {
            Mutex(parking_lot::Mutex::new(value))
        }

        /// What is locked, where nobody else has it.
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }

        /// Waits for the lock.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            if !TRYING.get() {
                let guard = self.0.lock();
                may_panic();
                return guard;
            }
            yield_now();
            loop {
                if let Some(guard) = self.0.try_lock() {
                    return guard;
                }
                yield_now();
            }
        }
    }
}
