//! The simulated host that runs a name server alone.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cuemq_actors::broker::{Seams, Services, start};
use cuemq_actors::config::BrokerConfig;
use cuemq_actors::placement::Placement;
use cuemq_actors::testing::{Faults, MemoryDisk, SeededEntropy};
use cuemq_storage::interrupt::Interrupt;

use crate::sim::client::NAME_SERVER_PORT;
use crate::sim::clock::SimClock;
use crate::sim_net::SimNet;

/// The name of the host.
pub(super) const HOST: &str = "names";

/// The machine that the name server runs on.
#[derive(Clone)]
pub(super) struct NamesMachine {
    pub(super) disk: MemoryDisk,
    pub(super) clock: Arc<SimClock>,
    pub(super) seed: u64,
}

impl NamesMachine {
    /// One life of the name server, which ends with the host's.
    pub(super) async fn live(self) -> turmoil::Result {
        let config = BrokerConfig {
            data: "/names".into(),
            listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            announce: turmoil::lookup(HOST),
            name_server_port: NAME_SERVER_PORT,
            ..BrokerConfig::for_test()
        };
        let services = Services {
            broker: false,
            name_server: true,
        };
        let seams = Seams {
            disk: Arc::new(self.disk.process()),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(SeededEntropy::new(self.seed ^ 0x4E53)),
            net: Arc::new(SimNet),
            placement: Placement::local(),
            faults: Faults::default(),
            interrupt: Interrupt::default(),
        };
        let running = start(config, services, seams).await?;
        let _failed = running.failed().await;
        Ok(())
    }
}
