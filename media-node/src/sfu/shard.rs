//! A shard: one thread with its own socket, router and connections, and nothing shared on the packet path.

use super::{
    codec::Format,
    command::{Command, NegotiateError},
    engine::{self, AcceptError, Connection, Engine, Happening, Offer, Output},
    event::{CloseReason, Event},
    id::{Mid, Rid, SessionId},
    limits,
    neighbours::Neighbours,
    packet::{Channel, Forward},
    residency::{self, HasResidents, Residency},
    router::{Outbox, Publish, RouteError, Router, SessionKey, Subscribe, TICK},
    socket::BatchSocket,
    tcp::{self, Accepted, Lines},
    ways::Ways,
};
use crate::{
    cascade::{
        link::{FromRoom, RemotePacket},
        quic::RoomEnd,
    },
    qos::cpu::ThreadCpu,
};
use mio::{Events, Interest, Poll, Token, Waker};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::broadcast;

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// Of TCP: this one and those above.
const TCP: usize = 2;
/// Datagrams that are taken in before what they cause leaves, as long as more are there.
const UNSENT: usize = 64;
/// Batches that are read before timers get their turn.
const BATCHES_PER_TURN: usize = 8;
/// Datagrams of other shards' sockets that are taken in before timers get their turn.
const RELAYED_PER_TURN: usize = 256;
/// Frames of TCP connections that are taken in before timers get their turn.
const FRAMES_PER_TURN: usize = 256;
/// Packets of other nodes that are taken in before timers get their turn.
const REMOTE_PER_TURN: usize = 1_024;

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
enum Relayed {
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

/// Which way a datagram came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over this shard's socket.
    Udp,
    /// Over the socket of the shard with this number.
    Relayed(usize),
    /// Over a TCP connection.
    Tcp,
}

/// Where a shard gets its commands, and datagrams that came to other shards.
#[derive(Clone)]
pub struct ShardHandle {
    commands: SyncSender<Command>,
    relayed: SyncSender<Relayed>,
    remote: SyncSender<RemotePacket>,
    waker: Arc<Waker>,
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
    fn relay(&self, relayed: Relayed) {
        if self.relayed.try_send(relayed).is_ok() {
            let _ = self.waker.wake();
        }
    }
}

struct Slot<C> {
    connection: C,
    ufrag: String,
    /// The client's certificate, once it offered one.
    fingerprints: BTreeSet<String>,
    addresses: Vec<SocketAddr>,
    deadline: Instant,
    scheduled: Option<Instant>,
    /// Something was forwarded to it.
    has_media: bool,
    /// The engine has something to do.
    dirty: bool,
}

/// The connections: the router's way out.
struct Connections<C> {
    slots: Vec<Option<Slot<C>>>,
    dirty: Vec<SessionKey>,
    with_media: Vec<SessionKey>,
    events: broadcast::Sender<Event>,
    /// The way to pipes, and whether the cascade has to be woken.
    cascade: Option<RoomEnd>,
    told: bool,
    residents: Residency,
}

impl<C: Connection> Connections<C> {
    fn get(&self, key: SessionKey) -> Option<&Slot<C>> {
        self.slots.get(key.0)?.as_ref()
    }

    fn get_mut(&mut self, key: SessionKey) -> Option<&mut Slot<C>> {
        self.slots.get_mut(key.0)?.as_mut()
    }

