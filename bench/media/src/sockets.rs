//! The generator's few UDP sockets: bound to all addresses, so that each serves thousands of clients with an address each.
//!
//! The kernel says which address a datagram was for and when it came, and takes the address that one goes out from. So delays
//! don't count the time that a datagram waits for the generator.

use crate::{
    client::{
        address::{ClientId, Subnet},
        world::Out,
    },
    model::line::{Delay, Line, Loss},
};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// Receive buffer of a socket, in bytes, as far as `net.core.rmem_max` goes.
const BUFFER: usize = 4 << 20;
/// Largest datagram of a path, for the size of what is received at once.
const MTU: usize = 1_500;

/// Packets and bytes that one system call can take.
const SEGMENTS: usize = 64;
const MAX_BURST: usize = 65_000;

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// Datagrams on a modelled line, by the time of their arrival; the number keeps equals in order.
type Waiting = BinaryHeap<Reverse<(Duration, u64, u32, SocketAddr, Vec<u8>)>>;

/// Packets of a burst that go out with one system call.
#[derive(Default)]
struct Burst {
    to: Option<(ClientId, SocketAddr)>,
    bytes: Vec<u8>,
    /// Size of all but the last.
    segment: usize,
    last: usize,
    count: usize,
}

/// The sending side.
pub struct Outbox {
    sockets: Vec<Socket>,
    subnet: Subnet,
    origin: Instant,
    uplink: (Loss, Delay),
    lines: HashMap<ClientId, Line>,
    waiting: Waiting,
    order: u64,
    random: StdRng,
    batches: bool,
    burst: Burst,
    /// Datagrams that the kernel didn't take.
    pub refused: u64,
    /// Datagrams that the modelled lines lost.
    pub lost: u64,
}

/// All sockets.
pub struct Sockets {
    /// The sending side.
    pub out: Outbox,
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Sockets {
    /// Opens them; clients' way to the SFU is like `uplink`.
    pub fn open(count: usize, subnet: Subnet, origin: Instant, uplink: (Loss, Delay), seed: u64) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(count);
        let mut size = MTU;
        for _ in 0..count.max(1) {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.set_nonblocking(true)?;
            let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
            state.set_recv_buffer_size(UdpSockRef::from(&socket), BUFFER)?;
            size = size.max(state.gro_segments() * MTU);
            sockets.push(Socket { socket, state });
        }
        let out = Outbox {
            sockets,
            subnet,
            origin,
            uplink,
            lines: HashMap::new(),
            waiting: BinaryHeap::new(),
            order: 0,
            random: StdRng::seed_from_u64(seed),
            batches: false,
            burst: Burst::default(),
            refused: 0,
            lost: 0,
        };
        Ok(Self { out, buffers: vec![vec![0; size]; BATCH_SIZE], metas: [RecvMeta::default(); BATCH_SIZE] })
    }

    /// Their ports.
    pub fn ports(&self) -> io::Result<Vec<u16>> {
        self.out.sockets.iter().map(|socket| Ok(socket.socket.local_addr()?.port())).collect()
    }

    /// Receives one batch of a socket. Each run of datagrams for one client goes to `take`: the client, the bytes, the size of one
    /// datagram, and the time of arrival in nanoseconds of the system's clock. Whether something was there.
    pub fn receive(
        &mut self,
        index: usize,
        mut take: impl FnMut(&mut Outbox, ClientId, &mut [u8], usize, Option<u64>),
    ) -> io::Result<bool> {
        let subnet = self.out.subnet;
        let Some(socket) = self.out.sockets.get(index) else { return Ok(false) };
        let mut slices: Vec<IoSliceMut<'_>> = self.buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let count = match socket.state.recv(UdpSockRef::from(&socket.socket), &mut slices, &mut self.metas) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            // The SFU's port is closed: its clients will notice.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(true),
            Err(error) => return Err(error),
        };
        for (buffer, meta) in self.buffers.iter_mut().zip(&self.metas).take(count) {
            let client = meta.dst_ip.and_then(|ip| subnet.client(ip));
            let (Some(client), Some(bytes)) = (client, buffer.get_mut(..meta.len)) else { continue };
            let arrived = meta.timestamp.and_then(|time| u64::try_from(time.as_nanos()).ok());
            take(&mut self.out, client, bytes, meta.stride.max(1), arrived);
        }
        Ok(count > 0)
    }
}

