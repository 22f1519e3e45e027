//! How well a name matches what was typed: its letters in their order, the better the more they stand together and
//! at starts of words.

/// Letters that stand behind one another.
const RUN: i64 = 10;
/// A letter that starts a word.
const WORD: i64 = 50;
/// The name begins with all of it.
const START: i64 = 200;

/// How well `name` matches; `None` where it does not. Shorter names are nearer.
pub(crate) fn score(name: &str, query: &str) -> Option<i64> {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    let query: Vec<char> = query.trim().chars().flat_map(char::to_lowercase).collect();
    let (mut score, mut at, mut run) = (0, 0, 0);
    for (number, wanted) in query.iter().enumerate() {
        let rest = name.get(at..).unwrap_or_default();
        let near = rest.iter().position(|c| c == wanted)?;
        // A start of a word further on is better than a letter in the middle of one, if the rest is there as well.
        let word = (near..rest.len()).find(|skip| rest[*skip] == *wanted && starts_word(&name, at + skip));
        let skip = match word {
            Some(word) if near > 0 && is_within(&name[at + word + 1..], &query[number + 1..]) => word,
            _ => near,
        };
        run = if skip == 0 { run + 1 } else { 1 };
        score += RUN * run + if starts_word(&name, at + skip) { WORD } else { 0 };
        at += skip + 1;
    }
    let start = if !query.is_empty() && name.starts_with(&query) { START } else { 0 };
    Some(score + start - i64::try_from(name.len()).unwrap_or(0))
}

fn starts_word(name: &[char], at: usize) -> bool {
    at == 0 || !name[at - 1].is_alphanumeric()
}

/// The letters of `query` stand in `name` in their order.
fn is_within(name: &[char], query: &[char]) -> bool {
    let mut name = name.iter();
    query.iter().all(|wanted| name.any(|c| c == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_match_comes_first() {
        let check = |query: &str, names: &[&str]| {
            let scores: Vec<Option<i64>> = names.iter().map(|name| score(name, query)).collect();
            assert!(scores.iter().all(Option::is_some), "{query}: {scores:?}");
            assert!(scores.windows(2).all(|pair| pair[0] > pair[1]), "{query}: {names:?} {scores:?}");
        };
        check("car", &["carol", "clear", "oscar"]);
        check("rec", &["reconnect", "the record", "fire crew"]);
        check("lp", &["list-pane", "help me", "alphabet"]);
        check("da", &["delete-account", "adamant"]);
        check("bo", &["bob", "bobby", "carbon"]);
        check("DAVE", &["Dave", "dave-the-second"]);
        check("王", &["王小明", "小王"]);
    }

    #[test]
    fn all_letters_or_no_match() {
        for (name, query) in [("carol", "carx"), ("bob", "bobb"), ("", "a"), ("ab", "ba")] {
            assert_eq!(score(name, query), None, "{query} in {name}");
        }
        assert!(score("anything", "").is_some());
        assert!(score("list-pane", "lip").is_some(), "a start of a word is not taken where the rest is lost");
    }
}
