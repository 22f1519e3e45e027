//! The loop: draw what has changed, wait, take what happened, do what is to be done.
//!
//! There is no tick. The loop wakes for a key, for the library, for a signal, or for a deadline that the screen needs;
//! without one it waits for ever.

mod keys;
mod stops;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio::time::{sleep_until, timeout};

use self::keys::Keys;
use super::aside::{Aside, Done, copied};
use super::backend::Backend;
use super::chosen::Chosen;
use super::demo::{self, Demo};
use super::form::Form;
use super::input::{Habits, Input, Normaliser};
use super::model::{Effect, Login, Model, Now};
use super::notify;
use super::opener;
use super::pace::Pace;
use super::signals::Signals;
use super::stats::Stats;
use super::terminal::{self, Screen};
use super::update::{Msg, update};
use crate::clock;
use crate::config::{Config, Person, Receive, Role};
use crate::event::{Event, Untrusted};
use crate::home::Home;
use crate::known::KnownServers;
use crate::link::trust::Known;
use crate::settings::Tristate;
use crate::settings::choice::Choice;
use crate::signals;

/// How long the connection may take to write down and send what is left.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// What the screen begins with.
pub(crate) struct Start {
    pub(crate) person: Person,
    pub(crate) choice: Choice,
    /// Says the same of another account of the config. It may ask on the terminal.
    pub(crate) account: fn(Choice) -> Result<Start, String>,
}

struct App {
    model: Model,
    /// Where the files are; the made-up people have none.
    home: Option<Home>,
    config: Chosen,
    /// Says who another account of the config is.
    account: fn(Choice) -> Result<Start, String>,
    backend: Backend,
    /// Somebody filled in the form; a screen that was opened as somebody changes nothing for anybody else.
    chosen: bool,
    screen: Screen,
    aside: Aside,
    keys: Keys,
    normaliser: Normaliser,
    pace: Pace,
    stats: Stats,
}

/// Runs the screen until somebody quits. Returns the exit code.
pub(crate) fn run(start: Start) -> io::Result<u8> {
    let mut app = App::new(
        Some(start.person.home.clone()),
        Backend::Nobody,
        TimeZone::system(),
        start.choice.clone(),
        start.account,
    )?;
    app.begin(start.person);
    app.run_to_end()
}

/// Runs the screen with made-up people, and a clock that stands still.
pub(crate) fn run_demo(choice: Choice) -> io::Result<u8> {
    let old = std::env::var("BELLHOP_DEMO_MESSAGES").ok().and_then(|count| count.parse().ok());
    let mut app = App::new(None, Backend::Demo(Demo::new(old.unwrap_or(0))), TimeZone::UTC, choice, |_| {
        Err("the made-up people have no other account".into())
    })?;
    if let Some(login) = demo::login() {
        app.log_in(login);
    }
    app.run_to_end()
}

impl App {
    fn new(
        home: Option<Home>,
        backend: Backend,
        zone: TimeZone,
        choice: Choice,
        account: fn(Choice) -> Result<Start, String>,
    ) -> io::Result<App> {
        let stats = Stats::new(clock::now());
        let variable = |name: &str| std::env::var(name).ok();
        let config = Chosen::new(choice);
        let prefs = config.begin()?;
        let kitty = match prefs.ui.kitty_keys {
            Tristate::Auto => terminal::speaks_kitty(variable),
            wish => wish == Tristate::On,
        };
        let kitty = cfg!(unix) && kitty;
        let mut screen = Screen::take(kitty)?;
        screen.mouse(prefs.ui.mouse)?;
        let size = crossterm::terminal::size()?;
        let now = now(&backend);
        Ok(App {
            model: Model::new(now, zone, size, prefs),
            home,
            config,
            account,
            backend,
            chosen: false,
            screen,
            aside: Aside::new(),
            keys: Keys::default(),
            normaliser: Normaliser::new(Habits {
                hold_escape: cfg!(unix) && !kitty,
                join_bursts: cfg!(windows),
            }),
            pace: Pace::default(),
            stats,
        })
    }

    /// Connects as whoever is known to be here, else asks.
    fn begin(&mut self, person: Person) {
        let Person { server, trust, user, password, .. } = person;
        self.model.meant = Some((server.clone(), trust));
        match user {
            Some(user) => self.log_in(Login { server, user, password, create: false, remember: false }),
            None => self.model.form = Some(Form::new(&server.to_string(), "")),
        }
    }

