//! Plays one conversation: sends what was sent and waits for what was answered, in the recorded order.

use std::collections::BTreeMap;
use std::fmt;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use crate::client::Client;
use crate::compare;
use crate::recording::{Conversation, Line};
use crate::stage::{Stage, is_pull, known_members};

/// What the broker tells those who join a group.
const JOINED: RequestCode = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED;
/// What the broker may ask clients or tell them, as far as we do and a recording lets us: the messages that clients were to
/// consume directly (309) lay elsewhere.
const TOLD: [RequestCode; 5] = [
    JOINED,
    RequestCode::RESET_CONSUMER_CLIENT_OFFSET,
    RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT,
    RequestCode::GET_CONSUMER_RUNNING_INFO,
    RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT,
];

/// Something that our broker says otherwise.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) release: String,
    /// Group and scenario.
    pub(crate) place: String,
    pub(crate) asked: i32,
    /// What differs: `code`, `field msgId`, ….
    pub(crate) what: String,
    pub(crate) how: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            release,
            place,
            asked,
            what,
            how,
        } = self;
        write!(f, "{release} {place} {asked} {what}: {how}")
    }
}

/// What came of one or more conversations.
#[derive(Default)]
pub(crate) struct Tally {
    /// How many answers were compared, by the code of the request.
    pub(crate) compared: BTreeMap<i32, usize>,
    /// How many requests were answered with "not supported" that the recorded broker served.
    pub(crate) unserved: BTreeMap<i32, usize>,
    /// How many requests of the broker to its clients were recorded that ours does not send yet.
    pub(crate) unsent: BTreeMap<i32, usize>,
    /// Answers whose requests were made before the recording began.
    pub(crate) orphans: usize,
    pub(crate) differences: Vec<Difference>,
}

/// Plays a conversation.
pub(crate) fn play(release: &str, conversation: &Conversation, tally: &mut Tally) {
    let mut player = Player {
        release,
        conversation,
        stage: Stage::of(conversation),
        clients: BTreeMap::new(),
        sent_ms: BTreeMap::new(),
        questions: BTreeMap::new(),
        tally,
    };
    player.join();
    let asked = conversation.asked();
    let mut last: Option<&Line> = None;
    for (at, line) in conversation.lines.iter().enumerate() {
        let before = last
            .filter(|last| last.scenario == line.scenario)
            .map_or(0, |last| last.ms);
        player.stage.advance(line.ms.saturating_sub(before));
        last = Some(line);
        match (line.to_broker, line.command.is_response()) {
            (true, false) => player.ask(line),
            (false, true) => player.hear(line, asked.get(&at).copied()),
            (false, false) => player.be_told(line),
            (true, true) => player.reply(line),
        }
    }
    player.end();
}

struct Player<'a> {
    release: &'a str,
    conversation: &'a Conversation,
    stage: Stage,
    clients: BTreeMap<u32, Client>,
    /// When each request was sent, by connection and opaque number.
    sent_ms: BTreeMap<(u32, i32), u64>,
    /// Our numbers of the broker's requests, by connection and recorded number.
    questions: BTreeMap<(u32, i32), i32>,
    tally: &'a mut Tally,
}

