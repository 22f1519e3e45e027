//! Messages that come together are taken together, and nobody can tell.

use super::bench::Side;
use super::*;

/// What alice says, all allowed and all not: a repeat, one that is too old, a receipt wanted, somebody else, nobody, a
/// name in capitals, another realm, a text too long, no text, something else in between, herself.
fn script() -> Vec<Vec<u8>> {
    let wanted = |counter, to: &str| {
        let to = Address::parse(to).unwrap();
        Request::Post(Post { counter, receipts: true, to, text: "wanted" }).to_bytes()
    };
    let mut frames: Vec<Vec<u8>> = (1..=100).map(|counter| post(counter, "bob", "hi")).collect();
    frames.extend([post(100, "bob", "again"), post(3_000, "bob", "far on"), post(1_000, "bob", "too old")]);
    frames.extend((3_001..3_010).map(|counter| wanted(counter, "bob")));
    frames.extend([post(3_010, "carol", "hi"), post(3_011, "nobody", "hi"), post(3_012, "BOB", "hi")]);
    frames.extend([
        post(3_013, "bob@there", "hi"),
        post(3_014, "bob", &"x".repeat(200)),
        post(3_015, "bob", ""),
    ]);
    frames.extend([bytes(Send, "bob|sent"), bytes(Send, "bob"), bytes(List, "bob"), bytes(Send, "bob|\0")]);
    frames.extend((3_016..3_030).map(|counter| post(counter, "alice", "to myself")));
    frames.extend((3_030..3_060).map(|counter| post(counter, "carol", "carol has no room for all")));
    frames.extend((3_060..3_100).map(|counter| post(counter, "bob", "the last")));
    frames
}

/// A frame without what differs from one server to the next: ids and times.
fn known((op, mut data): (u8, Vec<u8>)) -> (u8, String) {
    let id = match op {
        op if op == OpCode::Post.answer() && data.starts_with(&[0, 0]) => 11..35,
        op if op == Send.answer() && data.starts_with(b"ok") => data.len() - 36..data.len(),
        op if op == OpCode::Message.byte() => 8..32,
        op if op == OpCode::Receipt.byte() => 8..33,
        op if op == Login.answer() || op == OpCode::Create.answer() => 0..data.len(),
        _ => 0..0,
    };
    data.drain(id);
    (op, format!("{:?}", String::from_utf8_lossy(&data)))
}

fn came(side: &mut Side<'_>) -> Vec<(u8, String)> {
    side.rest();
    std::iter::from_fn(|| side.read_bytes()).map(known).collect()
}

/// A session with the extension.
fn enters<'a>(bench: &'a Bench, name: &str, device: u8) -> Side<'a> {
    let mut side = bench.connect();
    side.arrives(&hello(device));
    side.notices();
    assert_eq!(side.next().0, OpCode::Hello.answer());
    side.enter(name);
    side
}

/// What alice and bob get, where so many of alice's frames come at a time. Bob's mailbox has no room for all.
fn played(in_memory: bool, sends: &str, at_once: usize) -> [Vec<(u8, String)>; 2] {
    let settings = ["mailbox=140", "text=100", sends];
    let bench = if in_memory { Bench::in_memory(&settings) } else { Bench::new(&settings) };
    drop(bench.enter("carol"));
    let mut sides = [("alice", 1), ("bob", 2)].map(|(name, device)| {
        let mut side = enters(&bench, name, device);
        side.says(Deliver, "");
        assert!(came(&mut side).iter().any(|(op, _)| *op == Deliver.answer()));
        side
    });
    let mut seen = [Vec::new(), Vec::new()];
    for frames in script().chunks(at_once) {
        sides[0].arrives(&frames.concat());
        sides[0].notices();
        for _ in 0..2 {
            let each = sides.iter_mut().zip(&mut seen);
            each.for_each(|(side, seen)| seen.extend(came(side)));
        }
    }
    seen
}

