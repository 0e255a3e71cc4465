//! Which known word is near to one that is not known.

use alloc::string::String;
use alloc::vec::Vec;

/// The known word that was likely meant, if one is near: a third of its letters may be wrong, and one at least.
///
/// A letter too many, one too few, another one, and two that changed places are one wrong letter each. Words that differ in
/// nothing but case and hyphens are nearest of all.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let meant = plain(word);
    let near = known.iter().filter_map(|&known| {
        let wrong = wrong_letters(&meant, &plain(known));
        let most = (known.len() / 3).max(1);
        (wrong <= most).then(|| (wrong, wrong_letters(word, known), known))
    });
    near.min_by_key(|&(wrong, exactly, _)| (wrong, exactly)).map(|(_, _, known)| known)
}

fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// How many letters must be changed to make one word the other (optimal string alignment).
fn wrong_letters(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = alloc::vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = alloc::vec![i];
        for j in 1..=other.len() {
            let is_same = one[i - 1] == other[j - 1];
            let mut wrong =
                (rows[i - 1][j - 1] + usize::from(!is_same)).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                wrong = wrong.min(rows[i - 2][j - 2] + 1);
            }
            row.push(wrong);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// In bytes: what is longer is no word with a wrong letter.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_to_the_one_with_the_fewest_wrong_letters() {
        let known =
            ["attempt_timeout", "connect_timeout", "timeout", "timeoutInMillis", "rounds", "in", "url"];
        for (word, meant) in [
            ("atempt_timeout", Some("attempt_timeout")),
            ("attempt-timeout", Some("attempt_timeout")),
            ("attemptTimeout", Some("attempt_timeout")),
            ("attempts_timeouts", Some("attempt_timeout")),
            ("tiemout", Some("timeout")),
            ("timeout_in_millis", Some("timeoutInMillis")),
            ("Rounds", Some("rounds")),
            ("ni", Some("in")),
            ("ur", Some("url")),
            ("uri", Some("url")),
            ("", None),
            ("colour", None),
            ("retries", None),
            ("ab", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
        assert_eq!(nearest(&"url".repeat(1_000), &known), None);
        assert_eq!(nearest("url", &[]), None);
    }

    #[test]
    fn wrong_letters_are_counted_once_each() {
        for (one, other, wrong) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "xbcy", 2),
            ("ca", "abc", 3),
        ] {
            assert_eq!(
                (wrong_letters(one, other), wrong_letters(other, one)),
                (wrong, wrong),
                "{one} {other}"
            );
        }
    }
}
