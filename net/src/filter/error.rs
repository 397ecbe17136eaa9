//! Why an expression is none, in the words of a Java broker: tools and clients show them (code 23), and users look for them.

/// An expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The text has a place where no token is.
    #[error("org.apache.rocketmq.filter.parser.TokenMgrError: {0}")]
    Lexical(String),
    /// The tokens make no expression, or none that is true or false.
    #[error("org.apache.rocketmq.filter.parser.ParseException: {0}")]
    Syntax(String),
    /// What stands on the sides of an operator does not belong there.
    #[error("java.lang.RuntimeException: {0}")]
    Operand(String),
    /// An integer beyond 64 bits.
    #[error("java.lang.NumberFormatException: For input string: \"{0}\"")]
    Integer(String),
    /// A boolean where a text is to be compared, in BETWEEN.
    #[error(
        "java.lang.ClassCastException: class java.lang.Boolean cannot be cast to class java.lang.String \
         (java.lang.Boolean and java.lang.String are in module java.base of loader 'bootstrap')"
    )]
    BooleanForText,
    /// It is longer than a broker takes. (Java takes any length.)
    #[error(
        "the expression has {length} bytes and a broker takes {}: use a shorter one",
        super::LENGTH_MAX
    )]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// It nests deeper than a broker takes. (In Java its thread's stack is the bound.)
    #[error(
        "the expression nests deeper than {} levels: use fewer brackets and signs",
        super::DEPTH_MAX
    )]
    TooDeep,
}

/// A message whose properties an expression cannot be tried on; it is not matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A text is to be compared with a number and is none.
    #[error("a property that is compared with a number is none")]
    NotANumber,
    /// A text on the right is to be compared with a boolean on the left, where Java looks for a text.
    #[error("a boolean on the left side is compared with a property")]
    BooleanForText,
}
