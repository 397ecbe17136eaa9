//! The tokens of the language, in the order in which Java's parser numbers them: its messages list what it expected in
//! that order.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    EndOfText,
    Not,
    And,
    Or,
    Between,
    In,
    True,
    False,
    Null,
    Is,
    Integer,
    Decimal,
    Text,
    Name,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Open,
    Comma,
    Close,
    Plus,
    Minus,
}

/// All kinds, in order, with their names in messages.
const NAMES: [(Kind, &str); 25] = [
    (Kind::EndOfText, "<EOF>"),
    (Kind::Not, "\"NOT\""),
    (Kind::And, "\"AND\""),
    (Kind::Or, "\"OR\""),
    (Kind::Between, "\"BETWEEN\""),
    (Kind::In, "\"IN\""),
    (Kind::True, "\"TRUE\""),
    (Kind::False, "\"FALSE\""),
    (Kind::Null, "\"NULL\""),
    (Kind::Is, "\"IS\""),
    (Kind::Integer, "<DECIMAL_LITERAL>"),
    (Kind::Decimal, "<FLOATING_POINT_LITERAL>"),
    (Kind::Text, "<STRING_LITERAL>"),
    (Kind::Name, "<ID>"),
    (Kind::Equal, "\"=\""),
    (Kind::NotEqual, "\"<>\""),
    (Kind::Greater, "\">\""),
    (Kind::GreaterOrEqual, "\">=\""),
    (Kind::Less, "\"<\""),
    (Kind::LessOrEqual, "\"<=\""),
    (Kind::Open, "\"(\""),
    (Kind::Comma, "\",\""),
    (Kind::Close, "\")\""),
    (Kind::Plus, "\"+\""),
    (Kind::Minus, "\"-\""),
];

/// The words that are no names, in whatever case.
const KEYWORDS: [(&str, Kind); 9] = [
    ("NOT", Kind::Not),
    ("AND", Kind::And),
    ("OR", Kind::Or),
    ("BETWEEN", Kind::Between),
    ("IN", Kind::In),
    ("TRUE", Kind::True),
    ("FALSE", Kind::False),
    ("NULL", Kind::Null),
    ("IS", Kind::Is),
];

impl Kind {
    /// What a word is: a keyword or a name.
    pub(super) fn of_word(word: &str) -> Self {
        let keyword = KEYWORDS.iter().find(|(text, _)| text.eq_ignore_ascii_case(word));
        keyword.map_or(Self::Name, |(_, kind)| *kind)
    }

    /// The kind in a message.
    pub(super) fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(kind, _)| *kind == self);
        named.map_or("", |(_, name)| name)
    }
}

/// A token and where it lies in the text, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A set of kinds, for what was expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u32);

impl Kinds {
    pub(super) const fn of(kinds: &[Kind]) -> Self {
        let (mut bits, mut rest) = (0, kinds);
        while let [kind, others @ ..] = rest {
            bits |= 1 << *kind as u32;
            rest = others;
        }
        Self(bits)
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// The kinds in Java's order.
    pub(super) fn iter(self) -> impl Iterator<Item = Kind> {
        NAMES.iter().map(|(kind, _)| *kind).filter(move |kind| self.has(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_kinds() {
        for (place, (kind, _)) in NAMES.iter().enumerate() {
            assert_eq!(*kind as usize, place);
        }
    }

    #[test]
    fn keywords_have_no_case_and_names_are_all_else() {
        assert_eq!(Kind::of_word("bEtWeEn"), Kind::Between);
        assert_eq!(Kind::of_word("betweens"), Kind::Name);
        assert_eq!(Kind::of_word("LIKE"), Kind::Name);
    }
}
