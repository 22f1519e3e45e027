//! The codec alone, and a message's way through the server counted by valgrind: instructions and allocations, which do
//! not drift with the machine. What was counted is kept in a file, so that a change that costs more shows.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellhop_protocol::item::Message;
use bellhop_protocol::post::{Post, PostAnswer, PostOk, Posted};
use bellhop_protocol::{Address, MessageId, Request, frame};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;
use uuid::Uuid;

use super::live::Shape;
use super::{Bench, Measures};
use crate::clock;
use crate::field::{Field, Running, Subject, Variant};
use crate::figures::{ALLOCATIONS, INSTRUCTIONS, RATE};
use crate::load::Load;

/// Who is measured where nobody runs.
pub(crate) const CODEC: &str = "bellhop-protocol";
/// Frames in a buffer, as one read brings them.
const FRAMES: usize = 1_000;
/// How often is counted: the least of them has the fewest wake-ups, which are chance.
const LOOKS: usize = 5;
/// What may be more than is kept before it is a failure.
const SLACK: f64 = 1.05;

/// POSTs decoded as a server does: the frame, its fields, the address.
fn decode(seconds: f64) -> Measures {
    let to = Address::parse("bob").unwrap();
    let text = "x".repeat(64);
    let mut bytes = Vec::new();
    (1..=FRAMES as u64).for_each(|counter| {
        Request::Post(Post { counter, receipts: false, to, text: &text }).put(&mut bytes);
    });
    let (end, start, mut done) = (clock::now() + clock::nanos(seconds), clock::now(), 0);
    while clock::now() < end {
        let mut at = 0;
        while let Ok(Some(frame)) = frame::parse(&bytes[at..], frame::LIMIT_AFTER_LOGIN) {
            black_box(Request::decode(frame.op, frame.data).is_ok());
            at += frame.wire_len();
            done += 1;
        }
    }
    vec![(RATE, f64::from(done) / clock::seconds(start, clock::now()))]
}

/// What a server writes for a message: it, and the answer to its POST.
fn encode(seconds: f64) -> Measures {
    let (id, text) = (MessageId(Uuid::from_u128(7)), "x".repeat(64));
    let ok = PostOk { posted: Posted::HandedOver, id, time_ms: 1 };
    let mut bytes = Vec::with_capacity(FRAMES * 256);
    let (end, start, mut done) = (clock::now() + clock::nanos(seconds), clock::now(), 0);
    while clock::now() < end {
        bytes.clear();
        for seq in 1..=FRAMES as u64 {
            Message { seq, id, time_ms: 1, from: "alice", text: &text }.put(&mut bytes);
            PostAnswer { counter: seq, result: Ok(ok) }.put(&mut bytes);
        }
        done += 2 * FRAMES;
        black_box(&bytes);
    }
    vec![(RATE, done as f64 / clock::seconds(start, clock::now()))]
}

pub(super) fn codec(bench: &mut Bench) {
    for round in 1..=bench.amounts.of("rounds") {
        let seconds = bench.amounts.seconds("codec-ms");
        bench.note("codec", "decode", round, CODEC, Ok(decode(seconds)));
        bench.note("codec", "encode", round, CODEC, Ok(encode(seconds)));
    }
}

/// True if and only if a program can be counted here.
fn has_valgrind() -> bool {
    has("valgrind", &["--version"]) && has("vgdb", &["--help"]) && has("taskset", &["--version"])
}

/// A server under valgrind, and where that writes.
struct Counted {
    running: Running,
    out: PathBuf,
}

/// What was counted from one call of `vgdb` to the next.
fn counted(out: &Path) -> Result<(f64, f64), String> {
    let folder = out.parent().ok_or("no folder")?;
    let files = fs::read_dir(folder).map_err(|error| error.to_string())?.flatten().map(|file| file.path());
    let is_dump = |path: &PathBuf| path.to_str().is_some_and(|path| path.contains("callgrind."));
    // The newest dump has the highest number.
    let number =
        |path: &PathBuf| path.extension().and_then(|end| end.to_str()?.parse::<u32>().ok()).unwrap_or(0);
    let newest = files.filter(is_dump).max_by_key(number).ok_or("valgrind wrote nothing")?;
    let text = fs::read_to_string(newest).map_err(|error| error.to_string())?;
    Ok((total(&text).ok_or("no total")?, allocations(&text)))
}

/// All instructions of a dump.
fn total(text: &str) -> Option<f64> {
    let mut sums =
        text.lines().filter_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    sums.find_map(|sum| sum.split(' ').next()?.parse().ok())
}

/// How often something was allocated: the calls of those functions from outside of the library that has them.
fn allocations(text: &str) -> f64 {
    let mut names = std::collections::HashMap::new();
    let (mut caller, mut callee, mut calls) = (String::new(), String::new(), 0);
    let mut name = |word: &str| -> String {
        // `(12) malloc` the first time, `(12)` from then on.
        let (number, rest) = word.split_once(' ').unwrap_or((word, ""));
        if !rest.is_empty() {
            names.insert(number.to_owned(), rest.to_owned());
        }
        names.get(number).cloned().unwrap_or_default()
    };
    const ALLOCATE: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];
    let is_one = |name: &str| ALLOCATE.contains(&name.split(['\'', '@']).next().unwrap_or_default());
    for line in text.lines() {
        if let Some(word) = line.strip_prefix("fn=") {
            caller = name(word);
        } else if let Some(word) = line.strip_prefix("cfn=") {
            callee = name(word);
        } else if let Some(words) =
            line.strip_prefix("calls=").filter(|_| is_one(&callee) && !is_one(&caller))
        {
            calls += words.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    calls as f64
}

fn tell(id: u32, word: &str) -> Result<(), String> {
    let mut vgdb = Command::new("vgdb");
    let told = vgdb.arg(format!("--pid={id}")).arg(word).output().map_err(|error| error.to_string())?;
    if told.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&told.stderr).into_owned()) }
}

