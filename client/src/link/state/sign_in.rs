//! From an open socket to a login: HELLO, then a token, a new account or a password, then what waited for it.

use std::time::Instant;

use bellhop_protocol::code::Failure;
use bellhop_protocol::frame::LIMIT_MAX;
use bellhop_protocol::presence::PRESENCE;
use bellhop_protocol::session::{Hello, Resumed, SessionToken, Welcome};
use bellhop_protocol::text::Secret;
use bellhop_protocol::{Code, OpCode, Request, VERSION};
use uuid::Uuid;

use super::{Asked, Names, Phase, SIGN_IN_MAX, State, With, presence};
use crate::event::{Answer, Event, Online, StopKind, TroubleKind};
use crate::history::Kept;
use crate::link::Change;
use crate::link::dial::Identity;
use crate::link::inbound::data_limit;
use crate::link::pulse::Pulse;
use crate::link::trust::Untrusted;
use crate::raw::Verdict;
use crate::text::{self, Kind, clean};

impl State {
    pub(super) fn greet(&mut self, now: Instant, identity: Identity) {
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        self.identity = identity;
        if self.config.seat.token.is_some_and(|kept| !self.identity.gave(kept.origin)) {
            // Whoever said yes to another key may have been wrong, and did not see that a login would go there unasked.
            // What was kept stays: the server may come back with its key.
            let sentence = "the kept login is another server key's: log in again".to_owned();
            return self.stop(StopKind::AnotherKey, sentence);
        }
        self.phase = Phase::Greeting { since: now };
        let agent = self.config.agent.clone();
        let (device, features) = (self.config.seat.device, presence::features(self.config.hidden));
        let hello = Hello { version: VERSION, device, features, agent: &agent };
        self.put(&Request::Hello(hello));
    }

    /// Nothing was sent, and nothing is tried again: only a person can say that it is the right server.
    pub(super) fn untrusted(&mut self, untrusted: Untrusted) {
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        let sentence = untrusted.to_string();
        self.event(Event::Untrusted(untrusted));
        self.stop(StopKind::Untrusted, sentence);
    }

    pub(super) fn welcome(&mut self, now: Instant, welcome: Welcome<'_>) {
        let Phase::Greeting { since } = self.phase else {
            return self.violation(now, "a second answer to HELLO");
        };
        if welcome.version != VERSION {
            let sentence = format!("the server speaks version {} of the extension", welcome.version);
            return self.stop(StopKind::Version, sentence);
        }
        // The window is the server's to keep: what comes is acknowledged as soon as it is safe, however much it is.
        self.data_limit = data_limit(welcome.max_data);
        self.send_limit = welcome.max_data.min(LIMIT_MAX) as usize;
        self.has_presence = welcome.features & PRESENCE != 0;
        self.pulse = Pulse::new(now, welcome.heartbeat_s);
        self.round_trip_at = Some(now);
        let name = |text| clean(text, Kind::Line).into_owned();
        self.server = Names { agent: name(welcome.agent), node: name(welcome.node) };
        self.event(Event::RoundTrip(now - since));
        let with = match (&self.config.seat.token, self.config.create) {
            (_, true) => With::Create,
            (Some(_), false) => With::Token,
            (None, false) => With::Login,
        };
        self.sign_in(now, with);
    }

    pub(super) fn sign_in(&mut self, now: Instant, with: With) {
        self.phase = Phase::SigningIn { by: now + SIGN_IN_MAX, with };
        let user = self.config.user.clone();
        let password = self.config.password.clone();
        let password = password.as_ref().map(|secret| Secret(secret.reveal()));
        match (with, self.config.seat.token) {
            (With::Token, Some(kept)) => self.put(&Request::Resume(kept.token)),
            (With::Create, _) => {
                self.asked.push_back(Asked::SignIn);
                self.creates_sent += 1;
                self.put(&Request::Create { name: user.as_name(), password });
            }
            (With::Login, _) | (With::Token, None) => {
                self.asked.push_back(Asked::SignIn);
                self.put(&Request::Login { name: user.as_name(), password });
            }
        }
    }

    /// A token that this server gave.
    pub(super) fn kept(&self, token: SessionToken) -> Kept {
        Kept { token, origin: self.identity.origin() }
    }

    /// RESUME was accepted.
    pub(super) fn resumed(&mut self, now: Instant, resumed: Resumed) {
        if !matches!(self.phase, Phase::SigningIn { with: With::Token, .. }) {
            return self.violation(now, "an answer to a RESUME that was not sent");
        }
        // PROTOCOL.md, TOKEN and RESUME: the old one is good until this one is used, which is on the next connection.
        // It is on disk by then: changes are written before bytes are.
        let kept = self.kept(resumed.token);
        self.config.seat.token = Some(kept);
        self.changes.push(Change::Token(Some(kept)));
        self.signed_in(now, resumed.account, false);
    }

