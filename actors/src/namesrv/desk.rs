//! Answers requests from the route table, the keys and values and the settings: one method for each code, none knows the
//! connection or the clock. Mirrors `DefaultRequestProcessor` of the name server.

use super::broker::BrokerIdentity;
use super::kv::{KvConfig, KvFile, ORDER_TOPICS};
use super::refusal::Refusal;
use super::room::has_room;
use super::routes::RouteTable;
use super::settings::Settings;
use crate::peer::PeerKey;
use cuemq_net::body::{Body, DataVersion, RegisterBrokerBody, TopicConfigTable};
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;
use cuemq_net::dialect::Style;
use cuemq_net::message::record::body_crc;
use cuemq_net::request::{
    DeleteKv, DeleteTopic, GetKv, KvList, PutKv, QueryDataVersion, RegisterBroker, RouteInfo, TopicsByCluster,
    UnregisterBroker, WritePerm,
};
use cuemq_net::response::{
    AddWritePermResponse, DataVersionResponse, KvResponse, RegisterBrokerResponse, WipeWritePermResponse,
};
use cuemq_storage::error::StoreError;
use std::time::Duration;

/// Everything that a name server knows, and the answers from it.
pub struct Desk {
    routes: RouteTable,
    kv: KvConfig,
    kv_file: KvFile,
    settings: Settings,
}

type Answered = Result<Command, Refusal>;

