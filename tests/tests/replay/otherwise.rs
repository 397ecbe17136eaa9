//! What we answer otherwise than the recorded brokers, each with its reason, and what we do not serve yet.
//!
//! A row that no difference needs fails the test as a difference without a row does: neither can go stale. Where a request
//! comes to be served, its number below goes, and what it stored or changed is no reason any more.

use std::collections::BTreeMap;

use crate::player::Difference;

const V43: &str = "4.3.0";
const V49: &str = "4.9.8";
const V53: &str = "5.3.3";
const ALL: &[&str] = &[V43, V49, V53];

/// One deliberate difference.
pub(crate) struct Row {
    releases: &'static [&'static str],
    /// Groups and scenarios, split by spaces; `group/*` for all of a group, `*` for all.
    places: &'static str,
    /// The request codes; none for all.
    asked: &'static [i32],
    /// What differs, split by commas.
    what: &'static str,
    pub(crate) because: &'static str,
}

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // what we do better, or as another release
    Row { releases: ALL, places: "binaryclient-codec/*", asked: &[], what: "codec",
          because: "an answer has its request's encoding; Java's server writes the one that it is set to, and clients read both" },
    Row { releases: &[V49, V53], places: "*", asked: &[11, 361], what: "broker's properties",
          because: "brokers from 4.9 on add CLUSTER and leave WAIT out, those of 5.x add more; as in 4.3, what was sent is stored, but that requests get CLUSTER" },
    Row { releases: &[V49, V53], places: "binary-codec/producer binaryclient-codec/producer send/batch sendlong/batch", asked: &[320], what: "field msgId",
          because: "the messages of a batch lie farther apart by those properties" },
    Row { releases: &[V43, V49], places: "admin/runtime-info", asked: &[28], what: "body",
          because: "what is not measured is left out" },
    Row { releases: ALL, places: "errors/send-missing-field errors/send-bad-number", asked: &[10], what: "remark,field names",
          because: "the field is named instead of a line in Java, and the answer is like any other to a send" },
    Row { releases: ALL, places: "errors/heartbeat-empty-body errors/heartbeat-broken-json", asked: &[34], what: "remark",
          because: "the byte is named instead of a line in Java" },
    Row { releases: ALL, places: "errors/send-batch-garbage", asked: &[320], what: "code",
          because: "13 and what is wrong with the batch, instead of 1 and a line in Java" },
    Row { releases: &[V49], places: "errors/send-batch-to-retry-topic", asked: &[320], what: "code",
          because: "4.9 stumbles over the batch before it looks at the topic; 4.3, 5.x and we refuse the topic" },
    Row { releases: &[V43], places: "errors/send-to-auto-create-key errors/send-topic-too-long errors/send-retry-topic-without-max", asked: &[10], what: "code",
          because: "as 4.9 does" },
    Row { releases: &[V43], places: "errors/unknown-code-broker", asked: &[9999], what: "answer",
          because: "4.3 does not answer, 4.9 does" },
    Row { releases: ALL, places: "errors/pull-sql-that-does-not-parse", asked: &[11], what: "code",
          because: "23 and what is wrong with the expression; Java's broker gives every message to whom it does not understand" },
    Row { releases: &[V49, V53], places: "pull/offset-too-large", asked: &[11], what: "field nextBeginOffset",
          because: "4.3 sends a consumer that is too far ahead to the beginning, as we do; 4.9 to the end" },

    Row { releases: &[V49, V53], places: "admin/create-topic send/create-topic-by-producer", asked: &[17], what: "remark",
          because: "Java leaves its own first remark in an answer that went well" },
    Row { releases: &[V43], places: "errors/create-topic-reserved-name", asked: &[17], what: "remark",
          because: "as 4.9 says it" },
    Row { releases: &[V53], places: "errors/create-topic-reserved-name", asked: &[17], what: "code",
          because: "5.x has 29 for a wrong parameter, where 4.x has 1" },
    Row { releases: &[V43, V49], places: "admin/update-broker-config", asked: &[25], what: "code",
          because: "a setting that has no effect here is refused" },
    Row { releases: &[V43, V49], places: "admin/broker-config", asked: &[26], what: "body,field version",
          because: "the settings that have an effect here, by the time of our start" },
    Row { releases: &[V43, V49], places: "admin/system-topics", asked: &[305], what: "body",
          because: "4.3 and later releases have other system topics; ours has those of both" },
    Row { releases: &[V43, V49], places: "admin/consume-stats-in-broker", asked: &[317], what: "body",
          because: "other scenarios had made groups" },
    Row { releases: &[V43, V49], places: "admin/consume-stats-cloned", asked: &[208], what: "body",
          because: "what the group had committed is from before the recording" },
    Row { releases: ALL, places: "reset/consumer-status reset/reset-offset reset/reset-offset-without-force", asked: &[222, 223], what: "remark",
          because: "Java leaves its own first remark in an answer that went well" },
    Row { releases: ALL, places: "reset/running-info reset/running-info-with-jstack", asked: &[307], what: "language",
          because: "the client's answer is passed on with its language and release, as by Java" },

    // where messages lie, and what waits for its time
    Row { releases: &[V43, V49], places: "admin/slave-sync-codes", asked: &[45], what: "body",
          because: "no delay ends here" },
    Row { releases: ALL, places: "pull/send-back-by-pull-consumer push/send-back-retry-dlq", asked: &[36], what: "code",
          because: "the message lies elsewhere in our log" },
    Row { releases: ALL, places: "errors/send-back-unknown-group-strict", asked: &[36], what: "code",
          because: "the recorded broker's settings had been changed by 25" },
    Row { releases: &[V43], places: "errors/send-back-unknown-group", asked: &[36], what: "code",
          because: "4.3 stumbles over a field that is not there; 4.9, 5.x and we take the group's own limit" },
    Row { releases: ALL, places: "errors/end-transaction-not-a-half-message", asked: &[37], what: "remark",
          because: "there is no such half message, instead of a line in Java" },

    // what had been set before
    Row { releases: ALL, places: "errors/broker-write-only-pull errors/pull-unknown-group", asked: &[11], what: "code",
          because: "the recorded broker's settings had been changed by 25" },
    Row { releases: ALL, places: "errors/send-retry-topic-unknown-group-strict", asked: &[10], what: "code",
          because: "the recorded broker's settings had been changed by 25" },
    Row { releases: &[V53], places: "reset/reset-offset", asked: &[11], what: "code",
          because: "5.x sends the consumer elsewhere by the answer to its pull" },

    Row { releases: &[V43, V49], places: "errors/view-misaligned-offset", asked: &[33], what: "remark",
          because: "what lies there is no record, instead of a line in Java" },
    Row { releases: ALL, places: "query/view-bad-offset", asked: &[33], what: "remark",
          because: "what lies there is no record, instead of a line in Java" },

    // what the recording lacks
    Row { releases: ALL, places: "query/by-key query/by-key-max-2 query/view-by-unique-id", asked: &[12], what: "code",
          because: "the messages had been sent before the recording, and no pull brought them" },
    Row { releases: &[V43, V49], asked: &[43, 202, 203, 204, 208, 300, 303, 315, 321], what: "code,body",
          places: "admin/topic-stats admin/consume-stats admin/consumer-connection admin/producer-connection admin/consume-by-who \
                   admin/consume-time-span admin/query-consume-queue admin/slave-sync-codes admin/stats-data",
          because: "messages, members and what they had committed are from before the recording" },
    Row { releases: &[V43, V49], places: "admin/correction-offset", asked: &[308], what: "body",
          because: "what groups had committed is from before the recording" },
    Row { releases: ALL, places: "reset/consume-directly", asked: &[309], what: "code",
          because: "the message lay elsewhere in the recorded log" },
    Row { releases: ALL, places: "query/view-by-offset-id", asked: &[33], what: "code",
          because: "the message had been sent before the recording, and no pull brought it" },
    Row { releases: &[V49, V53], places: "reply/request-and-reply", asked: &[11], what: "code,answer",
          because: "the consumer's heartbeat came before the recording" },
    Row { releases: &[V53], places: "reset/running-info reset/consume-directly", asked: &[11], what: "code,answer",
          because: "the last heartbeat before the recording was older than any in it" },
    Row { releases: &[V53], places: "filter/sql92-bad-expression", asked: &[34], what: "answer",
          because: "the client left before its answer came" },

    Row { releases: ALL, places: "push/second-consumer-joins", asked: &[11], what: "answer",
          because: "the client left before its pull found anything" },
    Row { releases: &[V53], places: "push/shutdown", asked: &[35], what: "answer",
          because: "the client left before its answer came" },

    // what only brokers of 5.x say
    Row { releases: &[V53], places: "reset/reset-offset-without-force reset/reset-unknown-group-and-topic reset/reset-offline", asked: &[220, 222],
          what: "code,body,request",
          because: "5.x sets the offsets itself, whoever is online, and tells no client" },
    Row { releases: &[V53], places: "reply/request-and-reply", asked: &[326], what: "fields",
          because: "5.x adds the region of message traces" },
    Row { releases: &[V53], places: "*", asked: &[34], what: "field names",
          because: "5.x offers its second kind of heartbeat" },
    Row { releases: &[V53], places: "*", asked: &[10, 310, 320], what: "field names",
          because: "5.x repeats the client's own id as transactionId" },
    Row { releases: &[V53], places: "*", asked: &[11, 361], what: "field names",
          because: "5.x adds the flags of topic and group, or the kind of what is forbidden" },
    Row { releases: &[V53], places: "errors/send-illegal-queue errors/send-topic-too-long errors/pull-illegal-queue pull/illegal-queue", asked: &[10, 11], what: "code",
          because: "5.x has 29 for a wrong parameter, where 4.x has 1" },
    Row { releases: &[V53], places: "errors/send-no-body", asked: &[10], what: "code",
          because: "5.x fails at a message without a body, 4.x stores it" },
    Row { releases: &[V53], places: "errors/pull-ok errors/pull-negative-offset errors/broker-read-only-send", asked: &[10, 11],
          what: "messages,field maxOffset,field nextBeginOffset,field queueOffset",
          because: "the message without a body is stored" },
    Row { releases: &[V53], places: "startup/push-consumer-start errors/query-offset-unknown-topic reset/reset-offset", asked: &[14], what: "code",
          because: "5.x answers 22 for a queue without a message, 4.x 0" },
];

