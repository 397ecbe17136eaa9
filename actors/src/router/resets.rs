//! Consumer offsets that tools set: by time, to the end or to a given place (code 222), as another group has them (314), and
//! what they should be at least (308). The offset part of `AdminBrokerProcessor` and `Broker2Client` in Java.
//!
//! A group that is online goes there by itself: its clients are told (220), and commit when they are there. Nothing is
//! committed for them, since they would overwrite it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuemq_net::body::{Body, CorrectionOffsets, MessageQueue, ResetOffset, ResetOffsetList};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::language::Language;
use cuemq_net::request::{self, ResetClientOffset};
use cuemq_net::version::Version;

use super::broker_requests::{Asked, Refusal, again, read, refused, unread};
use super::clients::too_old;
use super::queue_figures::QueueOfTopic;
use crate::cold_reads::FindByTime;
use crate::io::egress::TellClients;
use crate::offset::Commit;
use crate::offset::actor::{CommitOffsets, CopyOffsets, FindGroupsOfTopic, FindOffsets, FindTopicsOfGroup};
use crate::peer::PeerKey;
use crate::rebalance::{ConsumerGroup, Member};
use crate::topic::Topic;

/// What a tool sends for "to the end".
const TO_THE_END: i64 = -1;

type Wanted<'a> = request::ResetOffset<'a>;
type Offsets = BTreeMap<MessageQueue, i64>;

