//! The selective forwarding unit: takes clients' media in once and gives it to everyone who wants it.
//!
//! ```text
//! gRPC ─▶ Sfu ─commands─▶ shard thread: socket ⇄ engine connections ⇄ router
//!          ▲──────events──────┘
//! ```
//! Routing ([`router`]) knows no engine; the engine ([`engine`]) knows no rooms; a [`shard`] joins them to a socket.

pub mod audible;
pub mod backlog;
pub mod binding;
pub mod codec;
pub mod command;
pub mod congestion;
pub mod demand;
pub mod egress;
pub mod engine;
pub mod event;
pub mod fault;
pub mod headroom;
pub mod id;
pub mod ingress;
pub mod keyframe;
pub mod layer;
pub mod leisure;
pub mod limits;
pub mod meter;
pub mod neighbours;
pub mod once;
pub mod packet;
pub mod pressure;
pub mod priority;
pub mod residency;
pub mod resident;
pub mod rewrite;
pub mod router;
pub mod rtcp;
pub mod selector;
pub mod shard;
pub mod skips;
pub mod socket;
pub mod speakers;
pub mod stats;
pub mod stream;
pub mod tcp;
pub mod turnstile;
pub mod waiting;
pub mod ways;

use crate::cascade::{
    link::{RemotePacket, ToRoom},
    quic::{RoomEnd, Rooms},
};
use command::{Command, NegotiateError, Negotiation};
use engine::Str0m;
use event::{CloseReason, Event};
use fault::EgressLoss;
use id::{RoomId, SessionId};
use resident::{Asked, Entry, Lacking, ResidentId};
use router::{Opening, Publish, RouteError, Subscribe};
use shard::{Shard, ShardError, ShardHandle, ShardParts};
use socket::BatchSocket;
use stats::{SessionStats, Totals};
use std::{
    cell::Cell,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    net::{IpAddr, SocketAddr},
    sync::atomic::Ordering,
    thread::JoinHandle,
};
use tokio::sync::{broadcast, oneshot};

/// Events that wait for a slow listener before it loses some.
const EVENT_QUEUE: usize = 4_096;

/// How the SFU is set up.
#[derive(Clone, Debug)]
pub struct SfuConfig {
    /// Address for media: of UDP, and of TCP if that is taken.
    pub listen: SocketAddr,
    /// Whether TCP is taken on the same port.
    pub tcp: bool,
    /// Address that clients are told, if it isn't the one listened on (NAT, or listening on all).
    pub advertise: Option<IpAddr>,
    /// Threads, 1 to 256.
    pub shards: usize,
    /// Share of RTP packets to drop on the way out; for tests only.
    pub egress_loss: Option<f64>,
}

/// The SFU can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket can't be had.
    #[error("can't open UDP {address}: {source}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The port can't be had for TCP.
    #[error("can't listen on TCP {address}: {source}")]
    Listener {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A thread can't be started.
    #[error("can't start a media thread: {0}")]
    Thread(io::Error),
    /// The address can't be told to clients.
    #[error("clients can't be told to send to {0}: give --media-advertise an address of this machine that they reach")]
    Unspecified(IpAddr),
}

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum SfuError {
    /// The shard can't take it.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// It isn't allowed.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// The offer is no good.
    #[error(transparent)]
    Negotiate(#[from] NegotiateError),
}

/// Bytes and datagrams through all sockets since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams received.
    pub received: u64,
    /// Bytes of those.
    pub received_bytes: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// Datagrams that the kernel refused.
    pub refused: u64,
    /// Datagrams dropped by the injected loss.
    pub injected: u64,
    /// Datagrams of nobody.
    pub unknown: u64,
    /// TCP connections at present.
    pub tcp_connections: u64,
    /// Frames sent over TCP.
    pub tcp_sent: u64,
    /// Frames that a client over TCP was too slow for.
    pub tcp_dropped: u64,
    /// Longest turn of a media thread since this was last read, in microseconds.
    pub longest_turn_us: u64,
    /// CPU share of the busiest media thread in the last second, in parts per 10,000 of a core.
    pub busy: u16,
    /// Share of the wanted video that the media thread with the most to do gives up, in percent.
    pub relief: u8,
    /// Sessions whose offer waits for its turn.
    pub joins_waiting: u64,
}

/// The running SFU.
pub struct Sfu {
    shards: Vec<ShardHandle>,
    threads: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    events: broadcast::Sender<Event>,
    candidate: SocketAddr,
}

impl Sfu {
    /// Opens the sockets and starts the threads.
    pub fn start(config: &SfuConfig) -> Result<Self, StartError> {
        Self::start_with(config, None)
    }