/// Requests that are answered with 3, and how often each release's brokers answered them otherwise.
const UNSERVED: &[(i32, [usize; 3])] = &[];
/// Requests to clients that are not made yet, or not in a replay.
const UNSENT: &[(i32, [usize; 3])] = &[(39, [2, 2, 4]), (309, [1, 1, 1])];

/// What is not served in the recordings of a release.
pub(crate) fn unserved(release: &str) -> BTreeMap<i32, usize> {
    column(UNSERVED, release)
}

/// What is not sent in the recordings of a release.
pub(crate) fn unsent(release: &str) -> BTreeMap<i32, usize> {
    column(UNSENT, release)
}

fn column(table: &[(i32, [usize; 3])], release: &str) -> BTreeMap<i32, usize> {
    let at = ALL.iter().position(|name| *name == release).unwrap();
    let counted = |(code, counts): &(i32, [usize; 3])| (counts[at] > 0).then_some((*code, counts[at]));
    table.iter().filter_map(counted).collect()
}

impl Row {
    pub(crate) fn speaks_of(&self, release: &str) -> bool {
        self.releases.contains(&release)
    }

    pub(crate) fn allows(&self, difference: &Difference) -> bool {
        let at = |pattern: &str| match pattern.strip_suffix('*') {
            Some(start) => difference.place.starts_with(start),
            None => difference.place == pattern,
        };
        self.speaks_of(&difference.release)
            && self.places.split(' ').any(at)
            && (self.asked.is_empty() || self.asked.contains(&difference.asked))
            && self.what.split(',').any(|what| what == difference.what)
    }
}
