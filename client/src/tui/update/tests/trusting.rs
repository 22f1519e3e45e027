//! Servers that are not trusted: what is shown, and what may be answered.

use super::stopped;
use crate::config::Server;
use crate::event::{Doubt, Event, Guard, Secured, StopKind, Untrusted};
use crate::fingerprint::Fingerprint;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::Code;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;

fn untrusted(doubt: Doubt) -> Event {
    let server = Server::parse("chat.example").expect("an address");
    Event::Untrusted(Untrusted { server, shown: Fingerprint::of_key(b"new"), doubt })
}

fn trusts(stage: &mut Stage) -> bool {
    stage.done().iter().any(|effect| matches!(effect, Effect::Trust(_)))
}

/// A login at a server that was never met, up to the question.
fn asked() -> Stage {
    let mut stage = Stage::login((80, 24), &UNICODE);
    stage.say("alice\topen sesame");
    stage.press(Code::Enter);
    stage.done();
    stage.event(untrusted(Doubt::Unknown));
    stage.event(stopped(StopKind::Untrusted, "not known yet"));
    stage
}

/// Nobody says yes by a key that was meant for something else.
#[test]
fn a_new_server_is_trusted_by_a_whole_word_alone() {
    for typed in ["\n", "y\n", "no\n", "yes please\n"] {
        let mut stage = asked();
        for c in typed.chars() {
            stage.press(if c == '\n' { Code::Enter } else { Code::Char(c) });
        }
        assert!(!trusts(&mut stage), "{typed:?}");
        stage.shows("New server key");
        stage.press(Code::Esc);
        stage.hides("New server key");
        stage.shows("not trusted; nothing was sent");
        assert!(stage.done().contains(&Effect::Disconnect));
        stage.shows("alice");
    }
    let mut stage = asked();
    stage.enter("yes");
    assert!(trusts(&mut stage));
    stage.hides("New server key");
}

#[test]
fn a_server_that_has_changed_is_trusted_by_another_word_alone() {
    let mut stage = Stage::usual();
    stage.say("half a thought");
    stage.event(untrusted(Doubt::Changed { kept: Fingerprint::of_key(b"old") }));
    stage.event(stopped(StopKind::Untrusted, "not known yet"));
    for key in [&Fingerprint::of_key(b"old"), &Fingerprint::of_key(b"new")] {
        stage.shows(&key.to_string());
    }
    stage.shows("bellhop trust add chat.example:2050");
    for wrong in ["", "y", "yes", "replaced"] {
        stage.ctrl('u');
        stage.enter(wrong);
        assert!(!trusts(&mut stage), "{wrong}");
        stage.shows("HAS CHANGED");
    }
    stage.shows("type replace, or press Esc");
    stage.press(Code::Esc);
    stage.hides("HAS CHANGED");
    stage.shows("not trusted; nothing was sent");
    stage.shows("> half a thought");
    stage.shows("offline, /reconnect");
    for doubt in [Doubt::Changed { kept: Fingerprint::of_key(b"old") }, Doubt::NoAuthority] {
        stage.event(untrusted(doubt));
        stage.enter("replace");
        assert!(trusts(&mut stage), "{doubt:?}");
        stage.hides("HAS CHANGED");
    }
}

/// Nothing that is typed makes up for a key that was given, or an authority that is wanted.
#[test]
fn a_server_that_cannot_be_the_one_has_no_answer_here() {
    for doubt in [Doubt::NotVouched, Doubt::NotGiven { given: Fingerprint::of_key(b"old") }] {
        let mut stage = Stage::usual();
        stage.event(untrusted(doubt));
        stage.event(stopped(StopKind::Untrusted, "not trusted"));
        for typed in ["yes", "replace"] {
            stage.enter(typed);
        }
        assert!(!trusts(&mut stage), "{doubt:?}");
        stage.shows("NOT THIS SERVER");
        stage.press(Code::Esc);
        stage.hides("NOT THIS SERVER");
    }
}

#[test]
fn a_fingerprint_that_is_cut_cannot_be_trusted() {
    let mut stage = Stage::new((80, 9), &UNICODE);
    stage.event(untrusted(Doubt::Changed { kept: Fingerprint::of_key(b"old") }));
    stage.enter("replace");
    assert!(!trusts(&mut stage));
}

#[test]
fn a_key_that_moved_is_told_and_the_server_can_be_asked_about() {
    let mut stage = Stage::usual();
    let (key, before) = (Fingerprint::of_key(b"new"), Fingerprint::of_key(b"old"));
    let guard = Guard::Key { key, since: None };
    stage.event(Event::Secured(Secured { guard, moved_from: Some(before) }));
    stage.shows("the server has a new key");
    stage.enter("/server");
    stage.shows("its key is known");
    stage.model.guard = Some(Guard::Plain);
    stage.enter("/server");
    stage.shows("plain, on this machine");
    stage.shows("│ plain (local) │");
}
