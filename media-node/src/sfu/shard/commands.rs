//! What the control side asks for.

use super::{Shard, connections::Slot};
use crate::sfu::{
    command::{Command, NegotiateError, Negotiation},
    engine::{AcceptError, Connection, Engine, Offer, Output},
    event::CloseReason,
    id::SessionId,
    residency,
    router::{Publish, RouteError, SessionKey, Subscribe},
    turnstile::Crowded,
};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// How long commands are carried out before packets get their turn.
const ORDERS: Duration = Duration::from_millis(2);

impl<E: Engine> Shard<E> {
    /// Carries out what was commanded, as far as there is time. Whether there was something, and whether there may be more.
    pub(super) fn obey(&mut self, begun: Instant) -> (bool, bool) {
        let mut any = false;
        while begun.elapsed() < ORDERS {
            let Ok(command) = self.commands.try_recv() else { return (any, false) };
            self.command(begun, command);
            any = true;
        }
        (any, true)
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Open(opening, reply) => {
                let result = self.router.open(now, opening).map(|(key, new)| {
                    if new {
                        self.open(now, key);
                    }
                });
                let _ = reply.send(result);
            }
            Command::Negotiate(negotiation) => {
                let key = self.router.key(&negotiation.session);
                let is_joining = key.and_then(|key| self.connections.get(key)).is_some_and(|slot| !slot.up);
                if !is_joining {
                    self.answer(now, negotiation);
                } else if let Err(refused) = self.turnstile.push(now, negotiation) {
                    let _ = refused.reply.send(Err(Crowded.into()));
                }
            }
            Command::Subscribe(session, subscribe, reply) => {
                let result = match self.router.key(&session) {
                    Some(key) => self.router.subscribe(now, key, &subscribe, &mut self.connections),
                    None => Err(RouteError::NoSession),
                };
                let _ = reply.send(result);
            }
            Command::Close(session, reason, reply) => {
                let key = self.router.key(&session);
                if let Some(key) = key {
                    self.close(now, key, reason);
                }
                let _ = reply.send(key.is_some());
            }
            Command::CloseRoom(room, reason, reply) => {
                let keys = self.router.room_sessions(&room);
                let count = keys.len();
                keys.into_iter().for_each(|key| self.close(now, key, reason.clone()));
                let _ = reply.send(count);
            }
            Command::Stats(only, reply) => {
                let _ = reply.send((self.router.totals(), self.router.stats(only.as_ref())));
            }
            Command::Cascade(order) => {
                for slow in self.router.bridge(now, order, &mut self.connections) {
                    self.close(now, slow, CloseReason::DataBacklog);
                }
            }
            Command::Neighbour(source, shard, proven) => self.neighbours.learn(now, source, shard, proven),
            Command::Enter(room, entry, reply) => {
                let _ = reply.send(residency::enter(now, &mut self.router, &mut self.connections, &room, entry));
            }
            Command::Lacking(reply) => drop(reply.send(self.router.lacking(&self.connections))),
            Command::Resident(id, asked) => {
                residency::asked(now, &mut self.router, &mut self.connections, id, asked);
            }
            Command::Stop(reason, reply) => {
                residency::end(&mut self.router, &mut self.connections);
                let keys = (0..self.connections.slots.len()).map(SessionKey);
                keys.for_each(|key| self.close(now, key, reason.clone()));
                self.stop = Some(reply);
            }
        }
    }

    fn open(&mut self, now: Instant, key: SessionKey) {
        let begun = Instant::now();
        let connection = self.engine.open(now, self.candidate, &format!("{:02x}", self.index));
        let ufrag = connection.ufrag();
        self.by_ufrag.insert(ufrag.clone(), key);
        if self.connections.slots.len() <= key.0 {
            self.connections.slots.resize_with(key.0 + 1, || None);
        }
        if let Some(slot) = self.connections.slots.get_mut(key.0) {
            let addresses = Vec::new();
            let fingerprints = BTreeSet::new();
            *slot = Some(Slot {
                connection,
                ufrag,
                fingerprints,
                addresses,
                deadline: now,
                scheduled: None,
                up: false,
                join_cost: Duration::ZERO,
                has_media: false,
                dirty: false,
            });
        }
        self.drain(now, key);
        self.joined_for(key, begun.elapsed());
    }

    /// Answers offers of those who join, as far as it is their turn; not for long, as others have something to do, too.
    pub(super) fn let_in(&mut self) -> bool {
        let (begun, mut any) = (Instant::now(), false);
        while begun.elapsed() < ORDERS {
            match self.turnstile.pop(Instant::now(), |join: &Negotiation| !join.reply.is_closed()) {
                Some(Ok(join)) => {
                    let (key, now) = (self.router.key(&join.session), Instant::now());
                    self.answer(now, join);
                    key.into_iter().for_each(|key| self.joined_for(key, now.elapsed()));
                    any = true;
                }
                Some(Err(late)) => drop(late.reply.send(Err(Crowded.into()))),
                None => break,
            }
        }
        any
    }

    /// Some of the thread's time went into a session that isn't up, or only just.
    pub(super) fn joined_for(&mut self, key: SessionKey, time: Duration) {
        self.turnstile.spend(time);
        let Some(slot) = self.connections.get_mut(key) else { return };
        slot.join_cost += time;
        if slot.up {
            self.turnstile.up(slot.join_cost);
        }
    }

    fn answer(&mut self, now: Instant, negotiation: Negotiation) {
        let Negotiation { session, offer, publish, subscribe, reply } = negotiation;
        let _ = reply.send(self.negotiate(now, &session, &offer, &publish, &subscribe));
    }

    fn negotiate(
        &mut self,
        now: Instant,
        session: &SessionId,
        offer: &str,
        publish: &[Publish],
        subscribe: &[Subscribe],
    ) -> Result<String, NegotiateError> {
        let key = self.router.key(session).ok_or(RouteError::NoSession)?;
        let Offer { lines, fingerprints, .. } = Offer::parse(offer).map_err(AcceptError::Offer)?;
        self.router.check(key, &lines, publish, subscribe)?;
        let slot = self.connections.get_mut(key).ok_or(RouteError::NoSession)?;
        if !slot.fingerprints.is_empty() && !fingerprints.is_empty() && slot.fingerprints != fingerprints {
            // One session is one DTLS association: another one would never come up on it.
            self.close(now, key, CloseReason::TransportReplaced);
            return Err(NegotiateError::Replaced);
        }
        if !fingerprints.is_empty() {
            slot.fingerprints = fingerprints;
        }
        let accepted = slot.connection.accept(offer);
        let ufrag = slot.connection.ufrag();
        if ufrag != slot.ufrag {
            self.by_ufrag.remove(&slot.ufrag);
            slot.ufrag.clone_from(&ufrag);
            self.by_ufrag.insert(ufrag, key);
        }
        self.drain(now, key);
        let (answer, lines) = accepted?;
        self.router.negotiated(now, key, lines, publish, subscribe, &mut self.connections);
        Ok(answer)
    }

    pub(super) fn close(&mut self, now: Instant, key: SessionKey, reason: CloseReason) {
        let Some(mut slot) = self.connections.slots.get_mut(key.0).and_then(Option::take) else { return };
        if let Some(last) = self.router.stats_of(key) {
            tracing::info!(
                session = %last.session,
                room = %last.room,
                %reason,
                sent_packets = last.sent_packets,
                received_packets = last.received_packets,
                expected = last.expected,
                lost = last.lost,
                uplink_expected = last.uplink.expected,
                uplink_lost = last.uplink.lost,
                "session closed"
            );
        }
        // A failed engine can't say good-bye; a draining node doesn't: its clients are being moved, and shall not take their connection
        // for closed before they are told where to go.
        let silent = matches!(reason, CloseReason::EngineFault(_) | CloseReason::Draining);
        self.router.close(key, reason, &mut self.connections);
        self.by_ufrag.remove(&slot.ufrag);
        for address in &slot.addresses {
            self.by_address.remove(address);
        }
        if silent {
            slot.addresses.iter().for_each(|address| self.ways.tcp.forget(address));
            return;
        }
        slot.connection.close();
        // What is still to be said to the client is a few datagrams.
        for _ in 0..64 {
            match slot.connection.poll(now) {
                Ok(Output::Transmit(to, datagram)) => self.ways.send(to, &datagram),
                Ok(Output::Happening(_)) => {}
                Ok(Output::Idle(_)) | Err(_) => break,
            }
        }
        slot.connection.flush(now, &mut self.ways);
        slot.addresses.iter().for_each(|address| self.ways.tcp.forget(address));
    }
}
