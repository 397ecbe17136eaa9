//! An expression as a tree of nodes in one list: each names the nodes below it by their places.

use super::number;
use super::token::Kind;
use crate::message::tags::java_hash;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The place of a node in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub(super) u32);

/// A run of places in one of a tree's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    start: u32,
    end: u32,
}

impl Run {
    pub(super) fn of<'a, T>(&self, list: &'a [T]) -> &'a [T] {
        list.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// Which parts of a chain decide: the false ones of an AND, the true ones of an OR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    And,
    Or,
}

/// A part of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean(bool),
    Integer(i32),
    Long(i64),
    Double(f64),
    /// By its place among the texts.
    Text(u32),
    /// By its place among the names.
    Property(u32),
    Negation(Id),
    Not(Id),
    /// A property where a boolean is wanted.
    Condition(Id),
    Equal(Id, Id),
    Compared(Order, Id, Id),
    /// A chain of any length, so that a long one is not deep.
    Linked(Link, Run),
    /// The name, and the texts.
    In(u32, Run),
    NotIn(u32, Run),
}

impl Node {
    /// Whether it is written out, and so known before any message comes.
    pub(super) fn is_constant(self) -> bool {
        matches!(
            self,
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Long(_) | Self::Double(_) | Self::Text(_)
        )
    }

    /// Whether it is true, false or unknown by its form (`BooleanExpression`).
    pub(super) fn is_boolean(self) -> bool {
        matches!(
            self,
            Self::Null
                | Self::Boolean(_)
                | Self::Not(_)
                | Self::Condition(_)
                | Self::Equal(..)
                | Self::Compared(..)
                | Self::Linked(..)
                | Self::In(..)
                | Self::NotIn(..)
        )
    }
}

/// The nodes of an expression, with what they name.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// How many nodes each has below it, the longest way.
    depths: Vec<u16>,
    /// The parts of the chains.
    pub(super) parts: Vec<Id>,
    pub(super) texts: Vec<Box<str>>,
    pub(super) names: Vec<Box<str>>,
}

impl Tree {
    pub(super) fn node(&self, id: Id) -> Node {
        self.nodes.get(id.0 as usize).copied().unwrap_or(Node::Null)
    }

    pub(super) fn depth(&self, id: Id) -> u16 {
        self.depths.get(id.0 as usize).copied().unwrap_or(0)
    }

    pub(super) fn push(&mut self, node: Node) -> Id {
        let deepest = match node {
            Node::Negation(below) | Node::Not(below) | Node::Condition(below) => self.depth(below),
            Node::Equal(left, right) | Node::Compared(_, left, right) => self.depth(left).max(self.depth(right)),
            Node::Linked(_, run) => run
                .of(&self.parts)
                .iter()
                .map(|part| self.depth(*part))
                .max()
                .unwrap_or(0),
            _ => 0,
        };
        self.depths.push(deepest + 1);
        self.nodes.push(node);
        Id(self.nodes.len() as u32 - 1)
    }

    pub(super) fn linked(&mut self, link: Link, parts: &[Id]) -> Id {
        let start = self.parts.len() as u32;
        self.parts.extend_from_slice(parts);
        let end = self.parts.len() as u32;
        self.push(Node::Linked(link, Run { start, end }))
    }

    pub(super) fn text(&mut self, text: &str) -> u32 {
        self.texts.push(text.into());
        self.texts.len() as u32 - 1
    }

    pub(super) fn run_of_texts(&mut self, texts: &[String]) -> Run {
        let start = self.texts.len() as u32;
        self.texts.extend(texts.iter().map(|text| text.as_str().into()));
        let end = self.texts.len() as u32;
        Run { start, end }
    }

