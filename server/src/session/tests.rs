//! What may be asked in which state, and clocks, in virtual time.

use super::*;

const S: Duration = Duration::from_secs(1);

fn session(open: bool) -> Session {
    Session::new(Duration::ZERO, open, &Limits::default())
}

/// The states of the table in PROTOCOL.md, section 7, by column.
fn states(open: bool) -> [Session; 4] {
    let connected = session(open);
    let mut greeted = session(open);
    greeted.greeted();
    let mut text = session(open);
    text.count_frame();
    text.logged_in();
    let mut hello = session(open);
    hello.greeted();
    hello.logged_in();
    [connected, greeted, text, hello]
}

#[test]
fn which_op_in_which_state() {
    use OpCode::*;
    let table = [
        (&[List][..], ["not-logged-in", "not-logged-in", "", ""]),
        (&[Create, Login], ["", "", "already-logged-in", "already-logged-in"]),
        (&[Resume], ["hello-first", "", "hello-first", "already-logged-in"]),
        (&[Logout, Delete, Send, Deliver], ["not-logged-in", "not-logged-in", "", ""]),
        (&[Hello], ["", "hello-first", "hello-first", "hello-first"]),
        (&[Ping], ["hello-first", "", "hello-first", ""]),
        (
            &[Post, Ack, Token, Read, Watch, Typing, Password],
            ["hello-first", "not-logged-in", "hello-first", ""],
        ),
        (&[Message, Receipt, Presence], ["", "", "", ""]),
    ];
    let listed: usize = table.iter().map(|(ops, _)| ops.len()).sum();
    assert_eq!(listed, OpCode::ALL.len());
    for (ops, expected) in table {
        for op in ops {
            let found = states(false)
                .map(|session| session.check(op.byte()).err().map_or(String::new(), |r| r.code.to_string()));
            assert_eq!(found, expected, "{op:?}");
        }
    }
    for op in (0..=255).filter(|op| OpCode::from_byte(*op).is_none()) {
        assert!(
            states(false).iter().all(|session| session.check(op).is_ok()),
            "{op:#04x} is refused by decoding"
        );
    }
    assert!(states(true).iter().all(|session| session.check(List.byte()).is_ok()), "an open listener");
}

#[test]
fn hello_is_the_first_frame_or_none() {
    let mut session = session(true);
    session.count_frame();
    assert_eq!(session.check(OpCode::Hello.byte()).unwrap_err().code, Code::HELLO_FIRST);
}

#[test]
fn frames_before_login_are_few() {
    fn handled(session: &mut Session) -> usize {
        (0..100)
            .take_while(|_| {
                let may = session.has_frame_left(|| 0).is_ok();
                session.count_frame();
                may
            })
            .count()
    }
    for (open, most) in [(false, 8), (true, 64)] {
        let mut session = session(open);
        assert_eq!(handled(&mut session), most);
        session.logged_in();
        assert_eq!(handled(&mut session), 100);
        session.logged_out(Duration::ZERO, 0);
        assert_eq!(handled(&mut session), most);
    }
}

#[test]
fn answers_before_login_are_few() {
    let is_left = |session: &Session, given| session.has_frame_left(|| given).is_ok();
    for (open, most) in [(false, 4_096), (true, 262_144)] {
        let mut session = session(open);
        assert_eq!((is_left(&session, most - 1), is_left(&session, most)), (true, false));
        session.logged_in();
        assert!(is_left(&session, 10 * most));
        session.logged_out(Duration::ZERO, 10 * most);
        assert_eq!((is_left(&session, 11 * most - 1), is_left(&session, 11 * most)), (true, false));
    }
}

#[test]
fn limits_on_frames_are_those_of_the_state() {
    let mut session = session(false);
    assert_eq!(session.frame_limit(), 1_024);
    session.logged_in();
    assert_eq!(session.frame_limit(), 65_536);
    session.logged_out(Duration::ZERO, 0);
    assert_eq!(session.frame_limit(), 1_024);
}

