//! What Tab makes of a word.

use crate::tui::key::{Code, Key};
use crate::tui::stage::Stage;

type Change = fn(&mut Stage);

/// The place of a word that was no longer there: Tab behind Ctrl+C ended the program, and behind a paste it took the
/// paste away.
#[test]
fn the_ways_to_complete_a_word_are_those_of_what_is_in_the_box_now() {
    let changes: [(Change, &str); 4] = [
        (|stage| stage.ctrl('c'), ""),
        (|stage| stage.ctrl('_'), "so"),
        (|stage| stage.paste("pasted"), "so :ropasted"),
        (|stage| stage.key(Key::ctrl(Code::Up)), "sent before"),
    ];
    for (change, expected) in changes {
        let mut stage = Stage::usual();
        stage.enter("sent before");
        stage.say("so :ro\t");
        assert!(stage.model.completion.is_some(), "several emoji begin like that");
        change(&mut stage);
        stage.press(Code::Tab);
        assert_eq!(stage.model.composer.text(), expected);
    }
}
