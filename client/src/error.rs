//! What can go wrong, sorted by what the caller does next: try again, change the message, or give up and tell a person.
//! Each says where it happened (broker, topic, queue) and repeats the broker's own words. Java throws
//! `MQClientException`, `MQBrokerException` and `RemotingException` for these.

use std::fmt;
use std::time::Duration;

use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::dialect::DialectError;
use cuemq_net::error::FieldError;
use cuemq_net::message::record::RecordError;
use cuemq_net::transport::CallError;

/// Why something could not be done, by what to do next.
#[derive(Debug)]
pub enum Error {
    /// It may work when it is tried again, perhaps later. [`Trouble::outcome`] says whether it may have worked already: sending
    /// again may then store a message twice.
    Retry(Box<Trouble>),
    /// It never works like this: the message, or another argument, has to be changed.
    Fix(Box<Trouble>),
    /// It does not work until somebody changes something elsewhere: a permission, a topic, a server.
    GiveUp(Box<Trouble>),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = match self {
            Self::Retry(_) => ": try again",
            Self::Fix(_) => ": change what was given",
            Self::GiveUp(_) => "",
        };
        write!(formatter, "{}{next}", self.trouble())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.trouble().cause.source()
    }
}

/// Whether something that failed may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not: nothing was sent, or the server refused it.
    NotDone,
    /// Nobody knows: it was sent, and no answer came that says.
    Unknown,
}

/// What happened, and where.
#[derive(Debug)]
pub struct Trouble {
    /// The server's address, `host:port`, where one was asked.
    pub address: Option<String>,
    /// The broker's name, where it concerns one.
    pub broker_name: Option<String>,
    /// The topic, where it concerns one.
    pub topic: Option<String>,
    /// The queue, where it concerns one.
    pub queue_id: Option<i32>,
    /// What happened.
    pub cause: Cause,
    /// Whether an attempt before this one may have done it.
    pub(crate) is_unknown_before: bool,
}

/// What the words of Java's access control begin with.
const ACCESS_DENIED: &str = "org.apache.rocketmq.acl.common.AclException";

/// What happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No connection could be made, with what the system or the TLS handshake says.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// No connection could be made in the time that there was.
    #[error("no connection within {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    /// A call over a connection has no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server ended the connection and had not answered anything over it: so does one that wants TLS and is spoken to without,
    /// and one that wants a certificate and is shown none. One that is just stopping does so too.
    #[error("the server ended the connection before it answered anything; {}", missed(*.is_secure))]
    Unanswered {
        /// What became of the call.
        call: CallError,
        /// Whether the client speaks TLS.
        is_secure: bool,
    },
    /// The server said no.
    #[error("the server answers {code}{}{words}", if .words.is_empty() { "" } else { ": " })]
    Refused {
        /// The answer's code.
        code: ResponseCode,
        /// The server's own words; empty when it gave none.
        words: String,
    },
    /// There is no name server to ask: none was given, none stands in NAMESRV_ADDR, and no address server told one.
    #[error("no name server is known; set namesrv_addr, or NAMESRV_ADDR in the environment")]
    NoNameServer,
    /// No name server knows the topic, and it cannot be made by sending to it.
    #[error("no name server knows the topic; create it, or let brokers create topics")]
    NoRoute,
    /// The topic has no queue for this: none that may be written, or none that may be read.
    #[error("the topic has no queue that allows this")]
    NoQueue,
    /// No address of the broker is known, or none of its master where only that will do.
    #[error("no address of the broker is known")]
    NoAddress,
    /// What was given breaks a rule of RocketMQ's.
    #[error("{0}")]
    Invalid(String),
    /// The server's answer cannot be read.
    #[error("the server's answer cannot be read: {0}")]
    Answer(String),
    /// The client, producer or consumer is shut down.
    #[error("it is shut down")]
    ShutDown,
    /// Its client was shut down while it was under way.
    #[error("the client was shut down meanwhile")]
    Abandoned,
    /// A group of this name is in this client already.
    #[error("the group is in this client already; use one client for each, or another group")]
    GroupTaken,
    /// The reply to a request did not come in time.
    #[error("no reply within {} ms", .0.as_millis())]
    NoReply(Duration),
}

/// What a server may miss that ends connections without an answer.
fn missed(is_secure: bool) -> &'static str {
    match is_secure {
        true => "the server may want a certificate of this client (tls::Tls)",
        false => "the server may want TLS: give ClientOptions::network a tls::Tls (feature `tls`)",
    }
}

impl Cause {
    /// Makes an error of it that says nothing about a place yet.
    pub(crate) fn nowhere(self) -> Error {
        Error::of(Trouble {
            address: None,
            broker_name: None,
            topic: None,
            queue_id: None,
            cause: self,
            is_unknown_before: false,
        })
    }