impl Asked<'_> {
    /// Sends a group elsewhere on a topic.
    pub(super) async fn reset_offset(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let wanted = read(Wanted::read(&view))?;
        let Some(topic) = self.side.topics.get(wanted.topic) else {
            let topic = wanted.topic;
            let remark = format!("[reset-offset] reset offset failed, no topic in this broker. topic={topic}");
            return Err(refused(remark));
        };
        let of_one_queue = u32::try_from(wanted.queue_id).ok();
        let offsets = match of_one_queue {
            Some(queue_id) => self.place_in_queue(&wanted, &topic, queue_id).await?,
            None => self.places(&wanted, &topic).await?,
        };
        match self.side.membership.consumer_group(wanted.group) {
            Some(online) => self.send_elsewhere(&wanted, &online, &offsets)?,
            // As brokers of 5.x do: only their tools ask for one queue, and wait for no consumer.
            None if of_one_queue.is_some() => self.commit_for(&wanted, &offsets).await?,
            None => {
                let Wanted {
                    group,
                    topic,
                    timestamp,
                    ..
                } = wanted;
                let remark = format!(
                    "Consumer not online, so can not reset offset, Group: {group} Topic: {topic} Timestamp: {timestamp}"
                );
                return Err((ResponseCode::CONSUMER_NOT_ONLINE, remark));
            }
        }
        let body = ResetOffset { offset_table: offsets };
        Ok(self.success().with_body(body.encode(Style::Fastjson)))
    }

    /// Where a group is to go on all queues of a topic. Without force it goes back alone.
    async fn places(&self, wanted: &Wanted<'_>, topic: &Topic) -> Result<Offsets, Refusal> {
        let find = FindOffsets {
            group: Arc::from(wanted.group),
            topic: Arc::clone(&topic.name),
        };
        let committed = self.actors.owners.offsets.send(find).await.map_err(again)?;
        let committed: BTreeMap<i32, i64> = committed.into_iter().collect();
        let mut offsets = Offsets::new();
        for queue in self.queues_of(topic, topic.config.write_queue_nums) {
            let Some(current) = committed.get(&queue.name.queue_id).copied() else {
                return Err(refused(format!("THe consumer group <{}> not exist", wanted.group)));
            };
            let there = self.place_by_time(&queue, wanted.timestamp).await?;
            let next = if wanted.is_force || there < current {
                there
            } else {
                current
            };
            offsets.insert(queue.name, next);
        }
        Ok(offsets)
    }

    /// Where a group is to go on one queue: where the tool says, or by time.
    async fn place_in_queue(&self, wanted: &Wanted<'_>, topic: &Topic, queue_id: u32) -> Result<Offsets, Refusal> {
        let queues = topic.config.read_queue_nums.max(topic.config.write_queue_nums);
        let queue = self.queues_of(topic, queues).into_iter().nth(queue_id as usize);
        let queue = queue.ok_or_else(|| refused(format!("queueId[{queue_id}] is illegal, {topic}")))?;
        let there = match wanted.queue_offset.filter(|offset| *offset != -1) {
            Some(offset) if (queue.min_offset..=queue.max_offset).contains(&offset) => offset,
            Some(offset) => {
                let QueueOfTopic {
                    min_offset, max_offset, ..
                } = queue;
                let remark = format!("Target offset {offset} not in consume queue range [{min_offset}-{max_offset}]");
                return Err(refused(remark));
            }
            None => self.place_by_time(&queue, wanted.timestamp).await?,
        };
        Ok(Offsets::from([(queue.name, there)]))
    }

    async fn place_by_time(&self, queue: &QueueOfTopic, timestamp: i64) -> Result<i64, Refusal> {
        let Some(handle) = queue.handle.clone() else {
            return Ok(0);
        };
        if timestamp == TO_THE_END {
            return Ok(queue.max_offset);
        }
        let find = self.actors.cold.send(FindByTime {
            queue: handle,
            timestamp_ms: timestamp,
            boundary: None,
        });
        let found = find.await.map_err(again)?.map_err(unread)?;
        Ok(found.signed().max(0))
    }

    /// Tells all clients of a group where to go.
    fn send_elsewhere(&self, wanted: &Wanted<'_>, online: &ConsumerGroup, offsets: &Offsets) -> Result<(), Refusal> {
        let members = online.members();
        let is_old = |member: &&Member| !Version(member.client.version).obeys_offset_reset();
        if let Some(old) = members.iter().find(is_old) {
            return Err(too_old(old));
        }
        let header = ResetClientOffset {
            topic: wanted.topic,
            group: wanted.group,
            timestamp: wanted.timestamp,
            // As Java's brokers: clients go wherever they are told.
            is_force: false,
        };
        let command = Command::request(RequestCode::RESET_CONSUMER_CLIENT_OFFSET)
            .with_header(|fields| header.write(fields))
            .oneway();
        let table = ResetOffset {
            offset_table: offsets.clone(),
        };
        let takes_list = |member: &&Member| takes_list(member.client.language, self.request.language);
        let (lists, tables): (Vec<&Member>, Vec<&Member>) = members.iter().partition(takes_list);
        self.tell(&tables, command.clone().with_body(table.encode(Style::Fastjson)));
        self.tell(
            &lists,
            command.with_body(ResetOffsetList::from(table).encode(Style::Fastjson)),
        );
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "one for each thread and request")]
    fn tell(&self, members: &[&Member], command: Command) {
        for (number, thread) in self.actors.clients.iter().enumerate() {
            let of_thread = members.iter().map(|member| member.peer);
            let peers: Vec<PeerKey> = of_thread.filter(|peer| usize::from(peer.thread) == number).collect();
            if !peers.is_empty() {
                let command = command.clone();
                thread.tell.do_send(TellClients { peers, command });
            }
        }
    }

    async fn commit_for(&self, wanted: &Wanted<'_>, offsets: &Offsets) -> Result<(), Refusal> {
        let commit = |(queue, offset): (&MessageQueue, &i64)| Commit {
            group: Arc::from(wanted.group),
            topic: Arc::from(wanted.topic),
            queue_id: queue.queue_id,
            consumer_offset: *offset,
        };
        let commits = CommitOffsets {
            commits: offsets.iter().map(commit).collect(),
        };
        let committed = self.actors.commit.send(commits).await.map_err(again)?;
        committed.map_err(|bad| refused(bad.to_string()))
    }

    /// Gives a group what another has committed (code 314): on one topic, or on all that the other has committed on.
    pub(super) async fn clone_offsets(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::CloneOffset::read(&view))?;
        let from_group: Arc<str> = Arc::from(header.src_group);
        let owner = &self.actors.owners.offsets;
        let topics = match header.topic.filter(|topic| !topic.trim().is_empty()) {
            Some(topic) => vec![Arc::from(topic)],
            None => {
                let find = FindTopicsOfGroup(Arc::clone(&from_group));
                owner.send(find).await.map_err(again)?
            }
        };
        let is_subscribed = |topic: &str| {
            let subscribed = self.side.membership.with_consumer_group(&from_group, |online| {
                online.subscriptions().is_empty() || online.subscription(topic).is_some()
            });
            subscribed.unwrap_or(true)
        };
        let counts = |topic: &Arc<str>| self.side.topics.contains(topic) && (header.offline || is_subscribed(topic));
        let copy = CopyOffsets {
            from_group: Arc::clone(&from_group),
            to_group: Arc::from(header.dest_group),
            topics: topics.into_iter().filter(counts).collect(),
        };
        let copied = owner.send(copy).await.map_err(again)?;
        copied.map_err(|bad| refused(bad.to_string()))?;
        Ok(self.success())
    }

    /// The least that any group has committed on each queue of a topic, but for those that are left out; where the group that
    /// is compared has less, there is nothing to correct (code 308). Java's brokers mix up group and topic there, and forget
    /// the offsets of the groups that are left out.
    pub(super) async fn correct_offsets(&self) -> Result<Command, Refusal> {
        let view = self.request.view();
        let header = read(request::CorrectionOffset::read(&view))?;
        let topic: Arc<str> = Arc::from(header.topic);
        let left_out: Vec<&str> = header
            .filter_groups
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        let owner = &self.actors.owners.offsets;
        let groups = owner.send(FindGroupsOfTopic(Arc::clone(&topic))).await.map_err(again)?;
        let (mut least, mut compared) = (BTreeMap::new(), Vec::new());
        for group in groups {
            let is_compared = *group == *header.compare_group;
            let is_left_out = left_out.contains(&&*group);
            if is_left_out && !is_compared {
                continue;
            }
            let find = FindOffsets {
                group,
                topic: Arc::clone(&topic),
            };
            let committed = owner.send(find).await.map_err(again)?;
            if !is_left_out {
                for (queue_id, offset) in &committed {
                    self.lower(&mut least, &topic, (*queue_id, *offset));
                }
            }
            if is_compared {
                compared = committed;
            }
        }
        for (queue_id, offset) in compared {
            if let Some(least) = least.get_mut(&queue_id).filter(|least| **least > offset) {
                *least = i64::MAX;
            }
        }
        let body = CorrectionOffsets {
            correction_offsets: least,
        };
        Ok(self.success().with_body(body.encode(Style::Fastjson)))
    }

    /// Notes what a group has committed, unless that lies before the queue's beginning.
    fn lower(&self, least: &mut BTreeMap<i32, i64>, topic: &str, (queue_id, offset): (i32, i64)) {
        let begins = self
            .queue(topic, queue_id)
            .map_or(0, |queue| queue.view().min_offset().signed());
        if offset >= begins {
            let least = least.entry(queue_id).or_insert(offset);
            *least = offset.min(*least);
        }
    }
}

/// Whether a client reads the new offsets as a list: those of the C++ library, and others but Java's where the tool is of that
/// library. (Java's brokers look at the tool alone, so that its own cannot send C++ clients elsewhere.)
fn takes_list(client: Language, tool: Option<Language>) -> bool {
    client == Language::Cpp || client != Language::Java && tool == Some(Language::Cpp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_is_told_in_the_form_that_it_reads() {
        let tools = [Some(Language::Java), Some(Language::Cpp), None];
        assert_eq!(tools.map(|tool| takes_list(Language::Java, tool)), [false; 3]);
        assert_eq!(tools.map(|tool| takes_list(Language::Cpp, tool)), [true; 3]);
        assert_eq!(tools.map(|tool| takes_list(Language::Go, tool)), [false, true, false]);
    }
}
