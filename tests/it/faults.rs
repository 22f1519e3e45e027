//! System calls that fail or take long, and disks that are full, under load. The release drill runs the same with every number up to 200.

use std::time::Duration;

use bellhop_tests::disks::{delete_on_a_full_disk, full_disk, has_small_disks, slow_disk};
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

#[test]
fn a_disk_that_is_full_and_has_room_again_needs_no_restart() {
    if has_small_disks() {
        assert!(full_disk(2, &["--limit", "disk-free=off"]) > 0);
        assert!(full_disk(1, &[]) > 0);
    }
}

/// Sends stop while there is still room for what makes room.
#[test]
fn an_account_can_be_deleted_while_the_disk_is_full() {
    if has_small_disks() {
        assert_eq!(delete_on_a_full_disk(&[]), "ok");
    }
}

#[test]
fn a_slow_disk_is_waited_for_and_keeps_nobody_else_waiting() {
    if has_strace() {
        slow_disk(Duration::from_millis(10), 20, false);
        slow_disk(Duration::from_millis(100), 5, false);
        slow_disk(Duration::from_secs(2), 2, true);
    }
}