impl Player<'_> {
    fn client(&mut self, line: &Line) -> &mut Client {
        let mut address = self.stage.broker.broker();
        if line.fast {
            address.set_port(address.port() - 2);
        }
        self.clients
            .entry(line.connection)
            .or_insert_with(|| Client::to(address))
    }

    fn differ(&mut self, line: &Line, asked: i32, what: &str, how: String) {
        self.tally.differences.push(Difference {
            release: self.release.to_owned(),
            place: format!("{}/{}", self.conversation.group, line.scenario),
            asked,
            what: what.to_owned(),
            how,
        });
    }

    /// Lets those be members who had been before.
    fn join(&mut self) {
        for heartbeat in known_members(self.conversation) {
            let client = self.client(heartbeat);
            client.ask(heartbeat.command.clone());
            client.request(JOINED).expect("who joins is told");
        }
    }

    fn ask(&mut self, line: &Line) {
        let reads = (RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0..=RequestCode::GET_EARLIEST_MSG_STORETIME.0)
            .contains(&line.command.code);
        let finds = line.command.code == RequestCode::QUERY_MESSAGE.0;
        if reads || finds || is_pull(line) {
            self.stage.settle();
        }
        if is_send(&line.command) && line.command.is_oneway() {
            self.stage.sent_oneway(&line.command);
        }
        self.sent_ms
            .insert((line.connection, line.command.opaque), self.stage.passed_ms());
        let client = self.client(line);
        client.send(&line.frame);
        // What comes next on any connection finds it taken in: the recorded broker was never asked that fast.
        match RequestCode(line.command.code) {
            RequestCode::HEART_BEAT | RequestCode::UNREGISTER_CLIENT => assert!(client.has_answer(line.command.opaque)),
            _ if is_pull(line) => drop(client.ask(question())),
            _ => {}
        }
    }

    /// Lets the time of a pull be over that the recorded broker answered for that.
    fn outwait(&mut self, request: &Command, answer: &Line) {
        let waited = request
            .fields
            .get("suspendTimeoutMillis")
            .and_then(|ms| ms.parse::<u64>().ok());
        let sent_ms = self.sent_ms.get(&(answer.connection, request.opaque));
        if let (Some(waited), Some(sent_ms)) = (waited, sent_ms) {
            self.stage
                .advance((sent_ms + waited).saturating_sub(self.stage.passed_ms()));
        }
    }

    fn hear(&mut self, line: &Line, request: Option<&Line>) {
        let Some(request) = request else {
            self.tally.orphans += 1;
            return;
        };
        let asked = request.command.code;
        if is_pull(request)
            && let Err(error) = self.stage.prepare(&line.command)
        {
            self.differ(line, asked, "stage", error);
        }
        if is_pull(request) && line.command.code == ResponseCode::PULL_NOT_FOUND.0 {
            self.outwait(&request.command, line);
        }
        let Some(ours) = self.client(line).answer(line.command.opaque) else {
            return self.differ(
                line,
                asked,
                "answer",
                format!("recorded {}, ours none", line.command.code),
            );
        };
        if is_send(&request.command) {
            self.stage.stored(&request.command, &ours);
        }
        let refused = ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0;
        if ours.code == refused && line.command.code != refused {
            *self.tally.unserved.entry(asked).or_default() += 1;
            return;
        }
        *self.tally.compared.entry(asked).or_default() += 1;
        let broker = self.stage.broker.broker();
        for (what, how) in compare::answers(RequestCode(asked), &line.command, &ours, broker) {
            self.differ(line, asked, &what, how);
        }
    }

    /// The broker asked a client something, or told it.
    fn be_told(&mut self, line: &Line) {
        let code = RequestCode(line.command.code);
        if !TOLD.contains(&code) {
            *self.tally.unsent.entry(code.0).or_default() += 1;
            return;
        }
        let Some(ours) = self.client(line).request(code) else {
            return self.differ(line, code.0, "request", "recorded one, ours none".to_owned());
        };
        *self.tally.compared.entry(code.0).or_default() += 1;
        let recorded = (line.connection, line.command.opaque);
        self.questions.insert(recorded, ours.opaque);
        for (what, how) in compare::requests(&line.command, &ours) {
            self.differ(line, code.0, &what, how);
        }
    }

    /// A client answers the broker, under the number of our request; what ours has not asked is not answered.
    fn reply(&mut self, line: &Line) {
        let recorded = (line.connection, line.command.opaque);
        if let Some(opaque) = self.questions.remove(&recorded) {
            let mut bytes = Vec::new();
            let answer = line.command.clone();
            Command { opaque, ..answer }.encode(&mut bytes).unwrap();
            self.client(line).send(&bytes);
        }
    }

    /// What was not answered is not answered by ours, and clients are not told more.
    fn end(mut self) {
        let last = self.conversation.lines.last().unwrap();
        for (_, mut client) in std::mem::take(&mut self.clients) {
            client.ask(question());
            for (opaque, answer) in std::mem::take(&mut client.answers) {
                let is_request = |line: &&Line| line.to_broker && line.command.opaque == opaque;
                let request = self.conversation.lines.iter().find(is_request).unwrap();
                let how = format!("recorded none, ours {answer:?}");
                self.differ(request, request.command.code, "answer", how);
            }
            for request in std::mem::take(&mut client.requests) {
                self.differ(
                    last,
                    request.code,
                    "request",
                    format!("recorded none, ours {request:?}"),
                );
            }
        }
        self.stage.broker.stop().unwrap();
    }
}

/// Something to ask that changes nothing.
fn question() -> Command {
    Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", "TBW102")
        .with_field("queueId", 0)
}

fn is_send(request: &Command) -> bool {
    let sends = [
        RequestCode::SEND_MESSAGE,
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::SEND_BATCH_MESSAGE,
    ];
    sends.contains(&RequestCode(request.code))
}
