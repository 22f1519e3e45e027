//! What the fuzzer found worth keeping, tried again without one: each corpus through the very function that was fuzzed.

use std::fs;
use std::path::Path;

use bellhop_tests::fuzz::{TARGETS, Target, corpus};

/// The inputs that are kept for a target: those that take every branch, and those that once did what none may.
fn kept(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let path = folder.join(format!("corpora/{}.hex", target.name));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = fs::read_to_string(folder.join(format!("findings/{}.hex", target.name))).unwrap_or_default();
    [corpus(&text), corpus(&found)].concat()
}

#[test]
fn what_was_found_by_fuzzing_is_harmless() {
    for target in TARGETS {
        let kept = kept(target);
        assert!(kept.len() >= 10, "{} has a corpus of {}", target.name, kept.len());
        for input in kept {
            (target.run)(&input);
        }
    }
}

/// A target that is not compiled for the fuzzer would never be fuzzed.
#[test]
fn every_target_is_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let drill = fs::read_to_string(folder.join("../drill/steps.rs")).unwrap();
    for Target { name, .. } in TARGETS {
        assert!(drill.contains(&format!("fuzzed(\"{name}\", seed)")), "{name} is no step of the drill");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        let binary = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(binary.contains(&format!("bellhop_tests::fuzz::{name}(input)")), "{name}");
    }
}
