//! What a line means: the same as in the box of the screen, by the same parser, and two things that only lines need.

use bellhop_protocol::{Address, OpCode, Username};

use super::state::{Asks, Plain, Takes};
use crate::event::Around;
use crate::peer::Peer;
use crate::raw::{self, RawOp};
use crate::secret::Secret;
use crate::tui::model::{Effect, Login, Now};
use crate::tui::typed::{self, COMMANDS, Command, Does, Typed};
use crate::tui::update::too_long;

/// The command that says what there is.
const HELP: &str = "help";
/// Commands that are for lines alone, or mean more there: name, arguments, help.
const OWN: &[(&str, &str, &str)] = &[
    ("read", "[NAME]", "read what is unread; the newest messages where nothing is"),
    ("who", "", "the conversations: who is online, and what is unread"),
    ("lines", "", "write a message of several lines; a single dot sends it"),
];

impl Plain {
    pub(super) fn line(&mut self, now: Now, line: &str) {
        self.now = Some(now);
        match std::mem::take(&mut self.takes) {
            Takes::Anything => {
                self.anything(line);
                self.watch();
            }
            Takes::Name => self.delete_named(line.trim()),
            Takes::Lines(lines) if line == "." => {
                let text = lines.join("\n");
                self.write_here(&text);
            }
            Takes::Rest if line == "." => {}
            Takes::Rest => self.takes = Takes::Rest,
            Takes::Lines(mut lines) => {
                let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
                if let Some(reason) = too_long(bytes + line.len()) {
                    self.refused = true;
                    self.takes = Takes::Rest;
                    return self.say(&format!("not sent, and dropped to its dot: {reason}"));
                }
                // A dot of the message's own is typed twice, as in mail.
                lines
                    .push(line.strip_prefix("..").map_or_else(|| line.to_owned(), |rest| format!(".{rest}")));
                self.takes = Takes::Lines(lines);
            }
        }
    }

    /// A line came that is none.
    pub(super) fn not_text(&mut self, now: Now) {
        self.now = Some(now);
        self.refused = true;
        match std::mem::take(&mut self.takes) {
            Takes::Lines(_) | Takes::Rest => {
                self.takes = Takes::Rest;
                self.say("not sent, and dropped to its dot: a line is not UTF-8");
            }
            Takes::Anything | Takes::Name => self.say("not taken: the line is not UTF-8"),
        }
    }

    fn anything(&mut self, line: &str) {
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        match name {
            "/read" => return self.read(arguments.trim()),
            "/who" => return self.who(),
            "/lines" => {
                self.takes = Takes::Lines(Vec::new());
                return;
            }
            _ => {}
        }
        match typed::parse_as(line, false, self.ui.raw_ops) {
            Typed::Nothing => {}
            Typed::Message(text) => self.write_here(text),
            Typed::Wrong(reason) => self.say(&reason),
            Typed::Command(command, arguments) => self.command(command, arguments.trim_end()),
            Typed::Op(op) => match typed::message_of(&op) {
                Some((to, text)) => self.write(&to, text),
                None => self.op(&op),
            },
        }
    }

