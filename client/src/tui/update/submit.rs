//! What Enter makes of the box.

use bellhop_protocol::Address;
use bellhop_protocol::op::OpCode;

use crate::delivery::Delivery;
use crate::peer::Peer;
use crate::raw::{self, RawOp};
use crate::secret::Secret;
use crate::tui::composer::Composer;
use crate::tui::model::{Effect, Link, Model, Overlay};
use crate::tui::trusting;
use crate::tui::typed::{self, Command, Does, Typed};

use super::MESSAGE_MAX;

impl Model {
    pub(super) fn submit(&mut self, effects: &mut Vec<Effect>) {
        let text = self.composer.text().to_owned();
        match typed::parse_as(&text, self.composer.is_pasted(), self.prefs.ui.raw_ops) {
            Typed::Nothing => {}
            Typed::Wrong(reason) => self.hint(reason),
            Typed::Message(message) => {
                let Some(entry) = self.entry() else {
                    return self.hint("nobody reads here: Ctrl+K opens a conversation");
                };
                let peer = entry.peer.clone();
                match self.written(&peer, message, effects) {
                    Ok(_) => self.done(effects),
                    Err(reason) => self.hint(reason),
                }
            }
            Typed::Command(command, arguments) => self.command(command, arguments, effects),
            Typed::Op(op) => self.typed_op(&op, effects),
        }
    }

    /// An op by hand. A SEND goes the way of all messages: it is in the history, has a tick, and waits for the server.
    fn typed_op(&mut self, op: &RawOp<'_>, effects: &mut Vec<Effect>) {
        let Some((to, text)) = typed::message_of(op) else { return self.op(op, effects) };
        match self.message(&to, text, effects) {
            Ok(tag) => {
                self.by_hand.insert(tag, None);
                self.note(format!("{} {}", self.prefs.glyphs.sent_to, self.composer.text()));
                self.done(effects);
            }
            Err(reason) => self.hint(reason),
        }
    }

    /// The box has done what it was for.
    fn done(&mut self, effects: &mut Vec<Effect>) {
        self.leave_recall();
        let sent = std::mem::take(&mut self.composer);
        self.remember_typed(&sent);
        self.keep_draft(effects);
    }

    /// Sends what somebody wrote to somebody. Gives back its tag, or why it is no message.
    fn written(&mut self, to: &Peer, text: &str, effects: &mut Vec<Effect>) -> Result<u64, String> {
        // Lines that are copied bring the end of the last one. It stays in the box, where more may follow.
        let text = text.trim_end_matches('\n');
        if text.trim().is_empty() {
            return Err("nothing to send".into());
        }
        self.message(to, text, effects)
    }

    /// Sends a message as it stands. Gives back its tag, or why it cannot be one.
    fn message(&mut self, to: &Peer, text: &str, effects: &mut Vec<Effect>) -> Result<u64, String> {
        if to.address.is_none() {
            return Err(format!("no name that could be written to: {}", to.name));
        }
        if let Some(reason) = too_long(text.len()) {
            return Err(reason);
        }
        if self.link == Link::Ended {
            return Err("nobody could keep it: /reconnect first".into());
        }
        let tag = self.tag();
        effects.push(Effect::Send { tag, to: to.clone(), text: text.to_owned() });
        if self.open.as_deref() == Some(to.key.as_str()) {
            self.window.new_from = None;
            self.held_unread = false;
            self.show_end(effects);
            self.read_by_answer(effects);
        } else {
            self.hint(format!("to {}: {text}", to.name));
        }
        Ok(tag)
    }

    pub(super) fn command(&mut self, command: &Command, arguments: &str, effects: &mut Vec<Effect>) {
        match command.does {
            Does::List => self.ask(OpCode::List, arguments, effects),
            Does::Deliver if self.held == 0 => self.ask(OpCode::Deliver, "", effects),
            Does::Logout => self.ask(OpCode::Logout, "", effects),
            Does::Create | Does::Login => self.log_in_as(arguments.trim_end(), command, effects),
            Does::Open => self.open_named(arguments.trim_end(), effects),
            Does::Passwd if self.link != Link::Online => self.hint("not connected"),
            Does::Passwd => {
                self.done(effects);
                self.overlay = Some(Overlay::Passwd(Box::default()));
            }
            Does::DeleteAccount => {
                self.done(effects);
                self.ask_delete(None);
            }
            Does::Edit => {
                self.composer = Composer::with(arguments);
                self.ask_editor(effects);
            }
            Does::Undo => {
                self.composer.undo_past(&format!("/{}", command.name));
                self.edited();
            }
            Does::Quit => {
                self.composer.take();
                self.ask_quit(effects);
            }
            Does::Search => {
                self.done(effects);
                self.find_words(arguments, effects);
            }
            Does::Raw => match raw::parse(arguments) {
                Some(Ok(op)) => self.op(&op, effects),
                Some(Err(error)) => self.hint(error.to_string()),
                None => self.hint("an op is a number, a bar and text, as in /raw 99|abc"),
            },
            Does::Act => {
                self.done(effects);
                if let Some(action) = command.action {
                    self.act(action, effects);
                }
            }
            does => match self.simple(does, arguments, effects) {
                Ok(()) => self.done(effects),
                Err(reason) => self.hint(reason),
            },
        }
    }

