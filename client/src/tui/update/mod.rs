//! What happens becomes what is shown and what is to be done: pure, so a test is messages in, state out.
//!
//! Files: `events` is what the library tells, `keys` what keys do in a conversation, `submit` what Enter makes of the
//! box, `complete` what Tab makes of it, `chats` moving between conversations and reading, `list`, `pick` and `search`
//! what keys do where the box does not have them, `modal` what else they do for users of vim, `overlays` what stands
//! over the rest, `jump` the palette, `chosen` settings, `waiting` for whoever is asked before messages come, `mouse`,
//! `editor`, and `notices` for whoever looks elsewhere.

mod chats;
mod chosen;
mod complete;
mod editor;
mod events;
mod jump;
mod keys;
mod list;
mod modal;
mod mouse;
mod notices;
mod overlays;
mod pick;
mod search;
mod submit;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use jump::beside;
pub(crate) use overlays::MESSAGE_MAX;
pub(crate) use pick::{DEEDS, LINK_COLUMNS, deeds, link_fits, link_lines};
pub(crate) use submit::too_long;
pub(crate) use waiting::STEP;

use std::time::Duration;

use super::editor::Left;
use super::focus::Focus;
use super::form::{Form, Slot, Submit};
use super::input::Input;
use super::key::{Code, Key};
use super::model::{Effect, Identity, Link, Login, Model, Now, Prefs};
use crate::event::Event;
use crate::text::{Kind, clean};

/// How long a second Ctrl+C counts as one of a pair.
const TWICE: Duration = Duration::from_secs(2);
/// A clock that is further ahead than this did not merely run faster.
const SLEPT_MS: i64 = 10_000;
/// How long a draft may be newer than the disk.
const DRAFT_AFTER: Duration = Duration::from_millis(300);
/// How long the end of a conversation is looked at before it counts as read.
const READ_AFTER: Duration = Duration::from_secs(1);

/// Something that happened.
pub(crate) enum Msg {
    Input(Input),
    Event(Event),
    /// Something was put where other programs paste from: which way, and how many bytes; or why not.
    Copied(Result<(&'static str, usize), String>),
    /// The editor that was started for this conversation has ended.
    Edited(Option<String>, Left),
    /// What was asked for is this.
    Told(String),
    /// The config was read or changed: how the screen is drawn from now on, and what is to be said.
    Chosen(Option<Box<Prefs>>, Result<String, String>),
    /// A deadline of the model passed.
    Deadline,
    /// The library has ended, which it does only when told or broken.
    Ended,
    /// Somebody outside wants the program to end, with this exit code.
    End(u8),
}

/// Takes what happened. Returns what is to be done.
pub(crate) fn update(model: &mut Model, now: Now, msg: Msg) -> Vec<Effect> {
    let day = model.local().date();
    let woke = slept(model.now, now);
    model.now = now;
    // A deadline says by itself whether it is one that is seen; the draft's is not.
    model.changed |= !matches!(msg, Msg::Deadline) || model.local().date() != day;
    let mut effects = Vec::new();
    match msg {
        Msg::Input(Input::Key(key)) => model.key(key, &mut effects),
        Msg::Input(Input::Paste(text)) => model.paste(&clean(&text, Kind::Body), &mut effects),
        Msg::Input(Input::Resize(columns, rows)) => {
            model.size = (columns, rows);
            model.load_more(&mut effects);
        }
        Msg::Input(Input::Focus(focused)) => model.focused = Some(focused),
        Msg::Input(Input::Mouse(mouse)) => model.mouse(mouse, &mut effects),
        Msg::Event(event) => model.event(event, &mut effects),
        Msg::Copied(Ok((way, bytes))) => model.hint(format!("copied ({way}, {bytes} bytes)")),
        Msg::Copied(Err(reason)) => model.complain(format!("not copied: {reason}")),
        Msg::Edited(open, left) => model.edited_outside(open, left),
        Msg::Told(text) => model.say(text),
        Msg::Chosen(prefs, told) => model.chosen(prefs, told, &mut effects),
        Msg::Ended => {
            // Whoever stopped has said why.
            if std::mem::replace(&mut model.link, Link::Ended) != Link::Stopped {
                model.complain("the connection has ended");
            }
        }
        Msg::End(code) => {
            model.keep_draft(&mut effects);
            model.quit = Some(code);
        }
        Msg::Deadline => {}
    }
    if woke {
        model.woke(&mut effects);
    }
    model.pick_again(&mut effects);
    model.deadlines(&mut effects);
    effects
}

/// The wall clock has run on while the program's stood still: the machine was asleep, or somebody has set it forward.
fn slept(before: Now, now: Now) -> bool {
    let here = i64::try_from(now.at.saturating_duration_since(before.at).as_millis()).unwrap_or(i64::MAX);
    let wall = now.wall_ms.saturating_sub(before.wall_ms);
    wall.saturating_sub(here) > SLEPT_MS
}

impl Model {
    /// Whatever connection there was before the machine slept has likely gone; nobody waits to find out.
    fn woke(&self, effects: &mut Vec<Effect>) {
        if matches!(self.link, Link::Offline { .. } | Link::Online) {
            effects.push(Effect::Reconnect);
        }
    }

    fn deadlines(&mut self, effects: &mut Vec<Effect>) {
        let now = self.now.at;
        if self.toast.as_ref().is_some_and(|toast| toast.until.is_some_and(|until| now >= until)) {
            self.toast = None;
            self.changed = true;
        }
        self.changed |= matches!(self.link, Link::Offline { .. });
        if self.draft_due.is_some_and(|due| now >= due) {
            self.keep_draft(effects);
        }
        if self.read_due.is_some_and(|due| now >= due) {
            self.read(effects);
        }
        self.order_chats();
        self.plan_reading();
        self.plan_people(effects);
    }

    fn key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        if self.toast.as_ref().is_some_and(|toast| toast.until.is_none()) {
            self.toast = None;
        }
        if self.overlay.is_some() {
            self.overlay_key(key, effects);
        } else if self.form.is_some() {
            self.form_key(key, effects);
        } else {
            self.chat_key(key, effects);
        }
    }

    fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.overlay.is_some() {
            self.overlay_paste(text);
        } else if let Some(form) = &mut self.form {
            form.paste(text);
        } else if !self.focus.is_box() {
            self.paste_elsewhere(text, effects);
        } else if text.lines().count() >= self.prefs.ui.paste_ask_lines.max(1)
            || text.len() > super::composer::BOX_MAX
        {
            self.overlay = Some(super::model::Overlay::Paste { text: text.to_owned() });
        } else if self.composer.paste(text) {
            self.edited();
        } else {
            self.hint("the box is full");
        }
    }

