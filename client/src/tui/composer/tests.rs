//! The box against a list of graphemes, and by example.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Edit {
    Type(char),
    Backspace,
    Delete,
    Left,
    Right,
    Home,
    End,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        8 => prop::sample::select(vec!['a', 'b', ' ', '\n', '構', '✅', 'é', 'ß']).prop_map(Edit::Type),
        2 => Just(Edit::Backspace),
        1 => Just(Edit::Delete),
        2 => Just(Edit::Left),
        1 => Just(Edit::Right),
        1 => Just(Edit::Home),
            1 => Just(Edit::End),
    ];
    prop::collection::vec(edit, 0..80)
}

/// The box as a list of graphemes, which is what it means to be right.
#[derive(Default)]
struct Reference {
    clusters: Vec<String>,
    caret: usize,
}

impl Reference {
    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Type(c) => {
                self.clusters.insert(self.caret, c.to_string());
                self.caret += 1;
            }
            Edit::Backspace if self.caret > 0 => {
                self.caret -= 1;
                self.clusters.remove(self.caret);
            }
            Edit::Delete if self.caret < self.clusters.len() => {
                self.clusters.remove(self.caret);
            }
            Edit::Left => self.caret = self.caret.saturating_sub(1),
            Edit::Right => self.caret = (self.caret + 1).min(self.clusters.len()),
            Edit::Home => {
                while self.caret > 0 && self.clusters[self.caret - 1] != "\n" {
                    self.caret -= 1;
                }
            }
            Edit::End => {
                while self.caret < self.clusters.len() && self.clusters[self.caret] != "\n" {
                    self.caret += 1;
                }
            }
            _ => {}
        }
    }
}

fn apply(composer: &mut Composer, edit: &Edit) {
    match edit {
        Edit::Type(c) => composer.type_char(*c),
        Edit::Backspace => composer.backspace(),
        Edit::Delete => composer.delete(),
        Edit::Left => composer.left(),
        Edit::Right => composer.right(),
        Edit::Home => composer.home(),
        Edit::End => composer.end(),
    }
}

proptest! {
    #[test]
    fn the_box_is_a_list_of_graphemes(edits in edits(), columns in 2usize..40) {
        let (mut composer, mut reference) = (Composer::default(), Reference::default());
        for edit in &edits {
            apply(&mut composer, edit);
            reference.apply(edit);
            prop_assert_eq!(composer.text(), reference.clusters.concat());
            prop_assert_eq!(composer.caret, reference.clusters[..reference.caret].concat().len());
        }
        let rows = composer.rows(columns);
        prop_assert!(rows.caret_column < columns);
        let joined: String = rows.rows.iter().map(|row| &composer.text()[row.clone()]).collect();
        prop_assert_eq!(joined, composer.text());
        for row in &rows.rows {
            let row = composer.text()[row.clone()].trim_end_matches(['\n', ' ']);
            prop_assert!(row.width() <= columns, "{:?}", row);
        }
    }

    #[test]
    fn undo_leads_back_to_the_beginning(edits in edits()) {
        let mut composer = Composer::default();
        for edit in &edits {
            apply(&mut composer, edit);
        }
        let last = composer.text().to_owned();
        for _ in 0..edits.len() {
            composer.undo();
        }
        prop_assert_eq!(composer.text(), "");
        for _ in 0..edits.len() {
            composer.redo();
        }
        prop_assert_eq!(composer.text(), last);
    }

    #[test]
    fn nothing_that_is_typed_or_pasted_panics(
        pieces in prop::collection::vec(("\\PC{0,8}", 0u8..12), 0..20),
    ) {
        let mut composer = Composer::default();
        for (text, what) in &pieces {
            match what {
                0 => { composer.paste(text); }
                1 => composer.left(),
                2 => composer.right(),
                3 => composer.backspace(),
                4 => composer.delete(),
                5 => { composer.up(7); }
                6 => { composer.down(7); }
                7 => composer.word_left(),
                8 => composer.delete_word_before(),
                9 => composer.delete_word_after(),
                10 => composer.undo(),
                _ => text.chars().for_each(|c| composer.type_char(c)),
            }
            composer.rows(7);
        }
    }
}

#[test]
fn whole_graphemes_go() {
    let mut composer = Composer::default();
    "👩\u{200d}🚀e\u{301}".chars().for_each(|c| composer.type_char(c));
    composer.backspace();
    assert_eq!(composer.text(), "👩\u{200d}🚀");
    composer.left();
    assert_eq!(composer.caret, 0);
    composer.right();
    composer.backspace();
    assert_eq!(composer.text(), "");
}

#[test]
fn masks_keep_the_caret() {
    let mut composer = Composer::with("2|al|päss");
    composer.left();
    let masked = composer.masked(5, "•");
    assert_eq!((masked.text(), &masked.text()[..masked.caret]), ("2|al|••••", "2|al|•••"));
    composer.home();
    assert_eq!(composer.masked(0, "*").text(), "*********");
}

#[test]
fn words_and_lines() {
    let mut composer = Composer::with("one two-three\nfour");
    composer.delete_word_before();
    assert_eq!(composer.text(), "one two-three\n");
    composer.left();
    composer.word_left();
    composer.delete_to_line_start();
    assert_eq!(composer.text(), "three\n");
    composer.delete_word_after();
    assert_eq!(composer.text(), "\n");
}

#[test]
fn rows_break_behind_spaces_and_the_caret_stays_inside() {
    let rows = |text: &str, columns| {
        let composer = Composer::with(text);
        let rows = composer.rows(columns);
        let texts: Vec<String> = rows.rows.iter().map(|row| text[row.clone()].to_owned()).collect();
        (texts.join("|"), rows.caret_row, rows.caret_column)
    };
    assert_eq!(rows("one two", 5), ("one |two".into(), 1, 3));
    assert_eq!(rows("abcdefg", 3), ("abc|def|g".into(), 2, 1));
    assert_eq!(rows("abc", 3), ("abc|".into(), 1, 0));
    assert_eq!(rows("a\nb", 9), ("a\n|b".into(), 1, 1));
    assert_eq!(
        rows(" é構構", 4),
        (" |é構|構".into(), 2, 2),
        "what moves down may leave no room there either"
    );
    assert_eq!(rows("構建e", 9), ("構建e".into(), 0, 5));
    let mut composer = Composer::with("one two");
    assert!(composer.up(5));
    assert!(!composer.up(5));
    assert!(composer.down(5));
    assert_eq!(composer.caret, 7);
}

#[test]
fn a_box_that_was_pasted_into_says_so_until_it_is_empty() {
    let mut composer = Composer::default();
    composer.type_char('a');
    assert!(!composer.is_pasted());
    assert!(composer.paste("/quit"));
    assert!(composer.is_pasted());
    composer.clear();
    assert!(!composer.is_pasted());
    assert!(!composer.paste(&"x".repeat(BOX_MAX + 1)));
    assert_eq!(composer.text(), "");
    composer.undo();
    assert_eq!(composer.text(), "a/quit");
}
