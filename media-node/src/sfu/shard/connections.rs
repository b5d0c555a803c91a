//! The connections of a shard: its router's way out.

use crate::{
    cascade::{link::FromRoom, quic::RoomEnd},
    sfu::{
        codec::Format,
        engine::Connection,
        event::Event,
        id::{Mid, Rid},
        packet::{Channel, Forward},
        residency::{HasResidents, Residency},
        router::{Outbox, SessionKey},
    },
};
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::sync::broadcast;

pub(super) struct Slot<C> {
    pub(super) connection: C,
    pub(super) ufrag: String,
    /// The client's certificate, once it offered one.
    pub(super) fingerprints: BTreeSet<String>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) deadline: Instant,
    pub(super) scheduled: Option<Instant>,
    /// ICE and DTLS came up, and what that took of the thread's time.
    pub(super) up: bool,
    pub(super) join_cost: Duration,
    /// Something was forwarded to it.
    pub(super) has_media: bool,
    /// The engine has something to do.
    pub(super) dirty: bool,
}

/// The connections: the router's way out.
pub(super) struct Connections<C> {
    pub(super) slots: Vec<Option<Slot<C>>>,
    pub(super) dirty: Vec<SessionKey>,
    pub(super) with_media: Vec<SessionKey>,
    /// Packets that were forwarded to those.
    pub(super) forwarded: usize,
    pub(super) events: broadcast::Sender<Event>,
    /// The way to pipes, and whether the cascade has to be woken.
    pub(super) cascade: Option<RoomEnd>,
    pub(super) told: bool,
    pub(super) residents: Residency,
}

impl<C: Connection> Connections<C> {
    pub(super) fn get(&self, key: SessionKey) -> Option<&Slot<C>> {
        self.slots.get(key.0)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Slot<C>> {
        self.slots.get_mut(key.0)?.as_mut()
    }

    pub(super) fn touch(&mut self, key: SessionKey) -> Option<&mut C> {
        let slot = self.slots.get_mut(key.0)?.as_mut()?;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key);
        }
        Some(&mut slot.connection)
    }
}

impl<C> HasResidents for Connections<C> {
    fn residents(&mut self) -> &mut Residency {
        &mut self.residents
    }
}

impl<C: Connection> Outbox for Connections<C> {
    fn payload_type(&self, to: SessionKey, mid: Mid, format: &Format) -> Option<u8> {
        match self.get(to) {
            Some(slot) => slot.connection.payload_type(mid, format),
            None => self.residents.get(to)?.payload_type(format),
        }
    }

    fn forward(&mut self, to: SessionKey, forward: Forward<'_>) {
        // No turn of the engine for it: that would cost more than the packet.
        let Some(slot) = self.slots.get_mut(to.0).and_then(Option::as_mut) else {
            return self.residents.packet(to, &forward);
        };
        slot.connection.forward(forward);
        self.forwarded += 1;
        if !slot.has_media {
            slot.has_media = true;
            self.with_media.push(to);
        }
    }

    fn request_keyframe(&mut self, of: SessionKey, mid: Mid, rid: Option<Rid>) {
        match self.touch(of) {
            Some(connection) => connection.request_keyframe(mid, rid),
            None => self.residents.keyframe_wanted(of, mid),
        }
    }

    fn limit_uplink(&mut self, of: SessionKey, kbps: u32) {
        if let Some(connection) = self.touch(of) {
            connection.limit_uplink(kbps);
        }
    }

    fn send(&mut self, to: SessionKey, channel: Channel, message: &[u8]) -> bool {
        self.touch(to).is_some_and(|connection| connection.send(channel, message).unwrap_or(false))
    }

    fn want_bitrate(&mut self, to: SessionKey, kbps: u32) {
        if let Some(connection) = self.touch(to) {
            connection.want_bitrate(kbps);
        }
    }

    fn event(&mut self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn cascade(&mut self, told: FromRoom) {
        let Some(cascade) = &self.cascade else { return };
        self.told = true;
        let taken = match told {
            FromRoom::Packet(..) => cascade.packet(told),
            told => cascade.tell(told),
        };
        if !taken {
            tracing::debug!("the cascade has too much to do: a message or packet for other nodes is lost");
        }
    }
}
