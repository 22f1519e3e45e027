//! Disks that are full, and disks that are slow, under a real server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use bellhop_protocol::{OpCode, Reply};

use crate::faults::{Disturbed, Moment};
use crate::load::FREE;
use crate::peer::Peer;
use crate::process::{Process, binary};
use crate::server::Home;
use crate::tools::has;
use crate::wait::wait_for;

/// True if and only if a small disk can be made here.
pub fn has_small_disks() -> bool {
    has("unshare", &["--map-root-user", "--mount", "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", "/tmp"])
}

/// A server whose data are on a disk of its own, which goes with it.
pub struct SmallDisk {
    server: Process,
    /// The disk, as the server sees it.
    folder: PathBuf,
    _home: Home,
}

impl SmallDisk {
    /// A server on a disk of so many MiB.
    pub fn start(mib: u32, args: &[&str]) -> SmallDisk {
        let home = Home::new();
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c"]);
        unshare.arg(format!(r#"mount -t tmpfs -o size={mib}m,mode=0700 tmpfs "$0" && exec "$@""#));
        unshare.arg(home.data()).arg(binary("bellhop-server"));
        let args: Vec<&str> = FREE.iter().chain(args).copied().collect();
        let server = Process::start_as(&mut unshare, &home.data(), &args);
        let folder = home.data();
        let folder = PathBuf::from(format!("/proc/{}/root{}", server.id(), folder.display()));
        SmallDisk { server, folder, _home: home }
    }

    /// Takes all the room that is left, but for so many bytes.
    pub fn fill(&self, left: usize) {
        let filler = self.folder.join("filler");
        let mut bytes = fs::read(&filler).map_or(0, |filler| filler.len());
        for block in [1 << 16, 1 << 12] {
            while fs::write(self.folder.join("more"), vec![0; block]).is_ok() {
                let mut file = fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
                fs::remove_file(self.folder.join("more")).unwrap();
                if std::io::Write::write_all(&mut file, &vec![0; block]).is_err() {
                    break;
                }
                bytes += block;
            }
            let _ = fs::remove_file(self.folder.join("more"));
        }
        let file = fs::OpenOptions::new().write(true).open(&filler).unwrap();
        file.set_len(bytes.saturating_sub(left) as u64).unwrap();
    }

    /// Gives the room back.
    pub fn free(&self) {
        fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

/// What became of a POST: true where it is kept, false where there is no room.
fn is_kept(peer: &mut Peer, counter: u64, text: &str) -> bool {
    peer.post(counter, "bob", text, false);
    let got = peer.answer(OpCode::Post.answer());
    let Reply::Posted(answer) = got.reply() else { panic!("{got:?}") };
    match answer.result {
        Ok(_) => true,
        Err(failure) => {
            assert!(failure.code == bellhop_protocol::Code::STORAGE, "{failure:?}");
            false
        }
    }
}

/// A disk that gets full and has room again, so many times: what is kept is delivered and acknowledged while it is full,
/// and what is new is kept when it has room, by the same server. Returns how many messages were refused.
pub fn full_disk(rounds: u32, args: &[&str]) -> u64 {
    let disk = SmallDisk::start(64, args);
    let addr = disk.server.addr();
    let mut bob = Peer::hello(addr, "bob", 9);
    bob.ask(OpCode::Deliver, "");
    bob.ask(OpCode::Logout, "");
    let (mut alice, mut counter, mut refused) = (Peer::hello(addr, "alice", 1), 0, 0);
    let text = "x".repeat(16_000);
    for round in 0..rounds {
        disk.fill(1 << 20);
        // Till it is full, and some more.
        let (mut kept, mut full) = (Vec::new(), 0);
        while full < 20 {
            counter += 1;
            match is_kept(&mut alice, counter, &format!("{counter} {text}")) {
                true => kept.push(counter),
                false => full += 1,
            }
            assert!(kept.len() < 5_000, "the disk never gets full");
        }
        refused += full;
        let mut bob = Peer::hello(addr, "bob", 9);
        assert_eq!(bob.ask(OpCode::Deliver, ""), format!("ok|{}", kept.len()), "round {round}");
        for counter in &kept {
            let got = bob.push();
            let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
            assert!(message.text.starts_with(&format!("{counter} ")), "round {round}");
            bob.ack(message.seq, message.seq);
        }
        assert!(bob.ask(OpCode::List, "alice").ends_with("alice"), "others are served");
        disk.free();
        wait_for("messages to be kept again", || {
            counter += 1;
            is_kept(&mut alice, counter, "there is room").then_some(())
        });
        let got = bob.push();
        let Reply::Message(message) = got.reply() else { panic!("{got:?}") };
        assert_eq!(message.text, "there is room");
        bob.ack(message.seq, message.seq);
        drop(bob);
    }
    refused
}

/// Sends stop at the reserve, and what makes room does not: an account is deleted then. Returns the answer.
pub fn delete_on_a_full_disk(args: &[&str]) -> String {
    let disk = SmallDisk::start(64, args);
    let addr = disk.server.addr();
    drop(Peer::hello(addr, "bob", 9));
    let mut alice = Peer::hello(addr, "alice", 1);
    // The reserve of this disk is a twentieth of it, and is looked at once a second: nobody fills it in that time.
    disk.fill(5 << 20);
    let text = "x".repeat(16_000);
    let mut counter = 0;
    wait_for("the disk to be full", || {
        counter += 1;
        // Whoever is refused is asked to wait; the disk fills all the same.
        thread::sleep(Duration::from_millis(20));
        (!is_kept(&mut alice, counter, &text)).then_some(())
    });
    Peer::login(addr, "bob").ask(OpCode::Delete, "")
}

/// A disk on which every sync, or the first one, takes this long: no answer comes before it, others are answered
/// meanwhile, and nobody is taken for dead.
#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
pub fn slow_disk(sync: Duration, posts: u64, once: bool) {
    let home = Home::new();
    let before = Process::start(&home.data(), &FREE);
    drop(Peer::login(before.addr(), "bob"));
    let names = ["alice", "carol"];
    names.iter().zip(1..).for_each(|(name, device)| drop(Peer::hello(before.addr(), name, device)));
    assert_eq!(before.terminate().code(), Some(0));

    let when = if once { ":when=1" } else { "" };
    let inject = format!("fsync:delay_exit={}{when}", sync.as_micros());
    let disturbed = Disturbed::start(&home, Moment::Running, &inject, &["--limit", "heartbeat=2"]);
    let addr = disturbed.server().unwrap().addr();
    let mut alice = Peer::greet(addr, 1);
    let mut idle = Peer::greet(addr, 2);
    for (peer, name) in [(&mut alice, "alice"), (&mut idle, "carol")] {
        // Nothing is written by a login, so that the first sync is that of the first message.
        peer.send(OpCode::Login, name);
        while peer.next().op != OpCode::Login.answer() {}
    }
    for counter in 1..=posts {
        let start = Instant::now();
        alice.post(counter, "bob", "hi", false);
        // Somebody else is answered while the disk is at work.
        idle.send(OpCode::List, "bob");
        while idle.next().op != OpCode::List.answer() {}
        let others = start.elapsed();
        while alice.next().op != OpCode::Post.answer() {}
        let took = start.elapsed();
        if counter == 1 || !once {
            assert!(took >= sync, "answered after {took:?}, before the sync of {sync:?} had ended");
            // Shorter ones say nothing on a machine that is busy with other tests.
            assert!(sync < Duration::from_secs(1) || others < sync, "others waited {others:?}");
        }
    }
    assert!(disturbed.is_reached(), "no sync was slow");
    assert!(Peer::login(addr, "bob").deliver().1.ends_with(&format!("|{posts}")));
}
