//! Passwords and tokens: how they are checked, hashed and kept secret.
//!
//! Hashing a password takes tens of milliseconds and 19 MiB, so it never runs on an async thread, only so many run at
//! once, and a caller waits only so long for its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use bellhop_protocol::Code;
use bellhop_protocol::code::Refusal;
use bellhop_protocol::session::SessionToken;
use bellhop_protocol::text::Secret;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use zeroize::{Zeroize, Zeroizing};

use crate::process;
use crate::store::PasswordHash;

/// The shortest password, in bytes.
pub const PASSWORD_MIN: usize = 8;
/// The longest password, in bytes; checked before it is hashed.
pub const PASSWORD_MAX: usize = 256;

/// How many callers may wait for their turn.
const WAITING_MAX: usize = 64;
/// How long a caller waits for its turn.
const WAIT_MAX: Duration = Duration::from_secs(3);

thread_local! {
    /// Has this thread yield to those that move messages: one that hashes needs a processor for as long as it takes, and
    /// whoever wants that processor for a moment would wait for the end of its time slice.
    static YIELDS: () = process::yield_to_others();
}

/// A password on its way to the hash: its `Debug` does not show it, and it is overwritten when it goes.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// A copy of what lies in a frame.
    pub fn new(secret: Secret<'_>) -> Password {
        Password(Zeroizing::new(secret.0.to_owned()))
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// 19 MiB and two passes, with one lane: the first choice of OWASP's cheat sheet.
    pub const CURRENT: Cost = Cost { memory_kib: 19 * 1024, passes: 2 };
}

/// Memory for hashes, had once and used again: an allocator keeps what is given back to it, for each thread that ever
/// hashed, and that would be many times what hashes take.
#[derive(Debug, Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    /// The hash of a password.
    fn hash(&self, argon2: &Argon2<'_>, password: &[u8], salt: &phc::Salt) -> Option<phc::Output> {
        let mut blocks = self.0.lock().pop().unwrap_or_default();
        blocks.resize(argon2.params().block_count(), Block::default());
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let done = argon2.hash_password_into_with_memory(password, salt, &mut output, &mut blocks);
        blocks.iter_mut().zeroize();
        self.0.lock().push(blocks);
        done.ok().and_then(|()| phc::Output::new(&output).ok())
    }
}

/// Hashes passwords, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct Hasher {
    at_once: usize,
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    memory: Arc<Memory>,
    cost: Cost,
    /// The hash of nobody's password, of the current cost, so that an unknown name takes as long as a wrong password.
    nobody: Arc<str>,
    hashed: Arc<AtomicU64>,
}

impl Hasher {
    /// A hasher that runs `at_once` hashes.
    pub fn new(at_once: usize) -> Hasher {
        Hasher::of_cost(at_once, Cost::CURRENT)
    }

    /// One whose hashes cost something else.
    pub fn of_cost(at_once: usize, cost: Cost) -> Hasher {
        let memory = Arc::new(Memory::default());
        let nobody = hash(&memory, cost, &crate::clock::random::<16>()).unwrap_or_default();
        Hasher {
            at_once,
            turns: Arc::new(Semaphore::new(at_once)),
            queue: Arc::new(Semaphore::new(at_once + WAITING_MAX)),
            memory,
            cost,
            nobody: nobody.into(),
            hashed: Arc::default(),
        }
    }

    /// How many hashes run now.
    pub fn running(&self) -> usize {
        self.at_once.saturating_sub(self.turns.available_permits())
    }

    /// How many passwords were hashed.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// True if and only if the hash is not one that would be made today.
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        parameters(&hash.0) != parameters(&self.nobody)
    }

    /// Hashes a new password.
    ///
    /// # Errors
    ///
    /// `bad-password` for one that is too short or too long, `busy` where no turn comes in time.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Refusal> {
        if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.0.len()) {
            return Err(Refusal::new(Code::BAD_PASSWORD, "a password has 8 to 256 bytes"));
        }
        let (memory, cost) = (self.memory.clone(), self.cost);
        self.run(move || hash(&memory, cost, password.0.as_bytes())).await?.map(PasswordHash).ok_or_else(busy)
    }

    /// Tells whether `password` is the one with this hash; without a hash it takes as long and is not.
    ///
    /// # Errors
    ///
    /// `busy` where no turn comes in time.
    pub async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, Refusal> {
        if password.0.len() > PASSWORD_MAX {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = hash.map_or_else(|| self.nobody.to_string(), |hash| hash.0);
        let memory = self.memory.clone();
        let same = self.run(move || is_of(&memory, password.0.as_bytes(), &hash));
        Ok(same.await?.unwrap_or(false) && known)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let _place = self.queue.try_acquire().map_err(|_| busy())?;
        let turn = tokio::time::timeout(WAIT_MAX, self.turns.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let hashed = self.hashed.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Others wait for messages meanwhile. What else such a thread does later may wait too.
            YIELDS.with(|_| ());
            let result = work();
            hashed.fetch_add(1, Ordering::Relaxed);
            drop(turn);
            result
        });
        done.await.map_err(|_| busy())
    }
}

fn busy() -> Refusal {
    Refusal::new(Code::BUSY, "too many passwords are being checked; try again in a moment")
}

/// The part of a PHC string before salt and hash: algorithm, version, cost.
fn parameters(hash: &str) -> Option<&str> {
    let (at, _) = hash.match_indices('$').nth(3)?;
    hash.get(..at)
}

