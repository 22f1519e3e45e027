//! Where a message is, and what waits for a user: found in the mailboxes in memory and in the log, without any text.

use std::path::Path;
use std::sync::Arc;

use bellhop_protocol::item::ReceiptState as State;
use bellhop_protocol::{DeviceId, MessageId, Name};
use uuid::Uuid;

use super::desk::{unreadable, user_line};
use super::wire::{DeviceState, MessageState, ReceiptState, UserState, Waiting, Why};
use crate::core::Core;
use crate::hub::Account;
use crate::mailbox::device::{Device, FORGOTTEN, NAMELESS, UNSEEN_MS_MAX};
use crate::mailbox::items::Item;
use crate::store::inspect::Inspector;
use crate::store::{AccountId, Kind, LogRow, Origin, RowId};

/// How many rows are read at a time.
const ROWS_AT_ONCE: usize = 4_096;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Finds what an id or a name stands for.
///
/// # Errors
///
/// A sentence for the operator.
pub fn find(core: &Core, database: &Path, what: &str) -> Result<Why, String> {
    let inspector = Inspector::open(database).map_err(unreadable)?;
    // A name may look like an id: then it is the user's that has it.
    if let Ok(name) = Name::parse(what)
        && let Some(user) = user(core, &inspector, name.key().as_str())?
    {
        return Ok(Why::User(Box::new(user)));
    }
    if let Ok(id) = Uuid::try_parse(what) {
        return message(core, &inspector, MessageId(id));
    }
    match Name::parse(what) {
        Ok(_) => Err(format!("nobody has the name {what:?}, and it is no id of a message")),
        Err(error) => Err(format!("{what:?} is no id of a message, and no name: {error}")),
    }
}

// ---- messages

fn message(core: &Core, inspector: &Inspector, id: MessageId) -> Result<Why, String> {
    let now_ms = core.clock.now().wall_ms;
    let (mut found, mut receipts) = (None, Vec::new());
    let mut after = RowId::NONE;
    loop {
        let rows = inspector.scan(after, ROWS_AT_ONCE).map_err(unreadable)?;
        let Some(last) = rows.last() else { break };
        after = last.row.row;
        for waiting in rows.iter().filter(|waiting| core.ids.of_row(&waiting.row) == id) {
            match waiting.row.kind {
                // A row that was appended anew comes later, and counts.
                Kind::Message { .. } => found = Some((waiting.row, waiting.size)),
                Kind::Receipt { state, .. } => receipts.push(receipt(core, inspector, &waiting.row, state)?),
            }
        }
    }
    match found.or_else(|| in_memory(core, id)) {
        Some((row, size)) => kept(core, inspector, id, row, size, receipts, now_ms),
        None => {
            let sender = posted(core, inspector, id)?;
            let known = sender.is_some() || !receipts.is_empty();
            Ok(if known { Why::Gone(sender, receipts) } else { Why::Unknown })
        }
    }
}

/// A message that lives in memory alone.
fn in_memory(core: &Core, id: MessageId) -> Option<(LogRow<()>, usize)> {
    if !core.in_memory {
        return None;
    }
    core.hub.accounts().into_iter().find_map(|account| {
        let mailbox = account.mailbox.lock();
        mailbox.items().iter().find_map(|item| {
            let content = mailbox.tail().find(item.seq).filter(|content| content.id == id)?;
            let crate::mailbox::content::Body::Message(author, _) = content.body else { return None };
            let origin = Origin::Send(id);
            let wanted = item.marks().has(crate::mailbox::items::Marks::WANTED);
            let kind = Kind::Message { sender: author.account, origin, wanted };
            let (seq, time_ms) = (item.seq, content.time_ms);
            let row =
                LogRow { row: RowId::NONE, account: account.id, seq, time_ms, kind, name: (), text: () };
            Some((row, item.size() as usize))
        })
    })
}

fn kept(
    core: &Core,
    inspector: &Inspector,
    id: MessageId,
    row: LogRow<()>,
    size: usize,
    receipts: Vec<ReceiptState>,
    now_ms: u64,
) -> Result<Why, String> {
    let name = |account| inspector.name_of(account).map_err(unreadable);
    let (from, wanted) = match row.kind {
        Kind::Message { sender, wanted, .. } => (name(sender)?, wanted),
        Kind::Receipt { .. } => (None, false),
    };
    let mut state = MessageState {
        id: id.0.to_string(),
        from,
        to: name(row.account)?,
        seq: row.seq,
        bytes: size as u64,
        kept_ms: row.time_ms,
        wanted,
        receipts,
        now_ms,
        ..MessageState::default()
    };
    if let Some(account) = core.hub.by_id(row.account) {
        let mailbox = account.mailbox.lock();
        let item = mailbox.items().find(row.seq).filter(|item| item.row == row.row).copied();
        let had = |device: &&Device| device.acked.contains(row.seq) && device.id != FORGOTTEN;
        state.had_by = mailbox.devices().iter().filter(had).map(|device| shown(device.id)).collect();
        if let Some(item) = item {
            state.waits = true;
            let awaits = |device: &&Device| device.awaits(&item);
            let waits_for = mailbox.devices().iter().filter(awaits);
            state.waits_for = waits_for.map(|device| device_state(&account, &mailbox, device)).collect();
            state.expires_ms = expires_ms(core, row.time_ms);
        }
    }
    Ok(Why::Message(Box::new(state)))
}

