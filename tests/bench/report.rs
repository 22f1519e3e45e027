//! The report: the last three runs as lines of JSON, and a page of the last one for people.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::figures::{CPU, Figures, OTHERS, Row, short};
use crate::goals::{Goal, Verdict};
use crate::works::WORKS;

/// How many runs are kept.
const RUNS: usize = 3;
/// Columns of a bar that stands for the largest value.
const BAR: f64 = 40.0;

/// What a run ran on, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) versions: Vec<String>,
    pub(crate) command: String,
    pub(crate) amounts: Vec<String>,
    pub(crate) minutes: u64,
}

/// Where the report is kept of runs of everything.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports")
}

/// Writes both files into a folder; earlier runs of the same folder stay.
pub(crate) fn write(folder: &Path, head: &Head, figures: &Figures, goals: &[Goal]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let file = folder.join("bench.json");
    let earlier = fs::read_to_string(&file).unwrap_or_default();
    let mut runs: Vec<Value> = earlier.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let page = page(head, figures, goals, &runs[runs.len().saturating_sub(RUNS - 1)..]);
    runs.push(to_json(head, figures, goals));
    let last = &runs[runs.len().saturating_sub(RUNS)..];
    fs::write(file, last.iter().map(|run| format!("{run}\n")).collect::<String>())?;
    fs::write(folder.join("bench.md"), page)
}

fn to_json(head: &Head, figures: &Figures, goals: &[Goal]) -> Value {
    let goals: serde_json::Map<String, Value> = goals
        .iter()
        .map(|goal| {
            let verdict = goal.verdict.to_string().replace('*', "");
            (goal.id.to_owned(), json!({ "verdict": verdict, "seen": goal.seen }))
        })
        .collect();
    json!({
        "date": head.date, "commit": head.commit, "machine": head.machine, "versions": head.versions,
        "command": head.command, "amounts": head.amounts, "minutes": head.minutes, "goals": goals,
        "rows": figures.0.iter().map(Row::to_json).collect::<Vec<_>>(),
    })
}

/// The page for people.
pub(crate) fn page(head: &Head, figures: &Figures, goals: &[Goal], earlier: &[Value]) -> String {
    let mut page = String::from("# The bench\n\n");
    let Head { date, commit, machine, versions, command, amounts, minutes } = head;
    let busy: Vec<f64> = figures.0.iter().filter_map(|row| Some(row.spread(OTHERS)?.middle)).collect();
    let busy = busy.iter().sum::<f64>() / busy.len().max(1) as f64;
    let _ = writeln!(
        page,
        "Run on {date}, of commit {commit}, in {minutes} minutes, on {machine}. Other programs kept {} processors \
         busy meanwhile. Beside it: {}.\n\n```sh\n{command}\n```\n\nAmounts: {}.\n",
        short(busy),
        if versions.is_empty() { "nobody".to_owned() } else { versions.join(", ") },
        amounts.join(", "),
    );
    page.push_str(
        "Values are the middle one of the rounds, with the least and the most. µs are processor time of the server \
         for a message; the load's own stands beside it. Everything that arrives is checked: a run in which a \
         message was lost, doubled or out of order gives no figure.\n\n",
    );
    put_goals(&mut page, goals, earlier);
    for work in WORKS {
        put_work(&mut page, work.name, work.about, figures);
    }
    page
}

fn put_goals(page: &mut String, goals: &[Goal], earlier: &[Value]) {
    let count = |verdict| goals.iter().filter(|goal| goal.verdict == verdict).count();
    let (held, missed) = (count(Verdict::Held), count(Verdict::Missed));
    let _ = writeln!(page, "## Goals\n\n{held} held, {missed} missed, {} not run.\n", count(Verdict::NotRun));
    let text = |run: &Value, name: &str| run[name].as_str().unwrap_or("?").to_owned();
    let heads: String =
        earlier.iter().map(|run| format!(" {} {} |", text(run, "date"), text(run, "commit"))).collect();
    let _ = writeln!(
        page,
        "| goal | this run |{heads} what was seen |\n|---|---|{}---|",
        "---|".repeat(earlier.len())
    );
    for Goal { id, verdict, seen } in goals {
        let before: String = earlier
            .iter()
            .map(|run| format!(" {} |", run["goals"][id]["verdict"].as_str().unwrap_or("not run")))
            .collect();
        let _ = writeln!(page, "| {id} | {verdict} |{before} {seen} |");
    }
    page.push('\n');
}

/// What a measure is called in a table.
fn title(measure: &str) -> &str {
    match measure {
        "cpu_us" => "µs",
        "per_s" => "a second",
        "p50_us" => "p50 µs",
        "p99_us" => "p99 µs",
        "load_us" => "load µs",
        "others" => "busy with other things",
        "fetch_cpu_us" => "fetch µs",
        "fetch_per_s" => "fetched a second",
        "kib" => "KiB a session",
        "logins_per_s" => "logins a second",
        "idle_ms" => "ms in 10 s idle",
        "wakes_per_s" => "wake-ups a second",
        "rss_mib" => "MiB in all",
        "s" => "s",
        "bytes_each" => "bytes each",
        "wal_mib" => "MiB of WAL",
        "times" => "times as much",
        other => other,
    }
}

/// With whom everybody is compared.
const BESIDE: [&str; 3] = ["relay, answers", "nats", "redis"];

