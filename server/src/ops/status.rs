//! What `status` tells: gathered from the parts as they are, without stopping any of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::desk::Facts;
use super::wire::{Limit, Status, StoreSize, Waiting};
use crate::core::Core;
use crate::engine::DATABASE;

/// What is most of something in one account or connection.
#[derive(Debug, Default)]
struct Most {
    waiting: u64,
    waiting_bytes: u64,
    of_sender: u64,
    sessions: u64,
    outbox: u64,
    watched: u64,
    watched_by_one: u64,
}

/// Gathers everything. Looks through all mailboxes in memory, so it is not for a thread that others wait for.
pub fn gather(core: &Core, facts: &Facts) -> Status {
    let now = core.clock.now();
    let mut status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: core.node.clone(),
        process: std::process::id(),
        uptime: now.up.as_secs(),
        durability: facts.durability.clone(),
        data: facts.data.display().to_string(),
        draining: core.draining.load(std::sync::atomic::Ordering::Relaxed),
        listeners: facts.listeners.clone(),
        counters: core.counters.list().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        store: store_size(core, &facts.data),
        queues: queues(core),
        ..Status::default()
    };
    let watched = core.presence.in_use();
    status.watchers = watched.sessions;
    let most = Most { watched: watched.names, watched_by_one: watched.most, ..mailboxes(core, &mut status) };
    let most = connections(facts, &mut status, most);
    let oldest_ms = core.log.lock().oldest_ms();
    let age_days = oldest_ms.map(|oldest_ms| now.wall_ms.saturating_sub(oldest_ms) / (24 * 3600 * 1000));
    status.limits = limits(core, facts, &status, &most, age_days);
    status
}

fn mailboxes(core: &Core, status: &mut Status) -> Most {
    let mut most = Most::default();
    let mut waiting = Waiting::default();
    for account in core.hub.accounts() {
        let mailbox = account.mailbox.lock();
        let (items, sessions) = (mailbox.items(), mailbox.sessions() as u64);
        let (all, unread) = (items.messages(), items.waiting());
        status.accounts += 1;
        status.sessions += sessions;
        waiting.messages += all.count;
        waiting.bytes += all.bytes;
        waiting.unread += unread.count;
        waiting.receipts += items.len() as u64 - all.count;
        most.sessions = most.sessions.max(sessions);
        most.waiting = most.waiting.max(unread.count);
        most.waiting_bytes = most.waiting_bytes.max(unread.bytes);
        if all.count > most.of_sender {
            most.of_sender = most.of_sender.max(items.most_of_a_sender());
        }
    }
    status.waiting = waiting;
    most
}

fn connections(facts: &Facts, status: &mut Status, mut most: Most) -> Most {
    let Some(net) = &facts.net else { return most };
    status.connections = net.connections.live.len() as u64;
    status.unauthenticated = net.admission.in_use().unauth;
    for entry in net.connections.live.iter() {
        let unwritten = entry.0.unwritten() as u64;
        most.outbox = most.outbox.max(unwritten);
    }
    most
}

fn queues(core: &Core) -> BTreeMap<String, u64> {
    let (jobs, words, unsaved) = core.queue.len();
    let queues = [("writes", jobs), ("writes-bytes", words), ("mailboxes-to-save", unsaved)];
    queues.into_iter().map(|(name, len)| (name.to_owned(), len as u64)).collect()
}

fn store_size(core: &Core, folder: &Path) -> StoreSize {
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |found| found.len());
    StoreSize {
        database: size(DATABASE),
        wal: size(&format!("{DATABASE}-wal")),
        disk_free: fs4::available_space(folder).ok(),
        rows: core.log.lock().awaited(),
    }
}

/// Every bound; of those that are levels, how much is in use.
fn limits(core: &Core, facts: &Facts, status: &Status, most: &Most, age_days: Option<u64>) -> Vec<Limit> {
    let admission = facts.net.as_ref().map(|net| net.admission.in_use()).unwrap_or_default();
    let in_use = |name: &str| match name {
        "outbox" => Some(most.outbox),
        "outbox-all" => Some(core.memory.outboxes.held() as u64),
        "pending-writes" => status.queues.get("writes").copied(),
        "connections" => Some(status.connections),
        "connections-addr" => Some(admission.connections_addr),
        "unauth" => Some(admission.unauth),
        "unauth-addr" => Some(admission.unauth_addr),
        "sessions" => Some(most.sessions),
        "watch" => Some(most.watched_by_one),
        "watch-all" => Some(most.watched),
        "mailbox" => Some(most.waiting),
        "mailbox-bytes" => Some(most.waiting_bytes),
        "mailbox-sender" => Some(most.of_sender),
        "expiry" => Some(age_days.unwrap_or(0)),
        "disk-free" => status.store.disk_free,
        "hashes" => Some(core.hasher.running() as u64),
        _ => None,
    };
    let limit = |(name, value, unit): (&str, u64, crate::limits::Unit)| Limit {
        name: name.to_owned(),
        value: (value != u64::MAX).then_some(value),
        unit: unit.name().to_owned(),
        in_use: in_use(name),
    };
    core.limits.list().into_iter().map(limit).collect()
}
