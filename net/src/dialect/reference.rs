//! Replaces `{"$ref":"$.a[0]"}`, which fastjson prints for an object that it has printed before, by that object.
//!
//! A path starts at `$`, the whole text, and goes on by `.name` (a backslash before each special character), `["name"]`
//! or `[0]`, an element or a member with that integer key. References that name nothing, or that count from where they
//! stand (`@`, `..`), are left as they are. Each replacement counts against the limits of depth and of values, so that
//! a reference that holds itself, or references to references to references, are refused instead of growing.

use super::{DialectError, Key, MAX_DEPTH, Object, Value};

/// The one member of an object that stands for another.
pub(super) const MEMBER: &str = "$ref";

/// Copies the value with every reference replaced; `budget` is the number of values that the copy may add.
///
/// # Errors
/// If the copy would pass one of the limits.
pub(super) fn resolve(root: &Value, budget: usize) -> Result<Value, DialectError> {
    Resolver { root, budget }.copy(root, 0, false)
}

struct Resolver<'a> {
    root: &'a Value,
    budget: usize,
}

impl<'a> Resolver<'a> {
    /// Copies one value at that depth; below a reference each value is an added one.
    fn copy(&mut self, value: &'a Value, depth: usize, added: bool) -> Result<Value, DialectError> {
        if depth > MAX_DEPTH {
            return Err(DialectError::TooDeep);
        }
        if added {
            self.charge()?;
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
            plain => Ok(plain.clone()),
        }
    }

    fn members(&mut self, object: &'a Object, depth: usize, added: bool) -> Result<Object, DialectError> {
        let mut members = Vec::new();
        for (key, value) in &object.0 {
            if added {
                self.charge()?;
            }
            let key = match key {
                Key::Object(inner) => Key::Object(self.members(inner, depth, added)?),
                plain => plain.clone(),
            };
            members.push((key, self.copy(value, depth, added)?));
        }
        Ok(Object(members))
    }

    fn charge(&mut self) -> Result<(), DialectError> {
        self.budget = self.budget.checked_sub(1).ok_or(DialectError::TooManyValues)?;
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
        let mut value = self.root;
        while !rest.is_empty() {
            self.charge()?;
            let Some(step) = Step::take(&mut rest) else {
                return Ok(None);
            };
            value = self.behind_references(value, depth)?;
            let Some(found) = step.apply(value) else {
                return Ok(None);
            };
            value = found;
        }
        Ok(Some(value))
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

enum Step {
    Name(String),
    Number(i64),
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Step::Name(name), Value::Object(object)) => object.get(name),
            (Step::Number(number), Value::Object(object)) => object.find(|key| *key == Key::Number(*number)),
            (Step::Number(number), Value::Array(items)) => items.get(usize::try_from(*number).ok()?),
            _ => None,
        }
    }

    /// Takes the first step off a path.
    fn take(rest: &mut &str) -> Option<Step> {
        if let Some(behind) = rest.strip_prefix('[') {
            let (inside, behind) = behind.split_once(']')?;
            *rest = behind;
            let quoted = inside
                .strip_prefix(['"', '\''])
                .and_then(|name| name.strip_suffix(['"', '\'']));
            return match quoted {
                Some(name) => Some(Step::Name(name.to_owned())),
                None => inside.parse().ok().map(Step::Number),
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
        Some(Step::Name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DialectError, Style, parse, write};

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
    fn references_cannot_multiply_a_text() {
        let mut text = String::from("{\"a0\":[0,0,0,0,0,0,0,0]");
        for level in 1..40 {
            let reference = format!("{{\"$ref\":\"$.a{}\"}}", level - 1);
            text += &format!(",\"a{level}\":[{reference},{reference},{reference},{reference}]");
        }
        text.push('}');
        assert_eq!(parse(text.as_bytes()), Err(DialectError::TooManyValues));
    }
}
