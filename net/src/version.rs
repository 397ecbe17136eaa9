//! The sender's release, as the number that travels in every header.
//!
//! The number is an ordinal in Java's `MQVersion.Version`: each release has a slot for its snapshot and one for itself, so
//! within a minor line each patch adds 2. Some numbers switch what a peer understands; each switch has a predicate here.

/// A release number from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub i32);

impl Version {
    /// 3.0.7-SNAPSHOT, the first client that obeys offset resets.
    pub const V3_0_7_SNAPSHOT: Self = Self(28);
    /// 3.0.11, the first broker that registers with a wrapped body.
    pub const V3_0_11: Self = Self(37);
    /// 3.1.8-SNAPSHOT, the first client that tells what it runs.
    pub const V3_1_8_SNAPSHOT: Self = Self(62);
    /// 3.4.9, the first client whose header bounds the number of redeliveries.
    pub const V3_4_9: Self = Self(121);
    /// 4.0.0.
    pub const V4_0_0: Self = Self(213);
    /// 4.1.0-SNAPSHOT, the first broker that filters by SQL92.
    pub const V4_1_0_SNAPSHOT: Self = Self(232);
    /// 4.3.0.
    pub const V4_3_0: Self = Self(273);
    /// 4.9.4, the first client that reads routes as standard JSON.
    pub const V4_9_4: Self = Self(401);
    /// 4.9.8.
    pub const V4_9_8: Self = Self(409);
    /// 5.0.0.
    pub const V5_0_0: Self = Self(413);
    /// 5.3.3.
    pub const V5_3_3: Self = Self(479);
    /// What CueMQ announces itself as.
    pub const CUEMQ: Self = Self::V4_9_8;

    /// Whether a route goes out as standard JSON, with broker ids in quotes.
    pub fn takes_standard_json(self) -> bool {
        self >= Self::V4_9_4
    }

    /// Whether maxReconsumeTimes of the header replaces the group's own bound.
    pub fn max_reconsume_overrides(self) -> bool {
        self >= Self::V3_4_9
    }

    /// Whether a broker's registration carries filter servers beside its topics.
    pub fn registers_with_wrapped_body(self) -> bool {
        self >= Self::V3_0_11
    }

    /// Whether a client obeys offset resets and tells its consumer status (220, 221).
    pub fn obeys_offset_reset(self) -> bool {
        self >= Self::V3_0_7_SNAPSHOT
    }

    /// Whether a client tells what it runs and consumes a message on demand (307, 309).
    pub fn tells_running_info(self) -> bool {
        self >= Self::V3_1_8_SNAPSHOT
    }

    /// Whether a broker filters by SQL92; Java clients refuse such pulls from an older one.
    pub fn filters_by_sql92(self) -> bool {
        self >= Self::V4_1_0_SNAPSHOT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Switch = (fn(Version) -> bool, i32);

    #[test]
    fn each_switch_turns_at_its_release() {
        let switches: [Switch; 6] = [
            (Version::takes_standard_json, 401),
            (Version::max_reconsume_overrides, 121),
            (Version::registers_with_wrapped_body, 37),
            (Version::obeys_offset_reset, 28),
            (Version::tells_running_info, 62),
            (Version::filters_by_sql92, 232),
        ];
        for (switch, first) in switches {
            assert!(!switch(Version(first - 1)), "{first}");
            assert!(switch(Version(first)), "{first}");
            assert!(switch(Version::CUEMQ), "ours is beyond every switch");
        }
    }

    #[test]
    fn we_announce_4_9_8() {
        assert_eq!(Version::CUEMQ, Version(409));
    }
}