    fn command(&mut self, command: &Command, arguments: &str) {
        match command.does {
            Does::Send => match arguments.split_once(' ') {
                Some((name, text)) => self.named(name, |this, peer| this.write(&peer, text)),
                None => self.say("/send NAME TEXT"),
            },
            Does::Open if arguments.is_empty() => self.say("/open NAME"),
            Does::Open => self.named(arguments, Plain::open),
            Does::List => self.ask(OpCode::List, arguments),
            Does::Deliver if self.held > 0 => self.fetch(arguments.trim()),
            Does::Deliver => self.ask(OpCode::Deliver, ""),
            Does::Logout => self.ask(OpCode::Logout, ""),
            Does::Raw => match raw::parse(arguments) {
                Some(Ok(op)) => self.op(&op),
                Some(Err(error)) => self.say(&error.to_string()),
                None => self.say("an op is a number, a bar and text, as in /raw 99|abc"),
            },
            Does::Create | Does::Login => self.log_in_as(arguments, command.does == Does::Create),
            Does::Passwd if !self.online => self.say("not connected"),
            Does::Passwd if !self.can_ask => self.say("nobody can be asked here: bellhop passwd"),
            Does::Passwd => self.asks(Asks::Passwords),
            Does::DeleteAccount => self.ask_delete(),
            Does::Reconnect => self.act(Effect::Reconnect),
            Does::Server => {
                self.say(&format!("{}: {}", self.server, if self.online { "online" } else { "offline" }))
            }
            Does::Retry => self.failed_ones(Effect::Retry),
            Does::Drop => self.failed_ones(Effect::Withdraw),
            Does::Act if command.name == HELP => self.help(),
            Does::Quit => self.quit(),
            _ => self.say(&format!("/{} is for the screen; /help says what is for lines", command.name)),
        }
    }

    fn named(&mut self, name: &str, then: impl FnOnce(&mut Plain, Peer)) {
        match Address::parse(name) {
            Ok(address) => then(self, Peer::new(&address.to_string())),
            Err(error) => self.say(&format!("{error}: {name}")),
        }
    }

    fn open(&mut self, peer: Peer) {
        let unread = self.talks.get(&peer.key).map_or(0, |talk| talk.unread);
        let more = if unread > 0 { format!(", {unread} unread: /read") } else { String::new() };
        self.say(&format!("what is typed goes to {}{more}", peer.name));
        self.open = Some(peer);
    }

    fn write_here(&mut self, text: &str) {
        match self.open.clone() {
            Some(peer) => self.write(&peer, text),
            None => self.say("nobody reads here: /open NAME opens a conversation"),
        }
    }

    fn write(&mut self, to: &Peer, text: &str) {
        if text.trim().is_empty() {
            return self.say("nothing to send");
        }
        if let Some(reason) = too_long(text.len()) {
            return self.say(&format!("not sent: {reason}"));
        }
        let tag = self.tag();
        self.sending.insert(tag);
        self.act(Effect::Send { tag, to: to.clone(), text: text.to_owned() });
    }

    fn ask(&mut self, op: OpCode, data: &str) {
        self.op(&RawOp { number: op.byte(), op: Some(op), text: data });
    }

    fn op(&mut self, op: &RawOp<'_>) {
        if op.op.is_some_and(|op| op > OpCode::Deliver) {
            return self.say("the client speaks the session extension by itself");
        }
        if op.is_destructive() {
            return self.ask_delete();
        }
        if !self.online {
            return self.say("not connected");
        }
        let (tag, masked) = (self.tag(), op.masked("*"));
        self.asked.insert(tag, masked);
        self.act(Effect::Ask { tag, op: op.number, data: Secret::new(op.text.to_owned()) });
    }

    fn log_in_as(&mut self, name: &str, create: bool) {
        let known = self.login.as_ref().map(|login| login.user.clone());
        let user = match (name.is_empty(), known) {
            (true, Some(user)) if !create => Ok(user),
            _ => Username::parse(name),
        };
        match user {
            Ok(user) => {
                let server = self.server.clone();
                let login = Login { server, user, password: None, create, remember: true };
                if self.can_ask { self.asks(Asks::LogIn(login)) } else { self.log_in(login) }
            }
            Err(error) => self.say(&format!("{error}: /{} NAME", if create { "create" } else { "login" })),
        }
    }

    /// Connects as somebody; what was known of anybody else goes.
    pub(super) fn log_in(&mut self, login: Login) {
        self.talks.clear();
        self.know_nobody();
        self.held = 0;
        self.reading.clear();
        self.asked.clear();
        self.open = None;
        (self.begins, self.online, self.chosen) = (true, false, true);
        self.login = Some(login.clone());
        self.act(Effect::Connect(login));
    }