    /// As [`Sfu::start`], with the way to other nodes. [`Sfu::rooms`] is the way back.
    pub fn start_with(config: &SfuConfig, cascade: Option<RoomEnd>) -> Result<Self, StartError> {
        let failed = |source| StartError::Socket { address: config.listen, source };
        let count = config.shards.clamp(1, 256);
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let mut listen = config.listen;
        let mut has_tcp = config.tcp;
        let mut shards = Vec::with_capacity(count);
        let mut candidate = config.listen;
        for index in 0..count {
            let socket = socket::bind(listen, count > 1).map_err(failed)?;
            // Port 0 is chosen by the first socket; the others share it.
            listen = socket.local_addr().map_err(failed)?;
            let listener = match has_tcp.then(|| tcp::bind(listen, count > 1)) {
                Some(Ok(listener)) => Some(listener),
                // The system chose the port by what is free for UDP.
                Some(Err(source)) if config.listen.port() == 0 && index == 0 => {
                    tracing::warn!(address = %listen, error = %source, "media only over UDP: the port is taken for TCP");
                    has_tcp = false;
                    None
                }
                Some(Err(source)) => return Err(StartError::Listener { address: listen, source }),
                None => None,
            };
            candidate = SocketAddr::new(config.advertise.unwrap_or(listen.ip()), listen.port());
            if candidate.ip().is_unspecified() {
                return Err(StartError::Unspecified(candidate.ip()));
            }
            let loss = config.egress_loss.map(|share| EgressLoss::new(share, index as u64 + 1));
            let socket = BatchSocket::new(socket, loss).map_err(failed)?;
            let parts = ShardParts {
                index,
                engine: Str0m::new(has_tcp),
                socket,
                listener,
                candidate,
                events: events.clone(),
                cascade: cascade.clone(),
                seed: rand::random(),
            };
            shards.push(Shard::new(parts).map_err(StartError::Thread)?);
        }
        let handles: Vec<ShardHandle> = shards.iter().map(|(_, handle)| handle.clone()).collect();
        let mut threads = Vec::with_capacity(count);
        for (index, (mut shard, _)) in shards.into_iter().enumerate() {
            shard.meet(handles.clone());
            let thread = std::thread::Builder::new().name(format!("media-{index}")).spawn(move || shard.run());
            threads.push(thread.map_err(StartError::Thread)?);
        }
        Ok(Self { shards: handles, threads: parking_lot::Mutex::new(threads), events, candidate })
    }

    /// The address that answers name.
    pub fn candidate(&self) -> SocketAddr {
        self.candidate
    }

    /// What happens, from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// All of a room lives on one shard.
    fn shard(&self, room: &RoomId) -> Result<&ShardHandle, ShardError> {
        self.shards.get(place(room, self.shards.len())).ok_or(ShardError::Gone)
    }

    /// The rooms as the cascade sees them.
    pub fn rooms(&self) -> Box<dyn Rooms> {
        let pending = self.shards.iter().map(|_| Cell::new(false)).collect();
        Box::new(ShardRooms { shards: self.shards.clone(), pending, events: self.events.clone() })
    }

    /// Opens a session, making the room if need be. The future may be awaited later: the command is handed over at once.
    pub fn open(&self, opening: Opening) -> Result<Pending<Result<(), RouteError>>, ShardError> {
        let shard = self.shard(&opening.room)?;
        Pending::send(shard, |reply| Command::Open(opening, reply))
    }

    /// Takes a client's offer.
    pub fn negotiate(
        &self,
        room: &RoomId,
        session: SessionId,
        offer: String,
        publish: Vec<Publish>,
        subscribe: Vec<Subscribe>,
    ) -> Result<Pending<Result<String, NegotiateError>>, ShardError> {
        Pending::send(self.shard(room)?, |reply| {
            Command::Negotiate(Negotiation { session, offer, publish, subscribe, reply })
        })
    }

    /// Changes what a client receives.
    pub fn subscribe(
        &self,
        room: &RoomId,
        session: SessionId,
        subscribe: Vec<Subscribe>,
    ) -> Result<Pending<Result<(), RouteError>>, ShardError> {
        Pending::send(self.shard(room)?, |reply| Command::Subscribe(session, subscribe, reply))
    }

    /// Ends a session.
    pub fn close(&self, room: &RoomId, session: SessionId, reason: CloseReason) -> Result<Pending<bool>, ShardError> {
        Pending::send(self.shard(room)?, |reply| Command::Close(session, reason, reply))
    }

    /// Ends a room.
    pub fn close_room(&self, room: RoomId, reason: CloseReason) -> Result<Pending<usize>, ShardError> {
        Pending::send(self.shard(&room)?, |reply| Command::CloseRoom(room, reason, reply))
    }

    /// Lets a resident into a room.
    pub fn enter(&self, room: &RoomId, entry: Entry) -> Result<Pending<Result<(), RouteError>>, ShardError> {
        Pending::send(self.shard(room)?, |reply| Command::Enter(room.clone(), entry, reply))
    }

