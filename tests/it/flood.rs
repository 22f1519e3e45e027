//! Crowds, in a quick run: that everybody honest is served, whoever does nothing is closed, and memory stays bounded.
//! The release drill runs the same with full amounts, and compares times.

use std::time::Duration;

use bellhop_tests::bounded::has_prlimit;
use bellhop_tests::floods::{
    Look, PHASES, QUICK, Slow, connect_flood, few_files, never_read, passwords, slow_senders,
};

#[test]
fn who_never_reads_costs_others_nothing_and_loses_nothing() {
    if has_prlimit() {
        never_read(40, 512 * 1024, false, QUICK);
        never_read(20, 512 * 1024, true, QUICK);
    }
}

#[test]
fn who_sends_a_byte_now_and_then_loses_the_place() {
    if !has_prlimit() {
        return;
    }
    let clocks = ["login-time=2", "frame-time=2", "tls-time=2"].iter().flat_map(|limit| ["--limit", *limit]);
    let args: Vec<&str> = clocks.collect();
    let slow = Slow {
        connections: 100,
        addresses: 4,
        pause: Duration::from_millis(200),
        time: Duration::from_secs(6),
    };
    for phase in PHASES {
        let (entered, figures) = slow_senders(phase, slow, 10, &args);
        assert_eq!(entered, 100, "{phase:?}: {figures}");
    }
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    if has_prlimit() {
        connect_flood(200, Look { rounds: 1, time: Duration::from_secs(4) });
    }
}

#[test]
fn more_connections_than_files_wait_and_cost_nothing() {
    if has_prlimit() {
        few_files(200, Duration::from_secs(3));
    }
}

#[test]
fn a_hundred_passwords_at_once_stop_nobody() {
    if has_prlimit() {
        passwords(100, QUICK);
    }
}