    /// Sorts names and the texts of each list, so that both are found by halving.
    pub(super) fn finish(&mut self) {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_by(|left, right| self.name(*left).cmp(self.name(*right)));
        let mut places = vec![0; order.len()];
        for (to, from) in (0..).zip(&order) {
            if let Some(place) = places.get_mut(*from as usize) {
                *place = to;
            }
        }
        self.names.sort_unstable();
        let place = |name: u32| places.get(name as usize).copied().unwrap_or(0);
        for node in &mut self.nodes {
            match node {
                Node::Property(name) => *name = place(*name),
                Node::In(name, run) | Node::NotIn(name, run) => {
                    *name = place(*name);
                    if let Some(texts) = self.texts.get_mut(run.start as usize..run.end as usize) {
                        texts.sort_unstable();
                    }
                }
                _ => {}
            }
        }
        self.depths = Vec::new();
        self.nodes.shrink_to_fit();
        self.parts.shrink_to_fit();
        self.texts.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    pub(super) fn name(&self, name: u32) -> &str {
        self.names.get(name as usize).map_or("", |name| name)
    }

    fn text_of(&self, text: u32) -> &str {
        self.texts.get(text as usize).map_or("", |text| text)
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.texts.iter().chain(&self.names);
        let in_texts: usize = texts.map(|text| text.len() + size_of::<Box<str>>()).sum();
        in_texts + self.nodes.len() * size_of::<Node>() + self.parts.len() * size_of::<Id>()
    }

    /// A constant's value as Java's `String.format` shows it.
    pub(super) fn value(&self, id: Id) -> String {
        match self.node(id) {
            Node::Text(text) => self.text_of(text).to_owned(),
            Node::Boolean(value) => value.to_string(),
            _ => self.print(id),
        }
    }

    /// A part as Java's messages show it.
    pub(super) fn print(&self, id: Id) -> String {
        let mut out = String::new();
        self.print_into(&mut out, id);
        out
    }

    fn print_into(&self, out: &mut String, id: Id) {
        match self.node(id) {
            Node::Null => out.push_str("NULL"),
            Node::Boolean(value) => out.push_str(if value { "TRUE" } else { "FALSE" }),
            Node::Integer(value) => write!(out, "{value}").unwrap_or_default(),
            Node::Long(value) => write!(out, "{value}").unwrap_or_default(),
            Node::Double(value) => out.push_str(&number::print(value)),
            Node::Text(text) => {
                out.push('\'');
                out.push_str(&self.text_of(text).replace('\'', "''"));
                out.push('\'');
            }
            Node::Property(name) => out.push_str(self.name(name)),
            Node::Condition(below) => self.print_into(out, below),
            Node::Negation(below) => self.print_sign(out, "-", below),
            Node::Not(below) => self.print_sign(out, "NOT", below),
            Node::Equal(left, right) => self.print_pair(out, left, "==", right),
            Node::Compared(order, left, right) => {
                let symbol = match order {
                    Order::Greater => ">",
                    Order::GreaterOrEqual => ">=",
                    Order::Less => "<",
                    Order::LessOrEqual => "<=",
                };
                self.print_pair(out, left, symbol, right);
            }
            Node::Linked(link, run) => self.print_chain(out, link, run.of(&self.parts)),
            Node::In(name, run) => self.print_list(out, name, "IN", run),
            Node::NotIn(name, run) => self.print_list(out, name, "NOT IN", run),
        }
    }

    fn print_sign(&self, out: &mut String, sign: &str, below: Id) {
        write!(out, "({sign} ").unwrap_or_default();
        self.print_into(out, below);
        out.push(')');
    }

    fn print_pair(&self, out: &mut String, left: Id, symbol: &str, right: Id) {
        out.push('(');
        self.print_into(out, left);
        write!(out, " {symbol} ").unwrap_or_default();
        self.print_into(out, right);
        out.push(')');
    }

    /// In Java a chain is a pair of a pair of a pair.
    fn print_chain(&self, out: &mut String, link: Link, parts: &[Id]) {
        let symbol = match link {
            Link::And => "&&",
            Link::Or => "||",
        };
        let Some((first, others)) = parts.split_first() else {
            return;
        };
        out.extend(others.iter().map(|_| '('));
        self.print_into(out, *first);
        for part in others {
            write!(out, " {symbol} ").unwrap_or_default();
            self.print_into(out, *part);
            out.push(')');
        }
    }

    /// From five texts on Java keeps them in a hash set, and prints them in its order.
    fn print_list(&self, out: &mut String, name: u32, word: &str, run: Run) {
        let mut texts: Vec<&str> = run.of(&self.texts).iter().map(|text| &**text).collect();
        if texts.len() >= 5 {
            let wanted = (texts.len() * 4 / 3 + 1).max(16).next_power_of_two();
            let bucket = |text: &str| {
                let hash = java_hash(text).cast_unsigned();
                (hash ^ hash >> 16) as usize & (wanted - 1)
            };
            let mut seen = BTreeSet::new();
            texts.retain(|text| seen.insert(*text));
            texts.sort_by_key(|text| bucket(text));
        }
        write!(out, "{} {word} ( {} )", self.name(name), texts.join(", ")).unwrap_or_default();
    }
}

impl Order {
    /// The order that a token asks for.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Greater => Self::Greater,
            Kind::GreaterOrEqual => Self::GreaterOrEqual,
            Kind::Less => Self::Less,
            Kind::LessOrEqual => Self::LessOrEqual,
            _ => return None,
        })
    }
}
