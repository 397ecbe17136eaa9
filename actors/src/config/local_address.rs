//! The address that other machines reach this one by, for a broker.conf without brokerIP1.
#![expect(
    clippy::disallowed_types,
    reason = "it asks the kernel for a route and speaks to nobody"
)]

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// An address of the block that is set aside for documents: routed like any other, and nobody's.
const OUTSIDE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The IPv4 address that this machine would send from; `None` without a way out. Nothing is sent: connecting a UDP
/// socket only asks the kernel for the route.
pub(super) fn local_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    let is_own = !address.is_loopback() && !address.is_unspecified();
    is_own.then_some(address)
}