    fn log_in_as(&mut self, name: &str, command: &Command, effects: &mut Vec<Effect>) {
        if name.contains(' ') {
            return self.hint(format!("/{} NAME; the password is asked for next", command.name));
        }
        self.done(effects);
        self.ask_login(Some(name).filter(|name| !name.is_empty()), None);
        if let Some(form) = &mut self.form {
            form.creating = command.does == Does::Create;
        }
    }

    fn open_named(&mut self, name: &str, effects: &mut Vec<Effect>) {
        if name.is_empty() {
            return self.hint("/open NAME");
        }
        if let Err(error) = Address::parse(name) {
            return self.hint(format!("{error}: {name}"));
        }
        // The box is emptied before the other conversation fills it with its draft.
        self.done(effects);
        self.open_peer(Peer::new(name), effects);
    }

    /// The commands that are done at once, or not at all.
    fn simple(&mut self, does: Does, arguments: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        match does {
            Does::Send => return self.send_to(arguments, effects),
            Does::Deliver => return self.fetch_typed(arguments.trim(), effects),
            Does::Retry => return self.retry_failed(effects),
            Does::Drop => return self.drop_failed(effects),
            Does::Reconnect => effects.push(Effect::Reconnect),
            Does::Unread => self.show_divider(effects),
            Does::Read => self.read_open(effects),
            Does::Pin => self.choose(effects, |chosen| chosen.pinned = !chosen.pinned),
            Does::Mute => self.choose(effects, |chosen| chosen.muted = !chosen.muted),
            Does::Who => self.say(self.who()),
            Does::Server => {
                self.note(trusting::server(self));
                self.open(None, effects);
            }
            Does::Set => return self.set_chosen(arguments.trim_end(), effects),
            Does::Reload => effects.push(Effect::Reload),
            Does::Account => return self.become_account(arguments.trim_end(), effects),
            Does::Debug => {
                self.hint("counting for five seconds");
                effects.push(Effect::Digest);
            }
            _ => {}
        }
        Ok(())
    }

    fn send_to(&mut self, arguments: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let named = arguments.split_once(' ').filter(|(_, message)| !message.trim().is_empty());
        let (name, message) = named.ok_or_else(|| "/send NAME TEXT".to_owned())?;
        let address = Address::parse(name).map_err(|error| format!("{error}: {name}"))?;
        self.written(&Peer::new(&address.to_string()), message, effects).map(|_| ())
    }

    /// Asks the server; the answer goes to the server's conversation.
    fn ask(&mut self, op: OpCode, data: &str, effects: &mut Vec<Effect>) {
        let raw = RawOp { number: op.byte(), op: Some(op), text: data };
        self.op(&raw, effects);
    }

    /// An op as it is.
    fn op(&mut self, op: &RawOp<'_>, effects: &mut Vec<Effect>) {
        if self.link != Link::Online {
            return self.hint("not connected");
        }
        if op.op.is_some_and(|op| op > OpCode::Deliver) {
            return self.hint("the client speaks the session extension by itself");
        }
        let data = Secret::new(op.text.to_owned());
        self.done(effects);
        if op.is_destructive() {
            return self.ask_delete(Some(data));
        }
        let masked = op.masked(self.prefs.glyphs.mask);
        self.ask_now(op.number, data, masked, effects);
    }

    /// Asks, and remembers how the question was written.
    pub(super) fn ask_now(&mut self, op: u8, data: Secret, masked: String, effects: &mut Vec<Effect>) {
        let tag = self.tag();
        self.note(format!("{} {masked}", self.prefs.glyphs.sent_to));
        self.asked.insert(tag, masked);
        effects.push(Effect::Ask { tag, op, data });
    }

    fn ask_delete(&mut self, by_hand: Option<Secret>) {
        self.overlay = Some(Overlay::Delete {
            name: Composer::default(),
            password: Composer::default(),
            on_password: false,
            by_hand,
        });
    }

    fn failed_here(&self) -> Vec<i64> {
        let failed = self.shown().items.iter().filter(|message| message.state == Delivery::Failed);
        failed.map(|message| message.n).collect()
    }

    fn retry_failed(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        let failed = self.failed_here();
        if failed.is_empty() {
            return Err("nothing has failed here".into());
        }
        effects.extend(failed.into_iter().map(Effect::Retry));
        Ok(())
    }

    fn drop_failed(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        let failed = self.failed_here();
        if failed.is_empty() {
            return Err("nothing has failed here".into());
        }
        self.window.items.retain(|message| message.state != Delivery::Failed);
        failed.iter().for_each(|n| self.settled(*n));
        effects.extend(failed.into_iter().map(Effect::Withdraw));
        Ok(())
    }
}

/// Why a text of so many bytes is too long for one message, if it is.
pub(crate) fn too_long(bytes: usize) -> Option<String> {
    let over = bytes.checked_sub(MESSAGE_MAX).filter(|over| *over > 0)?;
    let bytes = if over == 1 { "byte" } else { "bytes" };
    Some(format!("{over} {bytes} over the usual limit of a message"))
}