fn receipt(
    core: &Core,
    inspector: &Inspector,
    row: &LogRow<()>,
    state: State,
) -> Result<ReceiptState, String> {
    let waits = core.hub.by_id(row.account).is_some_and(|account| {
        account.mailbox.lock().items().find(row.seq).is_some_and(|item| item.row == row.row)
    });
    let to = inspector.name_of(row.account).map_err(unreadable)?;
    Ok(ReceiptState { state: format!("{state:?}").to_lowercase(), filed_ms: row.time_ms, to, waits })
}

/// Who sent a message of which nothing is left: a POST's id tells, since the counters of every device are kept.
fn posted(core: &Core, inspector: &Inspector, id: MessageId) -> Result<Option<String>, String> {
    let mut found: Option<AccountId> = None;
    let look = &mut |account: AccountId, device: DeviceId, window: &crate::window::CounterWindow| {
        if found.is_none() && window.accepted().any(|counter| core.ids.id(account, device, counter) == id) {
            found = Some(account);
        }
    };
    inspector.windows(look).map_err(unreadable)?;
    for account in core.hub.accounts() {
        // A counter window is locked before a mailbox, never after.
        let windows = account.mailbox.lock().windows();
        for (device, cell) in windows {
            look(account.id, device, &cell.lock().window);
        }
    }
    match found {
        Some(account) => inspector.name_of(account).map_err(unreadable),
        None => Ok(None),
    }
}

fn expires_ms(core: &Core, kept_ms: u64) -> Option<u64> {
    let days = core.limits.expiry;
    (days != u64::MAX).then(|| kept_ms.saturating_add(days.saturating_mul(DAY_MS)))
}

// ---- users

fn user(core: &Core, inspector: &Inspector, folded: &str) -> Result<Option<UserState>, String> {
    let Some(line) = inspector.account(folded).map_err(unreadable)? else { return Ok(None) };
    let (room, room_bytes) = (core.limits.mailbox, core.limits.mailbox_bytes);
    let mut state = UserState {
        line: user_line(core, &line),
        room: (room != u64::MAX).then_some(room),
        room_bytes: (room != u64::MAX && room_bytes != u64::MAX).then_some(room_bytes),
        now_ms: core.clock.now().wall_ms,
        ..UserState::default()
    };
    let Some(account) = core.hub.by_id(line.row.id) else {
        state.devices = inspector.devices(line.row.id).map_err(unreadable)?.iter().map(stored).collect();
        return Ok(Some(state));
    };
    let oldest = {
        let mailbox = account.mailbox.lock();
        let (items, shown) = (mailbox.items(), |device: &&Device| device.id != FORGOTTEN);
        state.waiting = Waiting {
            messages: items.messages().count,
            bytes: items.messages().bytes,
            unread: items.waiting().count,
            receipts: items.len() as u64 - items.messages().count,
        };
        let devices = mailbox.devices().iter().filter(shown);
        state.devices = devices.map(|device| device_state(&account, &mailbox, device)).collect();
        let oldest = items.iter().find(|item| !item.is_receipt()).copied();
        oldest.map(|item| (item, mailbox.tail().find(item.seq).map(|content| content.time_ms)))
    };
    state.oldest_ms = match oldest {
        Some((_, Some(kept_ms))) => Some(kept_ms),
        Some((item, None)) => kept_at(inspector, account.id, &item)?,
        None => None,
    };
    state.expires_ms = state.oldest_ms.and_then(|kept_ms| expires_ms(core, kept_ms));
    Ok(Some(state))
}

/// When the item of a row was kept.
fn kept_at(inspector: &Inspector, account: AccountId, item: &Item) -> Result<Option<u64>, String> {
    let mut found = None;
    let visit = &mut |row: LogRow<&str>| {
        if row.account == account && row.seq == item.seq {
            found = Some(row.time_ms);
        }
    };
    inspector.rows(&[item.row], visit).map_err(unreadable)?;
    Ok(found)
}

type Mailbox = crate::mailbox::Mailbox<Arc<crate::outbox::Outbox>>;

fn device_state(_: &Account, mailbox: &Mailbox, device: &Device) -> DeviceState {
    let (underway, sessions) = mailbox.underway_to(device.slot);
    DeviceState {
        device: shown(device.id),
        seen_ms: device.seen_ms,
        here: sessions > 0,
        receives: device.receiving,
        floor: device.acked.floor(),
        behind: if device.receiving { mailbox.items_for(device.slot) } else { 0 },
        underway,
        forgotten_ms: (device.receiving && sessions == 0).then(|| device.seen_ms + UNSEEN_MS_MAX),
    }
}

/// A device of an account that is not in memory: nothing waits for it.
fn stored(device: &crate::store::DeviceRow) -> DeviceState {
    DeviceState {
        device: shown(device.device),
        seen_ms: device.seen_ms,
        receives: device.receiving,
        floor: device.floor,
        forgotten_ms: device.receiving.then(|| device.seen_ms + UNSEEN_MS_MAX),
        ..DeviceState::default()
    }
}

/// A device's id; all that have none are one.
fn shown(device: DeviceId) -> String {
    match device {
        NAMELESS => "without a name".to_owned(),
        DeviceId(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
