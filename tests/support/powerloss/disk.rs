//! What a disk holds when the power goes: everything that was synced, and of the rest any part.
//!
//! A sync makes durable what was written before it began, at the moment at which it returns. A new file is there for
//! certain once it was synced, a file that was removed is gone for certain once its folder was.

use std::collections::BTreeMap;

use crate::random::Random;

/// Bytes that a disk writes whole or not at all.
const SECTOR: usize = 512;

/// How unkind the power loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that was not synced is there.
    All,
    /// Of the writes that were not synced some are there.
    Some,
    /// Of the sectors that were not synced some are there.
    Torn,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Debug)]
struct Pending {
    /// When the call had returned: only syncs that begin later make it durable.
    end: usize,
    change: Change,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What was synced, where anything was.
    durable: Option<Vec<u8>>,
    pending: Vec<Pending>,
}

/// A folder on such a disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<String, File>,
    /// Files that were removed and may come back.
    removed: BTreeMap<String, File>,
}

impl Disk {
    /// The file is opened, and made where it is not there.
    pub fn open(&mut self, name: &str) {
        if !self.files.contains_key(name) {
            self.removed.remove(name);
            self.files.insert(name.to_owned(), File::default());
        }
    }

    /// A write that returned at `end`.
    pub fn write(&mut self, name: &str, end: usize, at: usize, bytes: Vec<u8>) {
        self.change(name, end, Change::Write { at, bytes });
    }

    /// A truncation that returned at `end`.
    pub fn truncate(&mut self, name: &str, end: usize, len: usize) {
        self.change(name, end, Change::Truncate(len));
    }

    fn change(&mut self, name: &str, end: usize, change: Change) {
        self.files.entry(name.to_owned()).or_default().pending.push(Pending { end, change });
    }

    /// A sync that began at `begin` has returned.
    pub fn sync(&mut self, name: &str, begin: usize) {
        let file = self.files.entry(name.to_owned()).or_default();
        let durable = file.durable.get_or_insert_default();
        let pending = std::mem::take(&mut file.pending);
        for pending in pending {
            match pending.end < begin {
                true => pending.change.apply(durable),
                false => file.pending.push(pending),
            }
        }
    }

    /// A sync of this folder has returned.
    pub fn sync_folder(&mut self, folder: &str) {
        let is_in = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
        self.removed.retain(|name, _| !is_in(name));
        for (_, file) in self.files.iter_mut().filter(|(name, _)| is_in(name)) {
            file.durable.get_or_insert_default();
        }
    }

    /// The file is removed.
    pub fn remove(&mut self, name: &str) {
        if let Some(file) = self.files.remove(name) {
            self.removed.insert(name.to_owned(), file);
        }
    }

    /// The file takes another's place.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.files.remove(from) {
            self.files.insert(to.to_owned(), file);
        }
    }

    /// What is there when the power goes now.
    pub fn after(&self, loss: Loss, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut left = BTreeMap::new();
        for (name, file) in &self.files {
            if file.durable.is_some() || (loss != Loss::All && random.coin()) {
                left.insert(name.clone(), file.image(loss, &mut || random.coin()));
            }
        }
        for (name, file) in &self.removed {
            if file.durable.is_some() && random.coin() {
                left.insert(name.clone(), file.image(loss, &mut || random.coin()));
            }
        }
        left
    }
}

impl File {
    fn image(&self, loss: Loss, keep: &mut dyn FnMut() -> bool) -> Vec<u8> {
        let mut image = self.durable.clone().unwrap_or_default();
        for pending in &self.pending {
            match (loss, &pending.change) {
                (Loss::All, _) => {}
                (Loss::Torn, Change::Write { at, bytes }) => {
                    for (at, sector) in sectors(*at, bytes) {
                        if keep() {
                            put(&mut image, at, sector);
                        }
                    }
                }
                (_, change) if keep() => change.apply(&mut image),
                _ => {}
            }
        }
        image
    }
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(image, *at, bytes),
            Change::Truncate(len) => image.resize(*len, 0),
        }
    }
}

fn put(image: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at..end].copy_from_slice(bytes);
}

/// The parts of a write that lie in one sector each.
fn sectors(mut at: usize, mut bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let len = bytes.len().min(SECTOR - at % SECTOR);
        let (part, rest) = bytes.split_at(len);
        parts.push((at, part));
        (at, bytes) = (at + len, rest);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_stays_and_nothing_else() {
        let mut disk = Disk::default();
        let mut random = Random::new(1);
        disk.open("a");
        disk.write("a", 2, 0, b"one".to_vec());
        assert_eq!(disk.after(Loss::All, &mut random), BTreeMap::new());
        disk.write("a", 5, 3, b"two".to_vec());
        // The second write had not returned when the sync began.
        disk.sync("a", 4);
        let image = |disk: &Disk| disk.after(Loss::All, &mut Random::new(1)).get("a").cloned();
        assert_eq!(image(&disk), Some(b"one".to_vec()));
        disk.sync("a", 6);
        disk.truncate("a", 8, 4);
        assert_eq!(image(&disk), Some(b"onetwo".to_vec()));
        disk.sync("a", 9);
        assert_eq!(image(&disk), Some(b"onet".to_vec()));
        disk.remove("a");
        disk.sync_folder("");
        assert_eq!(image(&disk), None);
    }

    #[test]
    fn a_torn_write_leaves_whole_sectors() {
        let mut disk = Disk::default();
        disk.open("a");
        disk.sync("a", 0);
        disk.write("a", 1, 500, vec![1; 1_036]);
        let images: Vec<_> =
            (0..50).map(|seed| disk.after(Loss::Torn, &mut Random::new(seed)).remove("a").unwrap()).collect();
        for image in &images {
            let whole = |range: std::ops::Range<usize>| {
                let part = image.get(range).unwrap_or(&[]);
                part.iter().all(|byte| *byte == 0) || part.iter().all(|byte| *byte == 1)
            };
            assert!(whole(500..512) && whole(512..1_024) && whole(1_024..1_536));
        }
        assert!(images.iter().any(|image| image.len() == 1_536 && image[600] == 0), "some have holes");
    }
}