impl Desk {
    /// Starts with the keys and values of the file and no routes.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(kv_file: KvFile, settings: Settings) -> Result<Self, StoreError> {
        let kv = kv_file.load()?;
        Ok(Desk {
            routes: RouteTable::default(),
            kv,
            kv_file,
            settings,
        })
    }

    /// Answers a request that came on the connection `peer` at `now` on the monotonic clock. Blocks only to write the
    /// keys and values.
    pub fn answer(&mut self, peer: PeerKey, request: &Command, now: Duration) -> Command {
        let answered = match RequestCode(request.code) {
            RequestCode::REGISTER_BROKER => self.register(peer, request, now),
            RequestCode::UNREGISTER_BROKER => self.unregister(request),
            RequestCode::QUERY_DATA_VERSION => self.query_data_version(request, now),
            RequestCode::GET_ROUTEINTO_BY_TOPIC => self.route(request),
            RequestCode::GET_BROKER_CLUSTER_INFO => Ok(with_body(request, &self.routes.cluster_info())),
            RequestCode::PUT_KV_CONFIG => self.put_kv(request),
            RequestCode::GET_KV_CONFIG => self.get_kv(request),
            RequestCode::DELETE_KV_CONFIG => self.delete_kv(request),
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.list_kv(request),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => Ok(with_body(request, &self.routes.all_topics())),
            RequestCode::GET_TOPICS_BY_CLUSTER => self.topics_of_cluster(request),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => Ok(with_body(request, &self.routes.system_topics())),
            RequestCode::GET_UNIT_TOPIC_LIST => Ok(with_body(request, &self.routes.unit_topics())),
            RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST => Ok(with_body(request, &self.routes.unit_subscribed_topics())),
            RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => {
                Ok(with_body(request, &self.routes.unit_subscribed_ordinary_topics()))
            }
            RequestCode::DELETE_TOPIC_IN_NAMESRV => self.delete_topic(request),
            RequestCode::WIPE_WRITE_PERM_OF_BROKER => self.set_writable(request, false),
            RequestCode::ADD_WRITE_PERM_OF_BROKER => self.set_writable(request, true),
            RequestCode::UPDATE_NAMESRV_CONFIG => self.update_settings(request),
            RequestCode::GET_NAMESRV_CONFIG => Ok(done(request).with_body(self.settings.to_properties())),
            RequestCode(other) => Err(Refusal::unsupported(other)),
        };
        answered.unwrap_or_else(|refusal| refusal.answer(request))
    }

    /// Forgets the brokers that registered on a connection that has closed.
    pub fn peer_closed(&mut self, peer: PeerKey) {
        self.routes.peer_closed(peer);
    }

    /// How many brokers are alive, and how many topics have a route.
    #[must_use]
    pub fn figures(&self) -> (usize, usize) {
        self.routes.figures()
    }

    /// Forgets the brokers that have been silent for too long and returns their connections, which are to be closed.
    pub fn remove_silent(&mut self, now: Duration) -> Vec<PeerKey> {
        self.routes.remove_silent(now)
    }

    fn register(&mut self, peer: PeerKey, request: &Command, now: Duration) -> Answered {
        let view = request.view();
        let header = RegisterBroker::read(&view)?;
        if header.body_crc32 != 0 && i64::from(header.body_crc32) != i64::from(body_crc(&request.body)) {
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, "crc32 not match"));
        }
        let body = registration(request, header.compressed)?;
        let identity = identity(
            header.cluster_name,
            header.broker_name,
            header.broker_addr,
            header.broker_id,
        );
        let master = self
            .routes
            .register(peer, &identity, header.ha_server_addr, body, now)
            .inspect_err(|error| tracing::warn!(broker = identity.name, %error, "registration refused"))?;
        let told = RegisterBrokerResponse {
            ha_server_addr: master.as_ref().map(|master| master.replication_address.as_str()),
            master_addr: master.as_ref().map(|master| master.address.as_str()),
        };
        let answer = done(request).with_header(|fields| told.write(fields));
        match self.kv.list(ORDER_TOPICS) {
            Some(order) => Ok(answer.with_body(order.encode(Style::Fastjson))),
            None => Ok(answer),
        }
    }

    fn unregister(&mut self, request: &Command) -> Answered {
        let view = request.view();
        let header = UnregisterBroker::read(&view)?;
        let identity = identity(
            header.cluster_name,
            header.broker_name,
            header.broker_addr,
            header.broker_id,
        );
        self.routes.unregister(&identity);
        Ok(done(request))
    }

    fn query_data_version(&mut self, request: &Command, now: Duration) -> Answered {
        let view = request.view();
        let header = QueryDataVersion::read(&view)?;
        let version = DataVersion::decode(&request.body)?;
        let (changed, known) = self.routes.query_data_version(header.broker_addr, &version, now);
        let answer = done(request).with_header(|fields| DataVersionResponse { changed }.write(fields));
        Ok(known
            .iter()
            .fold(answer, |answer, known| answer.with_body(known.encode(Style::Fastjson))))
    }

    fn route(&self, request: &Command) -> Answered {
        let view = request.view();
        let header = RouteInfo::read(&view)?;
        let mut route = self
            .routes
            .route(header.topic)
            .ok_or_else(|| Refusal::no_route(header.topic))?;
        if self.settings.order_message_enable || self.settings.cluster_test {
            route.order_topic_conf = self.kv.get(ORDER_TOPICS, header.topic).map(str::to_owned);
        }
        Ok(done(request).with_body(route.encode(route_style(request))))
    }

    fn topics_of_cluster(&self, request: &Command) -> Answered {
        let view = request.view();
        let header = TopicsByCluster::read(&view)?;
        Ok(with_body(request, &self.routes.topics_of_cluster(header.cluster)))
    }

    fn delete_topic(&mut self, request: &Command) -> Answered {
        let view = request.view();
        let header = DeleteTopic::read(&view)?;
        let cluster = header.cluster_name.filter(|cluster| !cluster.is_empty());
        self.routes.delete_topic(header.topic, cluster);
        Ok(done(request))
    }

    fn set_writable(&mut self, request: &Command, writable: bool) -> Answered {
        let view = request.view();
        let header = WritePerm::read(&view)?;
        let topics = self.routes.set_writable(header.broker_name, writable);
        tracing::info!(
            broker = header.broker_name,
            writable,
            topics,
            "changed the permission to write"
        );
        let count = i32::try_from(topics).unwrap_or(i32::MAX);
        Ok(done(request).with_header(|fields| match writable {
            false => WipeWritePermResponse {
                wipe_topic_count: count,
            }
            .write(fields),
            true => AddWritePermResponse { add_topic_count: count }.write(fields),
        }))
    }

    fn put_kv(&mut self, request: &Command) -> Answered {
        let view = request.view();
        let header = PutKv::read(&view)?;
        self.change_kv(|kv| kv.put(header.namespace, header.key, header.value))?;
        Ok(done(request))
    }

    fn get_kv(&self, request: &Command) -> Answered {
        let view = request.view();
        let GetKv { namespace, key } = GetKv::read(&view)?;
        let unknown = || Refusal::no_config(format!("No config item, Namespace: {namespace} Key: {key}"));
        let value = self.kv.get(namespace, key).ok_or_else(unknown)?;
        Ok(done(request).with_header(|fields| KvResponse { value: Some(value) }.write(fields)))
    }

    fn delete_kv(&mut self, request: &Command) -> Answered {
        let view = request.view();
        let header = DeleteKv::read(&view)?;
        self.change_kv(|kv| kv.delete(header.namespace, header.key))?;
        Ok(done(request))
    }

    fn list_kv(&self, request: &Command) -> Answered {
        let view = request.view();
        let KvList { namespace } = KvList::read(&view)?;
        let unknown = || Refusal::no_config(format!("No config item, Namespace: {namespace}"));
        let table = self.kv.list(namespace).ok_or_else(unknown)?;
        Ok(with_body(request, &table))
    }

    /// Changes the keys and values in the file first: what was answered survives a crash, what failed is not seen.
    fn change_kv<T>(&mut self, change: impl FnOnce(&mut KvConfig) -> T) -> Result<(), Refusal> {
        let mut changed = self.kv.clone();
        change(&mut changed);
        if changed != self.kv {
            has_room(&self.kv, &changed)?;
            self.kv_file.save(&changed)?;
            self.kv = changed;
        }
        Ok(())
    }

    fn update_settings(&mut self, request: &Command) -> Answered {
        let properties = std::str::from_utf8(&request.body);
        let properties = properties.map_err(|_| Refusal::new(ResponseCode::SYSTEM_ERROR, "string2Properties error"))?;
        self.settings.update(properties);
        Ok(done(request))
    }
}

