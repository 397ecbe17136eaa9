//! Tries an expression on a message's properties: three values of truth, and Java's conversions.
//!
//! A missing property is NULL. Where a property meets a number it is read as a number of that kind, and the message is unfit
//! when it is none. A chain stops at the first part that decides, so that what stands behind it can make nothing unfit.

use super::error::Unfit;
use super::number;
use super::tree::{Id, Link, Node, Order, Tree};
use std::cmp::Ordering;

/// What a part of an expression is for one message; NULL is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Integer(i32),
    Long(i64),
    Double(f64),
    Boolean(bool),
}

type Outcome<'a> = Result<Option<Value<'a>>, Unfit>;

/// An expression and the properties of one message, each in its name's place.
pub(super) struct Evaluation<'a> {
    pub(super) tree: &'a Tree,
    pub(super) properties: &'a [Option<&'a str>],
}

impl<'a> Evaluation<'a> {
    pub(super) fn value(&self, id: Id) -> Outcome<'a> {
        Ok(match self.tree.node(id) {
            Node::Null => None,
            Node::Boolean(value) => Some(Value::Boolean(value)),
            Node::Integer(value) => Some(Value::Integer(value)),
            Node::Long(value) => Some(Value::Long(value)),
            Node::Double(value) => Some(Value::Double(value)),
            Node::Text(text) => self.tree.texts.get(text as usize).map(|text| Value::Text(text)),
            Node::Property(name) => self.property(name).map(Value::Text),
            Node::Negation(below) => negated(self.value(below)?),
            Node::Not(below) => self.truth(below)?.map(|truth| Value::Boolean(!truth)),
            // A property is a text, and no text is true.
            Node::Condition(below) => self.value(below)?.map(|_| Value::Boolean(false)),
            Node::Equal(left, right) => equal(self.value(left)?, self.value(right)?)?.map(Value::Boolean),
            Node::Compared(order, left, right) => self.compared(order, left, right)?.map(Value::Boolean),
            Node::Linked(link, run) => self.linked(link, run.of(&self.tree.parts))?.map(Value::Boolean),
            Node::In(name, run) => self.is_in(name, run.of(&self.tree.texts)).map(Value::Boolean),
            Node::NotIn(name, run) => self.is_in(name, run.of(&self.tree.texts)).map(|is| Value::Boolean(!is)),
        })
    }

    /// The truth of a part that is boolean by its form.
    pub(super) fn truth(&self, id: Id) -> Result<Option<bool>, Unfit> {
        Ok(match self.value(id)? {
            Some(Value::Boolean(truth)) => Some(truth),
            _ => None,
        })
    }

    fn property(&self, name: u32) -> Option<&'a str> {
        self.properties.get(name as usize).copied().flatten()
    }

    fn is_in(&self, name: u32, sorted: &[Box<str>]) -> Option<bool> {
        let text = self.property(name)?;
        Some(sorted.binary_search_by(|candidate| (**candidate).cmp(text)).is_ok())
    }

    fn compared(&self, order: Order, left: Id, right: Id) -> Result<Option<bool>, Unfit> {
        let Some(left) = self.value(left)? else { return Ok(None) };
        let Some(right) = self.value(right)? else {
            return Ok(None);
        };
        let found = match (left, right) {
            (Value::Text(left), Value::Text(right)) => order_of_doubles(double(left)?, double(right)?),
            _ => compare(left, right)?,
        };
        Ok(Some(match order {
            Order::Greater => found.is_gt(),
            Order::GreaterOrEqual => found.is_ge(),
            Order::Less => found.is_lt(),
            Order::LessOrEqual => found.is_le(),
        }))
    }

    fn linked(&self, link: Link, parts: &[Id]) -> Result<Option<bool>, Unfit> {
        let decides = link == Link::Or;
        let mut all_known = true;
        for part in parts {
            match self.truth(*part)? {
                Some(truth) if truth == decides => return Ok(Some(decides)),
                Some(_) => {}
                None => all_known = false,
            }
        }
        Ok(all_known.then_some(!decides))
    }
}

fn negated(value: Option<Value<'_>>) -> Option<Value<'_>> {
    match value? {
        Value::Integer(value) => Some(Value::Integer(value.wrapping_neg())),
        Value::Long(value) => Some(Value::Long(value.wrapping_neg())),
        Value::Double(value) => Some(Value::Double(-value)),
        Value::Text(_) | Value::Boolean(_) => None,
    }
}

/// NULL equals NULL; what is there differs from a NULL on the right, while against a NULL on the left it is unknown.
fn equal(left: Option<Value<'_>>, right: Option<Value<'_>>) -> Result<Option<bool>, Unfit> {
    Ok(match (left, right) {
        (None, None) => Some(true),
        (None, Some(_)) => None,
        (Some(_), None) => Some(false),
        (Some(Value::Text(left)), Some(Value::Text(right))) => Some(left == right),
        (Some(left), Some(right)) => Some(compare(left, right)?.is_eq()),
    })
}

/// Java's `compareTo`, behind the conversion of one side to the kind of the other; what has nothing in common is less.
pub(super) fn compare(left: Value<'_>, right: Value<'_>) -> Result<Ordering, Unfit> {
    use Value::{Boolean, Double, Integer, Long, Text};
    Ok(match (left, right) {
        (Text(left), Text(right)) => left.encode_utf16().cmp(right.encode_utf16()),
        (Text(left), Integer(right)) => number::integer(left).ok_or(Unfit::NotANumber)?.cmp(&right),
        (Text(left), Long(right)) => number::long(left).ok_or(Unfit::NotANumber)?.cmp(&right),
        (Text(left), Double(right)) => order_of_doubles(double(left)?, right),
        (Text(left), Boolean(right)) => left.eq_ignore_ascii_case("true").cmp(&right),
        (Integer(left), Text(right)) => left.cmp(&number::integer(right).ok_or(Unfit::NotANumber)?),
        (Long(left), Text(right)) => left.cmp(&number::long(right).ok_or(Unfit::NotANumber)?),
        (Double(left), Text(right)) => order_of_doubles(left, double(right)?),
        (Boolean(_), Text(_)) => return Err(Unfit::BooleanForText),
        (Integer(left), Integer(right)) => left.cmp(&right),
        (Integer(left), Long(right)) => i64::from(left).cmp(&right),
        (Long(left), Integer(right)) => left.cmp(&i64::from(right)),
        (Long(left), Long(right)) => left.cmp(&right),
        (Integer(left), Double(right)) => order_of_doubles(f64::from(left), right),
        (Double(left), Integer(right)) => order_of_doubles(left, f64::from(right)),
        (Long(left), Double(right)) => order_of_doubles(left as f64, right),
        (Double(left), Long(right)) => order_of_doubles(left, right as f64),
        (Double(left), Double(right)) => order_of_doubles(left, right),
        (Boolean(left), Boolean(right)) => left.cmp(&right),
        (Boolean(_), Integer(_) | Long(_) | Double(_)) | (Integer(_) | Long(_) | Double(_), Boolean(_)) => {
            Ordering::Less
        }
    })
}

fn double(text: &str) -> Result<f64, Unfit> {
    number::double(text).ok_or(Unfit::NotANumber)
}

/// Java's `Double.compare`: NaN is above everything and equals itself, and −0 is below 0.
fn order_of_doubles(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (false, false) => left.total_cmp(&right),
        (left, right) => left.cmp(&right),
    }
}
