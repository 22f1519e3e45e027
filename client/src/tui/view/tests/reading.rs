//! Screens of reading and finding: a picked message, the list with the keys, words that are looked for.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::check;
use crate::delivery::Delivery;
use crate::event::{Event, StateChange};
use crate::tui::glyphs::{ASCII, UNICODE};
use crate::tui::key::Code;
use crate::tui::stage::Stage;

/// A screen, and what leads to it.
type Way = (&'static str, fn(&mut Stage));

const WAYS: &[Way] = &[
    ("pick", |stage| stage.press(Code::Up)),
    ("menu", |stage| {
        (0..4).for_each(|_| stage.press(Code::Up));
        stage.press(Code::Enter);
    }),
    ("link", |stage| {
        (0..4).for_each(|_| stage.press(Code::Up));
        stage.say("o");
    }),
    ("about", |stage| {
        stage.press(Code::Up);
        stage.say("i");
    }),
    ("in-list", |stage| {
        (0..2).for_each(|_| stage.press(Code::F(6)));
        stage.say("/ar");
    }),
    ("find", |stage| {
        stage.ctrl('f');
        stage.say("one");
    }),
    ("complete", |stage| stage.say("/l\t")),
    ("palette", |stage| {
        stage.ctrl('k');
        stage.say("/rec");
    }),
];

#[test]
fn reading_and_finding() {
    for (size, name) in [((80, 24), "80x24"), ((40, 20), "40x20")] {
        for (way, lead) in WAYS {
            let mut stage = Stage::new(size, &UNICODE);
            stage.pass(2.0);
            lead(&mut stage);
            check(&format!("{way}-{name}"), &stage);
        }
    }
    let mut stage = Stage::new((80, 24), &ASCII);
    stage.ctrl('f');
    stage.say("one");
    check("find-80x24-ascii", &stage);
}

#[test]
fn every_way_of_reading_fits_every_window() {
    for (way, lead) in WAYS {
        let mut stage = Stage::usual();
        lead(&mut stage);
        for size in 0..450_u16 {
            let (columns, rows) = (size % 30 * 6 + 1, size / 30 * 4 + 1);
            stage.model.size = (columns, rows);
            let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
            let caret = crate::tui::view::screen(&stage.model, &mut buffer);
            let inside = caret.is_none_or(|caret| caret.x < columns && caret.y < rows);
            assert!(inside, "{way}: the caret left a screen of {columns}x{rows}");
        }
    }
}

/// What is looked for stands out, most of all where it is shown.
#[test]
fn words_that_were_found_stand_out() {
    let mut stage = Stage::usual();
    stage.ctrl('f');
    stage.say("one");
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    crate::tui::view::screen(&stage.model, &mut buffer);
    let looks: Vec<Modifier> = (0..24_u16)
        .flat_map(|y| (20..80_u16).map(move |x| (x, y)))
        .filter(|(x, y)| {
            *y < 21
                && (0..3).all(|at| {
                    *x + 3 < 80 && buffer[(x + at, *y)].symbol() == ["o", "n", "e"][usize::from(at)]
                })
        })
        .map(|place| buffer[place].modifier)
        .collect();
    assert!(looks.iter().any(|look| look.contains(Modifier::REVERSED)), "{looks:?}");
    assert!(looks.iter().all(|look| look.intersects(Modifier::REVERSED | Modifier::UNDERLINED)), "{looks:?}");
}

#[test]
fn the_status_row_names_whose_message_was_not_sent() {
    let mut stage = Stage::usual();
    let (reason, code) = (Some("no such user".to_owned()), None);
    stage.event(Event::State(StateChange {
        n: 8,
        id: None,
        state: Delivery::Failed,
        time_ms: 0,
        code,
        reason,
    }));
    let screen = stage.screen();
    let status = screen.lines().last().unwrap_or_default();
    assert!(status.contains("TLS") && status.contains("1 not sent: bob"), "{status}");
}
