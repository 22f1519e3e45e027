//! The client without a screen: lines in, lines out, nothing ever drawn again. For screen readers, for terminals that
//! cannot be drawn on, for slow lines and for scripts that talk.
//!
//! ```text
//!   stdin ──line──► state ──line──► stdout
//!   library ─event─►  │ ──effect──► library
//! ```
//!
//! `state` and `commands` are pure: what is typed means what it means on the screen, by the same parser. `console` reads
//! and writes on threads of its own; this file is the loop between them.

mod commands;
mod console;
mod state;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::{sleep_until, timeout};

use crate::clock;
use crate::config::{Config, Person, Receive, Role, Server, Trust};
use crate::event::Event;
use crate::home::Home;
use crate::secret::Secret;
use crate::settings::Ui;
use crate::signals::Signals;
use crate::tui::Backend;
use crate::tui::model::{Effect, Login, Now};
use console::{Console, NotText, Turn};
use state::{Asks, Out, Plain};

pub(crate) use state::Over;

/// Events taken before the next look at what is typed.
const EVENTS_MAX: usize = 256;
/// How long the connection may take to write down and send what is left.
const FAREWELL: Duration = Duration::from_millis(1_500);
/// How long what is written may take to reach its reader after a signal.
const LAST_LINE_MAX: Duration = Duration::from_millis(200);

/// What Ctrl+C stands for in a question, where it is a key and no signal.
const INTERRUPTED: u8 = 130;

/// An answer that is typed without being seen; `None` where the person has left.
pub(crate) type Unseen = Pin<Box<dyn Future<Output = Option<Option<Secret>>>>>;

/// What it begins with.
pub(crate) struct Start {
    pub(crate) person: Person,
    pub(crate) ui: Ui,
    /// What waits at the server comes when somebody fetches it.
    pub(crate) asks: bool,
    /// How long the end waits for the server.
    pub(crate) wait: Duration,
    /// Asks a question whose answer must not be seen.
    pub(crate) ask: fn(String) -> Unseen,
}

/// Runs until somebody quits or nothing more comes.
///
/// # Errors
///
/// Where the system has no room for a runtime.
pub(crate) fn run(start: Start) -> io::Result<Over> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let over = runtime.block_on(async {
        let mut desk = Desk::new(start);
        let over = desk.run().await;
        desk.leave().await;
        over
    });
    // A thread that waits for stdin would hold the process until somebody types.
    runtime.shutdown_background();
    Ok(over)
}

struct Desk {
    home: Home,
    trust: Trust,
    meant: Server,
    wait: Duration,
    ask: fn(String) -> Unseen,
    state: Plain,
    /// Others see that this account is online.
    online: bool,
    asks: bool,
    backend: Backend,
    console: Console,
    signals: Signals,
    chosen: bool,
}

impl Desk {
    fn new(start: Start) -> Desk {
        let Start { person, ui, asks, wait, ask } = start;
        let Person { home, server, trust, user, password } = person;
        let login =
            user.map(|user| Login { server: server.clone(), user, password, create: false, remember: false });
        let talks = io::stdin().is_terminal() && io::stdout().is_terminal();
        let can_ask = io::stdin().is_terminal() && io::stderr().is_terminal();
        Desk {
            home,
            trust,
            meant: server.clone(),
            wait,
            ask,
            online: ui.online,
            state: Plain::new(TimeZone::system(), server, login, can_ask, ui),
            asks,
            backend: Backend::default(),
            console: Console::new(talks),
            // Before anything is begun: from here on signals do not end the process by themselves.
            signals: Signals::new(),
            chosen: false,
        }
    }

