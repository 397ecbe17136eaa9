//! The grammar, by recursive descent.
//!
//! ```text
//! or         := and (OR and)*
//! and        := equality (AND equality)*
//! equality   := comparison (= comparison | <> comparison | IS NULL | IS NOT NULL)*
//! comparison := unary (> unary | >= unary | < unary | <= unary | [NOT] BETWEEN unary AND unary | [NOT] IN (text, …))*
//! unary      := + unary | - unary | NOT unary | literal | name | ( or )
//! ```
//!
//! So NOT binds tighter than a comparison, and `NOT a = 1` is `(NOT a) = 1`. What stands behind a whole expression is not
//! read: `a = 1 b` is `a = 1`. Both are Java's.
//!
//! A message lists what was expected as Java's does: what each rule that was tried since the last token could have gone on
//! with. A plus sign is looked behind before it is taken, and is itself the error when what follows makes no operand.

use super::build::Builder;
use super::error::FilterError;
use super::lexer::Lexer;
use super::place::{Place, escaped};
use super::token::{Kind, Kinds, Token};
use super::tree::{Id, Link, Node, Order, Tree};
use std::fmt::Write;

const ORDERS: Kinds = Kinds::of(&[Kind::Greater, Kind::GreaterOrEqual, Kind::Less, Kind::LessOrEqual]);
/// How a comparison goes on, behind what NOT belongs to and in front of it.
const BEHIND_NOT: Kinds = ORDERS.and(Kinds::of(&[Kind::Between, Kind::In]));
const COMPARISONS: Kinds = BEHIND_NOT.and(Kinds::of(&[Kind::Not]));
const EQUALITIES: Kinds = Kinds::of(&[Kind::Is, Kind::Equal, Kind::NotEqual]);
/// How a unary expression begins; Java's messages leave the plus sign out.
const OPERANDS: Kinds = Kinds::of(&[
    Kind::Not,
    Kind::True,
    Kind::False,
    Kind::Null,
    Kind::Integer,
    Kind::Decimal,
    Kind::Text,
    Kind::Name,
    Kind::Open,
    Kind::Minus,
]);

type Parsed = Result<Id, FilterError>;

/// Reads an expression; answers it with the place of the node that stands for all of it.
pub(super) fn parse(text: &str) -> Result<(Tree, Id), FilterError> {
    let mut parser = Parser {
        text,
        tokens: Tokens {
            lexer: Lexer::new(text),
            ahead: [None; 2],
        },
        expected: Kinds::default(),
        depth: 0,
        only_looks: false,
        looked_upto: 0,
        builder: Builder::default(),
    };
    let whole = parser.or()?;
    let whole = parser.builder.boolean(whole)?;
    Ok((parser.builder.finish(), whole))
}

/// The tokens, of which two can be seen before they are taken.
#[derive(Clone, Debug)]
struct Tokens<'a> {
    lexer: Lexer<'a>,
    ahead: [Option<Token>; 2],
}

