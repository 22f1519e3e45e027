//! Answers as people read them. Every text that came from elsewhere is cleaned here.

use super::wire::{DeviceState, Limit, MessageState, ReceiptState, Status, UserLine, UserState, Why};
use super::words::{bytes, clean, columns, count, moment, moment_from, number, span};

/// The status, in aligned columns.
pub fn status(status: &Status) -> String {
    let head = [
        ("version", status.version.clone()),
        ("node", clean(&status.node)),
        ("process", status.process.to_string()),
        ("up for", span(status.uptime)),
        ("durability", clean(&status.durability)),
        ("data", clean(&status.data)),
        ("state", if status.draining { "draining: takes no more connections" } else { "running" }.to_owned()),
        (
            "connections",
            format!(
                "{}, {} of them not logged in",
                number(status.connections),
                number(status.unauthenticated)
            ),
        ),
        (
            "sessions",
            format!("{}, {} of them watching others", number(status.sessions), number(status.watchers)),
        ),
        ("accounts", format!("{} in memory", number(status.accounts))),
        ("waiting", waiting(status)),
        ("store", store(status)),
    ];
    let mut rows: Vec<Vec<String>> =
        head.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    for listener in &status.listeners {
        rows.push(vec![
            "listens on".to_owned(),
            format!("{}: {}", listener.address, clean(&listener.allows)),
        ]);
    }
    let mut text = columns(&rows);
    let pairs = |pairs: &mut dyn Iterator<Item = (&String, &u64)>| {
        columns(
            &pairs
                .map(|(name, count)| vec![format!("  {}", clean(name)), number(*count)])
                .collect::<Vec<_>>(),
        )
    };
    text.push_str("\nqueues\n");
    text.push_str(&pairs(&mut status.queues.iter()));
    text.push_str("\nsince the start\n");
    text.push_str(&pairs(&mut status.counters.iter().map(|(name, count)| (name, count))));
    text.push_str("\nlimits\n");
    text.push_str(&columns(&status.limits.iter().map(limit).collect::<Vec<_>>()));
    text
}

fn waiting(status: &Status) -> String {
    let waiting = &status.waiting;
    let messages = count(waiting.messages, "message");
    let rest = format!(
        "{} of them with nobody yet, and {}",
        number(waiting.unread),
        count(waiting.receipts, "receipt")
    );
    format!("{messages} ({}), {rest}", bytes(waiting.bytes))
}

fn store(status: &Status) -> String {
    let store = &status.store;
    let free = store.disk_free.map_or("unknown".to_owned(), bytes);
    format!(
        "{}, write-ahead log {}, {} awaited; free on the disk: {free}",
        bytes(store.database),
        bytes(store.wal),
        count(store.rows, "row")
    )
}

fn limit(limit: &Limit) -> Vec<String> {
    let in_use = limit.in_use.map_or(String::new(), |in_use| match limit.name.as_str() {
        "disk-free" => format!("free: {}", number(in_use)),
        "expiry" => format!("oldest: {}", number(in_use)),
        _ => format!("in use: {}", number(in_use)),
    });
    let value = limit.value.map_or("off".to_owned(), number);
    vec![format!("  {}", clean(&limit.name)), value, clean(&limit.unit), in_use]
}

/// The head of a list of accounts.
pub fn user_head() -> String {
    user_row(["NAME", "UUID", "MADE", "WAITING", "DEVICES", "SESSIONS", "PASSWORD", "LAST SEEN"])
}

/// An account of a list.
pub fn user(user: &UserLine) -> String {
    let [waiting, devices, sessions] = [user.waiting, user.devices, user.sessions].map(number);
    let seen = match user.seen_ms {
        _ if user.sessions > 0 => "now".to_owned(),
        Some(seen_ms) => moment(seen_ms),
        None => "never".to_owned(),
    };
    let password = if user.password { "yes" } else { "no" };
    let (name, made) = (clean(&user.name), moment(user.created_ms));
    user_row([&name, &user.uuid, &made, &waiting, &devices, &sessions, password, &seen])
}

fn user_row(cells: [&str; 8]) -> String {
    let [name, uuid, made, waiting, devices, sessions, password, seen] = cells;
    format!(
        "{name:<20}  {uuid:<36}  {made:<23}  {waiting:>7}  {devices:>7}  {sessions:>8}  {password:<8}  {seen}\n"
    )
}

/// Where something is, in words.
pub fn why(why: &Why) -> String {
    match why {
        Why::Message(state) => message(state),
        Why::User(state) => user_state(state),
        Why::Unknown => {
            "nobody knows it: it was never kept here, or everybody took it, or it expired\n".to_owned()
        }
        Why::Gone(sender, receipts) => {
            let sender = sender.as_deref().map_or("somebody".to_owned(), clean);
            let mut text = format!(
                "it is kept no longer: {sender} sent it, and it was taken, or it expired, or its recipient was deleted\n"
            );
            receipts.iter().for_each(|receipt| text.push_str(&told(receipt)));
            text
        }
    }
}

