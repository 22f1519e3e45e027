//! The report: a line a step in JSON, and a table of the same for people.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What a step showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) row: String,
    pub(crate) name: String,
    pub(crate) amount: String,
    pub(crate) failures: u64,
    pub(crate) remark: String,
    pub(crate) seconds: u64,
    pub(crate) commit: String,
    pub(crate) date: String,
    pub(crate) seed: u64,
    pub(crate) repeat: String,
}

/// All of them, and the machine of this run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    machine: String,
    lines: Vec<Line>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports")
}

impl Report {
    /// Where it is, for people.
    pub(crate) fn path() -> PathBuf {
        folder().join("drill.md")
    }

    /// The report of earlier runs, where there is one.
    pub(crate) fn read(machine: &str) -> Report {
        let text = fs::read_to_string(folder().join("drill.json")).unwrap_or_default();
        Report { machine: machine.to_owned(), lines: lines(&text).collect() }
    }

    /// Takes the lines of another report over, whose text this is.
    pub(crate) fn take(&mut self, text: &str) {
        for line in lines(text) {
            let is_newer = |earlier: &Line| earlier.name == line.name && earlier.date > line.date;
            if !self.lines.iter().any(is_newer) {
                self.put(line);
            }
        }
    }

    /// Puts a step's line in the place of its earlier one.
    pub(crate) fn put(&mut self, line: Line) {
        match self.lines.iter_mut().find(|earlier| earlier.name == line.name) {
            Some(earlier) => *earlier = line,
            None => self.lines.push(line),
        }
        let place = |line: &Line| crate::steps::STEPS.iter().position(|step| step.name == line.name);
        self.lines.sort_by_key(place);
    }

    /// Writes both files.
    pub(crate) fn write(&self) {
        fs::create_dir_all(folder()).unwrap();
        let json: String = self.lines.iter().map(|line| line.to_json().to_string() + "\n").collect();
        fs::write(folder().join("drill.json"), json).unwrap();
        fs::write(Report::path(), self.to_markdown()).unwrap();
    }

    fn to_markdown(&self) -> String {
        let mut page = String::from("# The release drill\n\n");
        let failed = self.lines.iter().filter(|line| line.failures > 0).count();
        let (steps, machine) = (self.lines.len(), &self.machine);
        writeln!(page, "{steps} steps, {failed} of them failed. Last run on: {machine}.\n").unwrap();
        page.push_str(
            "| row | step | amount | failures | s | what was seen | commit | date |\n|---|---|---|---|---|---|---|---|\n",
        );
        for line in &self.lines {
            let Line { row, name, amount, failures, remark, seconds, commit, date, .. } = line;
            let remark = remark.replace('|', "\\|").replace('\n', " ");
            writeln!(
                page,
                "| {row} | {name} | {amount} | {failures} | {seconds} | {remark} | {commit} | {date} |"
            )
            .unwrap();
        }
        page.push_str("\nEach step again, as it was run:\n\n```sh\n");
        self.lines.iter().for_each(|line| writeln!(page, "{}", line.repeat).unwrap());
        page.push_str("```\n");
        page
    }
}

fn lines(text: &str) -> impl Iterator<Item = Line> {
    text.lines().filter_map(|line| Line::from_json(&serde_json::from_str(line).ok()?))
}

impl Line {
    fn to_json(&self) -> Value {
        json!({
            "row": self.row, "name": self.name, "amount": self.amount, "failures": self.failures,
            "remark": self.remark, "seconds": self.seconds, "commit": self.commit, "date": self.date,
            "seed": self.seed, "repeat": self.repeat,
        })
    }

    fn from_json(value: &Value) -> Option<Line> {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let number = |name: &str| value.get(name)?.as_u64();
        Some(Line {
            row: text("row")?,
            name: text("name")?,
            amount: text("amount")?,
            failures: number("failures")?,
            remark: text("remark")?,
            seconds: number("seconds")?,
            commit: text("commit")?,
            date: text("date")?,
            seed: number("seed")?,
            repeat: text("repeat")?,
        })
    }
}
