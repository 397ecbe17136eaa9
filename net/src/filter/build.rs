//! Puts an expression together from its parts, and refuses what belongs to no operator, in the order and the words of
//! Java's factory methods (`ComparisonExpression.createEqual` and its kin).

use super::error::{FilterError, Unfit};
use super::evaluate::{Value, compare};
use super::number;
use super::tree::{Id, Link, Node, Order, Tree};
use std::collections::BTreeMap;

/// An expression that is being put together.
#[derive(Debug, Default)]
pub(super) struct Builder<'a> {
    tree: Tree,
    names: BTreeMap<&'a str, u32>,
}

type Built = Result<Id, FilterError>;

fn operand<T>(message: String) -> Result<T, FilterError> {
    Err(FilterError::Operand(message))
}

impl<'a> Builder<'a> {
    /// The whole expression.
    pub(super) fn finish(mut self) -> Tree {
        self.tree.finish();
        self.tree
    }

    pub(super) fn constant(&mut self, node: Node) -> Built {
        self.push(node)
    }

    pub(super) fn integer(&mut self, text: &str) -> Built {
        let digits = text.strip_suffix(['l', 'L']).unwrap_or(text);
        let Some(long) = number::long(digits) else {
            return Err(FilterError::Integer(digits.to_owned()));
        };
        self.push(i32::try_from(long).map_or(Node::Long(long), Node::Integer))
    }

    pub(super) fn decimal(&mut self, text: &str) -> Built {
        let value = number::double(text).unwrap_or(0.0);
        if value > f64::MAX {
            return operand(format!("{text} is greater than {}", number::print(f64::MAX)));
        }
        if value == 0.0 {
            return operand(format!("{text} is less than 4.9E-324"));
        }
        self.push(Node::Double(value))
    }

    pub(super) fn text(&mut self, text: &str) -> Built {
        let text = self.tree.text(text);
        self.push(Node::Text(text))
    }

    pub(super) fn property(&mut self, name: &'a str) -> Built {
        let next = self.tree.names.len() as u32;
        let place = *self.names.entry(name).or_insert(next);
        if place == next {
            self.tree.names.push(name.into());
        }
        self.push(Node::Property(place))
    }

    pub(super) fn negation(&mut self, below: Id) -> Built {
        self.push(Node::Negation(below))
    }

    pub(super) fn not(&mut self, below: Id) -> Built {
        let below = self.boolean(below)?;
        self.push(Node::Not(below))
    }

    /// A part that is true, false or unknown.
    pub(super) fn boolean(&mut self, id: Id) -> Built {
        match self.tree.node(id) {
            node if node.is_boolean() => Ok(id),
            Node::Property(_) => self.push(Node::Condition(id)),
            _ => Err(FilterError::Syntax(format!(
                "Expression will not result in a boolean value: {}",
                self.tree.print(id)
            ))),
        }
    }

    pub(super) fn linked(&mut self, link: Link, parts: &[Id]) -> Built {
        let id = self.tree.linked(link, parts);
        self.checked(id)
    }

    pub(super) fn equal(&mut self, left: Id, right: Id) -> Built {
        for side in [left, right] {
            if self.tree.node(side) == Node::Null {
                return operand("'NULL' cannot be compared.".to_owned());
            }
        }
        let (on_left, on_right) = (self.tree.node(left), self.tree.node(right));
        let is_other = on_left.is_constant() && on_right.is_constant();
        if is_other && on_left.is_boolean() && !on_right.is_boolean() {
            let (left, right) = (self.tree.print(left), self.tree.print(right));
            return operand(format!("'{left}' cannot be compared with '{right}'"));
        }
        self.push(Node::Equal(left, right))
    }

    pub(super) fn not_equal(&mut self, left: Id, right: Id) -> Built {
        let equal = self.equal(left, right)?;
        self.push(Node::Not(equal))
    }

    pub(super) fn is_null(&mut self, left: Id) -> Built {
        let null = self.push(Node::Null)?;
        self.push(Node::Equal(left, null))
    }

    pub(super) fn is_not_null(&mut self, left: Id) -> Built {
        let is_null = self.is_null(left)?;
        self.push(Node::Not(is_null))
    }

