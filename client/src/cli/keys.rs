//! `bellhop keys`: what each key that is pressed sends here, and what it does on the screen.

use std::io::{self, IsTerminal};

use crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use crossterm::execute;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::args::Common;
use super::choice;
use super::exit::Failure;
use super::output::{End, Line, Output};
use crate::tui::{Bindings, action_name, key_name, load_looks};

pub(crate) async fn run(common: &Common, output: &Output) -> Result<(), End> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::usage("keys come from a terminal: stdin and stdout have to be one").into());
    }
    let bindings = match bindings(common) {
        Ok(bindings) => bindings,
        Err(failure) => {
            output.remark(&format!("{}; these are the keys without it", failure.sentence)).await;
            Bindings::default()
        }
    };
    output.remark("press keys; Ctrl+C ends it").await;
    let _unseen = Unseen::begin().map_err(Failure::local)?;
    loop {
        let event = tokio::task::spawn_blocking(event::read).await.map_err(Failure::local)?;
        let event = event.map_err(Failure::local)?;
        if let Event::Key(key) = &event {
            show(output, *key, &bindings).await?;
            if ends(*key) {
                return Ok(());
            }
        } else if let Event::Paste(text) = &event {
            let told = format!("{} bytes", text.len());
            line(output, "a paste", None, &told).await?;
        }
    }
}

/// What keys do with this person's config.
fn bindings(common: &Common) -> Result<Bindings, Failure> {
    let choice = choice::read(common)?;
    let resolved = choice.resolve().map_err(|error| Failure::usage(error.to_string()))?;
    Ok(load_looks(&resolved, &choice.places).bindings)
}

async fn show(output: &Output, event: KeyEvent, bindings: &Bindings) -> Result<(), End> {
    let name = key_name(event).unwrap_or_else(|| "?".into());
    let kind = match event.kind {
        KeyEventKind::Press => "",
        KeyEventKind::Repeat => ", repeated",
        KeyEventKind::Release => ", released",
    };
    let mut held: Vec<String> = event.modifiers.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    held.push(format!("{:?}", event.code));
    line(output, &name, action_name(event, bindings), &format!("{}{kind}", held.join(" + "))).await
}

async fn line(output: &Output, key: &str, action: Option<&str>, event: &str) -> Result<(), End> {
    output.result(&Line::Key { key, action, event }).await?;
    // A terminal that shows keys as they come does not go back to the first column by itself.
    output.page("\r".into()).await
}

fn ends(event: KeyEvent) -> bool {
    event.code == KeyCode::Char('c') && event.modifiers == KeyModifiers::CONTROL
}

/// Keys come as they are pressed while this lives.
struct Unseen;

impl Unseen {
    fn begin() -> io::Result<Unseen> {
        enable_raw_mode()?;
        let unseen = Unseen;
        execute!(io::stderr(), EnableBracketedPaste)?;
        Ok(unseen)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // Where the terminal has gone there is nothing to give back.
        let _ = execute!(io::stderr(), DisableBracketedPaste);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ctrl_c_ends_it() {
        let key = |code, modifiers| ends(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Char('c'), KeyModifiers::CONTROL | KeyModifiers::ALT));
        assert!(!key(KeyCode::Esc, KeyModifiers::NONE));
    }
}
