//! What was measured: for each work, case and subject its measures, a value a round.

use std::fmt;

use serde_json::{Value, json};

/// What a value is of, and its unit.
pub(crate) type Measure = &'static str;

/// Processor time of the servers for a message, in µs.
pub(crate) const CPU: Measure = "cpu_us";
/// Messages a second.
pub(crate) const RATE: Measure = "per_s";
/// The middle time of one message, in µs.
pub(crate) const P50: Measure = "p50_us";
/// The time that one in a hundred exceeds, in µs.
pub(crate) const P99: Measure = "p99_us";
/// Processor time of the load for a message, in µs.
pub(crate) const OWN: Measure = "load_us";
/// Processors that were busy with something else.
pub(crate) const OTHERS: Measure = "others";

/// Processor time of the servers for a message that is fetched, in µs.
pub(crate) const FETCH_CPU: Measure = "fetch_cpu_us";
/// Messages fetched a second.
pub(crate) const FETCH_RATE: Measure = "fetch_per_s";
/// Memory of a session, in KiB.
pub(crate) const KIB: Measure = "kib";
/// Logins a second.
pub(crate) const LOGINS: Measure = "logins_per_s";
/// Processor time in ten seconds without work, in ms.
pub(crate) const IDLE: Measure = "idle_ms";
/// Wake-ups a second without work.
pub(crate) const WAKES: Measure = "wakes_per_s";
/// Memory of the whole process, in MiB.
pub(crate) const RSS: Measure = "rss_mib";
/// How long something took, in s.
pub(crate) const TIME: Measure = "s";
/// Memory of one more of what there are many of, in bytes.
pub(crate) const BYTES: Measure = "bytes_each";
/// The write-ahead log on the disk, in MiB.
pub(crate) const WAL: Measure = "wal_mib";
/// How many times as long something takes.
pub(crate) const TIMES: Measure = "times";
/// Instructions for a message.
pub(crate) const INSTRUCTIONS: Measure = "instructions";
/// Allocations for a message.
pub(crate) const ALLOCATIONS: Measure = "allocations";

/// What one subject did in one case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) work: String,
    pub(crate) case: String,
    pub(crate) subject: String,
    pub(crate) measures: Vec<(String, Vec<f64>)>,
    /// Why there is no figure.
    pub(crate) failure: Option<String>,
}

/// The middle one of some values, and the least and the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) middle: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Option<Spread> {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        Some(Spread { middle, least, most })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short(self.middle))?;
        if self.most > self.least {
            write!(f, " ({}–{})", short(self.least), short(self.most))
        } else {
            Ok(())
        }
    }
}

/// Three digits that say something.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e7 => format!("{:.1} M", value / 1e6),
        size if size >= 1e6 => format!("{:.2} M", value / 1e6),
        size if size >= 1e4 => format!("{:.0} k", value / 1e3),
        size if size >= 1e3 => format!("{:.1} k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// All rows, in the order in which they were begun.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(pub(crate) Vec<Row>);

impl Figures {
    fn row(&mut self, work: &str, case: &str, subject: &str) -> &mut Row {
        let is_it =
            |row: &Row| (row.work.as_str(), row.case.as_str(), row.subject.as_str()) == (work, case, subject);
        let at = self.0.iter().position(is_it).unwrap_or_else(|| {
            let [work, case, subject] = [work, case, subject].map(str::to_owned);
            self.0.push(Row { work, case, subject, ..Row::default() });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, work: &str, case: &str, subject: &str, measure: Measure, value: f64) {
        let measures = &mut self.row(work, case, subject).measures;
        match measures.iter_mut().find(|(name, _)| name == measure) {
            Some((_, values)) => values.push(value),
            None => measures.push((measure.to_owned(), vec![value])),
        }
    }

    /// Notes that there is no figure.
    pub(crate) fn fail(&mut self, work: &str, case: &str, subject: &str, why: String) {
        self.row(work, case, subject).failure = Some(why);
    }

    /// The values of a measure; `None` where there are none, or one of the runs failed.
    pub(crate) fn get(&self, work: &str, case: &str, subject: &str, measure: Measure) -> Option<Spread> {
        let mut rows = self.0.iter().filter(|row| row.failure.is_none());
        rows.find(|row| {
            (row.work.as_str(), row.case.as_str(), row.subject.as_str()) == (work, case, subject)
        })?
        .spread(measure)
    }

    /// What failed.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(|row| row.failure.is_some())
    }

    /// The rows of a work.
    pub(crate) fn of(&self, work: &str) -> impl Iterator<Item = &Row> {
        self.0.iter().filter(move |row| row.work == work)
    }
}

impl Row {
    /// The values of a measure.
    pub(crate) fn spread(&self, measure: &str) -> Option<Spread> {
        let (_, values) = self.measures.iter().find(|(name, _)| name == measure)?;
        Spread::of(values)
    }

    /// As a line of JSON.
    pub(crate) fn to_json(&self) -> Value {
        let measures: serde_json::Map<String, Value> =
            self.measures.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        json!({
            "work": self.work, "case": self.case, "subject": self.subject, "measures": measures,
            "failure": self.failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_spread() {
        let mut figures = Figures::default();
        for value in [3.0, 1.0, 2.0, 10.0] {
            figures.add("live", "W=1", "relay", CPU, value);
        }
        let spread = figures.get("live", "W=1", "relay", CPU);
        assert_eq!(spread, Some(Spread { middle: 2.5, least: 1.0, most: 10.0 }));
        assert_eq!(spread.map(|spread| spread.to_string()).as_deref(), Some("2.50 (1.00–10.0)"));
        assert_eq!(figures.get("live", "W=1", "relay", RATE), None);
        assert_eq!(figures.get("live", "W=2", "relay", CPU), None);
    }

    #[test]
    fn a_run_that_failed_gives_no_figure() {
        let mut figures = Figures::default();
        figures.add("live", "W=1", "relay", CPU, 1.0);
        figures.fail("live", "W=1", "relay", "lost: one".to_owned());
        assert_eq!(figures.get("live", "W=1", "relay", CPU), None);
        assert_eq!(figures.failures().count(), 1);
    }

    #[test]
    fn three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.5, "1.50"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1_234.0, "1.2 k"),
            (43_210.0, "43 k"),
            (1_450_000.0, "1.45 M"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