    pub(super) fn compared(&mut self, order: Order, left: Id, right: Id) -> Built {
        for side in [left, right] {
            let node = self.tree.node(side);
            let is_number = matches!(node, Node::Integer(_) | Node::Long(_) | Node::Double(_));
            if !is_number && (node.is_constant() || node.is_boolean()) {
                return operand(format!("Value '{}' cannot be compared.", self.tree.print(side)));
            }
        }
        self.push(Node::Compared(order, left, right))
    }

    pub(super) fn between(&mut self, value: Id, low: Id, high: Id) -> Built {
        self.check_bounds(low, high)?;
        let parts = [
            self.compared(Order::GreaterOrEqual, value, low)?,
            self.compared(Order::LessOrEqual, value, high)?,
        ];
        self.linked(Link::And, &parts)
    }

    pub(super) fn not_between(&mut self, value: Id, low: Id, high: Id) -> Built {
        let parts = [
            self.compared(Order::Less, value, low)?,
            self.compared(Order::Greater, value, high)?,
        ];
        self.linked(Link::Or, &parts)
    }

    /// Bounds that are written out are compared at once.
    fn check_bounds(&self, low: Id, high: Id) -> Result<(), FilterError> {
        let (low_node, high_node) = (self.tree.node(low), self.tree.node(high));
        if !low_node.is_constant() || !high_node.is_constant() {
            return Ok(());
        }
        let (Some(low_value), Some(high_value)) = (self.value(low_node), self.value(high_node)) else {
            return operand("Illegal values of between, values can not be null!".to_owned());
        };
        match compare(high_value, low_value) {
            Ok(order) if order.is_ge() => Ok(()),
            Ok(_) => operand(format!(
                "Illegal values of between, left value({}) must less than or equal to right value({})",
                self.tree.value(low),
                self.tree.value(high)
            )),
            Err(Unfit::BooleanForText) => Err(FilterError::BooleanForText),
            Err(Unfit::NotANumber) => {
                let text = [low, high]
                    .into_iter()
                    .find(|id| matches!(self.tree.node(*id), Node::Text(_)));
                operand(not_a_number(
                    &text.map(|text| self.tree.value(text)).unwrap_or_default(),
                    matches!(low_node, Node::Double(_)) || matches!(high_node, Node::Double(_)),
                ))
            }
        }
    }

    fn value(&self, node: Node) -> Option<Value<'_>> {
        match node {
            Node::Boolean(value) => Some(Value::Boolean(value)),
            Node::Integer(value) => Some(Value::Integer(value)),
            Node::Long(value) => Some(Value::Long(value)),
            Node::Double(value) => Some(Value::Double(value)),
            Node::Text(text) => self.tree.texts.get(text as usize).map(|text| Value::Text(text)),
            _ => None,
        }
    }

    pub(super) fn in_texts(&mut self, left: Id, texts: &[String], is_not: bool) -> Built {
        let Node::Property(name) = self.tree.node(left) else {
            return operand(format!(
                "Expected a property for In expression, got: {}",
                self.tree.print(left)
            ));
        };
        let run = self.tree.run_of_texts(texts);
        self.push(if is_not {
            Node::NotIn(name, run)
        } else {
            Node::In(name, run)
        })
    }

    fn push(&mut self, node: Node) -> Built {
        let id = self.tree.push(node);
        self.checked(id)
    }

    fn checked(&self, id: Id) -> Built {
        if self.tree.depth(id) > super::DEPTH_MAX {
            Err(FilterError::TooDeep)
        } else {
            Ok(id)
        }
    }
}

/// What Java's number parsers say of a text, as the cause of another exception.
fn not_a_number(text: &str, is_double: bool) -> String {
    let trimmed = text.trim_matches(|character| character <= ' ');
    match (is_double, trimmed.is_empty()) {
        (true, true) => "java.lang.NumberFormatException: empty String".to_owned(),
        (true, false) => format!("java.lang.NumberFormatException: For input string: \"{trimmed}\""),
        (false, _) => format!("java.lang.NumberFormatException: For input string: \"{text}\""),
    }
}
