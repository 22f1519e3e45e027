//! The works, in one table: what is done, by whom, and what is measured.

use crate::amounts::Amounts;
use crate::clock;
use crate::field::{Field, Subject};
use crate::figures::Figures;

pub(crate) mod accounts;
pub(crate) mod backlog;
pub(crate) mod codec;
pub(crate) mod disk;
mod growth;
pub(crate) mod live;
mod others;
mod paced;
mod sessions;
pub(crate) mod soak;
mod stored;
mod storm;

/// A work.
pub(crate) struct Work {
    /// Its name, by which it is chosen.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) about: &'static str,
    run: fn(&mut Bench),
}

/// What one run measured.
pub(crate) type Measures = Vec<(&'static str, f64)>;

const fn work(name: &'static str, about: &'static str, run: fn(&mut Bench)) -> Work {
    Work { name, about, run }
}

/// All works, in the order in which they are done.
pub(crate) const WORKS: &[Work] = &[
    work(
        "live",
        "pairs: one sends, the other receives and acknowledges; so many messages underway for each pair (W)",
        live::pairs,
    ),
    work("alone", "one pair, one message at a time", live::alone),
    work("stars", "many who send to one, and one who sends to many", live::stars),
    work("connections", "pairs, by how many there are", growth::connections),
    work("sizes", "pairs, by the size of a text", growth::sizes),
    work("stored", "messages for those who are away, and then those come and take them", stored::stored),
    work("mailboxes", "the same for some among many, whose messages are interleaved", stored::mailboxes),
    work("sessions", "logins, and what idle sessions cost", sessions::sessions),
    work("crowds", "the same, by how many sessions there are", sessions::growing),
    work("idle", "ten thousand idle sessions over TLS", sessions::many),
    work("storm", "a killed server comes back, and all its clients with it", storm::storm),
    work("paced", "so many messages a second over TLS, each fsynced before its answer", paced::paced),
    work("disk", "what a commit costs, and a disk on which it takes long", disk::disk),
    work("accounts", "messages to accounts drawn at random, by how many there are", accounts::accounts),
    work("backlog", "pairs, start and memory, by how many messages wait for others", backlog::backlog),
    work("others", "a pair that talks while somebody is up to something", others::others),
    work("codec", "frames decoded and encoded", codec::codec),
    work(
        "instructions",
        "instructions and allocations of a message, counted by valgrind",
        codec::instructions,
    ),
    work("soak", "a long run: memory, files and threads", soak::soak),
];

/// What works work with.
pub(crate) struct Bench {
    /// Who is measured.
    pub(crate) field: Field,
    /// How much of everything.
    pub(crate) amounts: Amounts,
    /// What was measured.
    pub(crate) figures: Figures,
    /// Parts of the names of those who take part; everybody where there are none.
    pub(crate) only: Vec<String>,
    /// The windows of live works that are run; all of them where there are none.
    pub(crate) windows: Vec<u64>,
    /// What is counted now is what later counts are held against.
    pub(crate) keeps: bool,
}

impl Bench {
    /// Does a work.
    pub(crate) fn perform(&mut self, work: &Work) {
        (work.run)(self);
        self.field.clear();
    }

    /// Those of some who take part: who was chosen, and is installed.
    pub(crate) fn taking_part(&self, subjects: &[Subject]) -> Vec<Subject> {
        let is_chosen = |subject: &Subject| {
            let name = subject.to_string();
            self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
        };
        let is_here = |subject: &Subject| match subject {
            Subject::Peer(peer) => peer.path().is_some(),
            Subject::Bellhop(variant) => !variant.other || self.field.other.is_some(),
            Subject::Relay(_) => true,
        };
        subjects.iter().filter(|subject| is_chosen(subject) && is_here(subject)).copied().collect()
    }

    /// Lets everybody do a case by turns, as many rounds as there are; who fails is not asked again.
    pub(crate) fn by_turns(
        &mut self,
        work: &str,
        case: &str,
        subjects: &[Subject],
        mut run: impl FnMut(&mut Bench, Subject) -> Result<Measures, String>,
    ) {
        let mut subjects = self.taking_part(subjects);
        for round in 1..=self.amounts.of("rounds") {
            subjects.retain(|subject| {
                clock::settle(self.amounts.of("quiet-s") as f64);
                let done = run(self, *subject);
                let is_well = done.is_ok();
                self.note(work, case, round, &subject.to_string(), done);
                if !is_well {
                    // What it did to the server is not the next case's.
                    self.field.end(*subject);
                }
                is_well
            });
        }
    }

    /// Has one do a case once.
    pub(crate) fn once(
        &mut self,
        work: &str,
        case: &str,
        subject: Subject,
        run: impl FnOnce(&mut Bench) -> Result<Measures, String>,
    ) {
        if self.taking_part(&[subject]).is_empty() {
            return;
        }
        clock::settle(self.amounts.of("quiet-s") as f64);
        let done = run(self);
        if done.is_err() {
            self.field.end(subject);
        }
        self.note(work, case, 1, &subject.to_string(), done);
    }

    /// Keeps what a run measured.
    pub(crate) fn note(
        &mut self,
        work: &str,
        case: &str,
        round: u64,
        subject: &str,
        done: Result<Measures, String>,
    ) {
        crate::said(work, case, round, subject, &done);
        match done {
            Ok(measures) => measures
                .into_iter()
                .for_each(|(measure, value)| self.figures.add(work, case, subject, measure, value)),
            Err(why) => self.figures.fail(work, case, subject, why),
        }
    }
}