fn hash(memory: &Memory, cost: Cost, password: &[u8]) -> Option<String> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None).ok()?;
    let salt = phc::Salt::new(&crate::clock::random::<16>()).ok()?;
    let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
    let output = memory.hash(&Argon2::new(algorithm, version, params.clone()), password, &salt)?;
    let hash = phc::PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: phc::ParamsString::try_from(&params).ok()?,
        salt: Some(salt),
        hash: Some(output),
    };
    Some(hash.to_string())
}

/// Whether the password has this hash. The cost is the one that the hash names, so that raising it locks nobody out.
fn is_of(memory: &Memory, password: &[u8], hash: &str) -> Option<bool> {
    let hash = phc::PasswordHash::new(hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = Version::try_from(hash.version?).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&hash).ok()?);
    // The comparison of two outputs takes the same time wherever they differ.
    Some(memory.hash(&argon2, password, hash.salt.as_ref()?)? == hash.hash?)
}

/// What is kept of a token. It is 256 random bits, so one pass of SHA-256 is enough.
pub fn token_hash(token: &SessionToken) -> [u8; 32] {
    Sha256::digest(token.0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(Secret(text))
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash_alone() {
        let hasher = Hasher::new(2);
        let hash = hasher.hash(password("open sesame")).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(hasher.verify(password("open sesame"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.verify(password("open  sesame"), Some(hash)).await.unwrap());
        assert!(!hasher.verify(password("open sesame"), None).await.unwrap());
    }

    #[tokio::test]
    async fn lengths_are_checked_before_hashing() {
        let hasher = Hasher::new(2);
        for bad in ["1234567".to_owned(), "x".repeat(257)] {
            assert_eq!(hasher.hash(password(&bad)).await.unwrap_err().code, Code::BAD_PASSWORD);
        }
        assert!(hasher.hash(password(&"x".repeat(256))).await.is_ok());
    }

    /// A hash of the cost of yesterday still opens, and is told from one of today.
    #[tokio::test]
    async fn a_cost_that_rose_locks_nobody_out() {
        let cheap = Cost { memory_kib: 64, passes: 1 };
        let (before, now) = (Hasher::of_cost(1, cheap), Hasher::of_cost(1, Cost { passes: 2, ..cheap }));
        let old = before.hash(password("open sesame")).await.unwrap();
        assert!(now.verify(password("open sesame"), Some(old.clone())).await.unwrap());
        assert!(!now.verify(password("open  sesame"), Some(old.clone())).await.unwrap());
        assert_eq!((before.is_outdated(&old), now.is_outdated(&old)), (false, true));
        let new = now.hash(password("open sesame")).await.unwrap();
        assert!(!now.is_outdated(&new));
        // Nobody's password costs what everybody's does today.
        assert_eq!(parameters(&now.nobody), parameters(&new.0));
        assert_eq!(parameters(&new.0), Some("$argon2id$v=19$m=64,t=2,p=1"));
    }

    /// A hash on the thread that runs connections would hold them all up: here it would wait for ever.
    #[tokio::test]
    async fn no_hash_runs_where_connections_do() {
        let hasher = Hasher::of_cost(1, Cost { memory_kib: 64, passes: 1 });
        let (on, gate) = std::sync::mpsc::sync_channel(1);
        let patience = Duration::from_secs(20);
        let hashing = hasher.run(move || gate.recv_timeout(patience).is_ok());
        let others = async { on.send(()).unwrap() };
        assert!(tokio::join!(hashing, others).0.unwrap());
    }

    /// Where they all have the same priority, a message waits for the end of a hash's time slice.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_hashes_yields_and_nobody_else_does() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let (hasher, before) = (Hasher::of_cost(1, Cost { memory_kib: 64, passes: 1 }), priority());
        for _ in 0..3 {
            // The same thread or another one: each yields once.
            assert_eq!(hasher.run(priority).await.unwrap(), (before + 5).min(19));
        }
        assert_eq!(priority(), before);
    }

    /// A hundred hashes on six threads left half a gibibyte with the allocator.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn memory_is_had_as_often_as_hashes_run_at_once() {
        let hasher = Hasher::of_cost(2, Cost { memory_kib: 64, passes: 1 });
        let hashes: Vec<_> = (0..40)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash(password("open sesame")).await.unwrap() })
            })
            .collect();
        for hash in hashes {
            let hash = hash.await.unwrap();
            assert!(hasher.verify(password("open sesame"), Some(hash)).await.unwrap());
        }
        let memory = hasher.memory.0.lock();
        assert!((1..=2).contains(&memory.len()), "{}", memory.len());
        assert!(memory.iter().flatten().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }

    #[test]
    fn secrets_do_not_show() {
        let shown = format!("{:?} {:?}", password("open sesame"), PasswordHash("$argon2id$sesame".into()));
        assert_eq!(shown, "Password(..) PasswordHash(..)");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_turn_in_time_it_is_busy() {
        let hasher = Hasher::new(1);
        let _turn = hasher.turns.acquire().await.unwrap();
        let hash = tokio::time::timeout(WAIT_MAX * 2, hasher.hash(password("open sesame")));
        assert_eq!(hash.await.expect("it is told in time").unwrap_err().code, Code::BUSY);
        let early = tokio::time::timeout(WAIT_MAX / 2, hasher.hash(password("open sesame")));
        assert!(early.await.is_err(), "and not at once");
        let _places = hasher.queue.acquire_many(65).await.unwrap();
        let at_once = tokio::time::timeout(WAIT_MAX / 2, hasher.verify(password("open sesame"), None));
        assert_eq!(at_once.await.expect("it waits for no turn").unwrap_err().code, Code::BUSY);
    }
}
