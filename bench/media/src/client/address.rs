//! Where clients live: each has an address of 127.0.0.0/8 to itself, so that few sockets serve many clients, and an SFU sees as
//! many peers as there are clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A client's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u32);

/// 127.1.0.0: below lie addresses that something else may listen on.
const FIRST: u32 = 0x7F01_0000;
/// Most clients: up to 127.254.255.255.
pub const MAX_CLIENTS: u32 = 0x00FE_0000;

impl ClientId {
    /// Its address.
    pub fn ip(self) -> Ipv4Addr {
        Ipv4Addr::from(FIRST + self.0 % MAX_CLIENTS)
    }

    /// Its address with the port of its socket.
    pub fn address(self, ports: &[u16]) -> SocketAddr {
        let port = ports.get(self.socket(ports.len())).copied().unwrap_or(0);
        SocketAddr::new(self.ip().into(), port)
    }

    /// The number of its socket among `count`.
    pub fn socket(self, count: usize) -> usize {
        self.0 as usize % count.max(1)
    }

    /// The client that has this address.
    pub fn of(ip: IpAddr) -> Option<Self> {
        let IpAddr::V4(ip) = ip else { return None };
        ip.to_bits().checked_sub(FIRST).filter(|number| *number < MAX_CLIENTS).map(ClientId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_to_one_and_of_loopback() {
        for number in [0, 1, 255, 256, 65_536, MAX_CLIENTS - 1] {
            let client = ClientId(number);
            assert!(client.ip().is_loopback());
            assert_eq!(ClientId::of(client.ip().into()), Some(client));
        }
        assert_eq!(ClientId::of("127.0.0.1".parse().unwrap()), None);
        assert_eq!(ClientId::of("192.0.2.1".parse().unwrap()), None);
        assert_eq!(ClientId(5).address(&[10, 20]).to_string(), "127.1.0.5:20");
    }
}
