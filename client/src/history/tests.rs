//! The history on a real file.

mod file;

use std::path::PathBuf;

use bellhop_protocol::post::Posted;
use bellhop_protocol::session::SessionToken;
use bellhop_protocol::{Code, MessageId, Username};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Chosen, History, Kept, LAST_SERVER, LAST_USER, Query, Seat, changes};
use crate::clock;
use crate::delivery::Delivery;
use crate::event::Around;
use crate::link::dial::Origin;
use crate::link::outbox::Room;
use crate::link::{Change, Draft, Outcome, Received};
use crate::peer::Peer;

const KEPT: Kept = Kept { token: SessionToken([7; 32]), origin: Origin::Authority };

struct Desk {
    history: History,
    seat: Seat,
    path: PathBuf,
    _folder: TempDir,
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("history.sqlite");
    let mut history = History::open(&path).expect("a new file");
    let alice = Username::parse("Alice").expect("a name");
    let account = history.account("127.0.0.1:2050", &alice).expect("an account");
    let seat = history.seat(account.id, "tui").expect("a seat");
    Desk { history, seat, path, _folder: folder }
}

fn id(number: u32) -> MessageId {
    MessageId(Uuid::from_u128(number.into()))
}

const ROOM: Room = Room { messages: 1_024, bytes: 1_000_000 };

fn received(number: u32, from: &str, text: &str) -> Received {
    Received {
        seq: number.into(),
        id: id(number),
        time_ms: 5,
        from: Peer::new(from),
        text: text.into(),
        sent: None,
    }
}

fn draft(to: &str, text: &str) -> Draft {
    Draft { tag: 0, to: Peer::new(to), text: text.into(), receipts: true, time_ms: 5, key: None }
}

impl Desk {
    fn apply(&mut self, change: Change) -> Outcome {
        self.history.apply(&self.seat, &[change]).expect("applied").remove(0)
    }

    /// A message of ours; where `on_the_wire`, it has its counter.
    fn send(&mut self, text: &str, on_the_wire: bool) -> i64 {
        let Outcome::Queued(n) = self.apply(Change::Outgoing(draft("bob", text))) else { panic!("queued") };
        if on_the_wire {
            assert_eq!(self.number(ROOM).last(), Some(&n));
        }
        n
    }

