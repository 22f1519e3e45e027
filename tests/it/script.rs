//! The command line in scripts, against real servers: kills, long pipes, and every example that the help gives.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bellhop_tests::process::{Process, binary};
use bellhop_tests::server::Home;
use bellhop_tests::tools::has;
use bellhop_tests::wait::wait_for;

/// Somebody's machine.
struct Desk {
    server: Process,
    folder: Home,
    _data: Home,
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Desk {
    /// Alice, and somebody to write to.
    fn new() -> Desk {
        let (data, folder) = (Home::new(), Home::new());
        let server = Process::start(&data.data(), &[]);
        let desk = Desk { server, folder, _data: data };
        for name in ["bob", "alice"] {
            desk.does(&["create", name]);
        }
        desk
    }

    /// A program that finds `bellhop` by its name, and the server.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = binary("bellhop").parent().unwrap().display().to_string();
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BELLHOP_"))
        {
            command.env_remove(name);
        }
        command
            .env("PATH", format!("{folder}:{path}"))
            .env("BELLHOP_HOME", self.folder.path())
            .env("BELLHOP_SERVER", self.server.addr().to_string())
            .env("MANPAGER", "cat")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn says(&self, arguments: &[&str]) -> Ran {
        ended(self.command(&binary("bellhop")).args(arguments).spawn().unwrap())
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let Ran { code, stdout, stderr } = self.says(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    fn bash(&self, script: &str) -> Command {
        let mut command = self.command(Path::new("bash"));
        command.args(["--norc", "-o", "pipefail", "-c", script]);
        command
    }

    /// The texts that wait for bob, oldest first.
    fn texts_of_bob(&self) -> Vec<String> {
        self.does(&["--user", "bob", "deliver", "--bytes"]).lines().map(str::to_owned).collect()
    }
}

fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_thousand_lines_go_in_order_and_head_takes_one() {
    let desk = Desk::new();
    let sent = ended(desk.bash("seq 1000 | bellhop send bob --lines").spawn().unwrap());
    assert_eq!((sent.code, sent.stdout.lines().count()), (Some(0), 1000), "{}", sent.stderr);
    let first = ended(desk.bash("bellhop --user bob --json deliver | head -n 1").spawn().unwrap());
    assert!(
        first.stdout.contains("\"text\":\"1\"") && first.stderr.is_empty(),
        "{}{}",
        first.stdout,
        first.stderr
    );
    assert_eq!(desk.texts_of_bob(), numbers(2..=1000));
}

/// How long a command takes here and now.
#[expect(clippy::disallowed_methods, reason = "the kills are spread over as long as it takes")]
fn time(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

/// Starts a command and kills it after a part of `whole`.
fn killed(mut command: Command, whole: Duration, part: f64) {
    let mut child = command.process_group(0).spawn().unwrap();
    // A moment that nothing marks: any of them is meant.
    std::thread::sleep(whole.mul_f64(part));
    let group = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.wait();
}

/// A script that is killed at any moment and repeated under its id sends each message once.
#[test]
fn killed_at_any_moment_a_message_with_an_id_arrives_once() {
    let desk = Desk::new();
    let whole = time(|| drop(desk.does(&["send", "bob", "0", "--id", "0"])));
    const RUNS: u32 = 20;
    for run in 1..=RUNS {
        let number = run.to_string();
        let arguments = ["send", "bob", &number, "--id", &number];
        for part in [0.0, 0.4] {
            let mut command = desk.command(&binary("bellhop"));
            command.args(arguments);
            killed(command, whole, part + f64::from(run) / f64::from(RUNS));
        }
        let again = desk.does(&arguments);
        assert_eq!(desk.does(&arguments).split(' ').nth(1), again.split(' ').nth(1), "one id for ever");
    }
    assert_eq!(desk.texts_of_bob(), numbers(0..=RUNS));
}

#[test]
fn killed_at_any_moment_lines_with_an_id_arrive_once_and_in_order() {
    let desk = Desk::new();
    let script = |id: u32| format!("seq 200 | bellhop send bob --lines --id {id}");
    let whole = time(|| {
        let ran = ended(desk.bash(&script(0)).spawn().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    });
    assert_eq!(desk.texts_of_bob(), numbers(1..=200));
    for run in 1..=4 {
        for kill in 0..3 {
            let part = f64::from(run * 3 + kill) / 15.0;
            killed(desk.bash(&script(run)), whole, part);
        }
        let ran = ended(desk.bash(&script(run)).spawn().unwrap());
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 200), "{}", ran.stderr);
        assert_eq!(desk.texts_of_bob(), numbers(1..=200), "run {run}");
    }
}

/// The examples under a command's options, and those of its man page, which are the same.
fn examples(desk: &Desk) -> BTreeMap<String, Vec<String>> {
    let folder = desk.folder.path().join("pages");
    desk.does(&["man", &folder.to_string_lossy()]);
    let mut found = BTreeMap::new();
    for page in std::fs::read_dir(&folder).unwrap().map(|page| page.unwrap().path()) {
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        let words: Vec<&str> = name.split('-').skip(1).collect();
        let help = desk.does(&[words.as_slice(), &["--help"]].concat());
        let of_help: Vec<String> = match help.split_once("\nExamples:\n") {
            Some((_, rest)) => {
                let lines = rest.lines().take_while(|line| line.starts_with("  "));
                lines.map(|line| line.trim().to_owned()).collect()
            }
            None => Vec::new(),
        };
        let text = std::fs::read_to_string(&page).unwrap();
        let of_man: Vec<String> = match text.split_once(".SH EXAMPLES\n.nf\n") {
            Some((_, rest)) => rest.lines().take_while(|line| *line != ".fi").map(unescaped).collect(),
            None => Vec::new(),
        };
        assert_eq!(of_help, of_man, "{name}");
        found.insert(name, of_help);
    }
    found
}

/// A line of a man page as a person reads it.
fn unescaped(line: &str) -> String {
    line.replace("\\-", "-")
        .replace("\\*(Aq", "'")
        .replace("\\(aq", "'")
        .replace("\\&", "")
        .replace("\\\\", "\\")
}

/// What an example takes for granted is made so.
fn prepare(desk: &Desk, example: &str) {
    let words: Vec<&str> = example.split_whitespace().collect();
    for name in ["bob", "alice"] {
        let _ = desk.says(&["create", name]);
    }
    match words.as_slice() {
        ["bellhop", "create", name, ..] => drop(desk.says(&["delete", name, "--yes"])),
        ["bellhop", "delete", name, ..] => drop(desk.says(&["create", name])),
        _ => {}
    }
    if !example.contains(" create ") {
        desk.does(&["login", "alice"]);
        desk.does(&["send", "alice", "for the example"]);
    }
}

/// Stands for `bellhop`: notes its process, and what it printed.
const WATCHED: &str = "#!/bin/sh
sh -c 'echo $$ > pid; exec \"$BELLHOP\" \"$@\"' sh \"$@\" | tee seen
";

/// Runs an example that goes on until it is interrupted: it prints what waits, and ends by the signal.
#[track_caller]
fn follow(desk: &Desk, example: &str) {
    let folder = desk.folder.path().join("watched");
    let _ = std::fs::create_dir(&folder);
    let (watched, seen) = (folder.join("bellhop"), desk.folder.path().join("seen"));
    std::fs::write(&watched, WATCHED).unwrap();
    std::fs::set_permissions(&watched, std::fs::Permissions::from_mode(0o700)).unwrap();
    let _ = std::fs::remove_file(&seen);
    let mut command = desk.bash(&format!("PATH={}:$PATH; {example}", folder.display()));
    let child = command.env("BELLHOP", binary("bellhop")).spawn().unwrap();
    wait_for("what the example prints", || std::fs::metadata(&seen).ok().filter(|seen| seen.len() > 0));
    let pid = std::fs::read_to_string(desk.folder.path().join("pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let Ran { stdout, stderr, .. } = ended(child);
    assert!(!stdout.is_empty(), "{example}: {stderr}");
}

/// Help that does not work is worse than none.
#[test]
fn every_example_of_the_help_and_of_the_man_pages_works() {
    let desk = Desk::new();
    let all = examples(&desk);
    assert_eq!(all["bellhop"].len(), 3, "the help is short");
    desk.does(&["create", "carol"]);
    let mut run = 0;
    for example in all.values().flatten() {
        let tools = [(" jq ", "jq"), (" man -l", "man")];
        if tools.iter().any(|(used, tool)| example.contains(used) && !has(tool, &["--version"])) {
            continue;
        }
        prepare(&desk, example);
        run += 1;
        if example.contains(" listen") || example.contains("--follow") {
            follow(&desk, example);
            continue;
        }
        let Ran { code, stderr, .. } = ended(desk.bash(example).spawn().unwrap());
        // A screen has no terminal here, and says so.
        let expected = if example.starts_with("bellhop tui") && !example.contains("--plain") { 2 } else { 0 };
        assert_eq!(code, Some(expected), "{example}: {stderr}");
    }
    assert!(run > 20, "{run} examples");
}
