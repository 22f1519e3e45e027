//! What is in the box: a message, a command, or an op by hand. One parser decides.

use std::borrow::Cow;

use bellhop_protocol::op::OpCode;

use super::keymap::Action;
use crate::peer::Peer;
use crate::raw::{self, RawOp};

/// What the text in the box stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed<'a> {
    /// Nothing.
    Nothing,
    /// A message to the open conversation.
    Message(&'a str),
    /// `/name arguments`.
    Command(&'static Command, &'a str),
    /// `5|bob|hello`.
    Op(RawOp<'a>),
    /// Looks like a command or an op and is none: refused in place, and never sent by mistake.
    Wrong(String),
}

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    Send,
    Open,
    List,
    Who,
    Create,
    Login,
    Logout,
    Deliver,
    Passwd,
    DeleteAccount,
    Raw,
    Reconnect,
    Server,
    Retry,
    Drop,
    Unread,
    Read,
    Search,
    Pin,
    Mute,
    Undo,
    Edit,
    Set,
    Reload,
    Account,
    Debug,
    /// What a key does as well.
    Act,
    Quit,
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) does: Does,
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) help: &'static str,
    /// The key that does the same, and what is done where there is nothing else to do.
    pub(crate) action: Option<Action>,
}

macro_rules! commands {
    (@action) => { None };
    (@action $action:ident) => { Some(Action::$action) };
    ($($does:ident, $name:literal, $arguments:literal, $help:literal $(=> $action:ident)?;)+) => {
        /// Every command, in the order of the help.
        pub(crate) const COMMANDS: &[Command] = &[
            $(Command {
                does: Does::$does,
                name: $name,
                arguments: $arguments,
                help: $help,
                action: commands!(@action $($action)?),
            },)+
        ];
    };
}

commands! {
    Send, "send", "NAME TEXT", "send a message to somebody";
    Open, "open", "NAME", "open a conversation";
    List, "list", "[PATTERN]", "who has an account here";
    Who, "who", "", "who of your conversations is online";
    Create, "create", "NAME", "make an account";
    Login, "login", "[NAME]", "log in";
    Logout, "logout", "", "log out";
    Deliver, "deliver", "[N]", "fetch what waits, or the next N; else ask how much does";
    Passwd, "passwd", "", "give the account another password";
    DeleteAccount, "delete-account", "", "delete this account; asks first";
    Raw, "raw", "OP|TEXT", "an op by hand, known or not";
    Reconnect, "reconnect", "", "connect now";
    Server, "server", "", "which server this is, and its key";
    Retry, "retry", "", "send failed messages here again";
    Drop, "drop", "", "forget failed messages here";
    Search, "search", "TEXT", "find words in this conversation, or in all" => Find;
    Unread, "unread", "", "go to the first unread message" => FirstUnread;
    Read, "read", "", "count this conversation as read";
    Pin, "pin", "", "keep this conversation at the top of the list, or no longer";
    Mute, "mute", "", "do not call for this conversation, or do again";
    Act, "copy", "", "copy the last message" => Copy;
    Undo, "undo", "", "undo the last edit" => Undo;
    Act, "plain", "", "plain view: select with the mouse" => Plain;
    Act, "mouse", "", "mouse on or off" => Mouse;
    Edit, "edit", "", "write in $VISUAL or $EDITOR" => Editor;
    Set, "set", "KEY [VALUE]", "change a setting and keep it, or tell it";
    Reload, "reload", "", "read the config again";
    Account, "account", "NAME", "be another account of the config";
    Debug, "debug", "", "what the program does in five seconds";
    Act, "list-pane", "", "show or hide the list" => List;
    Act, "help", "", "keys and commands" => Help;
    Quit, "quit", "", "quit" => Quit;
}

/// Reads the box. Text that was pasted, or has several lines, is a message whatever it looks like: a pasted log must
/// not delete an account.
pub(crate) fn parse(text: &str, pasted: bool) -> Typed<'_> {
    if text.is_empty() {
        return Typed::Nothing;
    }
    if pasted || text.contains('\n') {
        return Typed::Message(text);
    }
    if let Some(rest) =
        text.strip_prefix('\\').filter(|rest| raw::parse(rest.trim_start_matches('\\')).is_some())
    {
        return Typed::Message(rest);
    }
    if let Some(op) = raw::parse_known(text) {
        return op.map_or_else(|error| Typed::Wrong(format!("{error}; \\{text} sends it")), Typed::Op);
    }
    match text.strip_prefix('/') {
        Some(rest) if rest.starts_with('/') => Typed::Message(rest),
        Some(rest) => command(rest),
        None => Typed::Message(text),
    }
}

