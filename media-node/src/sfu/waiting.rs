//! Packets of late of a stream for which a key frame is awaited.

use super::packet::Packet;
use std::collections::VecDeque;

/// Packets that are kept: a key frame of 720 lines, and what follows until its first packet, lost on the way, was asked for and sent again.
const MOST: usize = 128;

/// The packets. Kept only while somebody waits for a key frame, so that on other days nothing is spent on them.
#[derive(Debug, Default)]
pub struct Waiting {
    packets: VecDeque<Packet>,
}

impl Waiting {
    /// Keeps a packet; the payload is shared.
    pub fn push(&mut self, packet: Packet) {
        if self.packets.len() == MOST {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
    }

    /// Lets all go, and gives those that come after this number, in order.
    pub fn after(&mut self, seq: u64) -> Vec<Packet> {
        let mut after: Vec<Packet> = self.packets.drain(..).filter(|packet| packet.seq > seq).collect();
        after.sort_unstable_by_key(|packet| packet.seq);
        after
    }
}
