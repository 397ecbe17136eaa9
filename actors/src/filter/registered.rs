//! One registered filter: what a group wants of a topic, compiled, and since when.

use std::sync::Arc;

use cuemq_net::body::{BloomFilterData, ConsumerFilter, ExtraMembers};
use cuemq_net::filter::{Bloom, FilterError, SqlFilter};

use super::{Marks, MessageFilter, SQL92};

/// What one entry takes beside its texts, about.
const OVERHEAD_BYTES: usize = 512;

/// The filter of one group on one topic; it never changes, its owner shows another.
#[derive(Clone, Debug)]
pub struct RegisteredFilter {
    /// The topic.
    pub topic: Arc<str>,
    /// The group.
    pub group: Arc<str>,
    /// The expression.
    pub expression: Arc<str>,
    /// When the consumer subscribed, by its own clock.
    pub version: i64,
    /// When it was registered, in milliseconds since 1970.
    pub born_ms: i64,
    /// When its group left; 0 while it is there.
    pub dead_ms: i64,
    /// The bits that it sets in a message's bitmap.
    pub positions: Arc<[u32]>,
    /// As pulls use it.
    pub filter: Arc<MessageFilter>,
    sql: Arc<SqlFilter>,
    bloom: Bloom,
    /// Members of the file that belong to other releases.
    extra: ExtraMembers,
}

impl RegisteredFilter {
    /// Compiles a filter.
    ///
    /// # Errors
    /// When its expression is none.
    pub(super) fn new(
        (topic, group): (&Arc<str>, &Arc<str>),
        expression: &str,
        version: i64,
        (bloom, born_ms): (Bloom, i64),
    ) -> Result<Self, FilterError> {
        let sql = Arc::new(SqlFilter::compile(expression)?);
        let positions: Arc<[u32]> = bloom.positions(group, topic).into();
        let marks = Marks {
            born_ms,
            bits: bloom.bits(),
            positions: Arc::clone(&positions),
        };
        let filter = MessageFilter::Sql {
            filter: Arc::clone(&sql),
            share: None,
            marks: Some(marks),
        };
        Ok(Self {
            topic: Arc::clone(topic),
            group: Arc::clone(group),
            expression: Arc::from(expression),
            version,
            born_ms,
            dead_ms: 0,
            positions,
            filter: Arc::new(filter),
            sql,
            bloom,
            extra: ExtraMembers::new(),
        })
    }

    /// Takes over what the file holds of it.
    ///
    /// # Errors
    /// When its expression is none.
    pub(super) fn load(topic: &str, group: &str, file: ConsumerFilter, bloom: Bloom) -> Result<Self, FilterError> {
        let names = (&Arc::from(topic), &Arc::from(group));
        let fresh = Self::new(names, &file.expression, file.client_version, (bloom, file.born_time))?;
        Ok(Self {
            dead_ms: file.dead_time,
            extra: file.extra,
            ..fresh
        })
    }

    /// As the file holds it, and as tools see it.
    #[must_use]
    pub fn export(&self) -> ConsumerFilter {
        ConsumerFilter {
            bloom_filter_data: Some(BloomFilterData {
                bit_num: self.bloom.bits().into(),
                bit_pos: self.positions.iter().map(|position| i64::from(*position)).collect(),
            }),
            born_time: self.born_ms,
            client_version: self.version,
            consumer_group: self.group.to_string(),
            dead: self.is_dead(),
            dead_time: self.dead_ms,
            expression: self.expression.to_string(),
            expression_type: SQL92.to_owned(),
            topic: self.topic.to_string(),
            extra: self.extra.clone(),
        }
    }

    /// The compiled expression.
    #[must_use]
    pub fn sql(&self) -> &SqlFilter {
        &self.sql
    }

    /// Whether its group has left.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dead_ms >= self.born_ms
    }

    /// The same for a group that has left.
    pub(super) fn with_death(&self, dead_ms: i64) -> Self {
        Self {
            dead_ms,
            ..self.clone()
        }
    }

    /// The same for a group that is there and has subscribed again.
    pub(super) fn renewed(&self, version: i64) -> Self {
        Self {
            version,
            dead_ms: 0,
            ..self.clone()
        }
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let texts = self.topic.len() + self.group.len() + self.expression.len();
        OVERHEAD_BYTES + texts + self.positions.len() * size_of::<u32>() + self.sql.bytes()
    }
}
