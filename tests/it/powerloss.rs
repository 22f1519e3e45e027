//! The power goes at any moment: what senders were told is on the disk.

use bellhop_tests::faults::has_strace;
use bellhop_tests::powerloss::Recording;

/// States in a quick run; the release drill tries a thousand.
const STATES: usize = 20;

#[test]
fn a_power_loss_loses_nothing_that_was_kept() {
    if !has_strace() {
        return;
    }
    let recording = Recording::make(&[], 120, 1_000);
    let findings = recording.play(STATES, 1);
    assert!(findings.is_empty(), "{} of {STATES} states: {findings:#?}", findings.len());
}

/// At this level messages are handed to the operating system, and no more is promised: if nothing were lost here, the
/// test above would show nothing.
#[test]
fn the_replay_sees_what_was_not_synced() {
    if !has_strace() {
        return;
    }
    let recording = Recording::make(&["--durability", "crash"], 120, 1_000);
    let findings = recording.play(STATES, 1);
    // The server itself sees what it can see: the machine has not started anew since, so this was no power loss to it.
    let is_loss = |finding: &&String| finding.contains("lost: [(") || finding.contains("it does not start");
    assert!(findings.len() > STATES / 10, "{findings:#?}");
    assert_eq!(findings.iter().filter(is_loss).count(), findings.len(), "{findings:#?}");
}
