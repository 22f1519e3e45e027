//! Questions: what they say, and what can be answered, at every size.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{check, untrusted};
use crate::event::{Doubt, Event};
use crate::fingerprint::Fingerprint;
use crate::tui::glyphs::UNICODE;
use crate::tui::key::Code;
use crate::tui::model::Effect;
use crate::tui::stage::Stage;
use crate::tui::view::screen;

#[test]
fn servers_that_are_not_trusted() {
    let kept = Fingerprint::of_key(b"old");
    for (size, name) in [((80, 24), "80x24"), ((40, 20), "40x20")] {
        let mut stage = Stage::login(size, &UNICODE);
        stage.event(Event::Untrusted(untrusted(Doubt::Unknown)));
        check(&format!("trust-{name}"), &stage);
        stage.event(Event::Untrusted(untrusted(Doubt::Changed { kept })));
        check(&format!("trust-{name}-changed"), &stage);
    }
}

/// A fingerprint that is cut is none.
#[test]
fn a_key_is_shown_as_a_whole_or_cannot_be_trusted() {
    let shown = untrusted(Doubt::Unknown).shown.to_string();
    for columns in (20..90).step_by(3) {
        for rows in 6..26 {
            let mut stage = Stage::login((columns, rows), &UNICODE);
            stage.event(Event::Untrusted(untrusted(Doubt::Unknown)));
            stage.say("yes");
            let seen = stage.screen();
            let together: String =
                seen.chars().filter(|c| !c.is_whitespace() && !"│|".contains(*c)).collect();
            stage.press(Code::Enter);
            let trusts = stage.done().iter().any(|effect| matches!(effect, Effect::Trust(_)));
            assert!(!trusts || together.contains(&shown), "{columns}x{rows}\n{seen}");
            assert!(trusts || rows < 20, "{columns}x{rows}\n{seen}");
        }
    }
}

/// What stood below a question shone through: the line beside the list made a column of it dim.
#[test]
fn a_question_has_a_look_of_its_own() {
    let mut stage = Stage::usual();
    stage.event(Event::Untrusted(untrusted(Doubt::Unknown)));
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    screen(&stage.model, &mut buffer);
    let text = |y: u16| (0..80).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    let row = (0..24).find(|y| text(*y).contains("SHA256:")).expect("the fingerprint");
    assert!((6..56).all(|x| buffer[(x, row)].modifier.is_empty()), "{row}");
}

/// The keys of a question, and the fields to be filled in, were below the edge of a small window.
#[test]
fn a_question_keeps_its_keys_in_a_small_window() {
    let asks: [fn(&mut Stage); 4] = [
        |stage| stage.paste("1\n2\n3\n4\n5"),
        |stage| stage.ctrl('q'),
        |stage| stage.enter("/delete-account"),
        |stage| stage.enter("4|open sesame"),
    ];
    for size in [(20, 6), (30, 8), (40, 20), (80, 24)] {
        for (number, ask) in asks.iter().enumerate() {
            let mut stage = Stage::new(size, &UNICODE);
            ask(&mut stage);
            stage.shows("Esc");
            let keys = [["i", "s"], ["y", "quit"], ["Tab", "Enter"], ["Enter", "delete"]][number];
            let seen = stage.screen();
            let row = seen.lines().find(|line| line.contains("Esc")).unwrap_or_default();
            assert!(keys.iter().all(|key| row.contains(key)), "{row}");
            if number < 2 {
                continue;
            }
            stage.say("ali");
            stage.shows("ali");
            if number == 2 {
                stage.press(Code::Tab);
                stage.say("abc");
                stage.shows("•••");
            }
        }
    }
    let mut stage = Stage::usual();
    stage.enter("/delete-account");
    stage.enter("alcie");
    stage.shows("that is not the name of this account");
}
