//! The cascade on the network: a thread with a UDP socket, a QUIC endpoint without I/O of its own (quinn-proto) and the
//! [`Hub`]. Nothing is shared with the media threads but bounded queues.

mod congestion;
mod connection;
mod running;
mod settings;
mod shell;
mod wires;

pub use settings::PROTOCOL;

use super::{
    hub::{Hub, PeerFigures, Route, RouteError},
    limits,
    link::{FromRoom, RemotePacket, ToRoom},
};
use crate::sfu::{
    event::Event,
    id::RoomId,
    socket::{self, BatchSocket},
};
use chroom_primitives::NodeId;
use chroom_rpc::tls::Identity;
use mio::Waker;
use settings::SettingsError;
use shell::{Parts, Shell};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::oneshot;

/// Messages of rooms that wait.
const TOLD_QUEUE: usize = 8_192;
/// Packets of rooms that wait; what is beyond is lost.
const PACKET_QUEUE: usize = 16_384;
/// Commands that wait.
const COMMAND_QUEUE: usize = 256;

/// The rooms of this node, as the cascade sees them.
pub trait Rooms: Send {
    /// Which thread has the room.
    fn place(&self, room: &RoomId) -> usize;
    /// Hands over an order. `false`: the thread is busy, and the order is given again.
    fn order(&self, place: usize, order: &ToRoom) -> bool;
    /// Hands over a packet. A full queue loses it.
    fn packet(&self, place: usize, packet: RemotePacket);
    /// Wakes the threads that were handed packets.
    fn flush(&self);
    /// Tells the orchestrator.
    fn event(&self, event: Event);
}

/// Whether a node may have a pipe: `None`, or the reason against it.
pub type Gate = Box<dyn Fn(&NodeId) -> Option<&'static str> + Send>;

/// How the cascade is set up.
pub struct CascadeConfig {
    /// UDP address for pipes.
    pub listen: SocketAddr,
    /// Address that other nodes are told, if it isn't the one listened on.
    pub advertise: Option<IpAddr>,
}

/// The cascade can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket can't be had.
    #[error("can't open UDP {address} for pipes: {source}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The address can't be told to other nodes.
    #[error(
        "other nodes can't be told to send to {0}: give --pipe-advertise an address of this machine that they reach"
    )]
    Unspecified(IpAddr),
    /// TLS refuses.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// No thread.
    #[error("can't start the thread for pipes: {0}")]
    Thread(io::Error),
}

/// A command can't be given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CascadeError {
    /// Its queue is full.
    #[error("too many commands for pipes are waiting; try again")]
    Busy,
    /// It has ended.
    #[error("the node is stopping")]
    Gone,
}

enum Order {
    Set(Box<Route>, oneshot::Sender<Result<(), RouteError>>),
    Clear(RoomId, u64, oneshot::Sender<Result<(), RouteError>>),
    Figures(oneshot::Sender<Figures>),
    Stop(oneshot::Sender<()>),
    /// Ends at once, as a crash does; for tests.
    Die,
}

/// What the cascade has counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Each pipe's figures.
    pub peers: Vec<PeerFigures>,
    /// UDP payload bytes sent, all included.
    pub sent_bytes: u64,
    /// UDP payload bytes received.
    pub received_bytes: u64,
    /// Datagrams that connections' queues had no room for.
    pub dropped: u64,
    /// Connections refused by the register.
    pub refused: u64,
    /// Times that a standby took a dead parent's place.
    pub failovers: u64,
}

/// A room thread's end of the queues to the cascade.
#[derive(Clone)]
pub struct RoomEnd {
    told: SyncSender<FromRoom>,
    packets: SyncSender<FromRoom>,
    waker: Arc<Waker>,
}

impl RoomEnd {
    /// Tells something. `false`: the queue is full; it has to be told again.
    pub fn tell(&self, told: FromRoom) -> bool {
        self.told.try_send(told).is_ok()
    }

    /// Hands over a packet. `false`: the queue is full, and it is lost.
    pub fn packet(&self, packet: FromRoom) -> bool {
        self.packets.try_send(packet).is_ok()
    }

    /// Wakes the cascade: once after a run of the others.
    pub fn flush(&self) {
        let _ = self.waker.wake();
    }
}