    fn number(&mut self, room: Room) -> Vec<i64> {
        match self.apply(Change::Number(room)) {
            Outcome::Numbered(postings, _) => postings.into_iter().map(|posting| posting.n).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn posted(&mut self, n: i64, number: u32, posted: Posted) -> Vec<Delivery> {
        states(self.apply(Change::Posted { n, id: id(number), time_ms: 77, posted }))
    }

    fn receipt(&mut self, number: u32, peer: &str, state: Delivery) -> Vec<Delivery> {
        let peer = Peer::new(peer);
        states(self.apply(Change::Receipt { seq: 1, id: id(number), peer, state: Some(state), reason: None }))
    }

    fn texts(&self, key: &str, around: Around, limit: usize) -> (Vec<String>, bool) {
        let page = self.history.page(self.seat.account, key, around, limit).expect("a page");
        (page.messages.into_iter().map(|message| message.text).collect(), page.more)
    }

    /// Another program, or this one after a crash.
    fn again(&self, role: &str) -> (History, Seat) {
        let mut history = History::open(&self.path).expect("the same file");
        let seat = history.seat(self.seat.account, role).expect("a seat");
        (history, seat)
    }
}

fn states(outcome: Outcome) -> Vec<Delivery> {
    match outcome {
        Outcome::States(changes) => changes.into_iter().map(|change| change.state).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_keeps_its_id_counter_token_and_outbox() {
    let mut desk = desk();
    desk.apply(Change::Token(Some(KEPT)));
    let one = desk.send("one", true);
    let two = desk.send("two", true);
    let three = desk.send("three", false);
    let (history, seat) = desk.again("tui");
    assert_eq!(seat.device, desk.seat.device);
    assert_eq!((seat.next_counter, seat.token), (3, Some(KEPT)));
    let outbox: Vec<_> = seat.outbox.iter().map(|posting| (posting.n, posting.counter)).collect();
    assert_eq!((outbox, seat.waiting), (vec![(one, 1), (two, 2)], 1));
    assert_eq!(seat.unsettled.iter().map(|old| old.n).collect::<Vec<_>>(), [one, two, three]);
    let page = history.page(seat.account, "bob", Around::Newest, 9).expect("a page");
    let states: Vec<_> = page.messages.iter().map(|message| message.state).collect();
    assert_eq!(states, [Delivery::Unknown, Delivery::Unknown, Delivery::Outbox]);
    let (_, other) = desk.again("listen");
    assert_ne!(other.device, seat.device);
    assert_eq!((other.next_counter, other.outbox.len()), (1, 0));
}

#[test]
fn a_message_is_shown_once_a_device_and_has_one_place() {
    let mut desk = desk();
    assert_eq!(desk.apply(Change::Lookup(received(1, "bob", "hi"))), Outcome::Shown(false));
    let Outcome::Kept(Some(n)) = desk.apply(Change::Incoming(received(1, "bob", "hi"))) else {
        panic!("new")
    };
    assert_eq!(desk.apply(Change::Incoming(received(1, "bob", "hi"))), Outcome::Kept(None));
    assert_eq!(desk.apply(Change::Lookup(received(1, "bob", "hi"))), Outcome::Shown(true));
    let (mut history, listen) = desk.again("listen");
    let outcome = history.apply(&listen, &[Change::Incoming(received(1, "Bob", "hi"))]).expect("applied");
    assert_eq!(outcome, [Outcome::Kept(Some(n))]);
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, ["hi"]);
}

#[test]
fn the_last_ids_are_kept_and_older_messages_still_have_one_place() {
    let mut desk = desk();
    let max = u32::try_from(changes::SHOWN_MAX).expect("small");
    let many: Vec<Change> =
        (0..max + 10).map(|number| Change::Incoming(received(number, "bob", "x"))).collect();
    desk.history.apply(&desk.seat, &many).expect("applied");
    let shown: i64 =
        desk.history.db.query_row("SELECT count(*) FROM shown", [], |row| row.get(0)).expect("a count");
    assert_eq!(shown, changes::SHOWN_MAX);
    assert_eq!(desk.apply(Change::Lookup(received(9, "bob", "x"))), Outcome::Shown(false));
    assert_eq!(desk.apply(Change::Lookup(received(10, "bob", "x"))), Outcome::Shown(true));
    assert_eq!(desk.apply(Change::Incoming(received(9, "bob", "x"))), Outcome::Kept(Some(10)));
}

#[test]
fn states_move_forward_on_disk() {
    let mut desk = desk();
    let n = desk.send("one", true);
    assert_eq!(desk.posted(n, 1, Posted::Stored), [Delivery::Queued]);
    assert_eq!(desk.receipt(1, "BOB", Delivery::Delivered), [Delivery::Delivered]);
    assert_eq!(desk.receipt(1, "bob", Delivery::Returned), []);
    assert_eq!(desk.receipt(1, "mallory", Delivery::Read), [], "not sent to them");
    assert_eq!(desk.receipt(1, "bob", Delivery::Read), [Delivery::Read]);
    let (_, seat) = desk.again("tui");
    assert_eq!(seat.outbox, []);
}

#[test]
fn a_receipt_may_come_before_the_answer() {
    let mut desk = desk();
    let n = desk.send("one", true);
    assert_eq!(desk.receipt(1, "bob", Delivery::Delivered), []);
    assert_eq!(desk.receipt(1, "mallory", Delivery::Read), []);
    assert_eq!(desk.posted(n, 1, Posted::HandedOver), [Delivery::Delivered]);
}

#[test]
fn a_refused_message_waits_until_it_is_tried_again() {
    let mut desk = desk();
    let n = desk.send("one", true);
    let refused = Change::Refused { n, code: Code::MAILBOX_FULL, reason: "no room".into() };
    assert_eq!(states(desk.apply(refused)), [Delivery::Failed]);
    assert_eq!(desk.again("tui").1.outbox, []);
    assert_eq!(desk.apply(Change::Retry(n)), Outcome::Queued(n));
    assert_eq!(desk.apply(Change::Retry(n)), Outcome::Done, "once");
    assert_eq!(desk.again("tui").1.waiting, 1);
}

#[test]
fn only_what_was_never_on_the_wire_is_withdrawn() {
    let mut desk = desk();
    let (wire, waiting) = (desk.send("wire", true), desk.send("waiting", false));
    desk.apply(Change::Withdraw(wire));
    desk.apply(Change::Withdraw(waiting));
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, ["wire"]);
}

/// One window dropped what another was about to send.
#[test]
fn a_message_that_waits_is_withdrawn_by_its_own_device_alone() {
    let mut desk = desk();
    let waiting = desk.send("waiting", false);
    let (mut other, tui_1) = desk.again("tui-1");
    other.apply(&tui_1, &[Change::Withdraw(waiting)]).expect("applied");
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, ["waiting"]);
    desk.apply(Change::Withdraw(waiting));
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, [""; 0]);
}