fn put_work(page: &mut String, work: &str, about: &str, figures: &Figures) {
    // Some works have several names, for several shapes.
    let names: &[&str] = if work == "stars" { &["many-to-one", "one-to-many"] } else { &[work] };
    for name in names {
        let rows: Vec<&Row> = figures.of(name).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = writeln!(page, "## {name}\n\n{}{}.\n", about[..1].to_uppercase(), &about[1..]);
        let mut measures: Vec<&str> = Vec::new();
        for (measure, _) in rows.iter().flat_map(|row| &row.measures) {
            if !measures.contains(&measure.as_str()) {
                measures.push(measure);
            }
        }
        let beside: Vec<&str> =
            BESIDE.into_iter().filter(|other| rows.iter().any(|row| row.subject == *other)).collect();
        let heads =
            |all: &[&str], with: fn(&str) -> String| all.iter().map(|one| with(one)).collect::<String>();
        let _ = writeln!(
            page,
            "| case | who |{}{}\n|---|---|{}",
            heads(&measures, |measure| format!(" {} |", title(measure))),
            heads(&beside, |other| format!(" × {other} |")),
            "---|".repeat(measures.len() + beside.len()),
        );
        let mut case = "";
        for row in &rows {
            let shown = if row.case == case { "" } else { &row.case };
            case = &row.case;
            put_row(page, row, shown, &measures, &beside, &rows);
        }
        page.push('\n');
        plot(page, &rows);
    }
}

fn put_row(page: &mut String, row: &Row, shown: &str, measures: &[&str], beside: &[&str], rows: &[&Row]) {
    let _ = write!(page, "| {shown} | {} |", row.subject);
    if let Some(why) = &row.failure {
        let _ = writeln!(
            page,
            " failed: {} |{}",
            why.replace('|', "\\|"),
            " |".repeat(measures.len() + beside.len() - 1)
        );
        return;
    }
    for measure in measures {
        let value = row.spread(measure);
        let _ = write!(page, " {} |", value.map_or_else(String::new, |value| value.to_string()));
    }
    for other in beside {
        let same = rows.iter().find(|one| one.case == row.case && one.subject == *other);
        let times = same.and_then(|same| Some(row.spread(CPU)?.middle / same.spread(CPU)?.middle));
        let _ = write!(page, " {} |", times.map_or_else(String::new, |times| format!("{times:.2}")));
    }
    page.push('\n');
}

/// Bars of what grows: where one subject did a work in three cases or more.
fn plot(page: &mut String, rows: &[&Row]) {
    let mut subjects: Vec<&str> = Vec::new();
    for row in rows {
        let cases = rows.iter().filter(|other| other.subject == row.subject).count();
        if cases > 2 && !subjects.contains(&row.subject.as_str()) && subjects.len() < 3 {
            subjects.push(&row.subject);
        }
    }
    let grows = ["connections", "sizes", "accounts", "backlog", "crowds"];
    if !rows.first().is_some_and(|row| grows.contains(&row.work.as_str())) {
        return;
    }
    page.push_str("```text\n");
    for measure in ["cpu_us", "s", "bytes_each", "kib", "rss_mib"] {
        for subject in &subjects {
            let values: Vec<(&str, f64)> = rows
                .iter()
                .filter(|row| row.subject == *subject && row.failure.is_none())
                .filter_map(|row| Some((row.case.as_str(), row.spread(measure)?.middle)))
                .collect();
            let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max);
            if values.len() < 2 || most <= 0.0 {
                continue;
            }
            let _ = writeln!(page, "{} of {subject}", title(measure));
            for (case, value) in values {
                let bar = "█".repeat((value / most * BAR).round() as usize);
                let _ = writeln!(page, "  {case:44} {bar} {}", short(value));
            }
        }
    }
    page.push_str("```\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amounts::Amounts;
    use crate::goals;

    #[test]
    fn a_page_says_what_was_measured_and_what_failed() {
        let mut figures = Figures::default();
        for (subject, cpu) in [("relay, answers", 0.16), ("nats", 0.5), ("bellhop none", 0.4)] {
            figures.add("live", "W=64, 64 bytes", subject, CPU, cpu);
        }
        figures.fail("live", "W=64, 64 bytes", "redis", "lost: of 9 sent 8 arrived".to_owned());
        figures.add("connections", "10 connections", "bellhop none", CPU, 1.0);
        figures.add("connections", "100 connections", "bellhop none", CPU, 1.0);
        figures.add("connections", "1000 connections", "bellhop none", CPU, 2.0);
        let goals = goals::judge(&figures, &Amounts::new(true));
        let earlier = json!({"date": "2000-01-01", "commit": "abc", "goals": {"P1": {"verdict": "held"}}});
        let page = page(&Head::default(), &figures, &goals, &[earlier]);
        assert!(page.contains("| W=64, 64 bytes | relay, answers | 0.160 | 1.00 | 0.32 |"), "{page}");
        assert!(page.contains("|  | bellhop none | 0.400 | 2.50 | 0.80 |"), "{page}");
        assert!(page.contains("| redis | failed: lost: of 9 sent 8 arrived |"), "{page}");
        assert!(page.contains("| P1 | not run | held |"), "{page}");
        assert!(page.contains(&format!("{} 2.00\n", "█".repeat(40))), "{page}");
    }

    #[test]
    fn three_runs_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..5 {
            let head = Head { commit: number.to_string(), ..Head::default() };
            write(folder.path(), &head, &Figures::default(), &[]).unwrap();
        }
        let text = fs::read_to_string(folder.path().join("bench.json")).unwrap();
        let commits: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["commit"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(commits, ["2", "3", "4"]);
    }
}
