//! The threads that read what was committed: one for mailboxes that are behind, one for lists.
//!
//! They are apart so that a long list holds no mailbox up. A connection has at most one request with each.

use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::{Reader, RowId, Store, StoreError};
use crate::ids::IdKey;
use crate::mailbox::content::{Fetched, OwnedBody, OwnedContent};
use crate::store::{AccountId, Author, Kind, LogRow, Origin};

/// How many requests may wait for a thread.
const WAITING_MAX: usize = 16 * 1024;

/// Names for a LIST.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The names, with bars between them.
    pub names: String,
    /// True where there are more.
    pub more: bool,
}

/// What a LIST asks for.
#[derive(Clone, Debug)]
pub struct ListJob {
    /// The folded pattern; everybody where there is none.
    pub pattern: Option<String>,
    /// Only folded names above this one.
    pub after: String,
    /// How many bytes the answer may take.
    pub bytes_max: usize,
}

#[derive(Debug)]
struct FetchJob {
    account: AccountId,
    rows: Vec<RowId>,
    reply: oneshot::Sender<Result<Vec<Fetched>, StoreError>>,
}

/// The way to the threads.
#[derive(Clone, Debug)]
pub struct Readers {
    fetch: mpsc::Sender<Option<FetchJob>>,
    list: mpsc::Sender<Option<NamesJob>>,
}

type NamesJob = (ListJob, oneshot::Sender<Result<Page, StoreError>>);

/// The threads, which end when [`Readers::stop`] is called.
#[derive(Debug)]
pub struct ReaderThreads(Vec<JoinHandle<()>>);

impl Readers {
    /// Starts the threads on what `store` commits.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot be read from another thread.
    pub fn start(store: &dyn Store, ids: IdKey) -> Result<(Readers, ReaderThreads), StoreError> {
        let (fetch, mut fetches) = mpsc::channel::<Option<FetchJob>>(WAITING_MAX);
        let (list, mut lists) = mpsc::channel::<Option<NamesJob>>(WAITING_MAX);
        let (mut mail, mut names) = (store.reader()?, store.reader()?);
        let fetcher = spawn("bellhop-fetch", move || {
            while let Some(Some(job)) = fetches.blocking_recv() {
                let found = fetch_rows(&mut *mail, &ids, job.account, &job.rows);
                // Where nobody waits for it any longer, the connection is gone.
                let _ = job.reply.send(found);
            }
        })?;
        let lister = spawn("bellhop-list", move || {
            while let Some(Some((job, reply))) = lists.blocking_recv() {
                let _ = reply.send(list_names(&mut *names, &job));
            }
        })?;
        Ok((Readers { fetch, list }, ReaderThreads(vec![fetcher, lister])))
    }

    /// Asks for rows of an account's mailbox; `None` where too many wait already.
    pub fn fetch(
        &self,
        account: AccountId,
        rows: Vec<RowId>,
    ) -> Option<oneshot::Receiver<Result<Vec<Fetched>, StoreError>>> {
        let (reply, found) = oneshot::channel();
        self.fetch.try_send(Some(FetchJob { account, rows, reply })).ok().map(|()| found)
    }

    /// Asks for names; `None` where too many wait already.
    pub fn list(&self, job: ListJob) -> Option<oneshot::Receiver<Result<Page, StoreError>>> {
        let (reply, found) = oneshot::channel();
        self.list.try_send(Some((job, reply))).ok().map(|()| found)
    }

    /// Has the threads end after what was asked of them.
    pub async fn stop(&self) {
        // Where a thread has ended already, there is nobody to be told.
        let _ = self.fetch.send(None).await;
        let _ = self.list.send(None).await;
    }
}

