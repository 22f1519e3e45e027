//! What a person chooses while the screen runs.

use crate::settings::value::Value;
use crate::tui::key::{Code, Key};
use crate::tui::model::Effect;
use crate::tui::stage::Stage;
use crate::tui::update::Msg;

#[test]
fn a_setting_is_checked_before_it_is_kept() {
    let check = |typed: &str, name: &str, value: Option<Value>| {
        let mut stage = Stage::usual();
        stage.done();
        stage.enter(typed);
        let name = name.to_owned();
        assert_eq!(stage.done().last(), Some(&Effect::Set { name, value }), "{typed}");
        assert!(stage.model.composer.is_empty());
    };
    check("/set ui.mouse true", "ui.mouse", Some(Value::Bool(true)));
    check("/set ui.mouse", "ui.mouse", None);
    check("/set ui.theme \"dark\"", "ui.theme", Some(Value::Text("dark".into())));
    check(
        "/set account.work.server chat.example",
        "account.work.server",
        Some(Value::Text("chat.example".into())),
    );
    check("/set keys.quit ctrl+x, f9", "keys.quit", Some(Value::List(vec!["ctrl+x".into(), "f9".into()])));
    let refused = |typed: &str, why: &str| {
        let mut stage = Stage::usual();
        stage.done();
        stage.enter(typed);
        assert!(!stage.done().iter().any(|effect| matches!(effect, Effect::Set { .. } | Effect::Account(_))));
        assert_eq!(stage.model.composer.text(), typed, "it can be mended");
        let told = stage.model.toast.as_ref().map(|toast| toast.text.clone()).unwrap_or_default();
        assert!(told.contains(why), "{typed}: {told}");
    };
    refused("/set", "/set KEY VALUE");
    refused("/set ui.mouse maybe", "ui.mouse takes true or false");
    refused("/set ui.mose true", "did you mean ui.mouse?");
    refused("/set keys.quti f9", "did you mean keys.quit?");
    refused("/account ../x", "/account NAME");
}

#[test]
fn what_was_chosen_counts_at_once_and_nothing_that_is_typed_goes() {
    let mut stage = Stage::usual();
    stage.press(Code::F(3));
    stage.say("half a thou");
    let mut prefs = Box::new(stage.model.prefs.clone());
    prefs.ui.mouse = true;
    prefs.panes.list_width = 28;
    prefs.panes.list = true;
    stage.done();
    stage.message(Msg::Chosen(Some(prefs), Ok("ui.mouse = true".into())));
    let effects = stage.done();
    assert!(effects.contains(&Effect::Mouse(true)) && effects.contains(&Effect::Redraw), "{effects:?}");
    assert_eq!(stage.model.composer.text(), "half a thou");
    assert_eq!(stage.model.prefs.panes.list_width, 28);
    assert!(!stage.model.prefs.panes.list, "what is shown is not what is kept");
    stage.shows("ui.mouse = true");
    let before = stage.model.prefs.ui.clone();
    stage.message(Msg::Chosen(None, Err("config.toml:2:9: wrong".into())));
    assert_eq!(stage.model.prefs.ui, before);
    stage.pass(10.0);
    stage.shows("✗ config.toml:2:9: wrong");
}

#[test]
fn another_account_is_left_with_the_draft_kept() {
    let mut stage = Stage::usual();
    stage.done();
    stage.enter("/account home");
    let effects = stage.done();
    assert_eq!(effects.last(), Some(&Effect::Account("home".into())), "{effects:?}");
    stage.enter("/reload");
    assert_eq!(stage.done().last(), Some(&Effect::Reload));
}

#[test]
fn keys_do_what_the_config_says() {
    use crate::settings::Profile;
    use crate::tui::bindings::Bindings;
    let mut stage = Stage::usual();
    stage.model.prefs.bindings = Bindings::of(Profile::Emacs);
    stage.say("one two");
    stage.press(Code::Home);
    stage.key(Key::ctrl(Code::Right));
    stage.ctrl('k');
    assert_eq!(stage.model.composer.text(), "one", "Ctrl+K deletes to the end of the line");
    stage.press(Code::F(2));
    assert!(stage.model.overlay.is_some());
    stage.press(Code::Esc);
    stage.press(Code::F(1));
    stage.say("jump to a conv");
    stage.shows("F2");
    stage.hides("Ctrl+K");
}

#[test]
fn who_wants_no_ops_by_hand_writes_messages() {
    let mut stage = Stage::usual();
    stage.model.prefs.ui.raw_ops = false;
    stage.done();
    stage.say("5|bob|hello");
    stage.hides("RAW op");
    stage.press(Code::Enter);
    assert_eq!(super::sent(&mut stage), ["bob: 5|bob|hello"]);
    stage.enter("/nonsense");
    assert_eq!(super::sent(&mut stage), [""; 0], "a command is none of these");
}

#[test]
fn times_days_and_emoji_as_somebody_wants_them() {
    use crate::settings::Emoji;
    let mut stage = Stage::usual();
    stage.key(Key::ctrl(Code::End));
    stage.shows("09:02 alice Morning!");
    stage.shows("Today, Fri 20 Nov ─");
    stage.shows("構建完成 ✅");
    stage.model.prefs.ui.time = "%-I:%M %p".into();
    stage.model.prefs.ui.date = "%Y-%m-%d".into();
    stage.model.prefs.emoji = Emoji::Names;
    stage.shows("9:02 AM  alice Morning!");
    stage.shows("Today, 2026-11-20");
    stage.shows(":white_check_mark:");
    stage.model.prefs.ui.time = String::new();
    stage.shows("  alice Morning!");
    stage.hides("09:02");
}
