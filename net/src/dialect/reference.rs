//! Replaces `{"$ref":"$.a[0]"}`, which fastjson prints for an object that it has printed before, by that object.
//!
//! A path starts at `$`, the whole text, and goes on by `.name` (a backslash before each special character), `["name"]`
//! or `[0]`, an element or a member with that integer key. References that name nothing, or that count from where they
//! stand (`@`, `..`), are left as they are. A reference that holds itself is refused by its depth. What the others cost is
//! charged: as a value, each one that is added and each step of a path; and each byte that is copied or compared. So a short
//! text can neither grow nor keep the processor busy for long.

use super::{DialectError, Key, MAX_BYTES, MAX_DEPTH, Object, Value};

/// The one member of an object that stands for another.
pub(super) const MEMBER: &str = "$ref";

/// Copies the value with every reference replaced; `values` is the number of values that the copy may add, beside
/// [`MAX_BYTES`] of text.
///
/// # Errors
/// If the copy would pass one of the limits.
pub(super) fn resolve(root: &Value, values: usize) -> Result<Value, DialectError> {
    let bytes = MAX_BYTES;
    let mut resolver = Resolver {
        root,
        values,
        bytes,
        is_in_key: false,
    };
    resolver.copy(root, 0, false)
}

struct Resolver<'a> {
    root: &'a Value,
    /// How many values may still be added, and steps be taken.
    values: usize,
    /// How many bytes of text may still be copied for them, or read to find them.
    bytes: usize,
    is_in_key: bool,
}

