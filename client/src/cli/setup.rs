//! From what was typed to what is needed: flag, then variable, then what was remembered, then the default.

use bellhop_protocol::Username;

use super::args::Common;
use super::choice;
use super::exit::{Exit, Failure};
use super::output::End;
use super::password;
use crate::config::{Config, Person, Proof, Receive, Role, Server, Trust};
use crate::fingerprint::Fingerprint;
use crate::history::{Account, History, LAST_SERVER, LAST_USER};
use crate::home::Home;
use crate::known::KnownServers;
use crate::link::trust::Known;
use crate::secret::Secret;
use crate::settings::choice::Choice;
use crate::settings::{Deliver, Settings, Tls, Ui};
use crate::tui::Start;

/// What every command needs to know.
pub(crate) struct Setup {
    pub(crate) home: Home,
    pub(crate) server: Server,
    pub(crate) trust: Trust,
    /// Named by flag, variable or memory.
    pub(crate) user: Option<Username>,
    /// From a file, or from the command that prints it.
    pub(crate) password: Option<Secret>,
    /// Prints the password, where no file has it.
    password_cmd: Option<String>,
    /// The password is for `user` alone, as the config says.
    for_user: bool,
    pub(crate) ui: Ui,
    /// What waits at the server comes when somebody fetches it.
    pub(crate) asks: bool,
    /// What was chosen, in files, variables and flags.
    pub(crate) choice: Choice,
}

impl Setup {
    pub(crate) fn new(common: &Common) -> Result<Setup, Failure> {
        let home = Home::of_user().map_err(Failure::local)?;
        let mut choice = choice::read(common)?;
        choice::remember(&mut choice, &open(&home)?)?;
        let fingerprint = given(&common.fingerprint, "BELLHOP_FINGERPRINT");
        Setup::of(home, choice, fingerprint.as_deref(), common.password_fd)
    }

    /// The same for what was read already.
    fn of(
        home: Home,
        choice: Choice,
        fingerprint: Option<&str>,
        password_fd: Option<u16>,
    ) -> Result<Setup, Failure> {
        let resolved = choice.resolve().map_err(|error| Failure::usage(error.to_string()))?;
        let settings = resolved.settings();
        let (server, user) = (settings.server.clone(), settings.user.clone());
        let trust = trust(fingerprint, &settings)?;
        let (file, password_cmd) = resolved.password();
        let password = match (password_fd, file) {
            (Some(number), _) => password::from_descriptor(number)?,
            (None, Some(path)) => password::from_file(&path)?,
            (None, None) => None,
        };
        let for_user = password_fd.is_none() && resolved.password_is_of_files();
        let (ui, asks) = (settings.ui, settings.deliver == Deliver::Ask);
        Ok(Setup { home, server, trust, user, password, password_cmd, for_user, ui, asks, choice })
    }

    /// What the screen begins with, or goes on with as another account.
    pub(crate) fn start(mut self) -> Result<Start, Failure> {
        // There is no screen yet, or it is lent: nothing else is to be done meanwhile.
        if let Some(command) = self.needed_password_cmd()? {
            self.password = password::from_command(&command)?;
        }
        let choice = self.choice.clone();
        let account = |choice: Choice| {
            let home = Home::of_user().map_err(|error| error.to_string())?;
            let start = Setup::of(home, choice, None, None).and_then(Setup::start);
            start.map_err(|failure| failure.sentence)
        };
        Ok(Start { person: self.person(), choice, account })
    }

    /// Whoever was named, and what is known of them.
    pub(crate) fn person(self) -> Person {
        let Setup { home, server, trust, user, password, .. } = self;
        Person { home, server, trust, user, password }
    }

    /// The command that prints the password, where nothing else can prove who this is.
    fn needed_password_cmd(&mut self) -> Result<Option<String>, Failure> {
        if self.password.is_some() || self.password_cmd.is_none() {
            return Ok(None);
        }
        if let Some(account) = self.account()? {
            let roles = self.history()?.roles(account.id).map_err(Failure::local)?;
            if account.open || roles.iter().any(|(_, token, _)| *token) {
                return Ok(None);
            }
        }
        Ok(self.password_cmd.take())
    }

    /// Runs the command that prints the password, where nothing else can prove who this is.
    pub(crate) async fn fetch_password(&mut self) -> Result<(), End> {
        let command = self.needed_password_cmd()?;
        self.run_password_cmd(command).await
    }

    /// Runs the command on a thread of its own: it may take its time, and signals are heard meanwhile.
    async fn run_password_cmd(&mut self, command: Option<String>) -> Result<(), End> {
        if let Some(command) = command {
            let read = tokio::task::spawn_blocking(move || password::from_command(&command));
            self.password = read.await.map_err(Failure::local)??;
        }
        Ok(())
    }