/// A repeat of it may still be asked for, and its text was gone.
#[test]
fn what_may_have_arrived_is_not_withdrawn() {
    let mut desk = desk();
    let n = desk.send("one", true);
    desk.apply(Change::Unclear { n, code: None, reason: "a copy".into() });
    desk.apply(Change::Withdraw(n));
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, ["one"]);
    assert_eq!(desk.apply(Change::Retry(n)), Outcome::Queued(n));
}

/// Whoever runs `send` again was told nothing of a message that had ended without them, and sent it twice.
#[test]
fn what_a_short_command_sent_is_left_until_it_is_told() {
    let mut desk = desk();
    desk.seat = desk.again("send-3").1;
    let ends: [fn(i64) -> Change; 3] = [
        |n| Change::Posted { n, id: id(1), time_ms: 77, posted: Posted::Stored },
        |n| Change::Unclear { n, code: None, reason: "a copy".into() },
        |n| Change::Refused { n, code: Code::MAILBOX_FULL, reason: "no room".into() },
    ];
    for (at, end) in ends.into_iter().enumerate() {
        let now = clock::wall_ms();
        let Outcome::Queued(n) = desk.apply(Change::Outgoing(Draft { time_ms: now, ..draft("bob", "one") }))
        else {
            panic!("queued")
        };
        desk.number(ROOM);
        desk.apply(end(n));
        let left = desk.history.left(desk.seat.account, "bob", "one").expect("read");
        assert_eq!(left.len(), usize::from(at < 2), "a refused one is not asked about");
        assert!(left.iter().all(|left| (left.n, left.written_ms) == (n, now)));
        assert!(desk.history.untold(n).expect("read").is_some());
        assert_eq!(desk.again("send-3").1.unsettled, []);
        if at == 0 {
            assert_eq!(desk.apply(Change::Retry(n)), Outcome::Done, "the server has it");
        }
        desk.history.tell(n).expect("told");
        assert_eq!(desk.history.untold(n).expect("read"), None);
        assert_eq!(desk.history.left(desk.seat.account, "bob", "one").expect("read"), []);
    }
    assert_eq!(desk.texts("bob", Around::Newest, 9).0, ["one", "one"]);
}

#[test]
fn nobody_is_told_of_what_ended_long_ago() {
    let mut desk = desk();
    desk.seat = desk.again("send-3").1;
    let n = desk.send("one", true);
    desk.posted(n, 1, Posted::Stored);
    assert_eq!(desk.history.left(desk.seat.account, "bob", "one").expect("read"), []);
    assert!(desk.history.untold(n).expect("read").is_some());
    desk.again("send-3");
    assert_eq!(desk.history.untold(n).expect("read"), None);
}

#[test]
fn numbers_go_to_what_waits_as_far_as_there_is_room() {
    let mut desk = desk();
    let sent: Vec<i64> = (0..5).map(|_| desk.send("four", false)).collect();
    assert_eq!(desk.number(Room { messages: 2, bytes: 100 }), sent[..2]);
    assert_eq!(desk.number(Room { messages: 9, bytes: 5 }), sent[2..4]);
    desk.apply(Change::Withdraw(sent[4]));
    assert_eq!(desk.number(ROOM), [0; 0]);
}

#[test]
fn a_new_device_begins_again() {
    let mut desk = desk();
    desk.apply(Change::Token(Some(KEPT)));
    desk.send("one", true);
    let Outcome::Device(device, _) = desk.apply(Change::NewDevice) else { panic!("a device") };
    let (_, seat) = desk.again("tui");
    assert_ne!(device, desk.seat.device);
    assert_eq!((seat.device, seat.next_counter, seat.token), (device, 1, None));
    assert_eq!((seat.outbox.len(), seat.waiting), (0, 1), "no counter outlives its device");
}