    fn form_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        match key {
            Key { code: Code::F(1), .. } => return self.open_help(),
            Key { code: Code::Char('l'), ctrl: true, .. } => return effects.push(Effect::Redraw),
            Key { code: Code::Char('z'), ctrl: true, .. } => return effects.push(Effect::Suspend),
            Key { code: Code::Char('q' | 'c'), ctrl: true, .. } => {
                self.quit = Some(0);
                return;
            }
            // Whoever was connected before goes on where they were.
            Key { code: Code::Esc, .. } if self.can_leave_form() => {
                self.form = None;
                return;
            }
            _ => {}
        }
        let Some(form) = &mut self.form else { return };
        match form.key(key) {
            Submit::No => {}
            Submit::GiveUp => {
                form.busy = None;
                self.link = Link::Idle;
                effects.push(Effect::Disconnect);
            }
            Submit::Login(login) => self.connect(login, effects),
        }
    }

    fn can_leave_form(&self) -> bool {
        let logged_in = !matches!(self.link, Link::Idle | Link::Stopped | Link::Ended);
        logged_in && self.form.as_ref().is_some_and(|form| form.busy.is_none() && !form.creating)
    }

    /// Connects as somebody: what was shown of anybody else goes.
    pub(crate) fn connect(&mut self, login: Login, effects: &mut Vec<Effect>) {
        let identity = Identity {
            user: login.user.to_string(),
            server: login.server.to_string(),
            local: !self.trust_of(&login.server).wants_tls(&login.server),
        };
        let before = self.identity.replace(identity);
        if before.is_some() && before != self.identity {
            self.forget();
        }
        (self.link, self.guard) = (Link::Connecting, None);
        self.round_trip = None;
        self.round_trips.clear();
        self.getting = None;
        self.waited.clear();
        self.held = 0;
        self.chats.clear();
        self.people = super::people::People::default();
        self.unsent.clear();
        self.asked.clear();
        self.by_hand.clear();
        self.open = None;
        self.focus = Focus::default();
        self.completion = None;
        self.held_unread = false;
        self.window = super::window::Window::empty();
        self.composer = super::composer::Composer::default();
        self.recall = None;
        effects.push(Effect::Connect(login));
    }

    /// What one person typed and was told is not for the next one.
    fn forget(&mut self) {
        self.sent.clear();
        self.notes = super::window::Window::empty();
        self.notes_made = 0;
        self.notes_draft.clear();
        self.toast = None;
        self.cancelled = None;
    }

    /// Shows the login, with what is known of it filled in.
    pub(crate) fn ask_login(&mut self, name: Option<&str>, error: Option<String>) {
        if let Some(form) = &mut self.form {
            if let Some(error) = error {
                form.failed(Slot::Password, error);
            }
            return;
        }
        let (server, user) = match &self.identity {
            Some(identity) => (identity.server.clone(), identity.user.clone()),
            None => (format!("127.0.0.1:{}", bellhop_protocol::PORT), String::new()),
        };
        let mut form = Form::new(&server, name.unwrap_or(&user));
        form.error = error;
        self.put_overlay_aside();
        self.focus = Focus::default();
        self.form = Some(form);
    }
}