fn message(state: &MessageState) -> String {
    let name = |name: &Option<String>| name.as_deref().map_or("a deleted account".to_owned(), clean);
    let (from, to) = (name(&state.from), name(&state.to));
    let mut text = format!(
        "message {} from {from} to {to}: {} of text, number {} of the mailbox\nkept since {}\n",
        state.id,
        bytes(state.bytes),
        state.seq,
        moment_from(state.kept_ms, state.now_ms)
    );
    if !state.had_by.is_empty() {
        text.push_str(&format!(
            "taken by {} of {to}: {}\n",
            count(state.had_by.len() as u64, "device"),
            state.had_by.join(", ")
        ));
    }
    if !state.waits {
        text.push_str(
            "waits for nobody: everybody who was to have it took it; its row goes with those around it\n",
        );
    }
    for device in &state.waits_for {
        text.push_str(&format!("waits for {}\n", whom(device, &to, state.now_ms)));
    }
    if state.waits && state.waits_for.is_empty() {
        text.push_str(&format!("waits for {to} to log in: no device of {to} takes messages\n"));
    }
    if let Some(expires_ms) = state.expires_ms {
        text.push_str(&format!("expires on {}\n", moment_from(expires_ms, state.now_ms)));
    }
    for receipt in &state.receipts {
        text.push_str(&told(receipt));
    }
    if state.wanted && state.receipts.is_empty() {
        text.push_str(&format!("{from} is to learn how it ends, and was told nothing yet\n"));
    }
    text
}

fn whom(device: &DeviceState, of: &str, now_ms: u64) -> String {
    let mut text = format!("device {} of {of}", device.device);
    if device.here {
        text.push_str(&format!(", which is here; {} underway to it", count(device.underway, "item")));
    } else {
        text.push_str(&format!(", last seen {}", moment_from(device.seen_ms, now_ms)));
    }
    if let Some(forgotten_ms) = device.forgotten_ms {
        text.push_str(&format!("; unless it comes, until {}", moment_from(forgotten_ms, now_ms)));
    }
    text
}

fn told(receipt: &ReceiptState) -> String {
    let to = receipt.to.as_deref().map_or("a deleted account".to_owned(), clean);
    let how = if receipt.waits { "waits for" } else { "was taken by" };
    format!("a receipt, {}, of {}, {how} {to}\n", clean(&receipt.state), moment(receipt.filed_ms))
}

fn user_state(state: &UserState) -> String {
    let line = &state.line;
    let mut text = format!(
        "{} ({}), made on {}, {}, {}\n",
        clean(&line.name),
        line.uuid,
        moment(line.created_ms),
        if line.password { "with a password" } else { "without a password" },
        if line.sessions == 0 { "not here".to_owned() } else { count(line.sessions, "session") },
    );
    for device in &state.devices {
        let floor = format!("has everything up to {}", device.floor);
        let takes = match device.receives {
            true => format!("{floor}; {} for it", wait(device.behind)),
            false => "nothing waits for it: it never asked, or was away for too long".to_owned(),
        };
        text.push_str(&format!("{}; {takes}\n", whom(device, &clean(&line.name), state.now_ms)));
    }
    let waiting = &state.waiting;
    let room = match (state.room, state.room_bytes) {
        (Some(room), Some(room_bytes)) => format!(" of {} and {}", count(room, "message"), bytes(room_bytes)),
        (Some(room), None) => format!(" of {}", count(room, "message")),
        (None, _) => String::new(),
    };
    text.push_str(&format!(
        "{} ({}), {} of them with no device yet{room}; {}\n",
        wait_messages(waiting.messages),
        bytes(waiting.bytes),
        number(waiting.unread),
        count(waiting.receipts, "receipt")
    ));
    if let Some(oldest_ms) = state.oldest_ms {
        text.push_str(&format!("the oldest waits since {}\n", moment_from(oldest_ms, state.now_ms)));
    }
    if let Some(expires_ms) = state.expires_ms {
        text.push_str(&format!(
            "unless it is taken, it expires on {}\n",
            moment_from(expires_ms, state.now_ms)
        ));
    }
    text
}

fn wait(items: u64) -> String {
    if items == 1 { "1 item waits".to_owned() } else { format!("{} wait", count(items, "item")) }
}

fn wait_messages(messages: u64) -> String {
    if messages == 1 { "1 message waits".to_owned() } else { format!("{} wait", count(messages, "message")) }
}
