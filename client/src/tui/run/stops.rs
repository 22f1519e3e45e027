//! Stops and comes back: what signals ask of the loop, and the terminal that somebody else had meanwhile.

#[cfg(unix)]
use rustix::process::{Pid, Signal};

use super::App;
#[cfg(unix)]
use crate::event::Event;
use crate::tui::input::Input;
use crate::tui::signals::{Signalled, is_of_keys};
#[cfg(unix)]
use crate::tui::terminal;
use crate::tui::update::Msg;

impl App {
    pub(super) fn signalled(&mut self, signalled: Signalled) {
        match signalled {
            // The keys of an editor mean the editor.
            Signalled::End(code) if self.aside.is_lent() && is_of_keys(code) => {}
            #[cfg(unix)]
            Signalled::Stop if self.aside.is_lent() => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
            }
            #[cfg(unix)]
            Signalled::Continue if self.aside.is_lent() => {}
            Signalled::End(code) => self.take(Msg::End(code)),
            #[cfg(unix)]
            Signalled::Reload => {
                let msg = self.config.reload();
                self.take(msg);
            }
            // How far, it finds out whenever it looks at the clock.
            #[cfg(unix)]
            Signalled::Leap => self.take(Msg::Deadline),
            #[cfg(unix)]
            Signalled::Stop => self.stop(rustix::process::kill_process, rustix::process::getpid()),
            #[cfg(unix)]
            Signalled::Continue => self.take_again(),
        }
    }

    pub(super) fn redraw(&mut self) {
        // A terminal that cannot be cleared fails at the next frame, which ends the program.
        let _ = self.screen.redraw();
        self.changed();
    }

    /// What is on the screen is not what the model says.
    pub(super) fn changed(&mut self) {
        self.model.changed = true;
        self.pace.hurry();
    }

    #[cfg(unix)]
    pub(super) fn suspend(&mut self) {
        use rustix::process::{getpgrp, getsid, kill_process_group};
        // A terminal of its own has no shell that could bring it back; the terminal's own Ctrl+Z does nothing there.
        if getsid(None).is_ok_and(|session| session == getpgrp()) {
            return self.take(Msg::Event(Event::Problem("no shell is there to come back from".into())));
        }
        // All of the group, as the terminal does it: a shell waits until whatever ran this has stopped, too.
        self.stop(kill_process_group, getpgrp());
    }

    /// Gives the terminal back, stops whom it is told to, and goes on when somebody says CONT.
    #[cfg(unix)]
    fn stop(&mut self, stop: fn(Pid, Signal) -> rustix::io::Result<()>, whom: Pid) {
        terminal::restore();
        // Not TSTP: that is caught, and comes through the loop.
        let _ = stop(whom, Signal::STOP);
        self.take_again();
    }

    pub(super) fn take_again(&mut self) {
        self.aside.take_back(&mut self.screen);
        self.keys.take();
        // Nobody tells a program in the background that its window has another size.
        if let Ok((columns, rows)) = crossterm::terminal::size() {
            self.take(Msg::Input(Input::Resize(columns, rows)));
        }
        self.changed();
    }

    #[cfg(not(unix))]
    pub(super) fn suspend(&mut self) {}
}