#[test]
fn pages_go_both_ways() {
    let mut desk = desk();
    let many: Vec<Change> = (1..=10).map(|n| Change::Incoming(received(n, "bob", &n.to_string()))).collect();
    desk.history.apply(&desk.seat, &many).expect("applied");
    desk.apply(Change::Incoming(received(99, "carol", "other")));
    let page = |around, limit| {
        let (texts, more) = desk.texts("bob", around, limit);
        (texts.join(" "), more)
    };
    assert_eq!(page(Around::Newest, 3), ("8 9 10".into(), true));
    assert_eq!(page(Around::Newest, 10), ("1 2 3 4 5 6 7 8 9 10".into(), false));
    for no_limit in [i64::MAX as usize, usize::MAX] {
        assert_eq!(page(Around::After(8), no_limit), ("9 10".into(), false));
    }
    assert_eq!(page(Around::Before(8), 3), ("5 6 7".into(), true));
    assert_eq!(page(Around::Before(3), 5), ("1 2".into(), false));
    assert_eq!(page(Around::After(3), 2), ("4 5".into(), true));
    assert_eq!(page(Around::After(10), 2), (String::new(), false));
    assert_eq!(desk.texts("nobody", Around::Newest, 5), (Vec::new(), false));
}

#[test]
fn chats_count_what_was_not_read() {
    let mut desk = desk();
    for number in 1..=3 {
        desk.apply(Change::Incoming(received(number, "bob", "x")));
    }
    desk.apply(Change::Incoming(received(4, "carol", "x")));
    desk.send("mine", false);
    desk.history.set_draft(desk.seat.account, &Peer::new("dave"), "half a").expect("kept");
    let chats = |desk: &Desk| {
        let chats = desk.history.chats(desk.seat.account).expect("chats");
        chats.into_iter().map(|chat| (chat.peer.key, chat.unread, chat.draft)).collect::<Vec<_>>()
    };
    let row = |key: &str, unread: u64, draft: &str| (key.to_owned(), unread, draft.to_owned());
    assert_eq!(chats(&desk), [row("bob", 3, ""), row("carol", 1, ""), row("dave", 0, "half a")]);
    let read = desk.history.mark_read(desk.seat.account, "bob", 2).expect("marked");
    assert_eq!(read, [(id(1), "bob".to_owned()), (id(2), "bob".to_owned())]);
    assert_eq!(desk.history.mark_read(desk.seat.account, "bob", 1).expect("marked"), []);
    assert_eq!(chats(&desk)[0], row("bob", 1, ""));
}

#[test]
fn settings_and_accounts() {
    let mut desk = desk();
    let last = |desk: &Desk| desk.history.setting(LAST_USER).expect("read");
    assert_eq!(last(&desk), None);
    desk.history.remember(desk.seat.account).expect("written");
    assert_eq!(last(&desk).as_deref(), Some("Alice"));
    desk.history.forget(LAST_USER).expect("written");
    assert_eq!(last(&desk), None);
    assert_eq!(desk.history.setting(LAST_SERVER).expect("read").as_deref(), Some("127.0.0.1:2050"));
    let alice = Username::parse("ALICE").expect("a name");
    let found = desk.history.find_account("127.0.0.1:2050", &alice).expect("read").expect("found");
    assert_eq!((found.id, found.user.as_str()), (desk.seat.account, "Alice"));
    desk.send("on the wire", true);
    desk.send("waits", false);
    desk.history.forget_devices(found.id).expect("forgotten");
    let page = desk.history.page(found.id, "bob", Around::Newest, 9).expect("a page");
    let states: Vec<_> = page.messages.iter().map(|message| message.state).collect();
    assert_eq!(states, [Delivery::Unknown, Delivery::Failed], "what was on the wire may have arrived");
    assert_eq!(desk.again("tui").1.unsettled, []);
    assert_ne!(desk.again("tui").1.device, desk.seat.device);
}