impl<'a> Resolver<'a> {
    /// Copies one value at that depth; below a reference each value is an added one.
    fn copy(&mut self, value: &'a Value, depth: usize, added: bool) -> Result<Value, DialectError> {
        if depth > MAX_DEPTH {
            return Err(DialectError::TooDeep);
        }
        if added {
            self.charge_value()?;
        }
        match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| self.copy(item, depth + 1, added));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Object(object) => match self.target(object)? {
                Some(target) => self.copy(target, depth + 1, true),
                None => self.members(object, depth + 1, added).map(Value::Object),
            },
            Value::String(text) if added => {
                self.charge_bytes(text.len())?;
                Ok(value.clone())
            }
            plain => Ok(plain.clone()),
        }
    }

    fn members(&mut self, object: &'a Object, depth: usize, added: bool) -> Result<Object, DialectError> {
        let mut members = Vec::new();
        for (key, value) in &object.0 {
            if added {
                self.charge_value()?;
            }
            let key = match key {
                Key::Object(inner) => Key::Object(self.object_key(inner, depth, added)?),
                Key::Text(text) if added => {
                    self.charge_bytes(text.len())?;
                    key.clone()
                }
                plain => plain.clone(),
            };
            members.push((key, self.copy(value, depth, added)?));
        }
        Ok(Object(members))
    }

    /// What a reference adds obeys the parser's rule: inside an object that is a key no key is an object.
    fn object_key(&mut self, object: &'a Object, depth: usize, added: bool) -> Result<Object, DialectError> {
        if std::mem::replace(&mut self.is_in_key, true) {
            return Err(DialectError::TooDeep);
        }
        let copied = self.members(object, depth + 1, added)?;
        self.is_in_key = false;
        Ok(copied)
    }

    fn charge_value(&mut self) -> Result<(), DialectError> {
        self.values = self.values.checked_sub(1).ok_or(DialectError::TooManyValues)?;
        Ok(())
    }

    fn charge_bytes(&mut self, bytes: usize) -> Result<(), DialectError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(DialectError::TooMuchReferred)?;
        Ok(())
    }

    /// Finds what an object stands for, if it is a reference and names something.
    fn target(&mut self, object: &'a Object) -> Result<Option<&'a Value>, DialectError> {
        match object.0.as_slice() {
            [(Key::Text(name), Value::String(path))] if name == MEMBER => self.follow(path, 0),
            _ => Ok(None),
        }
    }

    /// Finds what a path names; where the path leads through another reference, that one is followed first.
    fn follow(&mut self, path: &str, depth: usize) -> Result<Option<&'a Value>, DialectError> {
        if depth > MAX_DEPTH {
            return Err(DialectError::TooDeep);
        }
        let Some(mut rest) = path.strip_prefix('$') else {
            return Ok(None);
        };
        self.charge_bytes(path.len())?;
        let mut value = self.root;
        while !rest.is_empty() {
            self.charge_value()?;
            let Some(step) = take_step(&mut rest) else {
                return Ok(None);
            };
            value = self.behind_references(value, depth)?;
            let Some(found) = self.apply(&step, value)? else {
                return Ok(None);
            };
            value = found;
        }
        Ok(Some(value))
    }

    /// Finds the member or the element that a step leads to.
    fn apply(&mut self, step: &Key, value: &'a Value) -> Result<Option<&'a Value>, DialectError> {
        match (step, value) {
            (Key::Number(number), Value::Array(items)) => {
                Ok(usize::try_from(*number).ok().and_then(|index| items.get(index)))
            }
            (_, Value::Object(object)) => self.member(step, object),
            _ => Ok(None),
        }
    }

    fn member(&mut self, wanted: &Key, object: &'a Object) -> Result<Option<&'a Value>, DialectError> {
        for (key, value) in object.0.iter().rev() {
            self.charge_bytes(cost_of_comparing(key, wanted))?;
            if key == wanted {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn behind_references(&mut self, value: &'a Value, depth: usize) -> Result<&'a Value, DialectError> {
        let Value::Object(object) = value else { return Ok(value) };
        let [(Key::Text(name), Value::String(path))] = object.0.as_slice() else {
            return Ok(value);
        };
        if name != MEMBER {
            return Ok(value);
        }
        match self.follow(path, depth + 1)? {
            Some(target) => self.behind_references(target, depth + 1),
            None => Ok(value),
        }
    }
}

/// Texts of one length are compared by their bytes, all else at a glance.
fn cost_of_comparing(one: &Key, other: &Key) -> usize {
    match (one, other) {
        (Key::Text(one), Key::Text(other)) if one.len() == other.len() => 1 + one.len(),
        _ => 1,
    }
}

/// Takes the first step off a path: the key of a member, or the number of an element.
fn take_step(rest: &mut &str) -> Option<Key> {
    if let Some(behind) = rest.strip_prefix('[') {
        let (inside, behind) = behind.split_once(']')?;
        *rest = behind;
        let quoted = inside
            .strip_prefix(['"', '\''])
            .and_then(|name| name.strip_suffix(['"', '\'']));
        return match quoted {
            Some(name) => Some(Key::Text(name.to_owned())),
            None => inside.parse().ok().map(Key::Number),
        };
    }
    let behind = rest.strip_prefix('.')?;
    let mut name = String::new();
    let mut characters = behind.char_indices();
    let end = loop {
        match characters.next() {
            None => break behind.len(),
            Some((at, '.' | '[')) => break at,
            Some((_, '\\')) => name.push(characters.next()?.1),
            Some((_, plain)) => name.push(plain),
        }
    };
    *rest = behind.get(end..)?;
    Some(Key::Text(name))
}

#[cfg(test)]
mod tests {
    use super::super::{DialectError, MAX_DEPTH, Style, parse, write};

    fn rewritten(text: &str) -> String {
        let mut out = Vec::new();
        write(&parse(text.as_bytes()).unwrap(), &mut out, Style::Fastjson);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn references_become_what_they_name() {
        assert_eq!(
            rewritten(r#"{"a":[{"q":1}],"b":{"$ref":"$.a[0]"}}"#),
            r#"{"a":[{"q":1}],"b":{"q":1}}"#
        );
        assert_eq!(
            rewritten(r#"{"x y":[1],"b":{"$ref":"$[\"x y\"][0]"}}"#),
            r#"{"x y":[1],"b":1}"#
        );
        assert_eq!(
            rewritten(r#"{"%R%g":{0:5},"b":{"$ref":"$.\\%R\\%g[0]"}}"#),
            r#"{"%R%g":{0:5},"b":5}"#
        );
        assert_eq!(
            rewritten(r#"{"a":{"$ref":"$.b"},"b":{"c":1},"d":{"$ref":"$.a.c"}}"#),
            r#"{"a":{"c":1},"b":{"c":1},"d":1}"#
        );
        assert_eq!(rewritten(r#"[{"$ref":"$[1]"},{"$ref":"$[2]"},7]"#), "[7,7,7]");
    }

    #[test]
    fn a_reference_to_nothing_stays() {
        for text in [
            r#"{"a":{"$ref":"$.b"}}"#,
            r#"{"a":{"$ref":".."}}"#,
            r#"{"a":{"$ref":"@"}}"#,
            r#"[{"$ref":5}]"#,
        ] {
            assert_eq!(rewritten(text), text);
        }
    }

    #[test]
    fn a_reference_to_itself_is_refused() {
        assert_eq!(parse(br#"{"a":{"$ref":"$"}}"#), Err(DialectError::TooDeep));
        assert_eq!(parse(br#"{"a":{"$ref":"$.a"}}"#), Err(DialectError::TooDeep));
    }

    #[test]
    fn a_reference_inside_an_object_key_cannot_bring_another_one_in() {
        let text = |referred: &str| format!(r#"{{"a":{referred},"b":{{{{"c":{{"$ref":"$.a"}}}}:0}}}}"#);
        assert_eq!(rewritten(&text("[1]")), r#"{"a":[1],"b":{{"c":[1]}:0}}"#);
        assert_eq!(parse(text(r#"[{{"d":1}:0}]"#).as_bytes()), Err(DialectError::TooDeep));
    }

    #[test]
    fn what_references_nest_inside_object_keys_is_bounded_by_the_same_depth() {
        let nested = |depth: usize| {
            let inner = "[".repeat(depth) + &"]".repeat(depth);
            format!(r#"{{"a":{inner},"b":[{{{{"c":{{"$ref":"$.a"}}}}:0}}]}}"#)
        };
        let deepest = (1..MAX_DEPTH).rfind(|&depth| parse(nested(depth).as_bytes()).is_ok());
        let text = rewritten(&nested(deepest.unwrap()));
        assert_eq!(rewritten(&text), text, "what parses prints to what parses");
    }

    #[test]
    fn references_cannot_multiply_a_text() {
        let mut text = String::from("{\"a0\":[0,0,0,0,0,0,0,0]");
        for level in 1..40 {
            let reference = format!("{{\"$ref\":\"$.a{}\"}}", level - 1);
            text += &format!(",\"a{level}\":[{reference},{reference},{reference},{reference}]");
        }
        text.push('}');
        assert_eq!(parse(text.as_bytes()), Err(DialectError::TooManyValues));
    }

    #[test]
    fn references_cannot_multiply_a_long_string_or_key() {
        let long = "x".repeat(1 << 20);
        let references = vec![r#"{"$ref":"$.a"}"#; 100].join(",");
        for referred in [format!("\"{long}\""), format!("[{{\"{long}\":0}}]")] {
            let text = format!(r#"{{"a":{referred},"b":[{references}]}}"#);
            assert_eq!(parse(text.as_bytes()), Err(DialectError::TooMuchReferred));
        }
    }

    #[test]
    fn references_through_a_long_path_are_charged_for_its_length() {
        let long = "x".repeat(1 << 20);
        let references = vec![r#"{"$ref":"$.a.b"}"#; 100].join(",");
        let text = format!(r#"{{"a":{{"$ref":"$.{long}"}},"c":[{references}]}}"#);
        assert_eq!(parse(text.as_bytes()), Err(DialectError::TooMuchReferred));
    }

    #[test]
    fn references_are_charged_for_the_members_that_are_searched() {
        let members: Vec<String> = (0..20_000).map(|name| format!("\"k{name}\":0")).collect();
        let references = vec![r#"{"$ref":"$.a.none"}"#; 20_000].join(",");
        let text = format!(r#"{{"a":{{{}}},"b":[{references}]}}"#, members.join(","));
        assert_eq!(parse(text.as_bytes()), Err(DialectError::TooMuchReferred));
    }
}