#[test]
fn messages_that_come_together_are_taken_as_one_by_one() {
    // No limit; and one that stops alice within the messages to bob, or to herself.
    let sends = [("sends=off", 202), ("sends=10", 100), ("sends=13", 131)];
    for (in_memory, (sends, answers)) in
        [true, false].into_iter().flat_map(|kind| sends.map(|sends| (kind, sends)))
    {
        let one_by_one = played(in_memory, sends, 1);
        let count = |op: u8| one_by_one.iter().flatten().filter(|(known, _)| *known == op).count();
        assert_eq!(count(OpCode::Post.answer()), answers, "{sends}");
        let for_others = |text: &String| text.contains("carol") || text.contains("myself");
        assert!(!one_by_one[1].iter().any(|(_, text)| for_others(text)), "bob gets what is his");
        assert!(count(OpCode::Message.byte()) >= 100.min(answers - 3), "{sends}");
        for at_once in [2, 7, 64, 1_000] {
            let together = played(in_memory, sends, at_once);
            for (together, one_by_one) in together.iter().zip(&one_by_one) {
                assert_eq!(by_op(together), by_op(one_by_one), "in memory {in_memory}, {sends}, {at_once}");
            }
        }
    }
}

/// What is pushed to oneself may come before or after an answer; both keep their order.
fn by_op(seen: &[(u8, String)]) -> Vec<(u8, String)> {
    let mut seen = seen.to_owned();
    seen.sort_by_key(|(op, _)| *op);
    seen
}

/// Who is sent to is remembered, and may be somebody else by now.
#[test]
fn who_has_the_name_next_gets_what_is_sent_to_it() {
    let bench = Bench::in_memory(&[]);
    let (mut alice, mut bob) = (bench.enter("alice"), bench.enter("bob"));
    alice.ask(Send, "bob|one");
    alice.arrives(&[bytes(Send, "bob|two"), bytes(Send, "bob|three")].concat());
    alice.notices();
    came(&mut alice);
    assert_eq!(came(&mut bob).len(), 3);
    bob.ask(OpCode::Delete, "");
    let mut heir = bench.enter("bob");
    came(&mut heir);
    alice.arrives(&[bytes(Send, "bob|four"), bytes(Send, "bob|five")].concat());
    alice.notices();
    let answers = came(&mut alice);
    assert!(
        answers.len() == 2 && answers.iter().all(|(_, text)| text.contains("ok|delivered")),
        "{answers:?}"
    );
    alice.says(Send, "bob|six");
    assert_eq!(came(&mut alice).len(), 1);
    let known = alice.conn.caller.recipient.known().map(|known| known.id);
    assert_eq!(
        known,
        bench.core.hub.by_name("bob").map(|bob| bob.id),
        "who is gone is not asked first each time"
    );
    let texts: Vec<String> = came(&mut heir).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["\"alice|four\"", "\"alice|five\"", "\"alice|six\""]);
}

/// Somebody who takes no answers is read no further, also within messages that came together.
#[test]
fn where_the_answers_find_no_room_no_further_message_is_taken() {
    let bench = Bench::in_memory(&["outbox=65536"]);
    let mut bob = bench.enter("bob");
    let mut alice = enters(&bench, "alice", 1);
    alice.kernel.lock().room = Some(0);
    let many: Vec<u8> = (1..=900).flat_map(|counter| post(counter, "bob", "x")).collect();
    // Just so much is there that some of them are answered.
    let mut effects = Effects::default();
    alice.conn.caller.outbox.answer(&mut effects, |out| out.resize(65_536 - 10 * 40, 0));
    alice.arrives(&many);
    alice.notices();
    alice.turn();
    assert_eq!(alice.conn.caller.outbox.unwritten(), 65_536);
    assert_eq!(came(&mut bob).iter().filter(|(op, _)| *op == Deliver.byte()).count(), 10);
}