    async fn run(&mut self) -> Over {
        let mut arrived = Vec::new();
        self.state.start();
        loop {
            if let Some(over) = self.outputs().await {
                return over;
            }
            self.console.prompt(self.state.wants_line().then(|| self.state.prompt()));
            let deadline = self.state.deadline();
            let writes = self.console.has_to_write();
            tokio::select! {
                biased;
                code = self.signals.next() => return Over::Signal(code),
                turn = self.console.next(self.state.wants_line()) => match turn {
                    Turn::Written => {}
                    Turn::Gone => return Over::Done,
                    Turn::Line(Some(Ok(line))) => self.state.line(now(), &line),
                    Turn::Line(Some(Err(NotText))) => self.state.not_text(now()),
                    Turn::Line(None) => self.state.end_of_input(now(), self.wait),
                },
                // A reader that pauses holds everything else up, as it is meant to.
                count = events(&mut self.backend, &mut arrived), if !writes => {
                    if count == 0 && self.backend.ended() {
                        self.state.ended();
                    }
                    arrived.drain(..).for_each(|event| self.event(event));
                }
                () = sleep_until(deadline.unwrap_or_else(clock::now).into()), if deadline.is_some() => {
                    self.state.expire(clock::now());
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        if matches!(event, Event::Online(_))
            && self.chosen
            && let Backend::Live { client, .. } = &self.backend
        {
            // Only so that the next start knows: where it is busy, the one after that will.
            let _ = client.remember();
        }
        self.state.event(now(), event);
    }

    /// Does what the rules want done. Returns how it ended, where that is the end.
    async fn outputs(&mut self) -> Option<Over> {
        while let Some(out) = self.state.poll() {
            match out {
                Out::Say(line) => self.console.say(&line),
                Out::Do(effect) => self.effect(effect),
                Out::Ask(asks) => {
                    let mut answers = Vec::new();
                    for question in asks.questions() {
                        tokio::select! {
                            biased;
                            code = self.signals.next() => return Some(Over::Signal(code)),
                            answer = (self.ask)(question) => match answer {
                                Some(answer) => answers.push(answer),
                                None => return Some(Over::Signal(INTERRUPTED)),
                            },
                        }
                    }
                    self.state.secrets(asks, answers);
                }
                Out::End(over) => return Some(over),
            }
        }
        None
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(login) => self.connect(login),
            Effect::Disconnect => self.backend.disconnect(),
            effect => {
                if let Some(event) = self.backend.take(effect) {
                    self.state.event(now(), event);
                }
            }
        }
    }

    fn connect(&mut self, login: Login) {
        let Login { server, user, password, create, remember } = login;
        self.chosen = self.state.is_chosen();
        // A key that was given is that of the server it was given for.
        let fingerprint = self.trust.fingerprint.filter(|_| server == self.meant);
        self.backend.connect(Config {
            home: self.home.clone(),
            trust: Trust { fingerprint, ..self.trust },
            server,
            user,
            password,
            create,
            remember,
            role: Role::Tui,
            receive: if self.asks { Receive::Asked } else { Receive::Kept },
            patient: true,
            hidden: !self.online,
        });
    }

    /// What was said reaches its reader, and what was sent the server, as far as both take it.
    async fn leave(mut self) {
        tokio::select! {
            biased;
            () = self.console.finish() => {}
            () = async {
                self.signals.next().await;
                tokio::time::sleep(LAST_LINE_MAX).await;
            } => {}
        }
        self.backend.disconnect();
        if let Backend::Leaving { mut events, .. } = self.backend {
            // What comes now nobody waits for; a thread that does not end ends with the process.
            let _ = timeout(FAREWELL, async { while events.recv().await.is_some() {} }).await;
        }
    }
}

async fn events(backend: &mut Backend, arrived: &mut Vec<Event>) -> usize {
    arrived.reserve(EVENTS_MAX);
    backend.events(arrived).await
}

fn now() -> Now {
    Now { at: clock::now(), wall_ms: clock::wall_ms() }
}

impl Asks {
    fn questions(&self) -> Vec<String> {
        let twice = |what: &str| vec![format!("{what}: "), "The same again: ".to_owned()];
        match self {
            Asks::LogIn(login) if login.create => {
                twice(&format!("Password for {} (empty for none)", login.user))
            }
            Asks::LogIn(login) => vec![format!("Password for {}: ", login.user)],
            Asks::Delete => vec!["Password (empty for none): ".to_owned()],
            Asks::Passwords => {
                let mut questions = vec!["The old password (empty for none): ".to_owned()];
                questions.extend(twice("The new password"));
                questions
            }
        }
    }
}
