//! Messages as lines of text, without borders and unwrapped: for selecting with the mouse, for screen readers, for
//! terminals that cannot be drawn on.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::model::Model;
use super::pane::written;
use crate::event::Message;

/// Messages that are printed at once.
const LINES_MAX: usize = 200;

/// Further lines of a message begin like this, so that none can be taken for another message.
pub(crate) const INDENT: &str = "      ";

/// The open conversation, a line a message; a message of several lines goes on below, indented.
pub(crate) fn lines(model: &Model) -> Vec<String> {
    let items = &model.shown().items;
    let skip = items.len().saturating_sub(LINES_MAX);
    let me = model.identity.as_ref().map_or("", |identity| identity.user.as_str());
    let mut lines = Vec::new();
    let mut day = None;
    for message in items.iter().skip(skip) {
        let at = local(message.time_ms, &model.zone);
        if day != Some(at.date()) {
            day = Some(at.date());
            lines.push(format!("-- {} --", written(&model.prefs.ui.date, &at)));
        }
        lines.extend(of_message(message, me, &at, &model.prefs.ui.time).split('\n').map(str::to_owned));
        if let Some(reason) = message.reason.as_deref().filter(|_| message.mine) {
            lines.push(format!("{INDENT}({}: {reason})", message.state.words()));
        }
    }
    lines
}

/// `09:06 bob: text`
fn of_message(message: &Message, me: &str, at: &Zoned, pattern: &str) -> String {
    let name = if message.mine { me } else { &message.peer.name };
    let line = format!("{} {name}: {}", written(pattern, at), indented(&message.text));
    line.trim_start().to_owned()
}

/// A text whose further lines are indented.
pub(crate) fn indented(text: &str) -> String {
    text.replace('\n', &format!("\n{INDENT}"))
}

fn local(time_ms: i64, zone: &TimeZone) -> jiff::Zoned {
    Timestamp::from_millisecond(time_ms).unwrap_or_default().to_zoned(zone.clone())
}

#[cfg(test)]
mod tests {
    use crate::tui::stage::Stage;
    use crate::tui::{demo::Demo, glyphs::UNICODE};

    #[test]
    fn a_message_is_a_line_and_none_of_its_own_lines_is_a_message() {
        let stage = Stage::usual();
        let lines = super::lines(&stage.model);
        assert_eq!(lines[0], "-- Thu 19 Nov 2026 --");
        assert_eq!(lines[1], "17:52 bob: Did the release build finish?");
        assert!(lines.contains(&"      構建完成 ✅".to_owned()), "{lines:?}");
        let long = lines.iter().find(|line| line.contains("One thing")).expect("a long one");
        assert!(long.ends_with("which is what I want."), "it is not wrapped: {long:?}");
        assert!(lines.iter().all(|line| !line.contains(['\n', '│', '\x1b'])), "{lines:?}");
    }

    #[test]
    fn times_and_days_are_written_as_they_are_on_the_screen() {
        let mut stage = Stage::usual();
        (stage.model.prefs.ui.time, stage.model.prefs.ui.date) = ("%-I.%M %p".into(), "%d/%m/%y".into());
        let lines = super::lines(&stage.model);
        assert_eq!(lines[..2], ["-- 19/11/26 --", "5.52 PM bob: Did the release build finish?"]);
        stage.model.prefs.ui.time = String::new();
        assert_eq!(super::lines(&stage.model)[1], "bob: Did the release build finish?");
    }

    #[test]
    fn the_last_ones_are_printed() {
        let stage = Stage::with((80, 24), &UNICODE, Demo::new(5_000));
        let lines = super::lines(&stage.model);
        let messages = lines.iter().filter(|line| line.as_bytes()[2] == b':').count();
        assert_eq!(messages, super::LINES_MAX);
        assert!(lines.last().is_some_and(|line| line.ends_with("(sent from the train)")), "{lines:?}");
    }
}