/// The same for somebody who may not want ops by hand: to them what looks like one is a message.
pub(crate) fn parse_as(text: &str, pasted: bool, raw_ops: bool) -> Typed<'_> {
    match parse(text, pasted) {
        Typed::Op(_) | Typed::Wrong(_) if !raw_ops && !text.starts_with('/') => Typed::Message(text),
        typed => typed,
    }
}

/// A box as text alone: typed again, it means the same. A paste that looks like a command or an op is escaped.
pub(crate) fn written(text: &str, pasted: bool) -> Cow<'_, str> {
    match parse(text, false) {
        Typed::Op(_) | Typed::Wrong(_) | Typed::Command(..) if pasted => {
            let escape = if text.starts_with('/') { '/' } else { '\\' };
            Cow::Owned(format!("{escape}{text}"))
        }
        // A text whose escape is part of it.
        Typed::Message(message) if pasted && message.len() < text.len() => {
            Cow::Owned(format!("{}{text}", &text[..1]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Where in the box something begins that must not be seen: a secret is the last field, and so is what somebody types
/// behind the name at a login.
pub(crate) fn secret_start(text: &str, pasted: bool) -> Option<usize> {
    let op = match parse(text, pasted) {
        Typed::Op(op) => op,
        Typed::Command(Command { does: Does::Raw, .. }, arguments) => raw::parse(arguments)?.ok()?,
        Typed::Command(Command { does: Does::Login | Does::Create, .. }, arguments) => {
            let (_, secret) = arguments.split_once(' ').filter(|(_, secret)| !secret.trim().is_empty())?;
            return Some(text.len() - secret.len());
        }
        _ => return None,
    };
    let secret = op.fields().last().filter(|_| op.has_secret()).map(|(_, text)| text.len())?;
    Some(text.len() - secret)
}

/// Whom a SEND is for and what it says; `None` for every other op, and for a SEND that only the server can answer.
pub(crate) fn message_of<'a>(op: &RawOp<'a>) -> Option<(Peer, &'a str)> {
    let (name, text) = op.text.split_once('|').filter(|_| op.op == Some(OpCode::Send))?;
    let peer = Peer::new(name);
    peer.address.is_some().then_some((peer, text))
}

fn command(rest: &str) -> Typed<'_> {
    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => Typed::Command(command, arguments.trim_start()),
        None => Typed::Wrong(format!("no command /{name}; /help lists them, //{name} sends it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(typed: &Typed<'_>) -> String {
        match typed {
            Typed::Nothing => "nothing".into(),
            Typed::Message(text) => format!("message {text}"),
            Typed::Command(command, arguments) => format!("command {} {arguments:?}", command.name),
            Typed::Op(op) => format!("op {} {:?}", op.number, op.text),
            Typed::Wrong(reason) => format!("wrong {reason}"),
        }
    }

    #[test]
    fn what_you_type_is_what_it_is() {
        let check =
            |text: &str, expected: &str| assert_eq!(describe(&parse(text, false)), expected, "{text:?}");
        check("", "nothing");
        check("hello", "message hello");
        check("/send bob hi there", "command send \"bob hi there\"");
        check("/list al*", "command list \"al*\"");
        check("/quit", "command quit \"\"");
        check("//shrug", "message /shrug");
        check("5|bob|hello", "op 5 \"bob|hello\"");
        check("2|", "op 2 \"\"");
        check("\\5|bob|hello", "message 5|bob|hello");
        check("\\300|x", "message 300|x");
        check("\\\\5|x", "message \\5|x");
        check("\\hello", "message \\hello");
        for message in [" 5|bob", "5 | bob", "a|b", "|x", " /quit", "5", "-1|x"] {
            check(message, &format!("message {message}"));
        }
        check("99|x", "wrong unknown op; \\99|x sends it");
        check("300|x", "wrong op is 0-255; \\300|x sends it");
        check("9|x", "wrong MESSAGE is the client's own; \\9|x sends it");
        check("/nonsense", "wrong no command /nonsense; /help lists them, //nonsense sends it");
        check("/", "wrong no command /; /help lists them, // sends it");
        check("5|bob|one\ntwo", "message 5|bob|one\ntwo");
        check("/quit\n", "message /quit\n");
    }

    #[test]
    fn a_paste_that_was_put_aside_is_still_a_message() {
        for text in ["5|bob|x", "/quit", "99|x", "//shrug", "\\5|x", "/nonsense", "hello", "5|bob|x\n", ""] {
            let again = written(text, true).into_owned();
            let expected = if text.is_empty() { Typed::Nothing } else { Typed::Message(text) };
            assert_eq!(parse(&again, false), expected, "{again:?}");
            assert_eq!(written(text, false), text);
        }
    }

    #[test]
    fn a_paste_is_a_message() {
        for text in ["5|bob|x", "/quit", "4|", "99|x"] {
            assert_eq!(parse(text, true), Typed::Message(text));
        }
    }
}
