//! Calls to brokers and to name servers (`MQClientAPIImpl`), and the routes that the latter tell.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cuemq_net::body::{Body, MessageQueue, TopicRouteData};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::header::{FieldWriter, HeaderView};
use cuemq_net::request::RouteInfo;
use cuemq_net::transport::{Answer, CallError, Caller};

use super::{Client, TopicRoute};
use crate::clock;
use crate::error::{Cause, Error, refusal, success};

/// The topic whose settings a topic inherits that is made by sending to it.
pub(crate) const CREATE_TOPIC_KEY: &str = "TBW102";

/// An answer whose fields are read where they lie, unless a hook has seen it.
pub(crate) enum Answered {
    Raw(Answer),
    Seen(Command),
}

impl Answered {
    pub(crate) fn code(&self) -> ResponseCode {
        ResponseCode(match self {
            Self::Raw(answer) => answer.code(),
            Self::Seen(command) => command.code,
        })
    }

    pub(crate) fn body(&self) -> Bytes {
        match self {
            Self::Raw(answer) => answer.body(),
            Self::Seen(command) => command.body.clone(),
        }
    }

    /// Lends its fields, from which the typed headers read.
    pub(crate) fn view(&self) -> HeaderView<'_> {
        match self {
            Self::Raw(answer) => answer.view(),
            Self::Seen(command) => command.view(),
        }
    }

    /// Lets only a good answer pass.
    pub(crate) fn success(self) -> Result<(), Cause> {
        if self.code() == ResponseCode::SUCCESS {
            return Ok(());
        }
        Err(self.refusal())
    }

    /// What the server says when it says no.
    pub(crate) fn refusal(self) -> Cause {
        match self {
            Self::Raw(answer) => match answer.into_command() {
                Ok(command) => refusal(&command),
                Err(error) => Cause::Answer(error.to_string()),
            },
            Self::Seen(command) => refusal(&command),
        }
    }
}

/// How long a server may answer nothing at all while it is asked, before it counts as gone.
const SILENCE: Duration = Duration::from_secs(1);

/// Makes a call, and gives its connection up where no answer at all came over it all the time: a server or a network that went
/// without a word would keep it for as long as the machine's TCP tries (Java: `closeSocketIfTimeout`). One that answers
/// something else meanwhile is slow, and keeps it. What the server asks itself says nothing: it may come in over a connection
/// on which nothing goes out any more.
async fn heard<T>(
    caller: &Caller,
    timeout: Duration,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let before = caller.heard();
    let answer = call.await;
    if matches!(answer, Err(CallError::Timeout(_))) && timeout >= SILENCE && caller.heard() == before {
        caller.close();
    }
    answer
}

impl Client {
    /// Why a call has no answer.
    fn without_answer(&self, caller: &Caller, call: CallError) -> Cause {
        let is_ended = matches!(call, CallError::Closed | CallError::Lost) && caller.was_ended_by_peer();
        if is_ended && caller.heard() == 0 {
            let is_secure = self.shared.options.network.is_secure();
            return Cause::Unanswered { call, is_secure };
        }
        call.into()
    }

    /// Asks a server and gives its answer, whatever its code. Connecting counts into the time.
    ///
    /// Dropped while it waits, the request may have been sent.
    ///
    /// # Errors
    /// When it cannot be reached or does not answer in time.
    pub(crate) async fn call(&self, address: &str, request: &Command, timeout: Duration) -> Result<Command, Error> {
        let ask = async {
            let (caller, left) = self.caller(address, timeout).await?;
            let hooks = &self.shared.options.hooks;
            if hooks.is_empty() {
                let answer = heard(&caller, left, caller.request(request, left)).await;
                return answer.map_err(|call| self.without_answer(&caller, call));
            }
            let mut request = request.clone();
            hooks.iter().for_each(|hook| hook.before(address, &mut request));
            let answer = heard(&caller, left, caller.request(&request, left)).await;
            let answer = answer.map_err(|call| self.without_answer(&caller, call))?;
            hooks.iter().for_each(|hook| hook.after(address, &request, &answer));
            Ok(answer)
        };
        ask.await.map_err(|cause: Cause| cause.nowhere().at(address))
    }

