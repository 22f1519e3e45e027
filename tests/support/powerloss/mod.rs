//! The power goes while a real server works.
//!
//! A recording is one run of the server under strace: what it wrote to its files, what it synced, and what it told its
//! clients. Every moment of it can be played: the folder is rebuilt as a disk may hold it after a power loss then, the
//! real server is started on it, and what it delivers is compared with what had been told by that moment.

pub mod disk;
pub mod trace;

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

use bellhop_protocol::{OpCode, Reply, Request, frame};

use self::disk::Disk;
pub use self::disk::Loss;
use self::trace::Call;
use crate::checker::{History, Sent, Verdict};
use crate::load::{FREE, Load, RECIPIENT, Recipient, Work, parse};
use crate::peer::Peer;
use crate::process::{Process, binary};
use crate::random::Random;
use crate::server::Home;

/// The calls that say what is on the disk and what clients were told.
const CALLS: &str = "openat,close,lseek,pwrite64,write,ftruncate,fsync,fdatasync,unlink,unlinkat,rename,renameat,renameat2,sendto,writev,recvfrom,read";

/// Something that happened, at a line of the log.
enum Event {
    Open(String),
    Write {
        file: String,
        end: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        end: usize,
        len: usize,
    },
    Sync {
        file: String,
        begin: usize,
    },
    SyncFolder(String),
    Remove(String),
    Rename(String, String),
    /// A sender asks for it to be kept.
    Posted(Sent),
    /// The sender is told that it is kept.
    Kept(Sent),
    /// The recipient's acknowledgement has come.
    Acknowledged(Sent),
}

/// A run of a server.
pub struct Recording {
    /// In the order of their lines.
    events: Vec<(usize, Event)>,
    posted: BTreeSet<Sent>,
}

/// What is wrong with a state after a power loss; nothing, where all is as it should be.
type Finding = Option<String>;

impl Recording {
    /// Records a server that starts on nothing, keeps some hundred messages, delivers some, and ends in order.
    pub fn make(args: &[&str], messages: u64, padding: usize) -> Recording {
        let home = Home::new();
        let log = home.path().join("trace");
        let mut strace = Command::new("strace");
        strace
            .args(["--follow-forks", "--seccomp-bpf", "-qqq", "-xx", "-s", "1000000", "--output"])
            .arg(&log);
        strace.arg(format!("--trace={CALLS}")).arg(binary("bellhop-server"));
        let args: Vec<&str> = FREE.iter().chain(args).copied().collect();
        let server = Process::start_as(&mut strace, &home.data(), &args);
        let mut load = Load::start(
            server.addr(),
            Work { recipient: Recipient::Late, senders: 2, unanswered: 4, padding },
        );
        load.progress(messages / 2);
        load.receive();
        load.progress(messages - messages / 2);
        assert_eq!(server.terminate().code(), Some(0));
        drop(load);
        let log = fs::read(&log).unwrap();
        let log = String::from_utf8_lossy(&log);
        let recording = Reader::new(&home.data()).read(trace::calls(log.lines()));
        assert!(recording.count(|event| matches!(event, Event::Sync { .. })) > 0, "nothing was synced");
        assert!(recording.kept() as u64 >= messages, "{} kept", recording.kept());
        recording
    }