impl Counted {
    fn start(bench: &mut Bench, durability: &'static str) -> Result<Counted, String> {
        let (home, variant) = (Home::new(), Variant::of(durability));
        let out = home.path().join("callgrind");
        // On one processor: how often threads wake each other is not what is counted.
        let mut valgrind = Command::new("taskset");
        valgrind.args(["--cpu-list", "0", "valgrind", "--tool=callgrind", "--quiet", "--fair-sched=yes"]);
        valgrind.arg(format!("--callgrind-out-file={}", out.display()));
        valgrind.arg(bench.field.program(false)?);
        let server = Field::start_bellhop(&mut valgrind, variant, &home)?;
        bench.field.adopt(Subject::Bellhop(variant), server, home);
        Ok(Counted { running: bench.field.running(Subject::Bellhop(variant))?, out })
    }

    /// A pair, so many messages at a time, until so many were counted.
    fn count(&self, at_once: u64, messages: u64) -> Result<Measures, String> {
        let shape = Shape::pairs(1, at_once, 64);
        let mut load = Load::meet(&self.running, &shape.roles(), at_once, 64)?;
        load.flow(0, 1, 0);
        // Twice: buffers have the size that they keep.
        (0..2 * messages / at_once).try_for_each(|_| load.send_more(at_once))?;
        tell(self.running.ids[0], "zero")?;
        let mut least = (f64::MAX, f64::MAX);
        for _ in 0..LOOKS {
            (0..messages / at_once).try_for_each(|_| load.send_more(at_once))?;
            // What is written down is counted from zero again.
            tell(self.running.ids[0], "dump")?;
            let counted = counted(&self.out)?;
            least = if counted.0 < least.0 { counted } else { least };
        }
        let (instructions, allocations) = least;
        Ok(vec![(INSTRUCTIONS, instructions / messages as f64), (ALLOCATIONS, allocations / messages as f64)])
    }
}

/// What is counted: by durability, how many messages at a time, and how many in all.
pub(crate) const COUNTS: [(&str, u64, u64); 3] =
    [("none", 1, 500), ("none", 64, 3_200), ("power", 64, 3_200)];

/// What a count is called.
pub(crate) fn count_case(at_once: u64) -> String {
    format!("a pair, {at_once} at a time")
}

fn kept_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/instructions.txt")
}

fn compiler() -> String {
    let said =
        Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}

/// What is kept of a count; `None` where it was kept with another compiler, or never.
fn kept(line: &str) -> Option<f64> {
    let text = fs::read_to_string(kept_file()).ok()?;
    let is_same = text.lines().any(|line| line == compiler());
    let found = text.lines().find_map(|kept| kept.strip_prefix(line)?.trim().parse().ok());
    found.filter(|_| is_same)
}

pub(super) fn instructions(bench: &mut Bench) {
    if !has_valgrind() {
        return;
    }
    let mut page = format!(
        "# Instructions of the server for a message, as valgrind counts them. Made by: bench --keep instructions\n{}\n",
        compiler()
    );
    for (durability, at_once, messages) in COUNTS {
        let subject = Subject::Bellhop(Variant::of(durability));
        let line = format!("{durability}, {at_once} at a time:");
        let keeps = bench.keeps;
        bench.once("instructions", &count_case(at_once), subject, |bench| {
            bench.field.end(subject);
            let measures = Counted::start(bench, durability)?.count(at_once, messages)?;
            bench.field.end(subject);
            let now =
                measures.iter().find(|(name, _)| *name == INSTRUCTIONS).map_or(0.0, |(_, count)| *count);
            page.push_str(&format!("{line} {now:.0}\n"));
            // How many messages share a commit is chance, and with it what one costs: told, and not judged.
            match kept(&line).filter(|_| durability == "none" && !keeps) {
                Some(kept) if now > kept * SLACK => Err(format!(
                    "{now:.0} instructions a message, and {kept:.0} are kept: more than 5 % more"
                )),
                _ => Ok(measures),
            }
        });
    }
    if bench.keeps {
        fs::write(kept_file(), page).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read() {
        let text = "events: Ir\nsummary: 1200\nfn=(1) main\n0 5\ncfn=(2) malloc\ncalls=3 0\n0 30\n\
                    cfn=(3) other\ncalls=9 0\n0 1\nfn=(4) realloc\ncfn=(2)\ncalls=7 0\nfn=(1)\ncfn=(4)\ncalls=2 0\n";
        assert_eq!(total(text), Some(1_200.0));
        // Five from main; what realloc itself calls is not counted twice.
        assert!((allocations(text) - 5.0).abs() < 1e-9);
    }
}
