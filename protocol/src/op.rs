//! The op-codes: one row each gives the number, the name, who may send it and what it holds.
//!
//! A number once used is never given again. `0x10` (WHERE) and `0x14` are reserved. Numbers from `0x40` to `0x7F` belong to
//! servers among themselves, `op | 0x80` is the answer to `op`, and `0xFF` an error that answers nothing in particular.

/// Set in the op-code of an answer.
pub const ANSWER: u8 = 0x80;
/// The op-code of an error that answers nothing in particular or announces a close.
pub const NOTICE: u8 = 0xFF;
/// The first op-code that only servers among themselves may use.
pub const PEER_FIRST: u8 = 0x40;

/// Who may send an op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Only a client.
    Client,
    /// Only a server.
    Server,
    /// Either side.
    Both,
    /// DELIVER: a client asks with it, a server brings a message with it.
    Asked,
}

/// How the data of an op and of its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Fields of UTF-8 separated by bars: one of the seven operations.
    Text,
    /// Binary fields: the session extension.
    Session,
}

/// A field of one of the seven operations, as a person would type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What the field is called in PROTOCOL.md.
    pub name: &'static str,
    /// True if and only if the field must not be shown or logged.
    pub secret: bool,
}

macro_rules! fields {
    (@one secret $name:literal) => { Field { name: $name, secret: true } };
    (@one plain $name:literal) => { Field { name: $name, secret: false } };
    ($($kind:ident $name:literal),*) => { &[$(fields!(@one $kind $name)),*] };
}

macro_rules! op_codes {
    ($($(#[doc = $doc:literal])+ $op:ident = $byte:literal, $name:literal, $family:ident, $sender:ident,
        [$($kind:ident $field:literal),*];)+) => {
        /// An op-code that this version knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum OpCode {
            $($(#[doc = $doc])+ $op = $byte,)+
        }

        impl OpCode {
            /// Every op-code, in the order of their numbers.
            pub const ALL: &[OpCode] = &[$(OpCode::$op),+];

            /// The op-code of a byte; `None` where this version knows none.
            pub const fn from_byte(byte: u8) -> Option<OpCode> {
                match byte {
                    $($byte => Some(OpCode::$op),)+
                    _ => None,
                }
            }

            /// The op-code's number on the wire.
            pub const fn byte(self) -> u8 {
                match self {
                    $(OpCode::$op => $byte,)+
                }
            }

            /// The op-code's name in PROTOCOL.md.
            pub const fn name(self) -> &'static str {
                match self {
                    $(OpCode::$op => $name,)+
                }
            }

            /// How its data is written.
            pub const fn family(self) -> Family {
                match self {
                    $(OpCode::$op => Family::$family,)+
                }
            }

            /// Who may send it.
            pub const fn sender(self) -> Sender {
                match self {
                    $(OpCode::$op => Sender::$sender,)+
                }
            }

            /// The fields a person may give it, in order; empty for the session extension.
            pub const fn fields(self) -> &'static [Field] {
                match self {
                    $(OpCode::$op => fields!($($kind $field),*),)+
                }
            }
        }
    };
}

op_codes! {
    /// Who has an account here.
    List = 0x00, "LIST", Text, Client, [plain "glob", plain "after"];
    /// Makes an account and logs in as it.
    Create = 0x01, "CREATE", Text, Client, [plain "username", secret "password"];
    /// Logs in.
    Login = 0x02, "LOGIN", Text, Client, [plain "username", secret "password"];
    /// Ends the login; the connection stays.
    Logout = 0x03, "LOGOUT", Text, Client, [plain "username"];
    /// Deletes the account that is logged in, with its mailbox.
    Delete = 0x04, "DELETE", Text, Client, [secret "password"];
    /// Sends a message.
    Send = 0x05, "SEND", Text, Client, [plain "username", plain "text"];
    /// Asks for what waits; from the server, a message.
    Deliver = 0x06, "DELIVER", Text, Asked, [];
    /// Opens the session extension.
    Hello = 0x07, "HELLO", Session, Client, [];
    /// Sends a message under the device's own counter.
    Post = 0x08, "POST", Session, Client, [];
    /// A message under its seq.
    Message = 0x09, "MESSAGE", Session, Server, [];
    /// Acknowledges what was received.
    Ack = 0x0A, "ACK", Session, Client, [];
    /// Asks whether the other side is there.
    Ping = 0x0B, "PING", Session, Both, [];
    /// How a message ended.
    Receipt = 0x0C, "RECEIPT", Session, Server, [];
    /// Asks for a token that stands for the password.
    Token = 0x0D, "TOKEN", Session, Client, [];
    /// Logs in with a token.
    Resume = 0x0E, "RESUME", Session, Client, [];
    /// Tells senders that their messages were read.
    Read = 0x0F, "READ", Session, Client, [];
    /// Asks to be told who of some is online.
    Watch = 0x11, "WATCH", Session, Client, [];
    /// Somebody who is watched came or went.
    Presence = 0x12, "PRESENCE", Session, Server, [];
    /// Somebody is writing a message.
    Typing = 0x13, "TYPING", Session, Both, [];
    /// Gives the account another password.
    Password = 0x15, "PASSWORD", Session, Client, [];
}

impl OpCode {
    /// The op-code of the answer to this op.
    pub const fn answer(self) -> u8 {
        self.byte() | ANSWER
    }

    /// True if and only if there is an answer to it: a failure of another one is told as a notice.
    pub const fn is_answered(self) -> bool {
        let one_way = matches!(self.sender(), Sender::Server);
        !one_way && !matches!(self, OpCode::Ack | OpCode::Read | OpCode::Typing)
    }

    /// True if and only if the op destroys something that cannot be had back, so that a person is asked first.
    pub const fn destructive(self) -> bool {
        matches!(self, OpCode::Delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_come_back() {
        assert!(OpCode::ALL.is_sorted());
        for op in OpCode::ALL {
            assert_eq!(OpCode::from_byte(op.byte()), Some(*op));
            assert!(op.byte() < PEER_FIRST);
        }
        let known = (0..=255).filter(|byte| OpCode::from_byte(*byte).is_some()).count();
        assert_eq!(known, OpCode::ALL.len());
    }

    #[test]
    fn secrets_are_marked() {
        let secret = |op: OpCode| op.fields().iter().filter(|field| field.secret).count();
        assert_eq!([OpCode::Create, OpCode::Login, OpCode::Delete].map(secret), [1, 1, 1]);
        assert_eq!([OpCode::List, OpCode::Send, OpCode::Deliver].map(secret), [0, 0, 0]);
    }
}
