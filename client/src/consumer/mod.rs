//! Consumers.
//!
//! | file | what |
//! |---|---|
//! | `push` | the consumer whose listener gets messages as they come |
//! | `pull_consumer` | the consumer that asks by itself, and the one that is called to ask |
//! | `lite` | the consumer that is polled |
//! | `listener`, `hook` | what an application gives it |
//! | `home` | the client that a consumer lives in |
//! | `pull` | one pull and its answer |
//! | `process_queue`, `flow_control` | the messages of a queue that are in hand, and how many may be |
//! | `owned` | one queue that a consumer owns |
//! | `start_offset` | where a queue is begun |
//! | `offsets` | where a group keeps how far it has come |
//! | `rebalance`, `balance` | which queues are ours |
//! | `send_back` | messages that are to come again |
//! | `statistics` | figures for operators |

mod balance;
mod flow_control;
mod home;
mod hook;
mod listener;
mod lite;
mod offsets;
mod owned;
mod process_queue;
mod pull;
mod pull_consumer;
mod push;
mod rebalance;
mod send_back;
mod start_offset;
mod statistics;

pub use cuemq_net::body::{ConsumeFromWhere, MessageModel};

pub use hook::{ConsumeMessageHook, ConsumeReturnType, Consuming};
pub use listener::{Consumed, ConsumedInOrder, MessageListenerConcurrently, MessageListenerOrderly};
pub use lite::{LitePullConsumer, LitePullConsumerBuilder};
pub use offsets::LocalOffsetsError;
pub use pull::{PullResult, PullStatus};
pub use pull_consumer::{
    MessageQueueListener, PULL_NEXT_DELAY, PullConsumer, PullConsumerBuilder, PullScheduleService, PullTask,
};
pub use push::{Delivery, MessageStream, PushConsumer, PushConsumerBuilder};
