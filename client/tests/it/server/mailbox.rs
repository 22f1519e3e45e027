//! What becomes of a message: filed, pushed, acknowledged, receipted.

use bellhop_protocol::item::{Message, Receipt, ReceiptState};
use bellhop_protocol::post::{Post, PostAnswer, PostFailure, PostOk, Posted};
use bellhop_protocol::text::TextAnswer;
use bellhop_protocol::{Code, DeviceId, MessageId, OpCode, Reply};

use super::{Body, Item, World};

impl World {
    pub(super) fn post(&mut self, number: u64, key: &str, device: DeviceId, post: Post<'_>) -> bool {
        if self.lost_posts > 0 {
            self.lost_posts -= 1;
            return false;
        }
        let counter = post.counter;
        let to = post.to.user.key().into_string();
        let seen = self.accounts[key].counters.get(&device).and_then(|seen| seen.get(&counter)).copied();
        let refusal = match (seen, self.refuse_posts) {
            (None, Some(code)) => Some(code),
            (None, None) if !self.accounts.contains_key(&to) => Some(Code::NO_SUCH_USER),
            _ => None,
        };
        if let Some(code) = refusal {
            let failure = PostFailure { code, retry_after_ms: 0, sentence: "the test server says no" };
            self.say(number, Reply::Posted(PostAnswer { counter, result: Err(failure) }));
            return true;
        }
        let ok = match seen {
            Some(id) => PostOk { posted: Posted::SeenBefore, id, time_ms: 0 },
            None => {
                let id = self.fresh_id();
                let from = self.accounts[key].name.clone();
                let account = self.accounts.get_mut(key).expect("logged in");
                let seen = account.counters.entry(device).or_default();
                let lowest = seen.keys().next_back().map_or(0, |highest| highest.saturating_sub(1_023));
                assert!(counter >= lowest, "counter {counter} is out of the window");
                seen.insert(counter, id);
                let there =
                    self.sessions.values().any(|live| live.key.as_ref() == Some(&to) && live.streaming);
                let receipt_to = post.receipts.then_some(device);
                self.file(&to, id, &from, Body::Text { text: post.text.into(), receipt_to });
                let posted = if there { Posted::HandedOver } else { Posted::Stored };
                PostOk { posted, id, time_ms: 1_795_165_752_000 }
            }
        };
        if self.cut_posts > 0 {
            self.cut_posts -= 1;
            return false;
        }
        if self.silent_posts > 0 {
            self.silent_posts -= 1;
            return true;
        }
        // A server that takes its time.
        std::thread::sleep(self.slow_posts);
        self.say(number, Reply::Posted(PostAnswer { counter, result: Ok(ok) }));
        true
    }

    pub(super) fn file(&mut self, key: &str, id: MessageId, peer: &str, body: Body) {
        let account = self.accounts.get_mut(key).expect("an account");
        account.next_seq += 3; // Gaps are normal.
        account.items.push(Item { seq: account.next_seq, id, peer: peer.into(), body });
        let numbers: Vec<u64> = self.sessions.keys().copied().collect();
        for number in numbers {
            if self.live(number).key.as_deref() == Some(key) && self.live(number).streaming {
                self.push(number, key);
            }
        }
    }

    pub(super) fn open(&mut self, number: u64, key: &str) {
        let device = self.live(number).device.expect("HELLO came first");
        let account = self.accounts.get_mut(key).expect("logged in");
        let acked = account.acked.entry(device).or_default();
        let waiting =
            account.items.iter().filter(|item| !acked.contains(&item.seq) && item.is_for(device)).count();
        let told = waiting as u64 + self.lie_about_waiting;
        self.say(number, Reply::Text(OpCode::Deliver, TextAnswer::Delivered(told)));
        self.live(number).streaming = true;
        self.push(number, key);
    }

    /// Pushes what this session was not sent.
    pub(super) fn push(&mut self, number: u64, key: &str) {
        let (device, cursor) = (self.live(number).device.expect("HELLO"), self.live(number).cursor);
        let account = &self.accounts[key];
        let acked = account.acked.get(&device).cloned().unwrap_or_default();
        let items = account.items.iter().filter(|item| item.seq > cursor && !acked.contains(&item.seq));
        let items: Vec<Item> = items.filter(|item| item.is_for(device)).cloned().collect();
        for item in items {
            self.live(number).cursor = item.seq;
            let (seq, id, peer) = (item.seq, item.id, item.peer.as_str());
            self.say(
                number,
                match &item.body {
                    Body::Text { text, .. } => {
                        Reply::Message(Message { seq, id, time_ms: 1_795_165_752_000, from: peer, text })
                    }
                    Body::Receipt { state, .. } => {
                        Reply::Receipt(Receipt { seq, id, state: *state, time_ms: 9, peer })
                    }
                },
            );
        }
    }

    pub(super) fn deliver_text(&mut self, number: u64, key: &str) {
        let account = self.accounts.get_mut(key).expect("logged in");
        let mut brought = Vec::new();
        for item in &account.items {
            if let Body::Text { text, .. } = &item.body
                && account.text_taken.insert(item.seq)
            {
                brought.push((item.peer.clone(), text.clone()));
            }
        }
        for (from, text) in &brought {
            self.say(number, Reply::Delivery { from, text });
        }
        self.say(number, Reply::Text(OpCode::Deliver, TextAnswer::Delivered(brought.len() as u64)));
    }

    pub(super) fn acknowledge(&mut self, key: &str, device: DeviceId, ranges: Vec<(u64, u64)>) {
        if self.deaf_to_acks {
            return;
        }
        let account = self.accounts.get_mut(key).expect("logged in");
        let reader = account.name.clone();
        let mut receipts = Vec::new();
        let acked = account.acked.entry(device).or_default();
        for item in &account.items {
            if ranges.iter().any(|(first, last)| (*first..=*last).contains(&item.seq))
                && acked.insert(item.seq)
                && let Body::Text { receipt_to: Some(device), .. } = &item.body
            {
                receipts.push((item.id, item.peer.to_lowercase(), *device));
            }
        }
        for (id, sender, device) in receipts {
            self.receipt_for(&sender, id, &reader, ReceiptState::Delivered, Some(device));
        }
    }

    pub(super) fn receipt_for(
        &mut self,
        sender: &str,
        id: MessageId,
        peer: &str,
        state: ReceiptState,
        to: Option<DeviceId>,
    ) {
        let Some(account) = self.accounts.get(sender) else { return };
        let devices: Vec<DeviceId> = match to {
            Some(device) => vec![device],
            None => account.counters.keys().copied().collect(),
        };
        for device in devices {
            self.file(sender, id, peer, Body::Receipt { state, device });
        }
    }
}
