//! The set of tags that a subscription wants, as the hashes that a consume queue entry holds.

use cuemq_net::message::tags::java_hash;
use smallvec::SmallVec;

/// Which tags are wanted. A consume queue entry holds a tag's hash alone, so a match here is a maybe: the client compares
/// the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagFilter {
    /// All messages, also those without a tag.
    All,
    /// The messages whose tag has one of these Java hashes. Sorted.
    Codes(SmallVec<[i32; 4]>),
}

/// An expression of nothing but separators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tag expression has separators but no tag: name a tag, or * for all")]
pub struct NoTags;

impl TagFilter {
    /// Reads an expression: `*`, nothing at all, or tags parted by `||`. Blank tags are ignored, as Java's `FilterAPI`
    /// does, so that an expression of blanks wants nothing.
    ///
    /// # Errors
    /// When there is nothing but separators.
    pub fn parse(expression: &str) -> Result<Self, NoTags> {
        if expression.is_empty() || expression == "*" {
            return Ok(Self::All);
        }
        if expression.split("||").all(str::is_empty) {
            return Err(NoTags);
        }
        let tags = expression.split("||").map(str::trim).filter(|tag| !tag.is_empty());
        Ok(Self::from_codes(tags.map(java_hash)))
    }

    /// Wants the tags with these hashes.
    pub fn from_codes(codes: impl IntoIterator<Item = i32>) -> Self {
        let mut codes: SmallVec<[i32; 4]> = codes.into_iter().collect();
        codes.sort_unstable();
        codes.dedup();
        Self::Codes(codes)
    }

    /// Whether a message may be wanted whose consume queue entry holds this tags code (the hash in its low 32 bits).
    #[inline]
    #[must_use]
    pub fn matches(&self, tags_code: i64) -> bool {
        match self {
            Self::All => true,
            Self::Codes(codes) => codes.binary_search(&(tags_code as i32)).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_and_nothing_want_all() {
        assert_eq!(TagFilter::parse("*"), Ok(TagFilter::All));
        assert_eq!(TagFilter::parse(""), Ok(TagFilter::All));
        assert!(TagFilter::All.matches(0));
    }

    #[test]
    fn tags_are_trimmed_and_blank_ones_ignored() {
        let filter = TagFilter::parse(" TagA ||TagB|| ||TagA||").unwrap();
        assert_eq!(filter, TagFilter::from_codes([java_hash("TagB"), java_hash("TagA")]));
        assert!(filter.matches(2_598_919));
        assert!(!filter.matches(java_hash("TagC").into()));
        assert!(!filter.matches(0));
    }

    #[test]
    fn a_negative_hash_matches_its_sign_extended_code() {
        let negative = java_hash("GoldenRocketTag");
        let tag = if negative < 0 { negative } else { i32::MIN };
        assert!(TagFilter::from_codes([tag]).matches(i64::from(tag)));
    }

    #[test]
    fn blanks_want_nothing_and_separators_alone_are_refused() {
        assert!(!TagFilter::parse("  || ").unwrap().matches(0));
        assert_eq!(TagFilter::parse("||"), Err(NoTags));
        assert_eq!(TagFilter::parse("||||"), Err(NoTags));
    }
}
