//! What a name server answers beside bodies.

use crate::header::field::fields;

fields! {
    /// The answer to a broker's registration: 103. Only slaves get addresses.
    pub struct RegisterBrokerResponse<'a> {
        /// Where to replicate from.
        ha_server_addr: Option<&'a str> = b"haServerAddr",
        /// The master's address.
        master_addr: Option<&'a str> = b"masterAddr",
    }

    /// The answer to 322.
    pub struct DataVersionResponse {
        /// Whether the broker has to register again.
        changed: bool = b"changed",
    }

    /// The answer to 101.
    pub struct KvResponse<'a> {
        /// The value.
        value: Option<&'a str> = b"value",
    }

    /// The answer to 205.
    pub struct WipeWritePermResponse {
        /// How many topics lost the permission.
        wipe_topic_count: i32 = b"wipeTopicCount",
    }

    /// The answer to 327.
    pub struct AddWritePermResponse {
        /// How many topics got the permission back.
        add_topic_count: i32 = b"addTopicCount",
    }

    /// The answer to 26, whose body is the settings.
    pub struct BrokerConfigResponse<'a> {
        /// The version of the settings, as JSON.
        version: &'a str = b"version",
    }
}