    /// Becomes another account of the config; a command that prints its password has the terminal meanwhile.
    fn become_account(&mut self, name: &str) {
        let choice = self.config.choice.again().map(|choice| choice.as_account(name));
        self.keys.leave();
        terminal::lend();
        let start = choice.map_err(|error| error.to_string()).and_then(self.account);
        self.take_again();
        match start {
            Ok(start) => {
                self.config.choice = start.choice;
                let msg = self.config.reload();
                if let Msg::Chosen(Some(prefs), _) = &msg {
                    // An account's own, which counts from its first connection on.
                    self.model.prefs.asks = prefs.asks;
                }
                self.begin(start.person);
                self.take(msg);
            }
            Err(problem) => self.take(Msg::Chosen(None, Err(problem))),
        }
        self.redraw();
    }

    fn log_in(&mut self, login: Login) {
        let mut effects = Vec::new();
        self.model.connect(login, &mut effects);
        self.effects(effects);
    }

    fn run_to_end(mut self) -> io::Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let code = runtime.block_on(self.run());
        // The person gets the terminal back before the network gets its second.
        terminal::restore();
        if let Some(left) = runtime.block_on(self.aside.end()) {
            if let Msg::Edited(_, Err(reason)) = &left {
                // Where it cannot be said there is nobody to read it.
                let _ = writeln!(io::stderr(), "bellhop: {reason}");
            }
            // As a draft it is there at the next start.
            self.take(left);
            self.take(Msg::End(self.model.quit.unwrap_or(0)));
        }
        self.write_stats();
        self.backend.disconnect();
        if let Backend::Leaving { mut events, .. } = self.backend {
            runtime.block_on(async {
                // What comes now nobody waits for; a thread that does not end ends with the process.
                let _ = timeout(FAREWELL, async { while events.recv().await.is_some() {} }).await;
            });
        }
        code
    }

    async fn run(&mut self) -> io::Result<u8> {
        self.keys.take();
        let mut signals = Signals::new();
        let mut arrived = Vec::new();
        while self.model.quit.is_none() {
            if self.draw_when_due().is_err() {
                // What cannot be drawn on has gone, and what was being written is to be kept.
                self.take(Msg::End(signals::Signals::HUNG_UP));
                break;
            }
            self.stats.counts.loops += 1;
            let wake = self.wake();
            tokio::select! {
                // Signals first: one may say that there is nothing left to read keys from.
                biased;
                signalled = signals.next() => self.signalled(signalled),
                key = self.keys.next() => match key {
                    Some((came, Ok(event))) => {
                        let inputs = self.normaliser.feed(came, event);
                        self.inputs(inputs);
                    }
                    // The terminal has gone.
                    Some((_, Err(_))) | None => self.take(Msg::End(signals::Signals::HUNG_UP)),
                },
                done = self.aside.done() => self.done(done),
                count = self.backend.events(&mut arrived) => {
                    self.stats.events(count);
                    if count == 0 && self.backend.ended() {
                        self.take(Msg::Ended);
                    }
                    for event in arrived.drain(..) {
                        self.take(Msg::Event(event));
                    }
                }
                () = until(wake) => self.deadline(),
            }
            if terminal::has_panicked() {
                return Ok(1);
            }
        }
        Ok(self.model.quit.unwrap_or(0))
    }

    /// When the loop must go on by itself.
    fn wake(&self) -> Option<Instant> {
        let draws = self.model.changed && self.aside.shows_screen();
        let frame = draws.then(|| self.pace.due().unwrap_or_else(clock::now));
        let deadlines = [frame, self.model.deadline(), self.normaliser.deadline(), self.stats.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn draw_when_due(&mut self) -> io::Result<()> {
        let now = clock::now();
        let is_due = self.pace.due().is_none_or(|due| now >= due);
        if self.model.changed && is_due && self.aside.shows_screen() {
            let bytes = self.screen.draw(&self.model)?;
            self.stats.frame(now, clock::now(), bytes);
            self.model.changed = false;
            self.pace.drew(now);
        }
        Ok(())
    }

    fn deadline(&mut self) {
        let now = clock::now();
        let inputs = self.normaliser.expire(now);
        self.inputs(inputs);
        if let Some(digest) = self.stats.digest(now) {
            self.take(Msg::Told(digest));
        }
        if self.model.deadline().is_some_and(|deadline| now >= deadline) {
            self.take(Msg::Deadline);
        }
    }

    fn inputs(&mut self, inputs: Vec<Input>) {
        for input in inputs {
            self.stats.counts.inputs += 1;
            if self.aside.goes_back(&input, &mut self.screen) {
                self.changed();
            } else {
                self.take(Msg::Input(input));
            }
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Copied(way, text) => self.take(copied(way, &text)),
            Done::Edited(open, left) => self.edited(Msg::Edited(open, left)),
        }
    }

    /// The editor has ended, or did not start.
    fn edited(&mut self, msg: Msg) {
        self.take_again();
        self.take(msg);
    }

    fn take(&mut self, msg: Msg) {
        let online = matches!(msg, Msg::Event(Event::Online(_)));
        let now = now(&self.backend);
        self.pace.sees(&msg, self.model.getting.is_some());
        let effects = update(&mut self.model, now, msg);
        if online
            && self.chosen
            && let Backend::Live { client, .. } = &self.backend
        {
            // Only so that the next start knows: where it is busy, the one after that will.
            let _ = client.remember();
        }
        self.effects(effects);
    }

    fn effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Redraw => self.redraw(),
                Effect::Suspend => self.suspend(),
                Effect::Copy(text) => {
                    let told = self.aside.copy(&text);
                    told.into_iter().for_each(|msg| self.take(msg));
                }
                Effect::Edit { open, text } => {
                    self.keys.leave();
                    // Its end left a wake-up behind: one that comes with the first key of the next stream hides it.
                    let _ = crossterm::event::poll(Duration::ZERO);
                    let told = self.aside.edit(open, &text);
                    told.into_iter().for_each(|msg| self.edited(msg));
                }
                // A terminal that takes none of these fails at the next frame, which ends the program.
                Effect::Plain(lines) => drop(self.aside.show(&mut self.screen, &lines)),
                Effect::Mouse(on) => drop(self.screen.mouse(on)),
                Effect::Notify(notice) => self.notify(&notice),
                Effect::Reload => {
                    let msg = self.config.reload();
                    self.take(msg);
                }
                Effect::Set { name, value } => {
                    let msg = self.config.set(&name, value.as_ref());
                    self.take(msg);
                }
                Effect::Account(name) => self.become_account(&name),
                Effect::Digest => self.stats.ask(clock::now()),
                effect => self.effect(effect),
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        if let Backend::Demo(demo) = &mut self.backend {
            return demo.effect(effect);
        }
        match effect {
            Effect::Connect(login) => self.connect(login),
            Effect::Disconnect => self.backend.disconnect(),
            Effect::Trust(untrusted) => self.trust(&untrusted),
            Effect::OpenLink(url) => self.open_link(&url),
            effect => {
                if let Some(event) = self.backend.take(effect) {
                    self.take(Msg::Event(event));
                }
            }
        }
    }

    fn connect(&mut self, login: Login) {
        let Some(home) = self.home.clone() else { return };
        self.chosen = self.model.form.is_some();
        self.backend.connect(Config {
            home,
            trust: self.model.trust_of(&login.server),
            server: login.server,
            user: login.user,
            password: login.password,
            create: login.create,
            remember: login.remember,
            role: Role::Tui,
            receive: if self.model.prefs.asks { Receive::Asked } else { Receive::Kept },
            patient: true,
            hidden: !self.model.prefs.ui.online,
        });
    }

    fn open_link(&mut self, url: &str) {
        if let Err(reason) = opener::open(url, |name| std::env::var(name).ok()) {
            self.take(Msg::Event(Event::Problem(reason)));
        }
    }

    /// Keeps the key, and connects; what cannot be kept is not trusted.
    fn trust(&mut self, untrusted: &Untrusted) {
        let Some(home) = &self.home else { return };
        let known = Known::Key(untrusted.shown);
        match KnownServers::of(home).replace(&untrusted.server, untrusted.before(), known) {
            Ok(()) => self.effect(Effect::Reconnect),
            Err(error) => self.take(Msg::Event(Event::Problem(error.to_string()))),
        }
    }

    fn notify(&mut self, notice: &notify::Notice) {
        let chosen = &self.model.prefs.notify;
        let way = notify::way(chosen.via, |name| std::env::var(name).ok());
        // A terminal that takes nothing fails at the next frame, which ends the program.
        let _ = terminal::write_through(&notify::bytes(way, chosen.preview, notice));
    }

    /// Writes down what the loop did, where somebody wants to know.
    fn write_stats(&self) {
        let Some(path) = std::env::var_os("BELLHOP_STATS").filter(|path| !path.is_empty()) else { return };
        if let Err(error) = std::fs::write(&path, self.stats.report()) {
            let path = std::path::Path::new(&path).display();
            // Where it cannot be said there is nobody to read it.
            let _ = writeln!(io::stderr(), "bellhop: BELLHOP_STATS: {path}: {error}");
        }
    }
}

fn now(backend: &Backend) -> Now {
    let wall_ms = if matches!(backend, Backend::Demo(_)) { demo::NOW_MS } else { clock::wall_ms() };
    Now { at: clock::now(), wall_ms }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
