//! A shard: one thread with its own socket, router and connections, and nothing shared on the packet path.

mod arrivals;
mod commands;
mod connections;
mod departures;
mod gathering;
mod handle;

pub use handle::{Counters, ShardError, ShardHandle};

use super::{
    binding::Allowance,
    command::{Command, Negotiation},
    engine::{Connection, Engine},
    event::{CloseReason, Event},
    leisure::{self, Leisure},
    limits,
    neighbours::Neighbours,
    pressure::{self, Pressure},
    residency::{self, Residency},
    router::{Router, SessionKey, TICK},
    socket::BatchSocket,
    tcp::Lines,
    turnstile::Turnstile,
    ways::Ways,
};
use crate::{
    cascade::{link::RemotePacket, quic::RoomEnd},
    qos::cpu::ThreadCpu,
};
use connections::Connections;
use handle::Relayed;
use mio::{Events, Interest, Poll, Token, Waker};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, sync_channel},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::broadcast;

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// Of TCP: this one and those above.
const TCP: usize = 2;

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
    /// CPU time of the last second, in parts per 10,000.
    cpu_share: u16,
    pressure: Pressure,
    leisure: Leisure,
    turnstile: Turnstile<Negotiation>,
    /// Whether the log was told that joins wait.
    crowd_told: bool,
    unknown: u64,
    /// For answers to strangers.
    allowance: Allowance,
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
                forwarded: 0,
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
            cpu_share: 0,
            pressure: Pressure::default(),
            leisure: Leisure::new(Instant::now()),
            turnstile: Turnstile::new(Instant::now()),
            crowd_told: false,
            unknown: 0,
            allowance: Allowance::new(Instant::now()),
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
        let (mut readable, mut more) = (true, false);
        loop {
            let now = Instant::now();
            let wait = if readable || more { Duration::ZERO } else { self.wake_at().saturating_duration_since(now) };
            if let Err(error) = self.poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(shard = self.index, %error, "waiting for datagrams failed");
                return;
            }
            let begun = Instant::now();
            if !wait.is_zero() {
                // What comes on top of what it would wait is the machine's time for others.
                self.leisure.waited(begun.saturating_duration_since(now).min(wait));
            }
            for event in &events {
                let is_tcp = self.ways.tcp.event(begun, event);
                readable |= is_tcp || event.token() == SOCKET;
            }
            let mut commanded;
            (commanded, more) = self.obey(begun);
            commanded |= self.let_in();
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
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        timer.into_iter().chain(self.turnstile.next()).fold(self.next_tick, Instant::min)
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
            self.cpu_share = share;
            self.turnstile.busy(now, f64::from(share) / 10_000.0);
        }
        if let Some(share) = self.leisure.measure(now) {
            self.router.strain(share >= leisure::FULL);
            if let Some(percent) = self.pressure.observe(share, self.cpu_share) {
                let (busy, cpu) = (f64::from(share) / 1e4, f64::from(self.cpu_share) / 1e4);
                let (shard, voices) = (self.index, pressure::audible(percent));
                let before = 100 - self.counters.relief.load(Ordering::Relaxed).min(100);
                if u64::from(percent) < before {
                    tracing::warn!(
                        shard,
                        busy,
                        cpu,
                        percent,
                        voices,
                        "too much to do: receivers get less of what they want"
                    );
                } else if percent < 100 {
                    tracing::info!(
                        shard,
                        busy,
                        percent,
                        voices,
                        "some time again: receivers get more of what they want"
                    );
                } else {
                    tracing::info!(shard, busy, "there is time again for all that receivers want");
                }
                self.counters.relief.store(u64::from(100 - percent.min(100)), Ordering::Relaxed);
                self.router.relieve(percent);
            }
        }
        self.tell_crowd();
        self.neighbours.tick(now);
        self.ways.tcp.tick(now);
        self.publish_counters();
    }

    fn tell_crowd(&mut self) {
        let waiting = self.turnstile.waiting();
        if (waiting > 0) != self.crowd_told {
            self.crowd_told = waiting > 0;
            let (shard, what) =
                (self.index, if waiting > 0 { "many join at once: in their turn" } else { "the crowd is in" });
            tracing::info!(shard, waiting, "{what}");
        }
    }

    fn publish_counters(&self) {
        let (traffic, counters) = (&self.ways.udp.traffic, &self.counters);
        counters.received.store(traffic.received, Ordering::Relaxed);
        counters.received_bytes.store(traffic.received_bytes, Ordering::Relaxed);
        let tcp = self.ways.tcp.counts();
        counters.sent.store(traffic.sent + tcp.sent, Ordering::Relaxed);
        counters.sent_bytes.store(traffic.sent_bytes + tcp.sent_bytes, Ordering::Relaxed);
        counters.joins_waiting.store(self.turnstile.waiting() as u64, Ordering::Relaxed);
        counters.refused.store(traffic.refused, Ordering::Relaxed);
        counters.injected.store(traffic.injected, Ordering::Relaxed);
        counters.unknown.store(self.unknown, Ordering::Relaxed);
        counters.tcp_connections.store(tcp.connections, Ordering::Relaxed);
        counters.tcp_sent.store(tcp.sent, Ordering::Relaxed);
        counters.tcp_dropped.store(tcp.dropped, Ordering::Relaxed);
    }
}
