//! The table of what shows what (`tests/rows.md`): no row is missing, and everything that it names exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Rows that nothing shows yet. A row leaves this list with the test that shows it.
const GAPS: [&str; 1] = ["S19"];

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The rows that there have to be.
fn expected() -> Vec<String> {
    let some = |letter: &str, numbers: Vec<u32>| -> Vec<String> {
        numbers.into_iter().map(|number| format!("{letter}{number}")).collect()
    };
    [
        some("R", (1..=23).collect()),
        some("F", (1..=28).chain(36..=38).collect()),
        some("B", (1..=14).chain(16..=18).collect()),
        some("S", (1..=11).chain(19..=22).collect()),
        some("bug ", (1..=12).chain(14..=15).collect()),
    ]
    .concat()
}

/// The rows of a table: what each names.
pub(crate) fn table(path: &str) -> BTreeMap<String, String> {
    let table = read(path);
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.splitn(3, " | ").collect::<Vec<_>>());
    let rows = rows.filter(|cells| cells[0] != "row");
    let mut found = BTreeMap::new();
    for cells in rows {
        assert!(!cells[1].is_empty(), "{cells:?} says what it is about");
        let before = found.insert(cells[0].to_owned(), cells[2].to_owned());
        assert_eq!(before, None, "{} stands there twice", cells[0]);
    }
    found
}

/// True if and only if the file has a test of this name.
pub(crate) fn has_test(path: &str, name: &str) -> bool {
    let source = read(path);
    let Some(at) = source.find(&format!("fn {name}(")) else { return false };
    let before: Vec<&str> = source[..at].lines().rev().take(8).collect();
    let attributes = before.iter().skip(usize::from(!source[..at].ends_with('\n')));
    let mut attributes = attributes.map(|line| line.trim()).take_while(|line| {
        line.starts_with("#[") || line.starts_with("//") || line.starts_with(']') || line.ends_with(',')
    });
    // Within `proptest!` and in plain files alike, the attribute stands right above.
    attributes.any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
}

#[test]
fn no_row_is_missing() {
    let (rows, expected) = (table("tests/rows.md"), expected());
    for row in &expected {
        assert!(rows.contains_key(row), "{row} has no row");
    }
    assert_eq!(rows.len(), expected.len(), "{:?}", rows.keys().filter(|row| !expected.contains(row)));
}

#[test]
fn what_the_table_names_exists() {
    let (drill, gate) = (read("tests/drill/steps.rs"), read(".ci/run"));
    for (row, shown) in table("tests/rows.md") {
        if let Some(reason) = shown.strip_prefix("*gap*: ") {
            assert!(GAPS.contains(&row.as_str()) && !reason.is_empty(), "{row} is shown by nothing");
            continue;
        }
        assert!(!GAPS.contains(&row.as_str()), "{row} is no gap any more: take it off the list");
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row} names nothing: {shown}");
        for name in named {
            let exists = match (name.strip_prefix("drill: "), name.strip_prefix("gate: ")) {
                (Some(step), _) => drill.contains(&format!("\"{step}\"")),
                (_, Some(step)) => gate.contains(&format!("step '{step}'")),
                _ => name.split_once("::").is_some_and(|(path, test)| has_test(path, test)),
            };
            assert!(exists, "{row} names {name}, which is not there");
        }
    }
}

/// A name that is like one of a test is none.
#[test]
fn a_name_that_is_no_test_is_noticed() {
    assert!(has_test("tests/it/rows.rs", "no_row_is_missing"));
    assert!(!has_test("tests/it/rows.rs", "has_test"));
    assert!(!has_test("tests/it/rows.rs", "no_row_is_there"));
}