impl Outbox {
    /// Hands a burst's packets to the kernel together from now on, so that the server gets them together too.
    pub fn batch(&mut self, batches: bool) {
        self.batches = batches;
    }

    /// How many sockets there are.
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Gives a client a line of its own to the server.
    pub fn set_line(&mut self, client: ClientId, (loss, delay): (Loss, Delay)) {
        self.lines.insert(client, Line::new(loss, delay));
    }

    /// Forgets a client's line.
    pub fn forget(&mut self, client: ClientId) {
        self.lines.remove(&client);
    }

    /// When the next datagram on a modelled line arrives.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((at, ..))| self.origin + *at)
    }

    /// Lets those arrive that are due.
    pub fn deliver(&mut self, now: Instant) {
        let now = now.saturating_duration_since(self.origin);
        while self.waiting.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, from, to, datagram))) = self.waiting.pop() else { return };
            self.transmit(ClientId(from), to, &datagram);
        }
    }

    fn is_perfect(&self, client: ClientId) -> bool {
        self.uplink == (Loss::None, Delay::default()) && (self.lines.is_empty() || !self.lines.contains_key(&client))
    }

    fn transmit(&mut self, from: ClientId, to: SocketAddr, datagram: &[u8]) {
        self.transmit_all(from, to, datagram, None);
    }

    fn transmit_all(&mut self, from: ClientId, to: SocketAddr, datagrams: &[u8], segment_size: Option<usize>) {
        let Some(socket) = self.sockets.get(from.socket(self.sockets.len())) else { return };
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents: datagrams,
            segment_size,
            src_ip: Some(self.subnet.ip(from).into()),
        };
        if socket.state.try_send(UdpSockRef::from(&socket.socket), &transmit).is_err() {
            self.refused += 1;
        }
    }
}

impl Out for Outbox {
    fn burst(&mut self, from: ClientId, to: SocketAddr, datagram: &[u8]) {
        if !self.batches || !self.is_perfect(from) {
            self.send(from, to, datagram);
            return;
        }
        let burst = &self.burst;
        let joins = burst.to == Some((from, to))
            && burst.last == burst.segment
            && datagram.len() <= burst.segment
            && burst.count < SEGMENTS
            && burst.bytes.len() + datagram.len() <= MAX_BURST;
        if !joins {
            self.flush();
            self.burst.to = Some((from, to));
            self.burst.segment = datagram.len();
        }
        self.burst.last = datagram.len();
        self.burst.count += 1;
        self.burst.bytes.extend_from_slice(datagram);
    }

    fn flush(&mut self) {
        let Some((from, to)) = self.burst.to.take() else { return };
        let bytes = std::mem::take(&mut self.burst.bytes);
        self.transmit_all(from, to, &bytes, (self.burst.count > 1).then_some(self.burst.segment));
        // The buffer is used again.
        self.burst.bytes = bytes;
        self.burst.bytes.clear();
        self.burst.count = 0;
    }

    fn send(&mut self, from: ClientId, to: SocketAddr, datagram: &[u8]) {
        if self.is_perfect(from) {
            self.transmit(from, to, datagram);
            return;
        }
        let (loss, delay) = self.uplink;
        let line = self.lines.entry(from).or_insert_with(|| Line::new(loss, delay));
        if line.loses(&mut self.random) {
            self.lost += 1;
            return;
        }
        let at = line.arrival(self.origin.elapsed(), &mut self.random);
        self.order += 1;
        self.waiting.push(Reverse((at, self.order, from.0, to, datagram.to_vec())));
    }
}
