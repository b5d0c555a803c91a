//! What leaves, and what connections make happen while they are asked for it.

use super::Shard;
use crate::sfu::{
    engine::{Connection, Engine, Happening, Output},
    event::CloseReason,
    router::SessionKey,
};
use std::{cmp::Reverse, time::Instant};

impl<E: Engine> Shard<E> {
    /// Lets connections send what others gave them, until none has anything left.
    pub(super) fn drain_dirty(&mut self, now: Instant) {
        self.connections.forwarded = 0;
        // In the order in which their packets came: the other way round, what waits longest would wait for all that came after it, too.
        let mut with_media = std::mem::take(&mut self.connections.with_media);
        for key in with_media.drain(..) {
            let Self { connections, ways, .. } = self;
            if let Some(slot) = connections.get_mut(key) {
                slot.has_media = false;
                slot.connection.flush(now, ways);
            }
        }
        // Its memory is used again.
        self.connections.with_media = with_media;
        while let Some(key) = self.connections.dirty.pop() {
            if let Some(slot) = self.connections.get_mut(key) {
                slot.dirty = false;
                self.drain(now, key);
            }
        }
    }

    pub(super) fn drain(&mut self, now: Instant, key: SessionKey) {
        loop {
            let Some(slot) = self.connections.get_mut(key) else { return };
            match slot.connection.poll(now) {
                Ok(Output::Transmit(to, datagram)) => self.ways.send(to, &datagram),
                Ok(Output::Happening(happening)) => self.happened(now, key, happening),
                Ok(Output::Idle(at)) => {
                    slot.connection.flush(now, &mut self.ways);
                    slot.deadline = at;
                    // One live timer per connection: a later deadline waits until the earlier timer fires.
                    if slot.scheduled.is_none_or(|scheduled| at < scheduled) {
                        slot.scheduled = Some(at);
                        self.timers.push(Reverse((at, key.0)));
                    }
                    return;
                }
                Err(fault) => {
                    self.close(now, key, CloseReason::EngineFault(fault.0));
                    return;
                }
            }
        }
    }

    pub(super) fn happened(&mut self, now: Instant, key: SessionKey, happening: Happening) {
        let (router, out) = (&mut self.router, &mut self.connections);
        match happening {
            Happening::Packet(packet) => router.packet(now, key, &packet, out),
            Happening::Connected => {
                if let Some(slot) = out.get_mut(key) {
                    slot.up = true;
                }
                router.connected(now, key, out);
            }
            Happening::Ready => router.ready(now, key, out),
            Happening::Lost => router.consent(now, key, false),
            Happening::Regained => router.consent(now, key, true),
            Happening::Closed => self.close(now, key, CloseReason::ClientClosed),
            Happening::KeyframeWanted(mid) => router.keyframe_wanted(now, key, mid, out),
            Happening::Estimate(reading) => router.estimate(now, key, reading, out),
            Happening::ChannelOpen(channel) => router.channel_open(now, key, channel, out),
            Happening::ChannelReady(channel) => router.channel_ready(key, channel, out),
            Happening::Message(channel, data) => {
                for slow in router.message(now, key, channel, &data, out) {
                    self.close(now, slow, CloseReason::DataBacklog);
                }
            }
            Happening::Path(path) => router.path(now, key, path),
        }
    }
}