    /// CREATE, LOGIN or RESUME was accepted.
    pub(super) fn signed_in(&mut self, now: Instant, account: Uuid, created: bool) {
        self.config.create = false;
        let by_token = matches!(self.phase, Phase::SigningIn { with: With::Token, .. });
        let has_password = self.config.password.is_some();
        self.created |= created;
        if self.config.seat.uuid.is_some_and(|known| known != account) {
            return self.leave_account(Some(account));
        }
        self.config.seat.uuid = Some(account);
        let open = (!by_token).then_some(!has_password);
        self.changes.push(Change::Account { uuid: account, open });
        self.phase = Phase::Online { since: now };
        if !by_token && self.config.remember && has_password {
            self.put(&Request::Token);
        }
        if self.config.stream {
            self.asked.push_back(Asked::Stream);
            self.put(&Request::Deliver);
        }
        let Names { agent, node } = self.server.clone();
        let round_trip = self.round_trip_at.map_or_else(Default::default, |at| now - at);
        let created = std::mem::take(&mut self.created);
        let presence = self.has_presence;
        self.event(Event::Online(Online { agent, node, round_trip, created, presence }));
        self.write_reads();
        self.watch_anew();
    }

    /// PASSWORD was accepted: every token of the account is void, so one that was kept here is asked for anew.
    pub(super) fn password_changed(&mut self, now: Instant) {
        let Some((tag, new)) = self.new_password.take() else {
            return self.violation(now, "an answer to a PASSWORD that was not sent");
        };
        if self.config.seat.token.take().is_some() {
            self.changes.push(Change::Token(None));
            self.config.remember = true;
        }
        if self.config.remember {
            self.put(&Request::Token);
        }
        self.config.password = Some(new);
        self.answer(tag, OpCode::Password.byte(), Ok(vec!["ok".into()]));
    }

    /// PASSWORD was refused: nothing has changed.
    pub(super) fn refused_password(&mut self, now: Instant, failure: Failure<'_>) {
        let Some((tag, _)) = self.new_password.take() else {
            return self.violation(now, "an answer to a PASSWORD that was not sent");
        };
        let reason = failure.reason.to_string();
        let fields = vec!["error".to_owned(), clean(&reason, Kind::Line).into_owned(), sentence(&failure)];
        let verdict = Verdict::Refused(failure.reason.code());
        let op = OpCode::Password.byte();
        self.event(Event::Answer(Answer { tag, op, fields: Ok(fields), verdict }));
    }

    /// HELLO or RESUME was refused.
    pub(super) fn refused_hello(&mut self, now: Instant, failure: Failure<'_>) {
        let sentence = sentence(&failure);
        match failure.reason.code() {
            Some(Code::VERSION) => self.stop(StopKind::Version, sentence),
            code => self.lose(now, TroubleKind::Refused(code), sentence),
        }
    }

    pub(super) fn refused_token(&mut self, now: Instant, failure: Failure<'_>) {
        if !matches!(self.phase, Phase::SigningIn { with: With::Token, .. }) {
            return self.violation(now, "an answer to a RESUME that was not sent");
        }
        let code = failure.reason.code();
        if code.is_none_or(may_pass) {
            return self.lose(now, TroubleKind::Refused(code), sentence(&failure));
        }
        self.config.seat.token = None;
        self.changes.push(Change::Token(None));
        if self.config.password.is_some() {
            self.sign_in(now, With::Login);
        } else {
            self.stop(StopKind::NeedPassword, "the kept login is no longer good: log in again".into());
        }
    }

    /// CREATE or LOGIN was refused.
    pub(super) fn refused_login(&mut self, now: Instant, failure: Failure<'_>) {
        let Phase::SigningIn { with, .. } = self.phase else { return };
        let code = failure.reason.code();
        let repeated = with == With::Create && self.creates_sent > 1;
        if repeated && code == Some(Code::NAME_TAKEN) && self.config.password.is_some() {
            // An earlier CREATE may have made it; the password tells whose it is.
            self.config.create = false;
            return self.sign_in(now, With::Login);
        }
        match code {
            Some(code) if !may_pass(code) => self.stop(StopKind::Refused(code), sentence(&failure)),
            code => self.lose(now, TroubleKind::Refused(code), sentence(&failure)),
        }
    }
}

/// The server's sentence for a person.
pub(super) fn sentence(failure: &Failure<'_>) -> String {
    let said = text::sentence(failure.sentence);
    if said.is_empty() { text::sentence(&failure.reason.to_string()) } else { said }
}

/// Refusals that another try may not meet.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::BUSY
            | Code::STORAGE
            | Code::RATE_LIMITED
            | Code::TOO_MANY_SESSIONS
            | Code::SHUTTING_DOWN
            | Code::TIMED_OUT
            | Code::REPLACED
    ) || code.word().is_none()
}
