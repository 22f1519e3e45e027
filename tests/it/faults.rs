//! System calls that fail or take long, under load. The release drill runs the same with every number up to 200.

use bellhop_tests::faults::{has_strace, sweep};

/// Which of the calls fail: some early ones, and some later.
const NUMBERS: [u32; 5] = [1, 2, 5, 12, 30];

fn endures(call: &'static str, error: &'static str) {
    if has_strace() {
        sweep(call, error, NUMBERS);
    }
}

#[test]
fn a_failing_fsync_loses_nothing() {
    endures("fsync", "EIO");
}

#[test]
fn a_failing_write_loses_nothing() {
    endures("pwrite64", "EIO");
}

#[test]
fn a_full_disk_loses_nothing() {
    endures("pwrite64", "ENOSPC");
}

#[test]
fn a_failing_read_loses_nothing() {
    endures("pread64", "EIO");
}

#[test]
fn a_failing_truncation_loses_nothing() {
    endures("ftruncate", "EIO");
}

#[test]
fn a_file_that_cannot_be_opened_loses_nothing() {
    endures("openat", "EIO");
}