/// The JSON of a route: later clients parse the standard's alone; those of other languages before them know only unquoted
/// broker ids.
pub(super) fn route_style(request: &Command) -> Style {
    let view = request.view();
    let asks_for_it = RouteInfo::read(&view).is_ok_and(|header| header.accept_standard_json_only);
    if asks_for_it || request.version.takes_standard_json() {
        Style::Standard
    } else {
        Style::Fastjson
    }
}

fn done(request: &Command) -> Command {
    Command::response_to(request, ResponseCode::SUCCESS)
}

fn with_body(request: &Command, body: &impl Body) -> Command {
    done(request).with_body(body.encode(Style::Fastjson))
}

fn identity(cluster: &str, name: &str, address: &str, id: i64) -> BrokerIdentity {
    BrokerIdentity {
        cluster: cluster.to_owned(),
        name: name.to_owned(),
        address: address.to_owned(),
        id,
    }
}

/// Reads a registration's body, whose form depends on the broker's release and on its header.
fn registration(request: &Command, compressed: bool) -> Result<RegisterBrokerBody, Refusal> {
    if request.body.is_empty() {
        return Ok(RegisterBrokerBody::default());
    }
    if !request.version.registers_with_wrapped_body() {
        let topics = TopicConfigTable::decode(&request.body)?;
        return Ok(RegisterBrokerBody {
            filter_server_list: None,
            topics,
        });
    }
    if compressed {
        return Ok(RegisterBrokerBody::decode_compressed(&request.body)?);
    }
    Ok(RegisterBrokerBody::decode(&request.body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cuemq_net::version::Version;
    use cuemq_storage::disk::{Disk, MemoryDisk, RealDisk};
    use std::path::Path;
    use std::sync::Arc;

    const PEER: PeerKey = PeerKey {
        thread: 0,
        slot: 0,
        generation: 0,
    };

    fn desk_on(disk: Arc<dyn Disk>, root: &Path) -> Desk {
        let file = KvFile::new(disk, root.join("config/kvConfig.json"));
        Desk::open(file, Settings::for_test()).unwrap()
    }

    fn desk_at(root: &tempfile::TempDir) -> Desk {
        desk_on(Arc::new(RealDisk), root.path())
    }

    fn desk() -> Desk {
        desk_on(Arc::new(MemoryDisk::new(1)), Path::new("/data"))
    }

    fn ask(desk: &mut Desk, request: Command) -> Command {
        desk.answer(PEER, &request, Duration::ZERO)
    }

    fn registration(body: impl Into<bytes::Bytes>) -> Command {
        Command::request(RequestCode::REGISTER_BROKER)
            .with_field("brokerName", "a")
            .with_field("brokerAddr", "a:1")
            .with_field("clusterName", "C")
            .with_field("haServerAddr", "a:2")
            .with_field("brokerId", 0)
            .with_body(body)
    }

    fn topics(names: &[&str]) -> RegisterBrokerBody {
        let mut body = RegisterBrokerBody::default();
        for name in names {
            body.topics
                .topic_config_table
                .insert((*name).to_owned(), Default::default());
        }
        body
    }

    fn route(topic: &str) -> Command {
        Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC).with_field("topic", topic)
    }

    fn kv(code: RequestCode, value: &str) -> Command {
        let request = Command::request(code)
            .with_field("namespace", ORDER_TOPICS)
            .with_field("key", "T");
        request.with_field("value", value)
    }

    fn text(command: &Command) -> &str {
        std::str::from_utf8(&command.body).unwrap()
    }

    #[test]
    fn a_damaged_registration_is_refused_by_its_checksum() {
        let body = topics(&["T"]).encode(Style::Fastjson);
        let crc = body_crc(&body);
        let mut desk = desk();
        let refused = ask(&mut desk, registration(body.clone()).with_field("bodyCrc32", crc ^ 1));
        assert_eq!((refused.code, refused.remark.as_deref()), (1, Some("crc32 not match")));
        assert_eq!(ask(&mut desk, route("T")).code, 17);
        assert_eq!(ask(&mut desk, registration(body).with_field("bodyCrc32", crc)).code, 0);
        assert_eq!(ask(&mut desk, route("T")).code, 0);
    }

    #[test]
    fn a_registration_may_be_compressed_bare_or_empty() {
        let mut desk = desk();
        let compressed = registration(topics(&["Z"]).encode_compressed()).with_field("compressed", true);
        assert_eq!(ask(&mut desk, compressed).code, 0);
        assert_eq!(ask(&mut desk, route("Z")).code, 0);
        let mut bare = topics(&["B"]).topics;
        bare.data_version.counter = 1;
        let mut old = registration(bare.encode(Style::Fastjson));
        old.version = Version(36);
        assert_eq!(ask(&mut desk, old).code, 0);
        assert_eq!(ask(&mut desk, route("B")).code, 0);
        assert_eq!(ask(&mut desk, registration("")).code, 0);
    }

    #[test]
    fn a_bad_body_or_header_is_answered_with_what_is_wrong() {
        let mut desk = desk();
        let bad = ask(&mut desk, registration("{\"topicConfigSerializeWrapper\":"));
        assert_eq!(
            (bad.code, bad.remark.as_deref()),
            (1, Some("cannot read the body: expected a value at byte 31"))
        );
        let bad = ask(&mut desk, registration("x").with_field("compressed", true));
        assert_eq!(bad.code, 1);
        let bad = ask(&mut desk, Command::request(RequestCode::GET_ROUTEINTO_BY_TOPIC));
        assert_eq!(bad.code, 1);
        assert!(bad.remark.unwrap().starts_with("the required field `topic` is missing"));
    }

    #[test]
    fn a_code_that_is_not_for_name_servers_is_refused_by_name() {
        let mut desk = desk();
        let refused = ask(&mut desk, Command::request(RequestCode::SEND_MESSAGE_V2));
        let remark = " request type 310 not supported (SEND_MESSAGE_V2)";
        assert_eq!((refused.code, refused.remark.as_deref()), (3, Some(remark)));
        let refused = ask(&mut desk, Command::request(RequestCode(31_999)));
        assert_eq!(refused.remark.as_deref(), Some(" request type 31999 not supported"));
    }

    #[test]
    fn the_requests_release_decides_the_routes_dialect() {
        let mut desk = desk();
        ask(&mut desk, registration(topics(&["T"]).encode(Style::Fastjson)));
        let mut route_of = |version, only_json: bool| {
            let mut request = route("T").with_field("acceptStandardJsonOnly", only_json);
            request.version = Version(version);
            text(&ask(&mut desk, request)).contains(r#""brokerAddrs":{0:"a:1"}"#)
        };
        assert!(route_of(400, false));
        assert!(!route_of(400, true));
        assert!(!route_of(401, false));
    }

    #[test]
    fn the_order_of_brokers_is_told_when_that_is_switched_on() {
        let mut desk = desk();
        ask(&mut desk, kv(RequestCode::PUT_KV_CONFIG, "a:4"));
        let answer = ask(&mut desk, registration(topics(&["T"]).encode(Style::Fastjson)));
        assert_eq!(text(&answer), r#"{"table":{"T":"a:4"}}"#);
        assert!(!text(&ask(&mut desk, route("T"))).contains("orderTopicConf"));
        let switch = Command::request(RequestCode::UPDATE_NAMESRV_CONFIG).with_body("orderMessageEnable=true\n");
        assert_eq!(ask(&mut desk, switch).code, 0);
        assert!(text(&ask(&mut desk, route("T"))).contains(r#""orderTopicConf":"a:4""#));
        let shown = ask(&mut desk, Command::request(RequestCode::GET_NAMESRV_CONFIG));
        assert!(text(&shown).contains("orderMessageEnable=true\n"));
    }

    #[test]
    fn the_permission_to_write_is_changed_and_the_topics_counted() {
        let mut desk = desk();
        ask(&mut desk, registration(topics(&["T", "U"]).encode(Style::Fastjson)));
        for (code, count, perm) in [
            (RequestCode::WIPE_WRITE_PERM_OF_BROKER, "wipeTopicCount", r#""perm":4"#),
            (RequestCode::ADD_WRITE_PERM_OF_BROKER, "addTopicCount", r#""perm":6"#),
        ] {
            let changed = ask(&mut desk, Command::request(code).with_field("brokerName", "a"));
            assert_eq!(changed.fields.get(count), Some("2"));
            assert!(text(&ask(&mut desk, route("U"))).contains(perm));
        }
    }

    #[test]
    fn a_topic_can_be_deleted_and_lists_are_asked_for_by_code() {
        let mut desk = desk();
        ask(&mut desk, registration(topics(&["T", "U"]).encode(Style::Fastjson)));
        let delete = Command::request(RequestCode::DELETE_TOPIC_IN_NAMESRV).with_field("topic", "T");
        assert_eq!(ask(&mut desk, delete.with_field("clusterName", "")).code, 0);
        let cluster = Command::request(RequestCode::GET_TOPICS_BY_CLUSTER).with_field("cluster", "C");
        assert_eq!(text(&ask(&mut desk, cluster)), r#"{"topicList":["U"]}"#);
        let system = Command::request(RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS);
        assert_eq!(
            text(&ask(&mut desk, system)),
            r#"{"brokerAddr":"a:1","topicList":["C","a"]}"#
        );
        for code in [
            RequestCode::GET_UNIT_TOPIC_LIST,
            RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST,
            RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
        ] {
            assert_eq!(text(&ask(&mut desk, Command::request(code))), r#"{"topicList":[]}"#);
        }
    }

    #[test]
    fn keys_and_values_outlive_the_process() {
        let root = tempfile::tempdir().unwrap();
        ask(&mut desk_at(&root), kv(RequestCode::PUT_KV_CONFIG, "a:4"));
        let found = ask(&mut desk_at(&root), kv(RequestCode::GET_KV_CONFIG, ""));
        assert_eq!(found.fields.get("value"), Some("a:4"));
        ask(&mut desk_at(&root), kv(RequestCode::DELETE_KV_CONFIG, ""));
        assert_eq!(ask(&mut desk_at(&root), kv(RequestCode::GET_KV_CONFIG, "")).code, 22);
    }

    #[test]
    fn a_value_that_cannot_be_written_is_refused_and_not_seen() {
        let root = tempfile::tempdir().unwrap();
        let mut desk = desk_at(&root);
        // a file stands where the directory would have to be
        let blocked = root.path().join("config");
        let disk = RealDisk;
        cuemq_storage::table::write_table(&disk, &blocked, b"{}").unwrap();
        let refused = ask(&mut desk, kv(RequestCode::PUT_KV_CONFIG, "a:4"));
        assert_eq!(refused.code, 1);
        assert!(refused.remark.unwrap().starts_with("the change was not made: "));
        assert_eq!(ask(&mut desk, kv(RequestCode::GET_KV_CONFIG, "")).code, 22);
    }
}
