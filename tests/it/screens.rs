//! The table of what shows what of the screen (`tests/screens.md`): no row is missing, and everything that it names exists.

use crate::rows::{has_test, read, table};

/// The rows that there have to be.
fn expected() -> Vec<u32> {
    (1..=52).chain([56]).collect()
}

#[test]
fn no_row_of_the_screen_is_missing() {
    let rows = table("tests/screens.md");
    let expected = expected();
    for row in &expected {
        assert!(rows.contains_key(&row.to_string()), "{row} has no row");
    }
    assert_eq!(rows.len(), expected.len(), "{:?}", rows.keys());
}

#[test]
fn what_the_table_of_the_screen_names_exists() {
    let (drill, by_hand) = (read("tests/drill/steps.rs"), read("tests/release-checklist.md").to_lowercase());
    for (row, shown) in table("tests/screens.md") {
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row} names nothing: {shown}");
        for name in named {
            let exists = match (name.strip_prefix("drill: "), name.strip_prefix("by hand: ")) {
                (Some(step), _) => drill.contains(&format!("\"{step}\"")),
                (_, Some(part)) => by_hand.contains(&format!("## {part}")),
                _ => name.split_once("::").is_some_and(|(path, test)| has_test(path, test)),
            };
            assert!(exists, "{row} names {name}, which is not there");
        }
    }
}