    /// What is known of the server.
    pub(crate) fn known(&self) -> Result<Option<Known>, Failure> {
        let found = KnownServers::of(&self.home).find(&self.server).map_err(Failure::local)?;
        Ok(found.map(|entry| entry.known))
    }

    /// Who the command acts as.
    pub(crate) fn user(&self) -> Result<Username, Failure> {
        self.user.clone().ok_or_else(|| {
            Failure::new(
                Exit::NotLoggedIn,
                "not-logged-in",
                "nobody is logged in: bellhop login NAME, or --user NAME",
            )
        })
    }

    pub(crate) fn history(&self) -> Result<History, Failure> {
        open(&self.home)
    }

    /// The account the command acts as, where this home knows it.
    pub(crate) fn account(&self) -> Result<Option<Account>, Failure> {
        let Some(user) = &self.user else { return Ok(None) };
        self.history()?.find_account(&self.server.to_string(), user).map_err(Failure::local)
    }

    /// From now on commands act as `user` at this server.
    pub(crate) fn remember(&self, user: &Username) -> Result<(), Failure> {
        let mut history = self.history()?;
        let account = history.account(&self.server.to_string(), user).map_err(Failure::local)?;
        history.remember(account.id).map_err(Failure::local)
    }

    /// From now on commands act as nobody, where they acted as `user` at this server.
    pub(crate) fn forget(&self, user: &Username) -> Result<(), Failure> {
        let mut history = self.history()?;
        let remembered = |key| history.setting(key).map_err(Failure::local);
        let same_server = remembered(LAST_SERVER)?.is_some_and(|server| server == self.server.to_string());
        let last = remembered(LAST_USER)?.and_then(|name| Username::parse(&name).ok());
        match last.filter(|last| same_server && last.as_name().key() == user.as_name().key()) {
            Some(_) => history.forget(LAST_USER).map_err(Failure::local),
            None => Ok(()),
        }
    }

    /// A connection that plays `role`.
    pub(crate) fn config(&self, user: &Username, role: Role, receive: Receive) -> Config {
        Config {
            home: self.home.clone(),
            server: self.server.clone(),
            trust: self.trust,
            user: user.clone(),
            password: self.password.clone(),
            create: false,
            remember: false,
            role,
            receive,
            patient: false,
            hidden: !self.ui.online,
        }
    }

    /// The password of a command that makes or proves a login: from the file, else from whoever is there to type.
    pub(crate) async fn ask_password(&mut self, user: &Username, new: bool) -> Result<(), End> {
        let named = self.user.as_ref().is_some_and(|known| known.as_name().key() == user.as_name().key());
        if self.for_user && !named {
            (self.password, self.password_cmd) = (None, None);
        }
        if self.password.is_none() {
            let command = self.password_cmd.take();
            self.run_password_cmd(command).await?;
        }
        if self.password.is_some() || !password::can_ask() {
            return Ok(());
        }
        self.password = password::ask(&format!("Password for {user} (empty for none): ")).await?;
        if new && self.password.is_some() && password::ask("The same again: ").await? != self.password {
            return Err(Failure::usage("the two passwords differ").into());
        }
        Ok(())
    }
}

/// What a flag or its variable says. A variable that is empty says nothing; a flag that is empty is wrong.
fn given(value: &Option<String>, variable: &str) -> Option<String> {
    let unset = std::env::var_os(variable).is_some_and(|value| value.is_empty());
    value.clone().filter(|value| !(unset && value.is_empty()))
}

/// How the server has to prove who it is.
fn trust(fingerprint: Option<&str>, settings: &Settings) -> Result<Trust, Failure> {
    let fingerprint = fingerprint.map(|text| text.parse::<Fingerprint>()).transpose();
    let fingerprint = fingerprint.map_err(|error| Failure::usage(error.to_string()))?;
    let (tls, proof) = match settings.tls {
        Tls::Off if !settings.server.is_local() => {
            let sentence =
                format!("tls = \"off\" is for a server on this machine, and {} is not", settings.server);
            return Err(Failure::usage(sentence));
        }
        Tls::Auto | Tls::Off => (false, Proof::Any),
        Tls::On => (true, Proof::Any),
        Tls::Pin => (true, Proof::Key),
        Tls::Ca => (true, Proof::Authority),
    };
    Ok(Trust { fingerprint, tls, proof })
}

pub(super) fn open(home: &Home) -> Result<History, Failure> {
    let path = home.history().map_err(Failure::local)?;
    History::open(&path).map_err(Failure::local)
}

/// A user name that was typed.
pub(crate) fn name(typed: &str) -> Result<Username, Failure> {
    Username::parse(typed).map_err(|error| Failure::usage(format!("{typed:?}: {error}")))
}