/// Read again after it was marked as unread, a message told its sender a second time.
#[test]
fn what_is_unread_again_was_told_before() {
    let mut desk = desk();
    for number in 1..=3 {
        desk.apply(Change::Incoming(received(number, "bob", "hi")));
    }
    let account = desk.seat.account;
    let unread = |desk: &Desk| desk.history.chats(account).expect("read")[0].unread;
    assert_eq!(desk.history.mark_read(account, "bob", 3).expect("marked").len(), 3);
    desk.history.mark_unread(account, "bob", 2).expect("marked");
    assert_eq!(unread(&desk), 2);
    desk.history.mark_unread(account, "bob", 3).expect("marked");
    assert_eq!(unread(&desk), 2, "from the first of them on");
    assert_eq!(desk.history.mark_read(account, "bob", 3).expect("marked"), []);
    assert_eq!(unread(&desk), 0);
}

#[test]
fn what_was_chosen_for_a_conversation_and_what_failed_there_is_kept() {
    let mut desk = desk();
    for (number, from) in [(1, "bob"), (2, "carol")] {
        desk.apply(Change::Incoming(received(number, from, "hi")));
    }
    let n = desk.send("refused", true);
    desk.apply(Change::Refused { n, code: Code::NO_SUCH_USER, reason: "no such user".into() });
    let account = desk.seat.account;
    let chosen = Chosen { pinned: true, muted: true };
    desk.history.choose(account, &Peer::new("bob"), chosen).expect("kept");
    let chats = desk.history.chats(account).expect("read");
    assert_eq!((chats[0].peer.key.as_str(), chats[0].pinned, chats[0].muted), ("bob", true, true));
    assert_eq!((&chats[0].failed, &chats[1].failed), (&vec![n], &Vec::new()));
    let steps = desk.history.steps(account, n).expect("read").steps;
    let states: Vec<Delivery> = steps.iter().map(|(state, _)| *state).collect();
    assert_eq!(states, [Delivery::Outbox, Delivery::Sending, Delivery::Failed]);
    assert!(steps.iter().all(|(_, time_ms)| *time_ms > 0));
    desk.apply(Change::Retry(n));
    assert_eq!(desk.history.chats(account).expect("read")[0].failed, [0; 0]);
}

#[test]
fn words_are_found_piece_by_piece_from_the_end() {
    let mut desk = desk();
    for number in 1..=9 {
        let from = if number % 2 == 0 { "bob" } else { "carol" };
        desk.apply(Change::Incoming(received(number, from, &format!("Log {number}"))));
    }
    let account = desk.seat.account;
    let search = |desk: &Desk, key: Option<&str>, text: &str, before: i64| {
        let query = Query { tag: 7, key: key.map(str::to_owned), text: text.into(), before };
        let found = desk.history.search(account, &query).expect("searched");
        (found.hits.iter().map(|hit| hit.n).collect::<Vec<_>>(), found.next)
    };
    assert_eq!(search(&desk, None, "log", i64::MAX), ((1..=9).rev().collect(), None));
    assert_eq!(search(&desk, Some("bob"), "LOG", 6), (vec![4, 2], None));
    assert_eq!(search(&desk, Some("nobody"), "log", i64::MAX), (vec![], None));
    assert_eq!(search(&desk, None, "log%", i64::MAX), (vec![], None), "no pattern");
    assert_eq!(search(&desk, None, " ", i64::MAX), (vec![], None));
    // More than a piece: told where to go on, and nothing is missed or found twice.
    let work = desk.history.db.transaction().expect("a transaction");
    for _ in 0..12_000 {
        work.execute(
            "INSERT INTO messages (account, peer, mine, text, time_ms, state) VALUES (?1, 1, 0, 'filler', 1, 7)",
            [account],
        )
        .expect("written");
    }
    work.commit().expect("written");
    let (hits, next) = search(&desk, None, "log", i64::MAX);
    assert_eq!(hits, [0; 0]);
    assert_eq!(search(&desk, None, "log", next.expect("more")), ((1..=9).rev().collect(), None));
    let (hits, mut next) = search(&desk, None, "filler", i64::MAX);
    let mut count = hits.len();
    while let Some(before) = next {
        let (hits, further) = search(&desk, None, "filler", before);
        (count, next) = (count + hits.len(), further);
    }
    assert_eq!(count, 12_000);
}
