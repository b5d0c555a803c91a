//! The handle to a shard: what others hand over to it, and its counts.

use crate::{
    cascade::link::RemotePacket,
    sfu::{command::Command, tcp::Accepted},
};
use mio::Waker;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::AtomicU64,
        mpsc::{SyncSender, TrySendError},
    },
};

/// A shard's counts, for others to read.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams received.
    pub received: AtomicU64,
    /// Bytes of those.
    pub received_bytes: AtomicU64,
    /// Datagrams sent.
    pub sent: AtomicU64,
    /// Bytes of those.
    pub sent_bytes: AtomicU64,
    /// Datagrams that the kernel refused.
    pub refused: AtomicU64,
    /// Datagrams dropped by the injected loss.
    pub injected: AtomicU64,
    /// Datagrams of nobody.
    pub unknown: AtomicU64,
    /// TCP connections.
    pub tcp_connections: AtomicU64,
    /// Frames sent over them.
    pub tcp_sent: AtomicU64,
    /// Frames that they were too slow for.
    pub tcp_dropped: AtomicU64,
    /// Longest turn of the loop since last read, in microseconds.
    pub longest_turn_us: AtomicU64,
    /// CPU share of the thread in the last second, in parts per 10,000 of a core.
    pub busy: AtomicU64,
    /// Share of the wanted video that is given up for lack of CPU time, in percent.
    pub relief: AtomicU64,
    /// Sessions whose offer waits for its turn.
    pub joins_waiting: AtomicU64,
}

/// The shard is gone or has too much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Its queue is full.
    #[error("the node has too many commands waiting; try again")]
    Busy,
    /// It ended.
    #[error("the node is stopping")]
    Gone,
}

/// What came to another shard, and is for this one.
pub(super) enum Relayed {
    /// A datagram that its socket received.
    Datagram {
        /// That shard's number.
        via: usize,
        source: SocketAddr,
        datagram: Vec<u8>,
    },
    /// A TCP connection that it accepted.
    Line(Accepted),
}

/// Where a shard gets its commands, and datagrams that came to other shards.
#[derive(Clone)]
pub struct ShardHandle {
    pub(super) commands: SyncSender<Command>,
    pub(super) relayed: SyncSender<Relayed>,
    pub(super) remote: SyncSender<RemotePacket>,
    pub(super) waker: Arc<Waker>,
    /// Its counts.
    pub counters: Arc<Counters>,
}

impl ShardHandle {
    /// Hands over a command without waiting.
    pub fn send(&self, command: Command) -> Result<(), ShardError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => ShardError::Busy,
            TrySendError::Disconnected(_) => ShardError::Gone,
        })?;
        self.waker.wake().map_err(|_| ShardError::Gone)
    }

    /// Hands over a packet of another node, for [`ShardHandle::wake`] to bring to notice. `false`: the queue is full, and it is lost.
    pub fn remote(&self, packet: RemotePacket) -> bool {
        self.remote.try_send(packet).is_ok()
    }

    /// Wakes the thread.
    pub fn wake(&self) {
        let _ = self.waker.wake();
    }

    /// Hands something over. A full queue loses it, as the network may.
    pub(super) fn relay(&self, relayed: Relayed) {
        if self.relayed.try_send(relayed).is_ok() {
            let _ = self.waker.wake();
        }
    }
}