#[test]
fn a_login_comes_in_ten_seconds() {
    let mut session = session(false);
    assert_eq!((session.deadline(), session.alarm(9 * S)), (Some(10 * S), None));
    session.busy(9 * S);
    assert_eq!(
        (session.deadline(), session.alarm(30 * S)),
        (None, None),
        "the server's own time does not count"
    );
    session.done(30 * S);
    assert_eq!(session.deadline(), Some(31 * S));
    session.logged_in();
    assert_eq!((session.deadline(), session.alarm(1_000 * S)), (None, None));
    session.logged_out(40 * S, 0);
    assert_eq!(session.alarm(50 * S), Some(timed_out("no login came in time")));
}

#[test]
fn a_frame_comes_in_ten_seconds() {
    let mut session = session(false);
    session.logged_in();
    session.heard(5 * S, true);
    session.heard(14 * S, true);
    assert_eq!(session.deadline(), Some(15 * S), "more of it does not give it more time");
    session.heard(14 * S, false);
    assert_eq!(session.deadline(), None);
    session.heard(20 * S, true);
    assert!(matches!(session.alarm(30 * S), Some(Alarm::Close(refusal)) if refusal.code == Code::TIMED_OUT));
}

#[test]
fn silence_is_asked_about_twice_and_then_ends() {
    let mut session = session(false);
    session.greeted();
    session.logged_in();
    assert_eq!(session.deadline(), Some(30 * S));
    assert_eq!(session.alarm(30 * S), Some(Alarm::Ping));
    assert_eq!((session.alarm(59 * S), session.alarm(60 * S)), (None, Some(Alarm::Ping)));
    assert_eq!((session.alarm(89 * S), session.alarm(90 * S)), (None, Some(Alarm::Drop)));
    session.heard(61 * S, false);
    assert_eq!((session.deadline(), session.alarm(90 * S)), (Some(91 * S), None));
}

/// After two minutes in which the server was stopped, all its clients were given up at once.
#[test]
fn time_in_which_the_server_did_not_run_is_no_silence() {
    let mut greeted = session(false);
    greeted.greeted();
    greeted.logged_in();
    greeted.heard(10 * S, true);
    assert_eq!(greeted.alarm(130 * S), None);
    assert_eq!(greeted.deadline(), Some(140 * S), "the rest of the frame has its ten seconds");
    greeted.heard(131 * S, false);
    assert_eq!(greeted.alarm(161 * S), Some(Alarm::Ping));
    assert_eq!((greeted.alarm(300 * S), greeted.alarm(330 * S)), (None, Some(Alarm::Ping)));
    assert_eq!((greeted.alarm(360 * S), greeted.alarm(390 * S)), (Some(Alarm::Ping), Some(Alarm::Drop)));
    let mut new = session(false);
    assert_eq!((new.alarm(60 * S), new.deadline()), (None, Some(70 * S)));
    assert_eq!(new.alarm(70 * S), Some(timed_out("no login came in time")));
}

/// Bytes lay in the machine, unread on purpose, and the connection was given up for silence.
#[test]
fn silence_that_the_server_does_not_listen_to_is_none() {
    let mut session = session(false);
    session.greeted();
    session.logged_in();
    assert_eq!(session.alarm(30 * S), Some(Alarm::Ping));
    session.listen(40 * S, false);
    assert_eq!((session.deadline(), session.alarm(1_000 * S)), (None, None));
    session.listen(1_000 * S, true);
    session.listen(1_010 * S, true);
    assert_eq!((session.deadline(), session.alarm(1_029 * S)), (Some(1_030 * S), None));
    assert_eq!(session.alarm(1_030 * S), Some(Alarm::Ping), "and the PINGs begin anew");
    session.busy(1_030 * S);
    session.done(2_000 * S);
    assert_eq!((session.deadline(), session.alarm(2_029 * S)), (Some(2_030 * S), None));
}

#[test]
fn what_was_written_a_minute_ago_is_taken() {
    let mut clock = TakenClock::default();
    assert_eq!((clock.deadline(), clock.taken(100 * S)), (None, None));
    clock.wrote(10 * S, 100);
    clock.wrote(10 * S + S / 2, 150);
    (12..20).for_each(|half| clock.wrote(5 * S + half * S / 2, 200));
    assert_eq!(clock.deadline(), Some(70 * S + S / 2));
    assert_eq!(clock.taken(70 * S), None);
    assert_eq!(clock.taken(71 * S), Some(150));
    assert_eq!(clock.taken(73 * S), Some(200), "more that is written does not put it off");
    assert_eq!((clock.taken(100 * S), clock.deadline()), (Some(200), None));
}
