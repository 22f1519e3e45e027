//! Messages as lines: what is shown, and that scrolling keeps its place.

use super::*;
use crate::Peer;

fn window(texts: &[&str]) -> Window {
    let mut window = Window::empty();
    for (at, text) in (1..).zip(texts) {
        window.add(Message {
            n: at,
            peer: Peer::new("bob"),
            mine: at % 2 == 0,
            id: None,
            text: (*text).to_owned(),
            time_ms: 1_795_165_200_000 + at * 60_000,
            state: Delivery::Delivered,
            reason: None,
        });
    }
    window
}

fn look(columns: usize) -> Look {
    Look {
        columns,
        narrow: false,
        me: "alice".into(),
        nick: 5,
        zone: TimeZone::UTC,
        wall_ms: 1_795_165_800_000,
        forms: Forms::new("%H:%M", "%a %-d %b %Y", Emoji::AsIs),
    }
}

fn texts(lines: &[Line]) -> Vec<String> {
    let text = |line: &Line| match line {
        Line::Day(day) => format!("day {day}"),
        Line::New => "new".into(),
        Line::Name { name, .. } => format!("name {name}"),
        Line::Text { time, nick, text, .. } => {
            format!("{} {} {text}", time.as_deref().unwrap_or("-"), nick.as_deref().unwrap_or("-"))
        }
        Line::Reason(reason) => format!("reason {reason}"),
    };
    lines.iter().map(text).collect()
}

#[test]
fn times_and_names_appear_when_they_change() {
    let mut window = window(&["one", "two", "three"]);
    window.items[2].time_ms = window.items[1].time_ms;
    window.items[2].mine = true;
    window.new_from = Some(2);
    let look = look(58);
    let pane = Pane { window: &window, look: &look };
    assert_eq!(
        texts(&pane.visible(20)),
        ["day Today, Fri 20 Nov", "09:01 bob one", "new", "09:02 alice two", "- - three"]
    );
    window.items[0].time_ms -= 86_400_000;
    let pane = Pane { window: &window, look: &Look { narrow: true, ..look } };
    assert_eq!(
        texts(&pane.visible(20)),
        [
            "day Thu 19 Nov 2026",
            "name bob",
            "09:01 - one",
            "day Today, Fri 20 Nov",
            "new",
            "name alice",
            "09:02 - two",
            "- - three"
        ]
    );
}

#[test]
fn days_may_go_back_when_messages_come_late() {
    let mut window = window(&["one", "two"]);
    window.items[1].time_ms -= 3 * 86_400_000;
    let look = look(58);
    let pane = Pane { window: &window, look: &look };
    assert_eq!(texts(&pane.visible(9))[2], "day Tue 17 Nov 2026");
}

#[test]
fn a_message_that_did_not_simply_go_says_why() {
    let check = |state: Delivery, expected: &str| {
        let mut window = window(&["one", "two"]);
        window.items[1].state = state;
        window.items[1].reason = Some("no room".into());
        let look = look(80);
        let pane = Pane { window: &window, look: &look };
        let lines = texts(&pane.visible(9));
        assert_eq!(lines.last().map(String::as_str), Some(expected));
    };
    check(Delivery::Failed, "reason not sent: no room (/retry sends it again, /drop forgets it)");
    check(Delivery::Unknown, "reason may have arrived: no room");
    check(Delivery::Outbox, "reason waits: no room");
    check(Delivery::Returned, "reason came back: no room");
}

#[test]
fn scrolling_keeps_its_place_and_the_pane_full() {
    let long = "word ".repeat(40);
    let texts: Vec<&str> = (0..30).map(|at| if at % 3 == 0 { long.as_str() } else { "short" }).collect();
    let mut window = window(&texts);
    let look = look(40);
    let rows = 10;
    let total = Pane { window: &window, look: &look }.visible(usize::MAX).len();
    let all = Pane { window: &window, look: &look }.visible(usize::MAX);
    for up in 0..total + 5 {
        window.scroll = Scroll::Follow;
        window.scroll = Pane { window: &window, look: &look }.scrolled_up(up, rows);
        let seen = Pane { window: &window, look: &look }.visible(rows);
        let bottom = (total - up.min(total)).max(rows);
        assert_eq!(seen, all[bottom - rows..bottom], "{up} up");
        assert_eq!(window.scroll == Scroll::Follow, up == 0);
        window.scroll = Pane { window: &window, look: &look }.scrolled_down(up);
        assert_eq!(window.scroll, Scroll::Follow, "and back");
    }
}

#[test]
fn new_messages_and_other_widths_do_not_move_what_is_read() {
    let long = "word ".repeat(40);
    let mut window = window(&[&long, "a", &long, "b", &long, "c"]);
    let narrow = look(40);
    window.scroll = Pane { window: &window, look: &narrow }.scrolled_up(7, 5);
    let before = Pane { window: &window, look: &narrow }.visible(5);
    let bottom = window.scroll;
    window.add(Message { n: 99, ..window.items[0].clone() });
    assert_eq!(Pane { window: &window, look: &narrow }.visible(5), before);
    Pane { window: &window, look: &look(90) }.visible(5);
    assert_eq!((window.scroll, Pane { window: &window, look: &narrow }.visible(5)), (bottom, before));
}

#[test]
fn the_divider_is_put_on_top_where_more_is_unread_than_fits() {
    let texts: Vec<&str> = vec!["x"; 40];
    let mut window = window(&texts);
    window.new_from = Some(11);
    let look = look(40);
    let rows = 10;
    window.scroll = Pane { window: &window, look: &look }.at_divider(rows).expect("a divider");
    assert_eq!(Pane { window: &window, look: &look }.visible(rows)[0], Line::New);
    window.new_from = Some(38);
    assert_eq!(Pane { window: &window, look: &look }.at_divider(rows), Some(Scroll::Follow));
}
