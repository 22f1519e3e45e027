//! `bellhop list`: names, page by page; without a login where the server allows that.

use bellhop_protocol::Code;
use bellhop_protocol::name::fold;
use bellhop_protocol::op::OpCode;

use super::args::Common;
use super::exit::{Exit, Failure};
use super::output::{End, Line, Output};
use super::session::{Session, deadline};
use super::setup::Setup;
use super::wire::{Answer, Wire, nothing};
use crate::config::{Receive, Role};
use crate::raw::Verdict;
use crate::secret::Secret;

const LIST: u8 = OpCode::List.byte();
/// Names that are asked about at once.
const WATCH_MAX: usize = 256;
/// Pages asked for at most: a server that always says "more" does not keep us for ever.
const PAGES_MAX: u64 = 100_000;

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    pattern: Option<&str>,
    limit: Option<u64>,
    online: bool,
) -> Result<(), End> {
    let pattern = pattern.unwrap_or("");
    let mut left = limit.unwrap_or(u64::MAX);
    if pattern.contains('|') {
        return Err(Failure::usage("a pattern holds no bar").into());
    }
    if online {
        return logged_in(setup, common, output, pattern, left, true).await;
    }
    let mut wire = Wire::open(setup, common.timeout).await?;
    let mut answer = wire.ask(LIST, request(pattern, None).as_bytes(), nothing).await?;
    if answer.is_refused_as(Code::NOT_LOGGED_IN) {
        drop(wire);
        return logged_in(setup, common, output, pattern, left, false).await;
    }
    let mut before = None;
    for _ in 0..PAGES_MAX {
        let Some(after) = page(output, answer.accepted()?, &mut left).await? else { return Ok(()) };
        if !goes_on(before.as_deref(), &after) {
            break;
        }
        answer = wire.ask(LIST, request(pattern, Some(&after)).as_bytes(), nothing).await?;
        before = Some(after);
    }
    Err(endless())
}

async fn logged_in(
    setup: &Setup,
    common: &Common,
    output: &Output,
    pattern: &str,
    left: u64,
    online: bool,
) -> Result<(), End> {
    let user = setup.user()?;
    let mut session = Session::open(setup.config(&user, Role::Send, Receive::Nothing));
    let done = ask(&mut session, common, output, pattern, left, online).await;
    session.close().await;
    done
}

async fn ask(
    session: &mut Session,
    common: &Common,
    output: &Output,
    pattern: &str,
    mut left: u64,
    online: bool,
) -> Result<(), End> {
    let login = session.online(deadline(common.timeout)).await?;
    if online && !login.presence {
        let sentence = "this server does not tell who is online";
        return Err(Failure::new(Exit::Refused, "not-allowed", sentence).into());
    }
    let mut before = None;
    for tag in 0..PAGES_MAX {
        let data = Secret::new(request(pattern, before.as_deref()));
        let mut answer = session.ask(tag, LIST, data, deadline(common.timeout)).await?.accepted()?;
        if online {
            keep_online(session, common, &mut answer.fields).await?;
        }
        let Some(after) = page(output, answer, &mut left).await? else { return Ok(()) };
        if !goes_on(before.as_deref(), &after) {
            break;
        }
        before = Some(after);
    }
    Err(endless())
}

/// Keeps the names of those who are online, and what stands before the names.
async fn keep_online(
    session: &mut Session,
    common: &Common,
    fields: &mut Vec<String>,
) -> Result<(), Failure> {
    let names = fields.split_off(1.min(fields.len()));
    let mut rest = &names[..];
    while !rest.is_empty() {
        let (chunk, _) = rest.split_at(rest.len().min(WATCH_MAX));
        let known = session.watch(chunk.to_vec(), deadline(common.timeout)).await?;
        let Some((last, _)) = known.last() else {
            let sentence = "the server does not tell who is online now; try again later";
            return Err(Failure::new(Exit::Refused, "busy", sentence));
        };
        // A server that takes fewer at once has answered for the first of them.
        let told = chunk.iter().position(|name| name == last).map_or(chunk.len(), |at| at + 1);
        fields.extend(known.into_iter().filter(|(_, online)| *online).map(|(name, _)| name));
        rest = &rest[told..];
    }
    Ok(())
}

/// Prints a page, as far as names are `left` to print. Returns the name to go on behind, as the server wrote it, where
/// there is more.
async fn page(output: &Output, answer: Answer, left: &mut u64) -> Result<Option<String>, End> {
    for name in answer.fields.iter().skip(1) {
        if *left == 0 {
            return Ok(None);
        }
        *left -= 1;
        output.result(&Line::User { name }).await?;
    }
    match answer.verdict {
        Verdict::More(after) => Ok(Some(after)),
        Verdict::Done | Verdict::Refused(_) => Ok(None),
    }
}

/// True where the next page begins behind this one: a server that gives the same again and again has no end.
fn goes_on(before: Option<&str>, after: &str) -> bool {
    before.is_none_or(|before| fold(before) < fold(after))
}

fn request(pattern: &str, after: Option<&str>) -> String {
    match after {
        None => pattern.to_owned(),
        Some(after) => format!("{}|{after}", if pattern.is_empty() { "*" } else { pattern }),
    }
}

fn endless() -> End {
    Failure::new(Exit::Protocol, "protocol", "the list has no end").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_behind_the_one_before() {
        for (before, after, expected) in [
            (None, "alice", true),
            (Some("alice"), "Bob", true),
            (Some("alice"), "ALICE", false),
            (Some("bob"), "Alice", false),
            (Some("bob"), "", false),
        ] {
            assert_eq!(goes_on(before, after), expected, "{before:?} {after:?}");
        }
    }
}
