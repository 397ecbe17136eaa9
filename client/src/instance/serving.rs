//! What servers ask on the client's own connections (`ClientRemotingProcessor`): each request goes to the producer or the
//! consumer whose group it names, and runs as a task of its own, so that none waits for another.
//!
//! | code | goes to |
//! |---|---|
//! | 39 | the producer of the group in the half message |
//! | 326 | every producer: it knows what it waits for |
//! | 40, 307, 309 | the consumer of `consumerGroup` |
//! | 220, 221 | the consumer of `group` |

use std::sync::Arc;

use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::message::properties;
use cuemq_net::message::record::Record;
use tokio::sync::{Semaphore, mpsc};

use super::connections::Asked;
use super::member::Group;
use super::{Client, Member, WeakClient};

/// How many requests of servers are served at a time.
const AT_A_TIME: usize = 64;

/// Serves as long as the client is there.
pub(super) async fn serve(client: WeakClient, mut incoming: mpsc::Receiver<Asked>) {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    while let Some(asked) = incoming.recv().await {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Some(client) = client.upgrade() else { return };
        let members = client.asked(&asked.request);
        client.spawn(async move {
            answer(members, asked).await;
            drop(place);
        });
    }
}

async fn answer(members: Vec<Arc<dyn Member>>, asked: Asked) {
    let (caller, request, from) = (asked.caller.clone(), asked.request.clone(), Arc::clone(&asked.from));
    let mut answer = None;
    for member in &members {
        let asked = Asked {
            from: Arc::clone(&from),
            caller: caller.clone(),
            request: request.clone(),
        };
        answer = Arc::clone(member).serve(asked).await;
        if answer.is_some() {
            break;
        }
    }
    if request.is_oneway() {
        return;
    }
    let answer = answer.unwrap_or_else(|| {
        let code = RequestCode(request.code);
        if code == RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT {
            // a reply that comes too late; whoever replied has done well
            return Command::response_to(&request, ResponseCode::SUCCESS);
        }
        let words = format!("{code}: nobody in this client is asked that");
        Command::response_to(&request, ResponseCode::SYSTEM_ERROR).with_remark(words)
    });
    if let Err(error) = caller.respond(&request, &answer).await {
        tracing::debug!(%from, %error, "a server does not get its answer");
    }
}

impl Client {
    /// Who is to answer a request.
    fn asked(&self, request: &Command) -> Vec<Arc<dyn Member>> {
        let members = &self.shared.members;
        let consumer = |field: &str| {
            let group = request.fields.get(field)?;
            members.find(&Group::Consuming(group.to_owned()))
        };
        let found = match RequestCode(request.code) {
            RequestCode::CHECK_TRANSACTION_STATE => {
                producer_of(request).and_then(|group| members.find(&Group::Producing(group)))
            }
            RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => {
                let mut all = members.all();
                all.retain(|member| matches!(member.group(), Group::Producing(_)));
                return all;
            }
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED
            | RequestCode::GET_CONSUMER_RUNNING_INFO
            | RequestCode::CONSUME_MESSAGE_DIRECTLY => consumer("consumerGroup"),
            RequestCode::RESET_CONSUMER_CLIENT_OFFSET | RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT => {
                consumer("group")
            }
            _ => None,
        };
        found.into_iter().collect()
    }
}

/// The group of the producer that sent the half message in a check.
fn producer_of(request: &Command) -> Option<String> {
    let record = Record::parse(&request.body).ok()?;
    properties::known(record.properties()).producer_group.map(str::to_owned)
}