impl Tokens<'_> {
    fn first(&mut self) -> Result<Token, FilterError> {
        let [first, _] = &mut self.ahead;
        match first {
            Some(token) => Ok(*token),
            None => Ok(*first.insert(self.lexer.next()?)),
        }
    }

    fn second(&mut self) -> Result<Token, FilterError> {
        self.first()?;
        let [_, second] = &mut self.ahead;
        match second {
            Some(token) => Ok(*token),
            None => Ok(*second.insert(self.lexer.next()?)),
        }
    }

    fn pass(&mut self) {
        let [_, second] = self.ahead;
        self.ahead = [second, None];
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Tokens<'a>,
    /// What could have come in place of the next token.
    expected: Kinds,
    depth: u16,
    /// Whether tokens are looked at behind a plus sign, and nothing is built.
    only_looks: bool,
    /// Up to where that was done already.
    looked_upto: usize,
    builder: Builder<'a>,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Parsed {
        self.chain(Kind::Or, Link::Or, Self::and)
    }

    fn and(&mut self) -> Parsed {
        self.chain(Kind::And, Link::And, Self::equality)
    }

    fn chain(&mut self, kind: Kind, link: Link, part: fn(&mut Self) -> Parsed) -> Parsed {
        let first = part(self)?;
        let mut parts = Vec::new();
        while self.sees(kind)? {
            self.pass();
            let next = part(self)?;
            if parts.is_empty() {
                parts.push(self.build(|builder| builder.boolean(first))?);
            }
            parts.push(self.build(|builder| builder.boolean(next))?);
        }
        self.expect(Kinds::of(&[kind]));
        if parts.is_empty() {
            return Ok(first);
        }
        self.build(|builder| builder.linked(link, &parts))
    }

    fn equality(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        loop {
            left = match self.tokens.first()?.kind {
                Kind::Equal => {
                    self.pass();
                    let right = self.comparison()?;
                    self.build(|builder| builder.equal(left, right))?
                }
                Kind::NotEqual => {
                    self.pass();
                    let right = self.comparison()?;
                    self.build(|builder| builder.not_equal(left, right))?
                }
                Kind::Is => self.null_test(left)?,
                _ => {
                    self.expect(EQUALITIES);
                    return Ok(left);
                }
            };
        }
    }

    fn null_test(&mut self, left: Id) -> Parsed {
        let is_null = self.tokens.second()?.kind == Kind::Null;
        self.pass();
        if !is_null {
            self.take(Kind::Not)?;
        }
        self.take(Kind::Null)?;
        self.build(|builder| {
            if is_null {
                builder.is_null(left)
            } else {
                builder.is_not_null(left)
            }
        })
    }

    fn comparison(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let kind = self.tokens.first()?.kind;
            let (kind, is_not) = match kind {
                Kind::Not => (self.tokens.second()?.kind, true),
                _ => (kind, false),
            };
            left = match (kind, is_not) {
                (Kind::Between | Kind::In, true) => {
                    self.pass();
                    self.pass();
                    self.range_or_list(kind, left, true)?
                }
                (_, true) => {
                    self.expect(BEHIND_NOT);
                    return Err(self.unexpected());
                }
                (Kind::Between | Kind::In, false) => {
                    self.pass();
                    self.range_or_list(kind, left, false)?
                }
                _ => match Order::of(kind) {
                    Some(order) => {
                        self.pass();
                        let right = self.unary()?;
                        self.build(|builder| builder.compared(order, left, right))?
                    }
                    None => {
                        self.expect(COMPARISONS);
                        return Ok(left);
                    }
                },
            };
        }
    }

    fn range_or_list(&mut self, kind: Kind, left: Id, is_not: bool) -> Parsed {
        if kind == Kind::Between {
            let low = self.unary()?;
            self.take(Kind::And)?;
            let high = self.unary()?;
            return self.build(|builder| {
                if is_not {
                    builder.not_between(left, low, high)
                } else {
                    builder.between(left, low, high)
                }
            });
        }
        self.take(Kind::Open)?;
        let mut texts = vec![self.text()?];
        while self.sees(Kind::Comma)? {
            self.pass();
            texts.push(self.text()?);
        }
        self.expect(Kinds::of(&[Kind::Comma]));
        self.take(Kind::Close)?;
        self.build(|builder| builder.in_texts(left, &texts, is_not))
    }

    fn unary(&mut self) -> Parsed {
        if self.depth == super::DEPTH_MAX {
            return Err(FilterError::TooDeep);
        }
        self.depth += 1;
        let parsed = self.operand();
        self.depth -= 1;
        parsed
    }

    fn operand(&mut self) -> Parsed {
        let token = self.tokens.first()?;
        let image = self.text.get(token.start..token.end).unwrap_or_default();
        match token.kind {
            Kind::Plus => {
                self.look_behind_plus(token)?;
                self.pass();
                self.unary()
            }
            Kind::Minus => {
                self.pass();
                let below = self.unary()?;
                self.build(|builder| builder.negation(below))
            }
            Kind::Not => {
                self.pass();
                let below = self.unary()?;
                self.build(|builder| builder.not(below))
            }
            Kind::Open => {
                self.pass();
                let inside = self.or()?;
                self.take(Kind::Close)?;
                Ok(inside)
            }
            Kind::Text => {
                let text = self.text()?;
                self.build(|builder| builder.text(&text))
            }
            Kind::Name => self.leaf(|builder| builder.property(image)),
            Kind::Integer => self.leaf(|builder| builder.integer(image)),
            Kind::Decimal => self.leaf(|builder| builder.decimal(image)),
            Kind::True => self.leaf(|builder| builder.constant(Node::Boolean(true))),
            Kind::False => self.leaf(|builder| builder.constant(Node::Boolean(false))),
            Kind::Null => self.leaf(|builder| builder.constant(Node::Null)),
            _ => {
                self.expect(OPERANDS);
                Err(self.unexpected())
            }
        }
    }

    fn leaf(&mut self, make: impl FnOnce(&mut Builder<'a>) -> Parsed) -> Parsed {
        self.pass();
        self.build(make)
    }

    /// Whether an operand follows on a plus sign; what is wrong with it otherwise is not said.
    fn look_behind_plus(&mut self, plus: Token) -> Result<(), FilterError> {
        if self.only_looks || plus.start < self.looked_upto {
            return Ok(());
        }
        let (tokens, expected, depth) = (self.tokens.clone(), self.expected, self.depth);
        self.only_looks = true;
        self.pass();
        let found = self.unary();
        self.only_looks = false;
        self.looked_upto = self.tokens.first().map_or(plus.end, |next| next.start);
        (self.tokens, self.expected, self.depth) = (tokens, expected, depth);
        match found {
            Ok(_) => Ok(()),
            Err(FilterError::Syntax(_)) => {
                self.expect(OPERANDS);
                Err(self.unexpected())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a text and undoes the doubling of its quotes.
    fn text(&mut self) -> Result<String, FilterError> {
        let token = self.take(Kind::Text)?;
        let inside = self.text.get(token.start + 1..token.end - 1).unwrap_or_default();
        Ok(inside.replace("''", "'"))
    }

    fn build(&mut self, make: impl FnOnce(&mut Builder<'a>) -> Parsed) -> Parsed {
        if self.only_looks {
            Ok(Id(0))
        } else {
            make(&mut self.builder)
        }
    }

    fn sees(&mut self, kind: Kind) -> Result<bool, FilterError> {
        Ok(self.tokens.first()?.kind == kind)
    }

    fn pass(&mut self) {
        self.tokens.pass();
        self.expected = Kinds::default();
    }

    fn expect(&mut self, kinds: Kinds) {
        self.expected = self.expected.and(kinds);
    }

    fn take(&mut self, kind: Kind) -> Result<Token, FilterError> {
        let token = self.tokens.first()?;
        if token.kind == kind {
            self.pass();
            return Ok(token);
        }
        self.expect(Kinds::of(&[kind]));
        Err(self.unexpected())
    }

    /// The message about the next token.
    fn unexpected(&mut self) -> FilterError {
        let token = match self.tokens.first() {
            Ok(token) => token,
            Err(error) => return error,
        };
        let mut message = "Encountered \"".to_owned();
        let place = if token.kind == Kind::EndOfText {
            message.push_str(token.kind.name());
            Place::of_last(self.text)
        } else {
            let image = self.text.get(token.start..token.end).unwrap_or_default();
            let image = escaped(image.encode_utf16());
            write!(message, " {} \"{image} \"", token.kind.name()).unwrap_or_default();
            Place::of_first(self.text, token.start)
        };
        let Place { line, column } = place;
        let many = if self.expected.iter().nth(1).is_some() {
            " one of"
        } else {
            ""
        };
        write!(
            message,
            "\" at line {line}, column {column}.\nWas expecting{many}:\n    "
        )
        .unwrap_or_default();
        for kind in self.expected.iter() {
            write!(message, "{} ...\n    ", kind.name()).unwrap_or_default();
        }
        FilterError::Syntax(message)
    }
}