    fn count(&self, of: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| of(event)).count()
    }

    /// How many messages the senders were told are kept.
    pub fn kept(&self) -> usize {
        self.count(|event| matches!(event, Event::Kept(_)))
    }

    /// Plays so many moments that the seed decides, and returns what is wrong with those with which anything is.
    ///
    /// # Panics
    ///
    /// Where nothing was owed at any of them.
    pub fn play(&self, states: usize, seed: u64) -> Vec<String> {
        let mut random = Random::new(seed);
        let (first, last) = (self.events[0].0, self.events[self.events.len() - 1].0);
        let work =
            self.events.iter().find(|(_, event)| matches!(event, Event::Posted(_))).map_or(first, |at| at.0);
        // Most of them after the start, which writes a lot and owes nothing.
        let moment = |number| {
            let first = if number % 5 == 0 { first } else { work };
            first + random.below((last - first + 1) as u64) as usize
        };
        let mut moments: Vec<usize> = (0..states).map(moment).collect();
        moments.sort_unstable();
        let (mut disk, mut kept, mut acknowledged) = (Disk::default(), BTreeSet::new(), BTreeSet::new());
        let mut events = self.events.iter().peekable();
        let (mut findings, mut most) = (Vec::new(), 0);
        for (at, moment) in moments.into_iter().enumerate() {
            while let Some((_, event)) = events.next_if(|(line, _)| *line <= moment) {
                match event {
                    Event::Open(file) => disk.open(file),
                    Event::Write { file, end, at, bytes } => disk.write(file, *end, *at, bytes.clone()),
                    Event::Truncate { file, end, len } => disk.truncate(file, *end, *len),
                    Event::Sync { file, begin } => disk.sync(file, *begin),
                    Event::SyncFolder(folder) => disk.sync_folder(folder),
                    Event::Remove(file) => disk.remove(file),
                    Event::Rename(from, to) => disk.rename(from, to),
                    Event::Posted(_) => {}
                    Event::Kept(sent) => drop(kept.insert(sent.clone())),
                    Event::Acknowledged(sent) => drop(acknowledged.insert(sent.clone())),
                }
            }
            let loss = [Loss::All, Loss::Some, Loss::Torn][at % 3];
            let owed: BTreeSet<Sent> = kept.difference(&acknowledged).cloned().collect();
            most = owed.len().max(most);
            let finding = self.try_state(&disk, loss, &mut random, &owed);
            findings
                .extend(finding.map(|finding| format!("line {moment}, {loss:?}, seed {seed}: {finding}")));
        }
        assert!(most > 0, "nothing was owed to the recipient at any of {states} moments");
        findings
    }

    fn try_state(&self, disk: &Disk, loss: Loss, random: &mut Random, owed: &BTreeSet<Sent>) -> Finding {
        let home = Home::new();
        for (name, bytes) in disk.after(loss, random) {
            put_file(&home.data().join(name), &bytes);
        }
        let mut command = Command::new(binary("bellhop-server"));
        let server = match Process::try_start_as(&mut command, &home.data(), &FREE) {
            Ok(server) => server,
            Err(status) => return Some(format!("it does not start: {status}")),
        };
        let verdict = self.judge(&server, owed);
        server.kill();
        let integrity = integrity(&home.data().join("bellhop.db"));
        if integrity != "ok" {
            return Some(format!("the database: {integrity}"));
        }
        (verdict != Verdict::default()).then(|| format!("{} owed, {verdict:?}", owed.len()))
    }

    /// Takes everything that waits, and something new.
    fn judge(&self, server: &Process, owed: &BTreeSet<Sent>) -> Verdict {
        let mut history = History::default();
        self.posted.iter().for_each(|(sender, number)| history.sends(sender, *number));
        owed.iter().for_each(|(sender, number)| history.is_told_kept(sender, *number));
        let mut recipient = Peer::hello(server.addr(), RECIPIENT, 9);
        let answer = recipient.ask(OpCode::Deliver, "");
        let waiting: usize = answer.strip_prefix("ok|").unwrap().parse().unwrap();
        for _ in 0..waiting {
            let got = recipient.push();
            let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
            let (sender, number) = parse(message.text);
            history.shows(sender, number);
            recipient.ack(message.seq, message.seq);
        }
        let mut last = Peer::hello(server.addr(), "zoe", 7);
        last.post(1, RECIPIENT, "it goes on", false);
        let got = recipient.push();
        assert!(matches!(got.reply(), Reply::Message(message) if message.text == "it goes on"), "{got:?}");
        history.verdict()
    }
}

fn put_file(path: &Path, bytes: &[u8]) {
    let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap());
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// What SQLite says of the database when it looks at all of it.
pub fn integrity(database: &Path) -> String {
    let db = rusqlite::Connection::open(database).unwrap();
    db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap_or_else(|error| error.to_string())
}

/// What a descriptor of the server is.
enum Descriptor {
    File { name: String, at: usize },
    Folder(String),
}

/// A client's connection.
#[derive(Default)]
struct Connection {
    said: Vec<u8>,
    told: Vec<u8>,
    name: String,
    messages: Vec<(u64, Sent)>,
}

/// Makes events of calls.
struct Reader<'a> {
    data: &'a Path,
    descriptors: HashMap<i64, Descriptor>,
    connections: HashMap<i64, Connection>,
    /// Files that were made.
    made: BTreeSet<String>,
    events: Vec<(usize, Event)>,
}