/// The running cascade.
pub struct Cascade {
    commands: SyncSender<Order>,
    waker: Arc<Waker>,
    room_end: RoomEnd,
    address: SocketAddr,
    thread: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

/// The cascade before its thread runs: rooms need its end of the queues, and it needs the rooms.
pub struct Prepared {
    shell: Shell,
    cascade: Cascade,
}

impl Cascade {
    /// Opens the socket.
    pub fn prepare(config: &CascadeConfig, identity: &Identity, gate: Gate) -> Result<Prepared, StartError> {
        let failed = |source| StartError::Socket { address: config.listen, source };
        let socket = socket::bind(config.listen, false).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let address = SocketAddr::new(config.advertise.unwrap_or(bound.ip()), bound.port());
        if address.ip().is_unspecified() {
            return Err(StartError::Unspecified(address.ip()));
        }
        let socket = BatchSocket::new(socket, None).map_err(failed)?;
        let (commands, command_queue) = sync_channel(COMMAND_QUEUE);
        let (told, told_queue) = sync_channel(TOLD_QUEUE);
        let (packets, packet_queue) = sync_channel(PACKET_QUEUE);
        let parts = Parts { socket, identity: identity.clone(), gate, command_queue, told_queue, packet_queue };
        let (shell, waker) = Shell::new(parts).map_err(|error| match error {
            shell::ShellError::Io(error) => StartError::Thread(error),
            shell::ShellError::Settings(error) => StartError::Settings(error),
        })?;
        let waker = Arc::new(waker);
        let room_end = RoomEnd { told, packets, waker: waker.clone() };
        let cascade = Cascade { commands, waker, room_end, address, thread: parking_lot::Mutex::new(None) };
        Ok(Prepared { shell, cascade })
    }

    /// `ip:port` by which other nodes reach its pipes.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn order(&self, order: Order) -> Result<(), CascadeError> {
        self.commands.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) => CascadeError::Busy,
            TrySendError::Disconnected(_) => CascadeError::Gone,
        })?;
        self.waker.wake().map_err(|_| CascadeError::Gone)
    }

    /// Sets the node's place in a room's tree. The answer may be awaited later: the command is handed over at once.
    pub fn set_route(&self, route: Route) -> Result<Pending, CascadeError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Set(Box::new(route), reply))?;
        Ok(Pending(answer))
    }

    /// Takes a room out of the cascade.
    pub fn clear_route(&self, room: RoomId, fence: u64) -> Result<Pending, CascadeError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Clear(room, fence, reply))?;
        Ok(Pending(answer))
    }

    /// What it has counted.
    pub async fn figures(&self) -> Result<Figures, CascadeError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Figures(reply))?;
        answer.await.map_err(|_| CascadeError::Gone)
    }

    /// Says good-bye to all peers and ends the thread.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.order(Order::Stop(reply)).is_ok() {
            let _ = answer.await;
        }
        self.join().await;
    }

    /// Ends the thread as a crash would: no peer is told. For tests of what the others do then.
    pub async fn die(&self) {
        let _ = self.order(Order::Die);
        self.join().await;
    }

    async fn join(&self) {
        let thread = self.thread.lock().take();
        let _ = tokio::task::spawn_blocking(move || thread.map(JoinHandle::join)).await;
    }
}

/// A command's answer on its way.
pub struct Pending(oneshot::Receiver<Result<(), RouteError>>);

impl Pending {
    /// The answer.
    pub async fn done(self) -> Result<Result<(), RouteError>, CascadeError> {
        self.0.await.map_err(|_| CascadeError::Gone)
    }
}

impl Prepared {
    /// The rooms' end of the queues.
    pub fn room_end(&self) -> RoomEnd {
        self.cascade.room_end.clone()
    }

    /// Starts the thread.
    pub fn start(self, rooms: Box<dyn Rooms>) -> Result<Cascade, StartError> {
        let Self { shell, cascade } = self;
        let thread = std::thread::Builder::new().name("cascade".to_owned()).spawn(move || shell.run(rooms));
        *cascade.thread.lock() = Some(thread.map_err(StartError::Thread)?);
        Ok(cascade)
    }
}

/// The hub's clock starts with the shell.
fn hub(identity: &Identity) -> Hub {
    let unix_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_micros());
    Hub::new(identity.node_id(), Instant::now(), u64::try_from(unix_us).unwrap_or(u64::MAX))
}

/// How long a connection may be silent before QUIC itself ends it: longer than [`limits::DEAD`], which decides.
const QUIC_IDLE: Duration = limits::DIAL_TIMEOUT;
