//! The commands about who the server is to its clients. They work on the files, and a server that runs takes up what
//! changed when the next connection comes.

use std::io::Write;

use anyhow::bail;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::command::Place;
use crate::identity::{Files, own, pair};

/// Says what clients know the server by.
pub(super) fn fingerprint(place: Place) -> anyhow::Result<()> {
    let config = Config::load(place.into())?;
    let fingerprint = match config.tls {
        None => own::current(&config.data)?,
        Some((cert, key)) => {
            let files = Files { cert, key, own: false };
            pair::read(&files, Clock::start().now().wall_ms)?.fingerprint
        }
    };
    say(&format!("{fingerprint}\n"))
}

/// Makes a new key.
pub(super) fn rotate(place: Place) -> anyhow::Result<()> {
    let config = Config::load(place.into())?;
    if let Some((cert, _)) = config.tls {
        bail!("the server shows {}, which is not its own: renew it where it came from", cert.display());
    }
    let (old, new) = own::rotate(&config.data)?;
    say(&format!("was {old}\nnow {new}\n"))
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