impl<'a> Reader<'a> {
    fn new(data: &'a Path) -> Reader<'a> {
        let (descriptors, connections) = (HashMap::new(), HashMap::new());
        Reader { data, descriptors, connections, made: BTreeSet::new(), events: Vec::new() }
    }

    fn read(mut self, calls: Vec<Call>) -> Recording {
        calls.iter().filter(|call| call.result >= 0).for_each(|call| self.call(call));
        let mut events = self.events;
        events.sort_by_key(|(line, _)| *line);
        let posted = |event: &Event| match event {
            Event::Posted(sent) => Some(sent.clone()),
            _ => None,
        };
        let posted = events.iter().filter_map(|(_, event)| posted(event)).collect();
        Recording { events, posted }
    }

    fn event(&mut self, line: usize, event: Event) {
        self.events.push((line, event));
    }

    /// The name of a file of the server's folder; nothing for others, and for what every start makes anew.
    fn name(&self, path: &[u8]) -> Option<String> {
        let path = Path::new(std::str::from_utf8(path).ok()?).strip_prefix(self.data).ok()?.to_str()?;
        (!path.ends_with("-shm")).then(|| path.to_owned())
    }

    fn call(&mut self, call: &Call) {
        let fd = call.number(0).unwrap_or(-1);
        match call.name.as_str() {
            "openat" => self.open(call),
            "lseek" => {
                if let Some(Descriptor::File { at, .. }) = self.descriptors.get_mut(&fd) {
                    *at = usize::try_from(call.result).unwrap();
                }
            }
            "close" => {
                self.descriptors.remove(&fd);
                self.connections.remove(&fd);
            }
            "unlink" | "unlinkat" => {
                if let Some(name) = call.strings().first().and_then(|path| self.name(path)) {
                    self.event(call.begin, Event::Remove(name));
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let names: Vec<_> = call.strings().iter().filter_map(|path| self.name(path)).collect();
                if let [from, to] = &names[..] {
                    self.made.insert(to.clone());
                    self.event(call.begin, Event::Rename(from.clone(), to.clone()));
                }
            }
            "fsync" | "fdatasync" => match self.descriptors.get(&fd) {
                Some(Descriptor::File { name, .. }) => {
                    let event = Event::Sync { file: name.clone(), begin: call.begin };
                    self.event(call.end, event);
                }
                Some(Descriptor::Folder(name)) => {
                    let event = Event::SyncFolder(name.clone());
                    self.event(call.end, event);
                }
                None => {}
            },
            "pwrite64" | "write" | "ftruncate" if self.descriptors.contains_key(&fd) => self.change(fd, call),
            "sendto" | "write" | "writev" => self.tells(fd, call),
            "recvfrom" | "read" if !call.args.contains("MSG_PEEK") => self.hears(fd, call),
            _ => {}
        }
    }

    fn open(&mut self, call: &Call) {
        self.connections.remove(&call.result);
        self.descriptors.remove(&call.result);
        let Some(name) = call.strings().first().and_then(|path| self.name(path)) else { return };
        // Every file is made by what is recorded; what is opened and was not made is a folder.
        if !call.args.contains("O_CREAT") && !self.made.contains(&name) {
            self.descriptors.insert(call.result, Descriptor::Folder(name));
            return;
        }
        self.made.insert(name.clone());
        self.event(call.begin, Event::Open(name.clone()));
        if call.args.contains("O_TRUNC") {
            self.event(call.begin, Event::Truncate { file: name.clone(), end: call.end, len: 0 });
        }
        self.descriptors.insert(call.result, Descriptor::File { name, at: 0 });
    }

    fn change(&mut self, fd: i64, call: &Call) {
        let Some(Descriptor::File { name, at }) = self.descriptors.get_mut(&fd) else { return };
        let file = name.clone();
        let event = match call.name.as_str() {
            "ftruncate" => Event::Truncate { file, end: call.end, len: call.number(1).unwrap() as usize },
            "write" => {
                let bytes = call.bytes();
                let from = *at;
                *at += bytes.len();
                Event::Write { file, end: call.end, at: from, bytes }
            }
            _ => {
                let at = call.args.rsplit(", ").next().unwrap().trim().parse().unwrap();
                Event::Write { file, end: call.end, at, bytes: call.bytes() }
            }
        };
        self.event(call.begin, event);
    }

    /// Bytes come from a client.
    fn hears(&mut self, fd: i64, call: &Call) {
        if self.descriptors.contains_key(&fd) {
            return;
        }
        let connection = self.connections.entry(fd).or_default();
        connection.said.extend(call.bytes());
        while let Ok(Some(frame)) = frame::parse(&connection.said, frame::LIMIT_MAX) {
            let (len, op, data) = (frame.wire_len(), frame.op, frame.data.to_vec());
            connection.said.drain(..len);
            match Request::decode(op, &data) {
                Ok(Request::Login { .. } | Request::Create { .. }) => {
                    connection.name = String::from_utf8(data).unwrap();
                }
                Ok(Request::Post(post)) => {
                    let sent = (connection.name.clone(), post.counter);
                    self.events.push((call.begin, Event::Posted(sent)));
                }
                Ok(Request::Ack(ack)) => {
                    for (first, last) in ack.ranges() {
                        let covered =
                            connection.messages.iter().filter(|(seq, _)| (first..=last).contains(seq));
                        self.events
                            .extend(covered.map(|(_, sent)| (call.begin, Event::Acknowledged(sent.clone()))));
                    }
                }
                _ => {}
            }
        }
    }

    /// Bytes go to a client.
    fn tells(&mut self, fd: i64, call: &Call) {
        let Some(connection) = self.connections.get_mut(&fd) else { return };
        connection.told.extend(call.bytes());
        while let Ok(Some(frame)) = frame::parse(&connection.told, frame::LIMIT_MAX) {
            let (len, op, data) = (frame.wire_len(), frame.op, frame.data.to_vec());
            connection.told.drain(..len);
            match Reply::decode(op, &data) {
                Ok(Reply::Posted(answer)) if answer.result.is_ok() => {
                    let sent = (connection.name.clone(), answer.counter);
                    self.events.push((call.begin, Event::Kept(sent)));
                }
                Ok(Reply::Message(message)) => {
                    let (sender, number) = parse(message.text);
                    connection.messages.push((message.seq, (sender.to_owned(), number)));
                }
                _ => {}
            }
        }
    }
}