    fn ask_delete(&mut self) {
        match &self.login {
            Some(login) if self.online => {
                let who = format!("{} at {}", login.user, login.server);
                self.say(&format!(
                    "this deletes the account {who} and all that waits for it; its name does it"
                ));
                self.takes = Takes::Name;
            }
            _ => self.say("not connected"),
        }
    }

    fn delete_named(&mut self, name: &str) {
        let is_mine = self.login.as_ref().is_some_and(|login| login.user.to_string() == name);
        match (is_mine, self.can_ask) {
            (false, _) => self.say("that is not the name of this account; nothing is deleted"),
            (true, true) => self.asks(Asks::Delete),
            (true, false) => self.delete_now(self.login.as_ref().and_then(|login| login.password.clone())),
        }
    }

    pub(super) fn delete_now(&mut self, password: Option<Secret>) {
        let tag = self.tag();
        let op = OpCode::Delete.byte();
        self.asked.insert(tag, format!("{op}|"));
        let data = password.unwrap_or_else(|| Secret::new(String::new()));
        self.act(Effect::Ask { tag, op, data });
    }

    pub(super) fn change_password(&mut self, old: Option<Secret>, new: Secret) {
        let tag = self.tag();
        self.asked.insert(tag, "/passwd".into());
        let old = old.unwrap_or_else(|| Secret::new(String::new()));
        self.act(Effect::Password { tag, old, new });
    }

    /// Asks for what is unread; where nothing is, for the newest messages.
    fn read(&mut self, name: &str) {
        let peer = if name.is_empty() { self.open.clone() } else { Some(Peer::new(name)) };
        let Some(peer) = peer else { return self.say("/read NAME; /who says what is unread") };
        let Some(talk) = self.talks.get(&peer.key) else {
            return self.say(&format!("nothing was said with {} yet", peer.name));
        };
        let around = if talk.unread > 0 { Around::After(talk.read_to) } else { Around::Newest };
        self.reading.insert(peer.key.clone());
        self.act(Effect::Page { key: peer.key, around });
    }

    fn who(&mut self) {
        let lines: Vec<String> = self
            .talks
            .values()
            .map(|talk| {
                let known = self.people.get(&talk.peer.key);
                let known = known.map_or("", |online| if *online { ", online" } else { ", offline" });
                let unread =
                    if talk.unread > 0 { format!(", {} unread", talk.unread) } else { String::new() };
                format!("{}{known}{unread}", talk.peer.name)
            })
            .collect();
        match lines.is_empty() {
            true => self.say("no conversations yet; /list says who has an account"),
            false => lines.iter().for_each(|line| self.say(line)),
        }
    }

    fn failed_ones(&mut self, effect: fn(i64) -> Effect) {
        let failed = self.failed();
        if failed.is_empty() {
            return self.say("nothing has failed");
        }
        for n in failed {
            let effect = effect(n);
            if matches!(effect, Effect::Withdraw(_)) {
                self.forget(n);
            }
            self.act(effect);
        }
    }

    fn help(&mut self) {
        self.say("a line is a message to whom the prompt names; //x sends /x, and \\5|x sends 5|x");
        for (name, arguments, help) in OWN {
            self.say(&format!("{}: {help}", format!("/{name} {arguments}").trim_end()));
        }
        for command in COMMANDS.iter().filter(|command| is_for_lines(command)) {
            let form = format!("/{} {}", command.name, command.arguments);
            self.say(&format!("{}: {}", form.trim_end(), command.help));
        }
    }
}

/// What [`Plain::command`] does.
fn is_for_lines(command: &Command) -> bool {
    let does = matches!(
        command.does,
        Does::Send
            | Does::Open
            | Does::List
            | Does::Deliver
            | Does::Logout
            | Does::Raw
            | Does::Create
            | Does::Login
            | Does::Passwd
            | Does::DeleteAccount
            | Does::Reconnect
            | Does::Server
            | Does::Retry
            | Does::Drop
            | Does::Quit
    );
    does || command.name == HELP
}
