//! What an op does.

use std::io::Write;
use std::net::Shutdown;

use bellhop_protocol::item::ReceiptState;
use bellhop_protocol::session::{Resumed, SessionToken, Welcome};
use bellhop_protocol::text::{Names, Outcome, TextAnswer};
use bellhop_protocol::{Code, OpCode, Reply, Request, text};

use super::{Body, World};

impl World {
    /// Handles a frame; `false` closes the connection.
    pub(super) fn frame(&mut self, number: u64, op: u8, data: &[u8]) -> bool {
        let request = match Request::decode(op, data) {
            Ok(request) => request,
            Err(refusal) => return self.refuse(number, op, data, refusal.code),
        };
        self.log.push(format!("{request:?}"));
        let key = self.live(number).key.clone();
        match (request, key) {
            (Request::Hello(hello), _) => {
                self.live(number).device = Some(hello.device);
                self.say(
                    number,
                    Reply::Welcome(Welcome {
                        version: 1,
                        features: 0,
                        max_data: 65_536,
                        window: 1_024,
                        heartbeat_s: 30,
                        agent: "test/1",
                        node: "n-01",
                    }),
                );
            }
            (Request::Ping(bytes), _) => self.say(number, Reply::Pong(bytes)),
            (Request::Pong(_), _) => {}
            (Request::List { glob, after }, key) => {
                if self.closed_list && key.is_none() {
                    return self.refuse(number, op, data, Code::NOT_LOGGED_IN);
                }
                self.list(number, glob, after);
            }
            (Request::Create { .. } | Request::Login { .. } | Request::Resume(_), Some(_)) => {
                return self.refuse(number, op, data, Code::ALREADY_LOGGED_IN);
            }
            (Request::Create { name, password }, None) => {
                let key = name.key().into_string();
                if self.accounts.contains_key(&key) {
                    return self.refuse(number, op, data, Code::NAME_TAKEN);
                }
                let uuid = self.create(name.as_str(), password.map(|secret| secret.0));
                self.log_in(number, key);
                self.say(number, Reply::Text(OpCode::Create, TextAnswer::Created(uuid)));
            }
            (Request::Login { name, password }, None) => {
                if let Some(code) = self.refuse_logins {
                    return self.refuse(number, op, data, code);
                }
                let key = name.key().into_string();
                let Some(account) = self.accounts.get(&key) else {
                    return self.refuse(number, op, data, Code::NO_SUCH_USER);
                };
                if account.password.as_deref() != password.map(|secret| secret.0) {
                    return self.refuse(number, op, data, Code::BAD_PASSWORD);
                }
                let answer = TextAnswer::LoggedIn(account.uuid, account.items.len() as u64);
                self.log_in(number, key);
                self.say(number, Reply::Text(OpCode::Login, answer));
            }
            (Request::Resume(token), None) => return self.resume(number, op, data, token),
            (_, None) => return self.refuse(number, op, data, Code::NOT_LOGGED_IN),
            (request, Some(key)) => return self.logged_in(number, op, data, request, &key),
        }
        true
    }

