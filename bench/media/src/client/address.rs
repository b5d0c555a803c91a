//! Where clients live: each has an address to itself, so that few sockets serve many clients, and a server sees as many peers as there are
//! clients.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A client's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u32);

/// Most clients: as many as a /15 has addresses.
pub const MAX_CLIENTS: u32 = 1 << 17;

/// The clients' addresses: 2^17 from this one on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subnet(Ipv4Addr);

impl Subnet {
    /// In the generator's network namespace.
    pub const NAMESPACE: Self = Self(Ipv4Addr::new(10, 78, 0, 0));
    /// On a machine's loopback interface.
    pub const LOOPBACK: Self = Self(Ipv4Addr::new(127, 2, 0, 0));

    /// A client's address.
    pub fn ip(self, client: ClientId) -> Ipv4Addr {
        Ipv4Addr::from(self.0.to_bits() + client.0 % MAX_CLIENTS)
    }

    /// Its address with the port of its socket.
    pub fn address(self, client: ClientId, ports: &[u16]) -> SocketAddr {
        let port = ports.get(client.socket(ports.len())).copied().unwrap_or(0);
        SocketAddr::new(self.ip(client).into(), port)
    }

    /// The client that has this address.
    pub fn client(self, ip: IpAddr) -> Option<ClientId> {
        let IpAddr::V4(ip) = ip else { return None };
        ip.to_bits().checked_sub(self.0.to_bits()).filter(|number| *number < MAX_CLIENTS).map(ClientId)
    }
}

impl ClientId {
    /// The number of its socket among `count`.
    pub fn socket(self, count: usize) -> usize {
        self.0 as usize % count.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_one_to_one() {
        let subnet = Subnet::LOOPBACK;
        for number in [0, 1, 255, 256, 65_536, MAX_CLIENTS - 1] {
            let client = ClientId(number);
            assert!(subnet.ip(client).is_loopback());
            assert_eq!(subnet.client(subnet.ip(client).into()), Some(client));
        }
        assert_eq!(subnet.client("127.0.0.1".parse().unwrap()), None);
        assert_eq!(subnet.client("192.0.2.1".parse().unwrap()), None);
        assert_eq!(subnet.address(ClientId(5), &[10, 20]).to_string(), "127.2.0.5:20");
        assert_eq!(Subnet::NAMESPACE.ip(ClientId(MAX_CLIENTS - 1)).to_string(), "10.79.255.255");
    }
}
