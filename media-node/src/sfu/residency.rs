//! A shard's residents, between its router and their queues.

use super::{
    event::CloseReason,
    id::{Mid, RoomId},
    packet::Forward,
    resident::{Asked, Changes, Entry, Resident, ResidentId, Told},
    router::{Outbox, RouteError, Router, SessionKey},
};
use std::{collections::HashMap, time::Instant};

/// The residents.
#[derive(Default)]
pub struct Residency {
    by_key: HashMap<SessionKey, Resident>,
    by_id: HashMap<ResidentId, SessionKey>,
}

impl Residency {
    /// A session's resident.
    pub fn get(&self, key: SessionKey) -> Option<&Resident> {
        self.by_key.get(&key)
    }

    /// A packet for a session that no client has.
    pub fn packet(&mut self, to: SessionKey, forward: &Forward<'_>) {
        if let Some(resident) = self.by_key.get_mut(&to) {
            resident.packet(forward);
        }
    }

    /// Someone needs a key frame of what a resident publishes.
    pub fn keyframe_wanted(&mut self, of: SessionKey, mid: Mid) {
        if let Some(resident) = self.by_key.get_mut(&of) {
            resident.tell(Told::KeyframeWanted(mid));
        }
    }

    fn remove(&mut self, key: SessionKey) -> Option<Resident> {
        let resident = self.by_key.remove(&key)?;
        self.by_id.remove(&resident.id());
        Some(resident)
    }
}

/// The router's way out, which has the residents.
pub trait HasResidents {
    /// The residents.
    fn residents(&mut self) -> &mut Residency;
}

/// Lets a resident in.
pub fn enter(
    now: Instant,
    router: &mut Router,
    out: &mut (impl Outbox + HasResidents),
    room: &RoomId,
    entry: Entry,
) -> Result<(), RouteError> {
    let (id, name) = (entry.id, entry.name.clone());
    let key = router.enter(now, room, name)?;
    let residents = out.residents();
    residents.by_id.insert(id, key);
    residents.by_key.insert(key, Resident::new(entry));
    follow(now, router, out, key);
    Ok(())
}

/// Does what a resident asks.
pub fn asked(now: Instant, router: &mut Router, out: &mut (impl Outbox + HasResidents), id: ResidentId, asked: Asked) {
    let Some(key) = out.residents().by_id.get(&id).copied() else { return };
    match asked {
        Asked::Publish(published) => router.resident_publishes(now, key, published, out),
        Asked::Unpublish(mid) => router.resident_unpublishes(now, key, mid, out),
        Asked::Packet(packet) => router.packet(now, key, &packet.packet(now), out),
        Asked::Keyframe(mid) => router.keyframe_wanted(now, key, mid, out),
        Asked::Height(mid, height) => {
            let residents = out.residents();
            let track = residents.by_key.get(&key).and_then(|resident| resident.offered_on(mid)).cloned();
            if let Some(track) = track {
                router.resident_limits(now, key, (mid, &track, height), out);
            }
        }
        Asked::Leave => {
            out.residents().remove(key);
            router.resident_leaves(now, key, out);
        }
    }
}

/// Lets time pass: residents follow what their rooms have, and end with them.
pub fn tick(now: Instant, router: &mut Router, out: &mut (impl Outbox + HasResidents)) {
    let keys: Vec<SessionKey> = out.residents().by_key.keys().copied().collect();
    for key in keys {
        if router.is_alone(key) {
            over(router, out, key);
        } else {
            follow(now, router, out, key);
        }
    }
}

/// Ends all.
pub fn end(router: &mut Router, out: &mut (impl Outbox + HasResidents)) {
    let keys: Vec<SessionKey> = out.residents().by_key.keys().copied().collect();
    keys.into_iter().for_each(|key| over(router, out, key));
}

fn over(router: &mut Router, out: &mut (impl Outbox + HasResidents), key: SessionKey) {
    out.residents().remove(key);
    router.close(key, CloseReason::ClientClosed, out);
}

fn follow(now: Instant, router: &mut Router, out: &mut (impl Outbox + HasResidents), key: SessionKey) {
    let (offered, watched) = (router.offered(key), router.watched(key));
    let Some(resident) = out.residents().by_key.get_mut(&key) else { return };
    resident.settle();
    resident.watch(watched);
    let Changes { begun, ended } = resident.follow(offered);
    // The news go before the packets.
    ended.iter().for_each(|mid| resident.tell(Told::Gone(*mid)));
    begun.iter().for_each(|(mid, track, _)| resident.tell(Told::Line(*mid, track.clone())));
    ended.into_iter().for_each(|mid| router.resident_drops(key, mid));
    for (mid, track, max_height) in begun {
        router.resident_wants(now, key, (mid, &track, max_height), out);
    }
}