    fn touch(&mut self, key: SessionKey) -> Option<&mut C> {
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

    fn limit_uplink(&mut self, of: SessionKey, mid: Mid, rid: Option<Rid>, kbps: u32) {
        if let Some(connection) = self.touch(of) {
            connection.limit_uplink(mid, rid, kbps);
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

/// What a shard begins with.
pub struct ShardParts<E> {
    /// Its number, from 0.
    pub index: usize,
    /// The engine.
    pub engine: E,
    /// Its socket.
    pub socket: BatchSocket,
    /// What it listens on for TCP, if it does.
    pub listener: Option<mio::net::TcpListener>,
    /// The address that answers name.
    pub candidate: SocketAddr,
    /// Where events go.
    pub events: broadcast::Sender<Event>,
    /// The way to pipes.
    pub cascade: Option<RoomEnd>,
    /// Seeds what must differ between runs.
    pub seed: u64,
}

/// A shard, until its thread runs.
pub struct Shard<E: Engine> {
    index: usize,
    engine: E,
    ways: Ways,
    candidate: SocketAddr,
    router: Router,
    connections: Connections<E::Connection>,
    by_address: HashMap<SocketAddr, SessionKey>,
    by_ufrag: HashMap<String, SessionKey>,
    neighbours: Neighbours,
    peers: Vec<ShardHandle>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    next_tick: Instant,
    commands: Receiver<Command>,
    relayed: Receiver<Relayed>,
    remote: Receiver<RemotePacket>,
    poll: Poll,
    counters: Arc<Counters>,
    cpu: ThreadCpu,
    unknown: u64,
    /// The last frame of a TCP connection.
    frame: Vec<u8>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl<E: Engine> Shard<E> {
    /// Makes a shard and the handle to it.
    pub fn new(mut parts: ShardParts<E>) -> io::Result<(Self, ShardHandle)> {
        let poll = Poll::new()?;
        poll.registry().register(parts.socket.source(), SOCKET, Interest::READABLE)?;
        let tcp = Lines::new(parts.listener, poll.registry().try_clone()?, TCP)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, commands) = sync_channel(limits::COMMAND_QUEUE);
        let (relay, relayed) = sync_channel(limits::RELAY_QUEUE);
        let (remote_end, remote) = sync_channel(limits::REMOTE_QUEUE);
        let counters = Arc::new(Counters::default());
        let handle =
            ShardHandle { commands: sender, relayed: relay, remote: remote_end, waker, counters: counters.clone() };
        let shard = Self {
            index: parts.index,
            engine: parts.engine,
            ways: Ways::new(parts.socket, tcp),
            frame: Vec::new(),
            candidate: parts.candidate,
            router: Router::new(parts.seed),
            connections: Connections {
                slots: Vec::new(),
                dirty: Vec::new(),
                with_media: Vec::new(),
                events: parts.events,
                cascade: parts.cascade,
                told: false,
                residents: Residency::default(),
            },
            by_address: HashMap::new(),
            by_ufrag: HashMap::new(),
            neighbours: Neighbours::new(Instant::now()),
            peers: Vec::new(),
            timers: BinaryHeap::new(),
            next_tick: Instant::now(),
            commands,
            relayed,
            remote,
            poll,
            counters,
            cpu: ThreadCpu::default(),
            unknown: 0,
            stop: None,
        };
        Ok((shard, handle))
    }

    /// Lets the shard know all shards, itself included, in order.
    pub fn meet(&mut self, peers: Vec<ShardHandle>) {
        self.peers = peers;
    }

    /// Runs until [`Command::Stop`].
    pub fn run(mut self) {
        let mut events = Events::with_capacity(16);
        let mut readable = true;
        loop {
            let now = Instant::now();
            let wait = if readable { Duration::ZERO } else { self.wake_at().saturating_duration_since(now) };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(shard = self.index, %error, "waiting for datagrams failed");
                return;
            }
            let begun = Instant::now();
            for event in &events {
                let is_tcp = self.ways.tcp.event(begun, event);
                readable |= is_tcp || event.token() == SOCKET;
            }
            let mut commanded = false;
            while let Ok(command) = self.commands.try_recv() {
                self.command(begun, command);
                commanded = true;
            }
            if readable {
                readable = self.receive();
            }
            readable |= self.receive_frames();
            readable |= self.receive_relayed();
            readable |= self.receive_remote();
            let now = Instant::now();
            self.expire(now);
            if now >= self.next_tick {
                self.next_tick = now + TICK;
                self.tick(now);
                commanded = true;
            }
            if commanded && self.router.is_bridged() {
                self.tell_news(now);
            }
            self.drain_dirty(now);
            self.ways.flush();
            self.wake_cascade();
            let turn = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.counters.longest_turn_us.fetch_max(turn, Ordering::Relaxed);
            if let Some(stop) = self.stop.take() {
                self.publish_counters();
                let _ = stop.send(());
                return;
            }
        }
    }

    fn wake_at(&self) -> Instant {
        self.timers.peek().map_or(self.next_tick, |Reverse((at, _))| (*at).min(self.next_tick))
    }

    /// Reads what the socket has. Whether there may be more.
    fn receive(&mut self) -> bool {
        let mut unsent = 0;
        for _ in 0..BATCHES_PER_TURN {
            match self.ways.udp.receive() {
                Ok(Some(received)) => {
                    let now = Instant::now();
                    for (source, datagram) in received.datagrams() {
                        unsent += 1;
                        self.ways.udp.traffic.received += 1;
                        self.ways.udp.traffic.received_bytes += datagram.len() as u64;
                        self.datagram(now, source, datagram, Way::Udp);
                    }
                    self.ways.udp.recycle(received);
                    // A frame's packets follow each other: what is for one client leaves together.
                    if unsent >= UNSENT {
                        unsent = 0;
                        self.drain_dirty(now);
                        self.ways.flush();
                        self.wake_cascade();
                    }
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::warn!(shard = self.index, %error, "receiving failed");
                    return false;
                }
            }
        }
        true
    }

    /// Takes in what other shards received. Whether there may be more.
    fn receive_relayed(&mut self) -> bool {
        for _ in 0..RELAYED_PER_TURN {
            match self.relayed.try_recv() {
                Ok(Relayed::Datagram { via, source, datagram }) => {
                    self.datagram(Instant::now(), source, &datagram, Way::Relayed(via));
                }
                Ok(Relayed::Line(accepted)) => self.ways.tcp.adopt(Instant::now(), accepted),
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes in what came over TCP. Whether there may be more.
    fn receive_frames(&mut self) -> bool {
        let mut frame = std::mem::take(&mut self.frame);
        let mut more = true;
        for _ in 0..FRAMES_PER_TURN {
            let Some(tcp::Frame { token, source, is_known }) = self.ways.tcp.read(&mut frame) else {
                more = false;
                break;
            };
            self.ways.udp.traffic.received += 1;
            self.ways.udp.traffic.received_bytes += frame.len() as u64;
            let now = Instant::now();
            if is_known {
                self.datagram(now, source, &frame, Way::Tcp);
            } else {
                self.introduce(now, token, source, &frame);
            }
        }
        self.ways.tcp.rotate();
        self.frame = frame;
        more
    }

    /// Takes in the first frame of a TCP connection: a check of a session, or nothing.
    fn introduce(&mut self, now: Instant, token: Token, source: SocketAddr, frame: &[u8]) {
        let is_stun = frame.first().is_some_and(|byte| *byte < 4);
        let ufrag = engine::stun_ufrag(frame).filter(|_| is_stun);
        let key = ufrag.and_then(|ufrag| self.by_ufrag.get(ufrag)).copied();
        let owns =
            |key: &SessionKey| self.connections.get(*key).is_some_and(|slot| slot.connection.owns(source, frame));
        if let Some(shard) = ufrag.and_then(|ufrag| self.named(ufrag)).filter(|_| key.is_none()) {
            if let (Some(peer), Some(accepted)) = (self.peers.get(shard), self.ways.tcp.give(token, frame)) {
                peer.relay(Relayed::Line(accepted));
            }
            return;
        }
        // The same address may be another client's over UDP, behind one translator of addresses.
        let is_free = !self.by_address.contains_key(&source) || self.ways.tcp.has(&source);
        if key.filter(owns).is_some() && is_free && self.ways.tcp.know(token) {
            self.datagram(now, source, frame, Way::Tcp);
        } else {
            self.unknown += 1;
            self.ways.tcp.end(token);
        }
    }

    /// Takes in packets of other nodes. Whether there may be more.
    fn receive_remote(&mut self) -> bool {
        let now = Instant::now();
        for _ in 0..REMOTE_PER_TURN {
            let Ok(packet) = self.remote.try_recv() else { return false };
            self.router.remote_packet(now, &packet, &mut self.connections);
        }
        true
    }

    fn tell_news(&mut self, now: Instant) {
        let Connections { cascade: Some(cascade), told, .. } = &mut self.connections else { return };
        let unix_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros());
        self.router.news(now, u64::try_from(unix_us).unwrap_or(u64::MAX), |news| {
            *told = true;
            cascade.tell(news)
        });
    }

    /// Once after a run of packets and messages for it.
    fn wake_cascade(&mut self) {
        if std::mem::take(&mut self.connections.told)
            && let Some(cascade) = &self.connections.cascade
        {
            cascade.flush();
        }
    }

    /// Takes in a datagram.
    fn datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8], way: Way) {
        if way != Way::Tcp && self.ways.tcp.has(&source) {
            self.unknown += 1;
            return;
        }
        let is_stun = datagram.first().is_some_and(|byte| *byte < 4);
        let known = self.by_address.get(&source).copied();
        let key = if is_stun {
            // An address may have gone over to another session: the user name decides.
            let by_name = engine::stun_ufrag(datagram).and_then(|ufrag| self.by_ufrag.get(ufrag)).copied().or(known);
            by_name.filter(|key| self.connections.get(*key).is_some_and(|slot| slot.connection.owns(source, datagram)))
        } else {
            known
        };
        let Some(key) = key else {
            if way == Way::Udp && self.peers.len() > 1 {
                self.relay(now, source, datagram, is_stun);
            } else {
                self.unknown += 1;
            }
            return;
        };
        if is_stun && known != Some(key) {
            self.remember(source, key);
        }
        if is_stun
            && let Way::Relayed(via) = way
            && let Some(peer) = self.peers.get(via)
        {
            // Before anything is answered, so that what follows the answer is brought here at once.
            let _ = peer.send(Command::Neighbour(source, self.index));
        }
        let Some(slot) = self.connections.get_mut(key) else { return };
        match slot.connection.receive(now, source, datagram) {
            Ok(()) => self.drain(now, key),
            Err(fault) => self.close(now, key, CloseReason::EngineFault(fault.0)),
        }
    }

    fn remember(&mut self, source: SocketAddr, key: SessionKey) {
        if let Some(old) = self.by_address.insert(source, key)
            && let Some(slot) = self.connections.get_mut(old)
        {
            slot.addresses.retain(|address| *address != source);
        }
        let Some(slot) = self.connections.get_mut(key) else { return };
        slot.addresses.push(source);
        if slot.addresses.len() > limits::MAX_ADDRESSES {
            let oldest = slot.addresses.remove(0);
            self.by_address.remove(&oldest);
            self.ways.tcp.forget(&oldest);
        }
    }

    /// Hands a datagram to the shard of its session: by the prefix of its user name, or by the address once that shard has
    /// vouched for it. (The kernel spreads datagrams over the shards' sockets by address, rooms are spread by name.)
    fn relay(&mut self, now: Instant, source: SocketAddr, datagram: &[u8], is_stun: bool) {
        let named = engine::stun_ufrag(datagram).filter(|_| is_stun).and_then(|ufrag| self.named(ufrag));
        // Answers to this side's checks carry no user name.
        let to = named.or_else(|| self.neighbours.shard_of(now, &source));
        match to.and_then(|to| self.peers.get(to)) {
            Some(peer) => {
                peer.relay(Relayed::Datagram { via: self.index, source, datagram: datagram.to_vec() });
            }
            None => self.unknown += 1,
        }
    }

    /// The number of the other shard that a user name belongs to.
    fn named(&self, ufrag: &str) -> Option<usize> {
        let index = usize::from_str_radix(ufrag.get(..2)?, 16).ok()?;
        (index != self.index && index < self.peers.len()).then_some(index)
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
            Command::Negotiate { session, offer, publish, subscribe, reply } => {
                let result = self.negotiate(now, &session, &offer, &publish, &subscribe);
                let _ = reply.send(result);
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
            Command::Neighbour(source, shard) => self.neighbours.learn(now, source, shard),
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
                has_media: false,
                dirty: false,
            });
        }
        self.drain(now, key);
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

    fn close(&mut self, now: Instant, key: SessionKey, reason: CloseReason) {
        let Some(mut slot) = self.connections.slots.get_mut(key.0).and_then(Option::take) else { return };
        if let Some(session) = self.router.id(key) {
            tracing::info!(%session, %reason, "session closed");
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

    /// Lets connections send what others gave them, until none has anything left.
    fn drain_dirty(&mut self, now: Instant) {
        while let Some(key) = self.connections.with_media.pop() {
            let Self { connections, ways, .. } = self;
            if let Some(slot) = connections.get_mut(key) {
                slot.has_media = false;
                slot.connection.flush(now, ways);
            }
        }
        while let Some(key) = self.connections.dirty.pop() {
            if let Some(slot) = self.connections.get_mut(key) {
                slot.dirty = false;
                self.drain(now, key);
            }
        }
    }

    fn drain(&mut self, now: Instant, key: SessionKey) {
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

    fn happened(&mut self, now: Instant, key: SessionKey, happening: Happening) {
        let (router, out) = (&mut self.router, &mut self.connections);
        match happening {
            Happening::Packet(packet) => router.packet(now, key, &packet, out),
            Happening::Connected => router.connected(now, key, out),
            Happening::Ready => router.ready(now, key, out),
            Happening::Lost => router.consent(now, key, false),
            Happening::Regained => router.consent(now, key, true),
            Happening::Closed => self.close(now, key, CloseReason::ClientClosed),
            Happening::KeyframeWanted(mid) => router.keyframe_wanted(now, key, mid, out),
            Happening::Estimate(kbps) => router.estimate(key, kbps),
            Happening::ChannelOpen(channel) => router.channel_open(now, key, channel, out),
            Happening::ChannelReady(channel) => router.channel_ready(key, channel, out),
            Happening::Message(channel, data) => {
                for slow in router.message(now, key, channel, &data, out) {
                    self.close(now, slow, CloseReason::DataBacklog);
                }
            }
            Happening::Path(path) => router.path(key, path),
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let key = SessionKey(index);
            let Some(slot) = self.connections.get_mut(key) else { continue };
            if slot.scheduled != Some(at) {
                continue;
            }
            slot.scheduled = None;
            if slot.deadline > now {
                slot.scheduled = Some(slot.deadline);
                self.timers.push(Reverse((slot.deadline, index)));
                continue;
            }
            match slot.connection.tick(now) {
                Ok(()) => self.drain(now, key),
                Err(fault) => self.close(now, key, CloseReason::EngineFault(fault.0)),
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        for (key, reason) in self.router.tick(now, &mut self.connections) {
            self.close(now, key, reason);
        }
        residency::tick(now, &mut self.router, &mut self.connections);
        if let Some(share) = self.cpu.measure(now) {
            self.counters.busy.store(share.into(), Ordering::Relaxed);
        }
        self.neighbours.tick(now);
        self.ways.tcp.tick(now);
        self.publish_counters();
    }

    fn publish_counters(&self) {
        let (traffic, counters) = (&self.ways.udp.traffic, &self.counters);
        counters.received.store(traffic.received, Ordering::Relaxed);
        counters.received_bytes.store(traffic.received_bytes, Ordering::Relaxed);
        counters.sent.store(traffic.sent, Ordering::Relaxed);
        counters.sent_bytes.store(traffic.sent_bytes, Ordering::Relaxed);
        counters.refused.store(traffic.refused, Ordering::Relaxed);
        counters.injected.store(traffic.injected, Ordering::Relaxed);
        counters.unknown.store(self.unknown, Ordering::Relaxed);
        let tcp = self.ways.tcp.counts();
        counters.tcp_connections.store(tcp.connections, Ordering::Relaxed);
        counters.tcp_sent.store(tcp.sent, Ordering::Relaxed);
        counters.tcp_dropped.store(tcp.dropped, Ordering::Relaxed);
    }
}