    /// The same once more, for another who waits for it; what the system said becomes a text.
    fn copy(&self) -> Self {
        match self {
            Self::Connect(error) => Self::Connect(std::io::Error::new(error.kind(), error.to_string())),
            Self::ConnectTimeout(time) => Self::ConnectTimeout(*time),
            Self::Call(call) => Self::Call(call.clone()),
            Self::Unanswered { call, is_secure } => Self::Unanswered {
                call: call.clone(),
                is_secure: *is_secure,
            },
            Self::Refused { code, words } => Self::Refused {
                code: *code,
                words: words.clone(),
            },
            Self::NoNameServer => Self::NoNameServer,
            Self::NoRoute => Self::NoRoute,
            Self::NoQueue => Self::NoQueue,
            Self::NoAddress => Self::NoAddress,
            Self::Invalid(rule) => Self::Invalid(rule.clone()),
            Self::Answer(problem) => Self::Answer(problem.clone()),
            Self::ShutDown => Self::ShutDown,
            Self::Abandoned => Self::Abandoned,
            Self::GroupTaken => Self::GroupTaken,
            Self::NoReply(time) => Self::NoReply(*time),
        }
    }

    /// Whether a Java broker's access control said no, before it looked at what was asked: it answers `SYSTEM_ERROR`, and
    /// only its words tell.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Refused { code, words }
            if *code == ResponseCode::SYSTEM_ERROR && words.starts_with(ACCESS_DENIED))
    }

    fn outcome(&self) -> Outcome {
        match self {
            _ if self.is_denied() => Outcome::NotDone,
            Self::Call(call) | Self::Unanswered { call, .. } => match call {
                CallError::Lost | CallError::Timeout(_) => Outcome::Unknown,
                _ => Outcome::NotDone,
            },
            Self::Answer(_) | Self::Abandoned => Outcome::Unknown,
            // a broker whose disk fails says this of a send that may be on it already
            Self::Refused { code, .. } if *code == ResponseCode::SYSTEM_ERROR => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }
}

impl Trouble {
    /// Whether it may have been done all the same, by this attempt or by one before it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if self.is_unknown_before {
            return Outcome::Unknown;
        }
        self.cause.outcome()
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = Vec::new();
        place.extend(self.topic.as_ref().map(|topic| format!("topic {topic}")));
        place.extend(self.queue_id.map(|queue| format!("queue {queue}")));
        place.extend(self.broker_name.as_ref().map(|name| format!("broker {name}")));
        place.extend(self.address.as_ref().map(|address| format!("at {address}")));
        if !place.is_empty() {
            write!(formatter, "{}: ", place.join(", "))?;
        }
        write!(formatter, "{}", self.cause)
    }
}

impl Error {
    /// Sorts it by what to do next.
    pub(crate) fn of(trouble: Trouble) -> Self {
        let place = Box::new(trouble);
        match &place.cause {
            cause if cause.is_denied() => Self::GiveUp(place),
            Cause::Connect(_) | Cause::ConnectTimeout(_) | Cause::NoReply(_) | Cause::NoAddress => Self::Retry(place),
            Cause::Call(CallError::TooLarge(_)) | Cause::Invalid(_) | Cause::GroupTaken => Self::Fix(place),
            Cause::Call(_) | Cause::Unanswered { .. } | Cause::Answer(_) => Self::Retry(place),
            Cause::NoNameServer | Cause::NoRoute | Cause::NoQueue | Cause::ShutDown | Cause::Abandoned => {
                Self::GiveUp(place)
            }
            Cause::Refused { code, .. } => match *code {
                ResponseCode::SYSTEM_ERROR
                | ResponseCode::SYSTEM_BUSY
                | ResponseCode::FLOW_CONTROL
                | ResponseCode::SERVICE_NOT_AVAILABLE
                | ResponseCode::FLUSH_DISK_TIMEOUT
                | ResponseCode::FLUSH_SLAVE_TIMEOUT
                | ResponseCode::SLAVE_NOT_AVAILABLE
                | ResponseCode::SUBSCRIPTION_NOT_EXIST
                | ResponseCode::SUBSCRIPTION_NOT_LATEST
                | ResponseCode::PULL_RETRY_IMMEDIATELY => Self::Retry(place),
                ResponseCode::MESSAGE_ILLEGAL | ResponseCode::SUBSCRIPTION_PARSE_FAILED => Self::Fix(place),
                _ => Self::GiveUp(place),
            },
        }
    }

    /// The same once more, for another who waits for it.
    pub(crate) fn copy(&self) -> Self {
        let trouble = self.trouble();
        Self::of(Trouble {
            address: trouble.address.clone(),
            broker_name: trouble.broker_name.clone(),
            topic: trouble.topic.clone(),
            queue_id: trouble.queue_id,
            cause: trouble.cause.copy(),
            is_unknown_before: trouble.is_unknown_before,
        })
    }

    /// What happened, and where.
    #[must_use]
    pub fn trouble(&self) -> &Trouble {
        match self {
            Self::Retry(trouble) | Self::Fix(trouble) | Self::GiveUp(trouble) => trouble,
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry(_))
    }

