//! The works, in one table: what is done, by whom, and what is measured.

use crate::amounts::Amounts;
use crate::clock;
use crate::field::{Field, Subject};
use crate::figures::Figures;

mod live;

/// A work.
pub(crate) struct Work {
    /// Its name, by which it is chosen.
    pub(crate) name: &'static str,
    /// What is done.
    pub(crate) about: &'static str,
    run: fn(&mut Bench),
}

/// All works, in the order in which they are done.
pub(crate) const WORKS: &[Work] = &[Work {
    name: "live",
    about: "pairs: one sends, the other receives and acknowledges; so many messages underway for each pair (W)",
    run: live::pairs,
}];

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
        mut run: impl FnMut(&mut Bench, Subject) -> Result<Vec<(&'static str, f64)>, String>,
    ) {
        let mut subjects = self.taking_part(subjects);
        for round in 1..=self.amounts.of("rounds") {
            subjects.retain(|subject| {
                clock::settle(self.amounts.of("quiet-s") as f64);
                let name = subject.to_string();
                let done = run(self, *subject);
                crate::said(work, case, round, &name, &done);
                match done {
                    Ok(measures) => {
                        for (measure, value) in measures {
                            self.figures.add(work, case, &name, measure, value);
                        }
                        true
                    }
                    Err(why) => {
                        self.figures.fail(work, case, &name, why);
                        // What it did to the server is not the next case's.
                        self.field.end(*subject);
                        false
                    }
                }
            });
        }
    }
}
