//! Changing a properties string where it lies: all other properties keep their bytes and their order, those that
//! readers skip included.

use super::{NAME_END, VALUE_END, cut};

/// Why a property cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// A property without name or value would vanish for every reader.
    #[error("property has an empty name or value")]
    Empty,
    /// A separator inside would turn one property into others.
    #[error("property has a separator (0x01 or 0x02) inside")]
    Separator,
}

/// Appends a property to a properties string, which may end with or without its last 0x02.
///
/// # Errors
/// When name or value is empty or holds a separator; `out` is then unchanged.
pub fn push(out: &mut Vec<u8>, name: &str, value: &str) -> Result<(), PropertyError> {
    check(name, value)?;
    if out.last().is_some_and(|last| *last != VALUE_END) {
        out.push(VALUE_END);
    }
    append(out, name, value);
    Ok(())
}

/// Returns the properties string with the property set: in place of its first occurrence, or at the end.
///
/// # Errors
/// When name or value is empty or holds a separator.
pub fn with(bytes: &[u8], name: &str, value: &str) -> Result<Vec<u8>, PropertyError> {
    check(name, value)?;
    let mut out = Vec::with_capacity(bytes.len() + name.len() + value.len() + 3);
    let mut is_set = false;
    for piece in Pieces(bytes) {
        if piece.name() != Some(name.as_bytes()) {
            out.extend_from_slice(piece.0);
        } else if !is_set {
            append(&mut out, name, value);
            is_set = true;
        }
    }
    if is_set {
        Ok(out)
    } else {
        push(&mut out, name, value).map(|()| out)
    }
}

/// Returns the properties string without any property of that name.
pub fn without(bytes: &[u8], name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for piece in Pieces(bytes).filter(|piece| piece.name() != Some(name.as_bytes())) {
        out.extend_from_slice(piece.0);
    }
    out
}

fn check(name: &str, value: &str) -> Result<(), PropertyError> {
    if name.is_empty() || value.is_empty() {
        return Err(PropertyError::Empty);
    }
    let is_separator = |byte: &u8| matches!(*byte, NAME_END | VALUE_END);
    if name.as_bytes().iter().any(is_separator) || value.as_bytes().iter().any(is_separator) {
        return Err(PropertyError::Separator);
    }
    Ok(())
}

fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    out.reserve(name.len() + value.len() + 2);
    out.extend_from_slice(name.as_bytes());
    out.push(NAME_END);
    out.extend_from_slice(value.as_bytes());
    out.push(VALUE_END);
}

/// One property's bytes with the 0x02 behind it, if there is one.
struct Piece<'a>(&'a [u8]);

impl<'a> Piece<'a> {
    /// Also names what readers skip: a broken property must not outlive its own replacement.
    fn name(&self) -> Option<&'a [u8]> {
        let (name, value) = cut(self.0, NAME_END);
        value.map(|_| name)
    }
}

struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let length = memchr::memchr(VALUE_END, self.0).map_or(self.0.len(), |at| at + 1);
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(Piece(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushing_ends_what_stands_before() {
        for start in ["a\x01b", "a\x01b\x02"] {
            let mut out = start.as_bytes().to_vec();
            push(&mut out, "c", "d").unwrap();
            assert_eq!(out, b"a\x01b\x02c\x01d\x02");
        }
        let mut out = Vec::new();
        push(&mut out, "c", "d").unwrap();
        assert_eq!(out, b"c\x01d\x02");
    }

    #[test]
    fn setting_replaces_in_place_and_drops_repetitions() {
        assert_eq!(
            with(b"a\x011\x02b\x012\x02a\x013", "a", "9").unwrap(),
            b"a\x019\x02b\x012\x02"
        );
        assert_eq!(with(b"b\x012", "a", "9").unwrap(), b"b\x012\x02a\x019\x02");
        assert_eq!(with(b"b\x012\x02a\x01", "a", "9").unwrap(), b"b\x012\x02a\x019\x02");
        assert_eq!(with(b"", "a", "9").unwrap(), b"a\x019\x02");
    }

    #[test]
    fn removing_leaves_every_other_byte() {
        assert_eq!(
            without(b"a\x011\x02junk\x02b\x01\x02a\x01x\x01y\x02c\x013", "a"),
            b"junk\x02b\x01\x02c\x013"
        );
        assert_eq!(without(b"c\x013", "a"), b"c\x013");
    }

    #[test]
    fn a_property_that_would_break_the_string_is_refused() {
        let mut out = b"a\x01b".to_vec();
        for (name, value, error) in [
            ("", "v", PropertyError::Empty),
            ("n", "", PropertyError::Empty),
            ("n", "v\x02evil\x01x", PropertyError::Separator),
            ("n\x01", "v", PropertyError::Separator),
        ] {
            assert_eq!(push(&mut out, name, value), Err(error));
            assert_eq!(with(&out, name, value), Err(error));
        }
        assert_eq!(out, b"a\x01b");
    }
}
