//! strace's log as calls with a beginning and an end.
//!
//! Threads interleave: a call that another one interrupts is logged in two pieces, which are joined here. The number of
//! a line is the time that everything else is ordered by.

use std::collections::HashMap;

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The line at which it began.
    pub begin: usize,
    /// The line at which it had returned; never, where the log ends before that.
    pub end: usize,
    /// Its name.
    pub name: String,
    /// Its arguments, as strace writes them.
    pub args: String,
    /// What it returned; -1 for a failure.
    pub result: i64,
}

impl Call {
    /// The bytes in the arguments, which strace wrote as `\x` and two digits each; no more than the call returned.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.strings().concat();
        if let Ok(result) = usize::try_from(self.result) {
            bytes.truncate(result);
        }
        bytes
    }

    /// The strings in the arguments.
    pub fn strings(&self) -> Vec<Vec<u8>> {
        self.args.split('"').skip(1).step_by(2).map(unescape).collect()
    }

    /// An argument that is a number.
    pub fn number(&self, at: usize) -> Option<i64> {
        self.args.split(", ").nth(at)?.trim().parse().ok()
    }
}

fn unescape(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|digits| u8::from_str_radix(digits, 16).expect("two digits")).collect()
}

/// The calls in a log, in the order of their beginnings.
pub fn calls<'a>(log: impl Iterator<Item = &'a str>) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (line, text) in log.enumerate() {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(rest) = text.strip_prefix("<... ") {
            let Some(at) = open.remove(thread) else { continue };
            let (_, rest) = rest.split_once(" resumed>").expect("a call that goes on");
            let call = &mut calls[at];
            call.args.push_str(rest);
            call.finish(line);
        } else if let Some((name, args)) = text.split_once('(') {
            let (args, unfinished) = match args.strip_suffix("<unfinished ...>") {
                Some(args) => (args, true),
                None => (args, false),
            };
            let call = Call {
                begin: line,
                end: usize::MAX,
                name: name.to_owned(),
                args: args.to_owned(),
                result: i64::MAX,
            };
            calls.push(call);
            let at = calls.len() - 1;
            match unfinished {
                true => drop(open.insert(thread, at)),
                false => calls[at].finish(line),
            }
        }
    }
    calls
}

impl Call {
    fn finish(&mut self, line: usize) {
        let Some((args, result)) = self.args.rsplit_once(" = ") else { return };
        let Some(args) = args.trim_end().strip_suffix(')') else { return };
        let result = result.split(' ').next().unwrap_or_default();
        // A call that was cut off by the end of the process has `?`.
        if let Ok(result) = result.parse() {
            self.result = result;
            self.end = line;
        }
        self.args.truncate(args.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_call_are_joined() {
        let log = r#"7 pwrite64(5, "\x61\x62", 2, 4096 <unfinished ...>
8  fsync(6)                         = 0
9 recvfrom(9,  <unfinished ...>
7 <... pwrite64 resumed>)           = 2
9 <... recvfrom resumed>"\x63", 64, 0, NULL, NULL) = 1
8 openat(AT_FDCWD, "\x64", O_RDWR|O_CREAT, 0600) = -1 ENOENT (No such file or directory)
9 fsync(4 <unfinished ...>
7 +++ killed by SIGKILL +++"#;
        let calls = calls(log.lines());
        let short: Vec<_> =
            calls.iter().map(|call| (call.name.as_str(), call.begin, call.end, call.result)).collect();
        let expected = [
            ("pwrite64", 0, 3, 2),
            ("fsync", 1, 1, 0),
            ("recvfrom", 2, 4, 1),
            ("openat", 5, 5, -1),
            ("fsync", 6, usize::MAX, i64::MAX),
        ];
        assert_eq!(short, expected);
        assert_eq!((calls[0].bytes(), calls[0].number(3)), (b"ab".to_vec(), Some(4096)));
        assert_eq!((calls[2].bytes(), calls[3].strings()), (b"c".to_vec(), vec![b"d".to_vec()]));
    }
}