    /// The code of the server that said no.
    #[must_use]
    pub fn code(&self) -> Option<ResponseCode> {
        match self.trouble().cause {
            Cause::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Trouble)) -> Self {
        match &mut self {
            Self::Retry(trouble) | Self::Fix(trouble) | Self::GiveUp(trouble) => change(trouble),
        }
        self
    }

    /// Adds that attempts before may have done it.
    pub(crate) fn unknown_before(self, is_unknown: bool) -> Self {
        self.change(|trouble| trouble.is_unknown_before |= is_unknown)
    }

    /// Adds whom it concerned, unless that is known already.
    pub(crate) fn at(self, address: &str) -> Self {
        self.change(|trouble| {
            trouble.address.get_or_insert_with(|| address.to_owned());
        })
    }

    /// Adds the topic, unless it is known already.
    pub(crate) fn topic(self, topic: &str) -> Self {
        self.change(|trouble| {
            trouble.topic.get_or_insert_with(|| topic.to_owned());
        })
    }

    /// Adds the broker and the queue.
    pub(crate) fn queue(self, broker_name: &str, queue_id: i32) -> Self {
        self.change(|trouble| {
            trouble.broker_name.get_or_insert_with(|| broker_name.to_owned());
            trouble.queue_id.get_or_insert(queue_id);
        })
    }

    /// Adds the broker.
    pub(crate) fn broker(self, broker_name: &str) -> Self {
        self.change(|trouble| {
            trouble.broker_name.get_or_insert_with(|| broker_name.to_owned());
        })
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        cause.nowhere()
    }
}

impl From<DialectError> for Cause {
    fn from(error: DialectError) -> Self {
        Self::Answer(error.to_string())
    }
}

impl From<FieldError> for Cause {
    fn from(error: FieldError) -> Self {
        Self::Answer(error.to_string())
    }
}

impl From<RecordError> for Cause {
    fn from(error: RecordError) -> Self {
        Self::Answer(error.to_string())
    }
}

/// What a server says no with.
pub(crate) fn refusal(answer: &Command) -> Cause {
    Cause::Refused {
        code: ResponseCode(answer.code),
        words: answer.remark.clone().unwrap_or_default(),
    }
}

/// Lets an answer pass that says yes.
pub(crate) fn success(answer: Command) -> Result<Command, Cause> {
    if answer.code == ResponseCode::SUCCESS.0 {
        Ok(answer)
    } else {
        Err(refusal(&answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuemq_net::code::RequestCode;

    fn refused(code: ResponseCode) -> Error {
        let answer = Command::response_to(&Command::request(RequestCode(10)), code).with_remark("no room");
        success(answer).unwrap_err().nowhere()
    }

    #[test]
    fn an_error_says_where_it_happened_and_what_the_broker_said() {
        let error = refused(ResponseCode::SERVICE_NOT_AVAILABLE);
        let error = error.topic("T").queue("broker-a", 3).at("10.0.0.1:10911");
        let said = error.to_string();
        assert!(
            said.starts_with("topic T, queue 3, broker broker-a, at 10.0.0.1:10911: the server answers"),
            "{said}"
        );
        assert!(said.ends_with("no room: try again"), "{said}");
    }

    #[test]
    fn errors_are_sorted_by_what_to_do_next() {
        assert!(matches!(refused(ResponseCode::SYSTEM_BUSY), Error::Retry(_)));
        assert!(matches!(refused(ResponseCode::MESSAGE_ILLEGAL), Error::Fix(_)));
        assert!(matches!(refused(ResponseCode::NO_PERMISSION), Error::GiveUp(_)));
        assert!(matches!(Cause::NoNameServer.nowhere(), Error::GiveUp(_)));
        assert!(matches!(Cause::Invalid("no body".to_owned()).nowhere(), Error::Fix(_)));
    }

    #[test]
    fn whom_access_control_denies_gives_up_and_nothing_is_done() {
        let words = "org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=a";
        let answer = Command::response_to(&Command::request(RequestCode(10)), ResponseCode::SYSTEM_ERROR);
        let error = success(answer.with_remark(words)).unwrap_err().nowhere();
        assert!(matches!(error, Error::GiveUp(_)), "{error}");
        assert_eq!(error.trouble().outcome(), Outcome::NotDone);
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn what_was_sent_and_has_no_answer_may_be_done() {
        let outcome = |cause: Cause| cause.nowhere().trouble().outcome();
        assert_eq!(
            outcome(CallError::Timeout(Duration::from_secs(3)).into()),
            Outcome::Unknown
        );
        assert_eq!(outcome(CallError::Lost.into()), Outcome::Unknown);
        assert_eq!(outcome(CallError::Closed.into()), Outcome::NotDone);
        assert_eq!(refused(ResponseCode::SYSTEM_BUSY).trouble().outcome(), Outcome::NotDone);
        assert_eq!(
            refused(ResponseCode::SYSTEM_ERROR).trouble().outcome(),
            Outcome::Unknown
        );
    }
}