    fn logged_in(&mut self, number: u64, op: u8, data: &[u8], request: Request<'_>, key: &str) -> bool {
        let device = self.live(number).device;
        let extended = device.is_some();
        match request {
            Request::Logout { .. } => {
                let account = self.accounts.get_mut(key).expect("logged in");
                account.tokens.retain(|_, of| Some(*of) != device);
                self.live(number).key = None;
                self.live(number).streaming = false;
                self.say(number, Reply::Text(OpCode::Logout, TextAnswer::LoggedOut));
            }
            Request::Delete { password } => {
                if self.accounts[key].password.as_deref() != password.map(|secret| secret.0) {
                    return self.refuse(number, op, data, Code::BAD_PASSWORD);
                }
                self.accounts.remove(key);
                self.live(number).key = None;
                self.say(number, Reply::Text(OpCode::Delete, TextAnswer::Deleted));
            }
            Request::Send { to, text } => {
                let to = to.user.key().into_string();
                if !self.accounts.contains_key(&to) {
                    return self.refuse(number, op, data, Code::NO_SUCH_USER);
                }
                let (id, from) = (self.fresh_id(), self.accounts[key].name.clone());
                self.file(&to, id, &from, Body::Text { text: text.into(), receipt_to: None });
                self.say(number, Reply::Text(OpCode::Send, TextAnswer::Sent(Outcome::Queued, id)));
            }
            Request::Deliver if extended => self.open(number, key),
            Request::Deliver => self.deliver_text(number, key),
            Request::Token => {
                let token = SessionToken(self.fresh_token());
                let device = device.expect("HELLO came first");
                self.accounts.get_mut(key).expect("logged in").tokens.insert(token.0, device);
                self.say(number, Reply::Token(token));
            }
            Request::Password(change) => {
                let account = self.accounts.get_mut(key).expect("logged in");
                if account.password.as_deref() != change.old.map(|secret| secret.0) {
                    return self.refuse(number, op, data, Code::BAD_PASSWORD);
                }
                account.password = Some(change.new.0.to_owned());
                account.tokens.clear();
                for (_, live) in self.sessions.iter_mut().filter(|(other, _)| **other != number) {
                    let mut bytes = Vec::new();
                    text::put_error(&mut bytes, 0xFF, Code::BAD_TOKEN, "the password was changed");
                    let _ = live.socket.write_all(&bytes);
                    let _ = live.socket.shutdown(Shutdown::Both);
                }
                self.say(number, Reply::PasswordChanged);
            }
            Request::Post(post) => return self.post(number, key, device.expect("HELLO"), post),
            Request::Ack(ack) => self.acknowledge(key, device.expect("HELLO"), ack.ranges().collect()),
            Request::Read(read) => {
                let reader = self.accounts[key].name.clone();
                for (id, from) in read.entries() {
                    let sender = from.user.key().into_string();
                    self.receipt_for(&sender, id, &reader, ReceiptState::Read, None);
                }
            }
            _ => return self.refuse(number, op, data, Code::NOT_ALLOWED),
        }
        true
    }

    fn log_in(&mut self, number: u64, key: String) {
        // One live session a device.
        let device = self.live(number).device;
        for (other, live) in &mut self.sessions {
            if *other != number
                && device.is_some()
                && live.device == device
                && live.key.as_ref() == Some(&key)
            {
                let mut bytes = Vec::new();
                text::put_error(&mut bytes, 0xFF, Code::REPLACED, "a newer session took over");
                let _ = live.socket.write_all(&bytes);
                let _ = live.socket.shutdown(Shutdown::Both);
            }
        }
        self.live(number).key = Some(key);
    }

    fn resume(&mut self, number: u64, op: u8, data: &[u8], token: SessionToken) -> bool {
        let device = self.live(number).device;
        let owner = self.accounts.iter().find(|(_, account)| account.tokens.get(&token.0).copied() == device);
        let Some((key, uuid)) = owner.map(|(key, account)| (key.clone(), account.uuid)) else {
            return self.refuse(number, op, data, Code::BAD_TOKEN);
        };
        let fresh = self.fresh_token();
        let account = self.accounts.get_mut(&key).expect("found above");
        account.tokens.retain(|old, of| Some(*of) != device || *old == token.0);
        account.tokens.insert(fresh, device.expect("HELLO came first"));
        self.log_in(number, key);
        self.say(number, Reply::Resumed(Resumed { account: uuid, waiting: 0, token: SessionToken(fresh) }));
        true
    }

    fn list(&mut self, number: u64, glob: Option<&str>, after: Option<&str>) {
        let start = glob.and_then(|glob| glob.strip_suffix('*')).unwrap_or(glob.unwrap_or(""));
        let names = self.accounts.iter().filter(|(key, _)| key.starts_with(start));
        let names =
            names.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after.to_lowercase().as_str()));
        let names: Vec<String> = names.map(|(_, account)| account.name.clone()).collect();
        let more = names.len() > self.page;
        let joined = names[..names.len().min(self.page)].join("|");
        let answer = TextAnswer::Listed { names: Names::new(&joined), more };
        self.say(number, Reply::Text(OpCode::List, answer));
    }
}