    /// The videos that someone can't decode as they are.
    pub async fn lacking(&self) -> Result<Vec<Lacking>, ShardError> {
        let mut lacking = Vec::new();
        for shard in &self.shards {
            lacking.extend(Pending::send(shard, Command::Lacking)?.done().await?);
        }
        Ok(lacking)
    }

    /// Where residents of a room say what they want.
    pub fn residence(&self, room: &RoomId) -> Result<Residence, ShardError> {
        Ok(Residence(self.shard(room)?.clone()))
    }

    /// Says that something happened.
    pub fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Figures of one session or of all.
    pub async fn stats(&self, only: Option<SessionId>) -> Result<(Totals, Vec<SessionStats>), ShardError> {
        let mut totals = Totals::default();
        let mut sessions = Vec::new();
        for shard in &self.shards {
            let (part, some) = Pending::send(shard, |reply| Command::Stats(only, reply))?.done().await?;
            totals.rooms += part.rooms;
            totals.sessions += part.sessions;
            totals.tracks += part.tracks;
            sessions.extend(some);
        }
        Ok((totals, sessions))
    }

    /// What went through the sockets.
    pub fn traffic(&self) -> Traffic {
        self.shards.iter().fold(Traffic::default(), |sum, shard| {
            let counters = &shard.counters;
            let get = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            Traffic {
                received: sum.received + get(&counters.received),
                received_bytes: sum.received_bytes + get(&counters.received_bytes),
                sent: sum.sent + get(&counters.sent),
                sent_bytes: sum.sent_bytes + get(&counters.sent_bytes),
                refused: sum.refused + get(&counters.refused),
                injected: sum.injected + get(&counters.injected),
                unknown: sum.unknown + get(&counters.unknown),
                tcp_connections: sum.tcp_connections + get(&counters.tcp_connections),
                tcp_sent: sum.tcp_sent + get(&counters.tcp_sent),
                tcp_dropped: sum.tcp_dropped + get(&counters.tcp_dropped),
                relief: sum.relief.max(u8::try_from(get(&counters.relief)).unwrap_or(100)),
                joins_waiting: sum.joins_waiting + get(&counters.joins_waiting),
                busy: sum.busy.max(u16::try_from(get(&counters.busy)).unwrap_or(10_000)),
                longest_turn_us: sum.longest_turn_us.max(counters.longest_turn_us.swap(0, Ordering::Relaxed)),
            }
        })
    }

    /// Ends all sessions with this reason and stops the threads.
    pub async fn stop(&self, reason: CloseReason) {
        for shard in &self.shards {
            if let Ok(pending) = Pending::send(shard, |reply| Command::Stop(reason.clone(), reply)) {
                let _ = pending.done().await;
            }
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let _ = tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join()))).await;
    }
}

/// Where residents of a room say what they want.
#[derive(Clone)]
pub struct Residence(ShardHandle);

impl Residence {
    /// Hands something over without waiting. `false`: it is lost.
    pub fn ask(&self, resident: ResidentId, asked: Asked) -> bool {
        self.0.send(Command::Resident(resident, asked)).is_ok()
    }
}

fn place(room: &RoomId, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    room.hash(&mut hasher);
    usize::try_from(hasher.finish() % shards.max(1) as u64).unwrap_or(0)
}

/// The shards, as the cascade sees them.
struct ShardRooms {
    shards: Vec<ShardHandle>,
    /// Which have to be woken.
    pending: Vec<Cell<bool>>,
    events: broadcast::Sender<Event>,
}

impl Rooms for ShardRooms {
    fn place(&self, room: &RoomId) -> usize {
        place(room, self.shards.len())
    }

    fn order(&self, place: usize, order: &ToRoom) -> bool {
        let shard = self.shards.get(place);
        // One that has ended takes nothing any more, and need not be waited for.
        shard.is_none_or(|shard| !matches!(shard.send(Command::Cascade(order.clone())), Err(ShardError::Busy)))
    }

    fn packet(&self, place: usize, packet: RemotePacket) {
        if let (Some(shard), Some(pending)) = (self.shards.get(place), self.pending.get(place)) {
            pending.set(true);
            shard.remote(packet);
        }
    }

    fn event(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn flush(&self) {
        for (shard, pending) in self.shards.iter().zip(&self.pending) {
            if pending.take() {
                shard.wake();
            }
        }
    }
}

/// A command's answer on its way.
pub struct Pending<T>(oneshot::Receiver<T>);

impl<T> Pending<T> {
    fn send(shard: &ShardHandle, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<Self, ShardError> {
        let (reply, answer) = oneshot::channel();
        shard.send(command(reply))?;
        Ok(Self(answer))
    }

    /// The answer.
    pub async fn done(self) -> Result<T, ShardError> {
        self.0.await.map_err(|_| ShardError::Gone)
    }
}
