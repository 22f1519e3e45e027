//! Draining: a connection goes when nothing is due on it, and not before.

use bellhop_protocol::item::Ack;

use super::*;

/// The code of the notice that was written, if one was.
fn notice(side: &mut bench::Side<'_>) -> Option<String> {
    side.turn();
    let (op, text) = side.read()?;
    assert_eq!(op, NOTICE, "{text}");
    text.split('|').nth(1).map(str::to_owned)
}

fn gone() -> Option<String> {
    Some("shutting-down".to_owned())
}

#[test]
fn while_draining_a_connection_goes_when_nothing_is_due_on_it() {
    for bench in Bench::both(&[]) {
        let (mut alice, mut bob, mut stranger) = (bench.enter("alice"), bench.connect(), bench.connect());
        bob.arrives(&hello(2));
        bob.notices();
        bob.next();
        bob.enter("bob");
        bob.ask(Deliver, "");
        alice.ask(Send, "bob|hi");
        assert_eq!(bob.next().0, OpCode::Message.byte());
        let (request, mut half) = (bytes(List, "nobody"), bench.connect());
        half.arrives(&request[..7]);
        half.notices();
        half.turn();
        let mut unheard = bench.connect();
        unheard.arrives(&request);

        bench.core.draining.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!([notice(&mut alice), notice(&mut stranger)], [gone(), gone()]);
        assert_eq!(notice(&mut half), None, "half a request was said");
        assert_eq!(notice(&mut bob), None, "what it was brought is not acknowledged");
        assert_eq!(notice(&mut unheard), None, "it was said, though the runtime has not noticed yet");
        half.arrives(&request[7..]);
        for side in [&mut half, &mut unheard] {
            side.notices();
            assert_eq!(side.next(), (List.answer(), "ok".into()));
            assert_eq!(notice(side), gone());
        }
        let mut ack = Vec::new();
        Ack::put(&[(1, u64::MAX >> 1)], &mut ack);
        bob.arrives(&ack);
        bob.notices();
        assert_eq!(notice(&mut bob), gone());
    }
}
