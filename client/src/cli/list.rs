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
/// Pages asked for at most: a server that always says "more" does not keep us for ever.
const PAGES_MAX: u64 = 100_000;

pub(crate) async fn run(
    setup: &Setup,
    common: &Common,
    output: &Output,
    pattern: Option<&str>,
    limit: Option<u64>,
) -> Result<(), End> {
    let pattern = pattern.unwrap_or("");
    let mut left = limit.unwrap_or(u64::MAX);
    if pattern.contains('|') {
        return Err(Failure::usage("a pattern holds no bar").into());
    }
    let mut wire = Wire::open(setup, common.timeout).await?;
    let mut answer = wire.ask(LIST, request(pattern, None).as_bytes(), nothing).await?;
    if answer.is_refused_as(Code::NOT_LOGGED_IN) {
        drop(wire);
        return logged_in(setup, common, output, pattern, left).await;
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
) -> Result<(), End> {
    let user = setup.user()?;
    let mut session = Session::open(setup.config(&user, Role::Send, Receive::Nothing));
    let done = ask(&mut session, common, output, pattern, left).await;
    session.close().await;
    done
}

async fn ask(
    session: &mut Session,
    common: &Common,
    output: &Output,
    pattern: &str,
    mut left: u64,
) -> Result<(), End> {
    session.online(deadline(common.timeout)).await?;
    let mut before = None;
    for tag in 0..PAGES_MAX {
        let data = Secret::new(request(pattern, before.as_deref()));
        let answer = session.ask(tag, LIST, data, deadline(common.timeout)).await?;
        let Some(after) = page(output, answer.accepted()?, &mut left).await? else { return Ok(()) };
        if !goes_on(before.as_deref(), &after) {
            break;
        }
        before = Some(after);
    }
    Err(endless())
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
