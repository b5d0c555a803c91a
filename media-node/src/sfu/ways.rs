//! The ways to a shard's clients: its UDP socket, and TCP for those whose network lets no UDP through.

use super::{engine::Exit, socket::BatchSocket, tcp::Lines};
use std::net::SocketAddr;

/// The ways.
pub struct Ways {
    /// The UDP socket.
    pub udp: BatchSocket,
    /// TCP connections.
    pub tcp: Lines,
    is_tcp: bool,
}

impl Ways {
    /// Both together.
    pub fn new(udp: BatchSocket, tcp: Lines) -> Self {
        Self { udp, tcp, is_tcp: false }
    }

    /// Sends a datagram, at the latest on [`Ways::flush`].
    pub fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.begin(to).extend_from_slice(datagram);
        self.end();
    }

    /// Hands what is batched to the kernel.
    pub fn flush(&mut self) {
        self.udp.flush();
        self.tcp.flush();
    }
}

impl Exit for Ways {
    fn begin(&mut self, to: SocketAddr) -> &mut Vec<u8> {
        self.is_tcp = self.tcp.has(&to);
        if self.is_tcp { self.tcp.begin(&to) } else { self.udp.begin(to) }
    }

    fn end(&mut self) {
        if self.is_tcp { self.tcp.finish() } else { self.udp.end() }
    }
}