impl ReaderThreads {
    /// Waits for the threads to end.
    pub fn join(self) {
        for thread in self.0 {
            if thread.join().is_err() {
                tracing::error!("a reading thread panicked");
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| StoreError::Fault(format!("cannot start a thread: {error}")))
}

fn fetch_rows(
    reader: &mut dyn Reader,
    ids: &IdKey,
    account: AccountId,
    rows: &[RowId],
) -> Result<Vec<Fetched>, StoreError> {
    let mut found = Vec::with_capacity(rows.len());
    let read = reader.rows(rows, &mut |row| {
        // Items are given in their order: beyond one that is not there nothing is of use, and whoever asked can tell
        // that it got nowhere. A row is somebody else's if it was dropped and a restart gave its number again.
        if rows.get(found.len()) == Some(&row.row) && row.account == account {
            found.push(fetched(ids, &row));
        }
    });
    match read {
        // What lies before the damage is given first; whoever asks on meets it.
        Err(StoreError::Damaged(_)) if !found.is_empty() => Ok(found),
        read => read.map(|()| found),
    }
}

/// The item of a row.
pub fn fetched(ids: &IdKey, row: &LogRow<&str>) -> Fetched {
    let body = match row.kind {
        Kind::Message { sender, origin, .. } => {
            OwnedBody::Message(author(sender, origin), row.text.to_owned())
        }
        Kind::Receipt { state, .. } => OwnedBody::Receipt(state),
    };
    let content = OwnedContent { id: ids.of_row(row), time_ms: row.time_ms, name: row.name.to_owned(), body };
    Fetched { seq: row.seq, content }
}

/// Who sent a message.
pub fn author(account: AccountId, origin: Origin) -> Author {
    let device = match origin {
        Origin::Post(device, _) => Some(device),
        Origin::Send(_) => None,
    };
    Author { account, device }
}

/// How many names are read in one go.
const NAMES_AT_ONCE: usize = 1024;

fn list_names(reader: &mut dyn Reader, job: &ListJob) -> Result<Page, StoreError> {
    let pattern = job.pattern.as_deref().map(wildmatch::WildMatch::new);
    // Names that begin otherwise than the pattern need not be looked at.
    let least =
        job.pattern.as_deref().map_or("", |pattern| pattern.split(['*', '?']).next().unwrap_or_default());
    let mut page = Page { names: String::new(), more: false };
    let mut after = job.after.clone();
    loop {
        // A few at a time: one who reads for long holds up the clearing of the write-ahead log.
        let (mut seen, mut last) = (0, None);
        reader.names(&after, least, &mut |folded, name| {
            if !folded.starts_with(least) {
                return false;
            }
            seen += 1;
            if pattern.as_ref().is_none_or(|pattern| pattern.matches(folded))
                && !page.add(name, job.bytes_max)
            {
                return false;
            }
            if seen == NAMES_AT_ONCE {
                last = Some(folded.to_owned());
            }
            seen < NAMES_AT_ONCE
        })?;
        match last {
            Some(last) => after = last,
            None => return Ok(page),
        }
    }
}

impl Page {
    /// Adds a name; false where it does not fit, and there is more than this page.
    fn add(&mut self, name: &str, bytes_max: usize) -> bool {
        self.more = self.names.len() + 1 + name.len() > bytes_max;
        if !self.more {
            if !self.names.is_empty() {
                self.names.push('|');
            }
            self.names.push_str(name);
        }
        !self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::{AccountRow, Batch, Write};

    #[test]
    fn lists_are_filtered_folded_and_paged() {
        let mut store = MemoryStore::default();
        store.commit(&accounts(&["Alice", "alan", "bob", "Béa", "carol"])).expect("memory");
        let check = |pattern: Option<&str>, after: &str, bytes_max: usize, names: &str, more: bool| {
            let job = ListJob { pattern: pattern.map(str::to_owned), after: after.into(), bytes_max };
            let page = list_names(&mut store.clone(), &job).expect("memory");
            assert_eq!(page, Page { names: names.into(), more }, "{job:?}");
        };
        check(None, "", 100, "alan|Alice|bob|Béa|carol", false);
        check(Some("al*"), "", 100, "alan|Alice", false);
        check(Some("?o*"), "", 100, "bob", false);
        check(Some("b?a"), "", 100, "Béa", false);
        check(None, "alice", 100, "bob|Béa|carol", false);
        check(None, "", 11, "alan|Alice", true);
        check(Some("z*"), "", 100, "", false);
    }

    /// Counts what it is asked for, and for how many names at the most.
    struct Counting(MemoryStore, Vec<usize>);

    impl Reader for Counting {
        fn rows(&mut self, rows: &[RowId], visit: &mut dyn FnMut(LogRow<&str>)) -> Result<(), StoreError> {
            Reader::rows(&mut self.0, rows, visit)
        }

        fn names(
            &mut self,
            after: &str,
            least: &str,
            visit: &mut dyn FnMut(&str, &str) -> bool,
        ) -> Result<(), StoreError> {
            let mut count = 0;
            self.0.names(after, least, &mut |folded, name| {
                count += 1;
                visit(folded, name)
            })?;
            self.1.push(count);
            Ok(())
        }
    }

    #[test]
    fn many_names_are_read_a_few_at_a_time() {
        let mut store = MemoryStore::default();
        let names: Vec<String> = (0..2 * NAMES_AT_ONCE + 5).map(|number| format!("u{number:05}")).collect();
        store.commit(&accounts(&names)).expect("memory");
        let mut counting = Counting(store, Vec::new());
        let job = ListJob { pattern: Some("*4".into()), after: String::new(), bytes_max: 1 << 20 };
        let page = list_names(&mut counting, &job).expect("memory");
        let expected: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| name.ends_with('4')).collect();
        assert_eq!(page, Page { names: expected.join("|"), more: false });
        assert_eq!(counting.1, [NAMES_AT_ONCE, NAMES_AT_ONCE, 5]);
    }

    fn accounts(names: &[impl AsRef<str>]) -> Batch {
        let mut batch = Batch::default();
        for (number, name) in (1..).zip(names) {
            let name = name.as_ref();
            batch.writes.push(Write::AddAccount(AccountRow {
                id: AccountId(number),
                uuid: uuid::Uuid::nil(),
                name: name.into(),
                folded: bellhop_protocol::name::fold(name).into_owned(),
                password: None,
                reserved: 0,
                created_ms: 0,
            }));
        }
        batch
    }
}