    /// The same for a request whose header is written straight into its frame, as long as no hook wants to see it.
    pub(crate) async fn send(
        &self,
        address: &str,
        code: RequestCode,
        fields: impl FnOnce(&mut FieldWriter<'_>),
        body: &[u8],
        timeout: Duration,
    ) -> Result<Answered, Error> {
        if !self.shared.options.hooks.is_empty() {
            let request = Command::request(code).with_header(fields).with_body(body.to_vec());
            let answer = self.call(address, &request, timeout).await?;
            return Ok(Answered::Seen(answer));
        }
        let ask = async {
            let (caller, left) = self.caller(address, timeout).await?;
            let answer = heard(&caller, left, caller.ask(code, fields, body, left)).await;
            let answer = answer.map_err(|call| self.without_answer(&caller, call))?;
            Ok(Answered::Raw(answer))
        };
        ask.await.map_err(|cause: Cause| cause.nowhere().at(address))
    }

    /// Sends a request that nobody answers; done when it is on its way to the stream.
    ///
    /// # Errors
    /// When the server cannot be reached, or takes nothing in time.
    pub(crate) async fn oneway(&self, address: &str, request: Command, timeout: Duration) -> Result<(), Error> {
        let tell = async {
            let (caller, left) = self.caller(address, timeout).await?;
            let mut request = request;
            for hook in &self.shared.options.hooks {
                hook.before(address, &mut request);
            }
            let sent = tokio::time::timeout(left, caller.oneway(&request)).await;
            Ok(sent.map_err(|_| CallError::Timeout(timeout))??)
        };
        tell.await.map_err(|cause: Cause| cause.nowhere().at(address))
    }

    async fn caller(&self, address: &str, timeout: Duration) -> Result<(Caller, Duration), Cause> {
        if let Some(caller) = self.shared.connections.there(address) {
            return Ok((caller, timeout));
        }
        let begun = clock::now();
        let caller = self.shared.connections.to(address, timeout).await?;
        Ok((
            caller,
            timeout.saturating_sub(clock::now().saturating_duration_since(begun)),
        ))
    }

    /// Asks a name server, and the next one where one cannot be asked; any answer counts.
    ///
    /// # Errors
    /// That of the last one asked.
    pub(crate) async fn call_name_server(&self, request: &Command) -> Result<Command, Error> {
        let mut last = Cause::NoNameServer.nowhere();
        for address in self.shared.name_servers.in_turn() {
            match self
                .call(&address, request, self.shared.options.mq_client_api_timeout)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.shared.name_servers.failed(&address);
                    tracing::debug!(%address, %error, "a name server cannot be asked");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// All name servers, for what each has to be told by itself.
    pub(crate) fn name_servers(&self) -> Vec<String> {
        self.shared.name_servers.in_turn()
    }

    /// A topic's route as it was last heard, or as a name server says now.
    ///
    /// # Errors
    /// When no name server can be asked, or none knows the topic.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, Error> {
        match self.shared.routes.get(topic) {
            Some(route) if !route.is_inherited => Ok(route),
            _ => self.refresh_route(topic).await,
        }
    }

    /// A topic's route as it was last heard.
    pub(crate) fn known_route(&self, topic: &str) -> Option<Arc<TopicRoute>> {
        self.shared.routes.get(topic)
    }

    /// Asks for a topic's route again and tells all members when it has changed.
    ///
    /// # Errors
    /// As for [`Client::route`]; what was known stays.
    pub(crate) async fn refresh_route(&self, topic: &str) -> Result<Arc<TopicRoute>, Error> {
        let data = self.ask_route(topic).await.map_err(|error| error.topic(topic))?;
        Ok(self.take_route(topic, TopicRoute::of(topic, data)))
    }

    /// All queues of a topic that may be read.
    ///
    /// # Errors
    /// When no name server knows the topic or can be asked, and when it has no such queue, as in Java: the dead letters of a
    /// broker of 4.3.0 can only be written until an operator changes that.
    pub(crate) async fn queues_to_read(&self, topic: &str) -> Result<BTreeSet<MessageQueue>, Error> {
        let route = self.refresh_route(topic).await?;
        if route.subscribe.is_empty() {
            return Err(Cause::NoQueue.nowhere().topic(topic));
        }
        Ok(route.subscribe.iter().cloned().collect())
    }

    /// The route that a topic without one gets when it is made by sending to it, with so many queues.
    ///
    /// # Errors
    /// When no name server can be asked, or no broker makes topics.
    pub(crate) async fn inherit_route(&self, topic: &str, key: &str, queues: u32) -> Result<Arc<TopicRoute>, Error> {
        let data = self.ask_route(key).await.map_err(|error| error.topic(topic))?;
        Ok(self.take_route(topic, TopicRoute::inherited(topic, data, queues)))
    }

    fn take_route(&self, topic: &str, route: TopicRoute) -> Arc<TopicRoute> {
        let (route, is_new) = self.shared.routes.put(topic, route);
        if is_new {
            tracing::debug!(topic, queues = route.data.queue_datas.len(), "a topic's route is new");
            for member in self.shared.members.all() {
                member.route_changed(topic);
            }
            // there may be brokers in it that do not know the client yet
            self.shared.hurry.notify_one();
        }
        route
    }

    async fn ask_route(&self, topic: &str) -> Result<TopicRouteData, Error> {
        let header = RouteInfo {
            topic,
            ..RouteInfo::default()
        };
        let request = Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_header(|fields| header.write(fields));
        let answer = self.call_name_server(&request).await?;
        if answer.code == ResponseCode::TOPIC_NOT_EXIST.0 {
            return Err(Cause::NoRoute.nowhere());
        }
        let answer = success(answer)?;
        Ok(TopicRouteData::decode(&answer.body).map_err(Cause::from)?)
    }

    /// Asks for all routes again that are known or that members need.
    pub(crate) async fn refresh_routes(&self) {
        let mut topics: BTreeSet<String> = self.shared.routes.topics();
        for member in self.shared.members.all() {
            topics.extend(member.topics());
        }
        for topic in topics {
            if let Err(error) = self.refresh_route(&topic).await {
                tracing::debug!(topic, %error, "a topic's route stays as it was");
            }
        }
    }

    /// Where to send to: a broker's master.
    ///
    /// # Errors
    /// When no master of it is known.
    pub(crate) fn master(&self, broker_name: &str) -> Result<Arc<str>, Error> {
        let address = self.shared.routes.address(broker_name, super::routes::MASTER);
        address.ok_or_else(|| Cause::NoAddress.nowhere().broker(broker_name))
    }

    /// Where to read from: the broker with this id, else any of its name; gives its id too.
    ///
    /// # Errors
    /// When none of the name is known.
    pub(crate) fn reader(&self, broker_name: &str, broker_id: i64) -> Result<(i64, Arc<str>), Error> {
        let address = self.shared.routes.address_or_any(broker_name, broker_id);
        address.ok_or_else(|| Cause::NoAddress.nowhere().broker(broker_name))
    }

    /// Asks a server and lets only a good answer pass.
    ///
    /// # Errors
    /// When it cannot be reached, does not answer in time, or says no.
    pub(crate) async fn ask(&self, address: &str, request: &Command, timeout: Duration) -> Result<Command, Error> {
        let answer = self.call(address, request, timeout).await?;
        if answer.code == ResponseCode::SUCCESS.0 {
            Ok(answer)
        } else {
            Err(refusal(&answer).nowhere().at(address))
        }
    }
}
