//! The known name that is nearest to a mistyped one.

/// Names longer than this are not mistyped.
const LONGEST: usize = 64;

/// The candidate with the fewest changed, added, dropped or swapped letters; `None` when all are far away.
///
/// Names with dots are also compared by their last part, so that a setting in the wrong section is found.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    if length > LONGEST {
        return None;
    }
    let by_distance = candidates
        .into_iter()
        .map(|candidate| (apart(name, candidate), candidate));
    let (distance, candidate) = by_distance.min_by_key(|&(distance, _)| distance)?;
    (distance * 3 <= length + 2).then_some(candidate)
}

fn apart(name: &str, candidate: &str) -> usize {
    let last = |name: &str| name.rsplit('.').next().map(str::to_lowercase).unwrap_or_default();
    let whole = distance(&name.to_lowercase(), &candidate.to_lowercase());
    whole.min(1 + distance(&last(name), &last(candidate)))
}

/// The distance of Damerau and Levenshtein, where no letter is changed twice.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut before = None;
    for (row, letter) in a.chars().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        for (column, &other) in b.iter().enumerate() {
            let mut least = (last[column] + usize::from(letter != other))
                .min(last[column + 1] + 1)
                .min(current[column] + 1);
            if column > 0 && before == Some(other) && b[column - 1] == letter {
                least = least.min(older[column - 1] + 1);
            }
            current.push(least);
        }
        before = Some(letter);
        older = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["port", "listen", "store.segment_bytes", "name_server.port"];

    #[test]
    fn a_swapped_dropped_or_added_letter_is_seen_through() {
        for typed in ["prot", "prt", "portt", "Port"] {
            assert_eq!(nearest(typed, NAMES), Some("port"), "{typed}");
        }
    }

    #[test]
    fn a_setting_in_the_wrong_section_is_found() {
        assert_eq!(nearest("segment_bytes", NAMES), Some("store.segment_bytes"));
        assert_eq!(nearest("limits.segment_byte", NAMES), Some("store.segment_bytes"));
    }

    #[test]
    fn nothing_is_near_to_something_else() {
        assert_eq!(nearest("colour", NAMES), None);
        assert_eq!(nearest("", NAMES), None);
        assert_eq!(nearest(&"port".repeat(100), NAMES), None);
    }

    #[test]
    fn the_distance_counts_each_change_once() {
        let pairs = [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
        ];
        for (a, b, changes) in pairs {
            assert_eq!(distance(a, b), changes, "{a} {b}");
        }
    }
}
