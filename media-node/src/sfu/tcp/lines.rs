//! All TCP connections of a shard.

use super::{
    TooLong,
    frame::Deframer,
    line::{Found, Line},
    shortage::{Over, Shortage},
};
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 256;
/// Most connections of a shard.
const MOST: usize = 2_048;
/// Most of them that are nobody's yet; and of those, most from one network (an IPv4 address, an IPv6 /64).
const MOST_STRANGERS: usize = 256;
const MOST_OF_A_NETWORK: usize = 16;
/// How long a connection may be nobody's.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that are read at a time.
const READ: usize = 16 * 1024;

/// Opens a shard's listener; several may share the address.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A connection with the first of what came over it, on its way to the shard of its session.
#[derive(Debug)]
pub struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    read: Vec<u8>,
}

/// What goes over TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Connections at present, those included that are nobody's yet.
    pub connections: u64,
    /// Frames sent.
    pub sent: u64,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// Frames dropped because their client was too slow.
    pub dropped: u64,
}

impl Counts {
    fn add(&mut self, line: &Line) {
        self.sent += line.sent;
        self.sent_bytes += line.sent_bytes;
        self.dropped += line.dropped;
    }
}

/// A frame, and whose it is: the address of the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The connection.
    pub token: Token,
    /// Its other end.
    pub source: SocketAddr,
    /// Whether a session has it.
    pub is_known: bool,
}

#[derive(Debug)]
struct Entry {
    line: Line,
    /// Until when somebody has to prove that it is a session's; none once somebody did.
    until: Option<Instant>,
    /// There may be something to read.
    is_ready: bool,
}

/// The connections.
#[derive(Debug)]
pub struct Lines {
    listener: Option<TcpListener>,
    registry: Registry,
    first: usize,
    next: usize,
    entries: BTreeMap<Token, Entry>,
    /// Addresses that belong to TCP: with their connection, or none any more.
    peers: HashMap<SocketAddr, Option<Token>>,
    ready: Vec<Token>,
    /// Those that something was written for.
    written: Vec<Token>,
    /// The one that a frame is being written for, and where frames go that have none.
    current: Option<Token>,
    sink: Vec<u8>,
    scratch: Vec<u8>,
    /// What went over connections that ended.
    ended: Counts,
    shortage: Shortage,
}

impl Lines {
    /// Listens, if there is something to listen on. Its tokens are `first` and those above.
    pub fn new(listener: Option<TcpListener>, registry: Registry, first: usize) -> io::Result<Self> {
        let mut lines = Self {
            listener,
            registry,
            first,
            next: first + 1,
            entries: BTreeMap::new(),
            peers: HashMap::new(),
            ready: Vec::new(),
            written: Vec::new(),
            current: None,
            sink: Vec::new(),
            scratch: vec![0; READ],
            ended: Counts::default(),
            shortage: Shortage::default(),
        };
        if let Some(listener) = &mut lines.listener {
            lines.registry.register(listener, Token(first), Interest::READABLE)?;
        }
        Ok(lines)
    }

    /// Whether an address is a connection's, or was one's that ended.
    pub fn has(&self, peer: &SocketAddr) -> bool {
        !self.peers.is_empty() && self.peers.contains_key(peer)
    }

    /// Takes note of an event. `false`: it isn't about a connection.
    pub fn event(&mut self, now: Instant, event: &mio::event::Event) -> bool {
        let token = event.token();
        if token.0 < self.first {
            return false;
        }
        if token.0 == self.first {
            self.accept(now);
        } else if let Some(entry) = self.entries.get_mut(&token) {
            if event.is_writable() && entry.line.flush().is_err() {
                self.end(token);
            } else if !std::mem::replace(&mut entry.is_ready, true) {
                self.ready.push(token);
            }
        }
        true
    }

    fn accept(&mut self, now: Instant) {
        while let Some(accepted) = self.listener.as_ref().map(TcpListener::accept) {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if let Some(Over { failures, lasted }) = self.shortage.worked(now) {
                        tracing::warn!(failures, ?lasted, "TCP connections can be accepted again");
                    }
                    return;
                }
                Err(error) => {
                    // Those that wait are looked at again with the next one, and now and then.
                    if self.shortage.failed(now) {
                        tracing::warn!(%error, "TCP connections can't be accepted: is the limit of open files too low?");
                    }
                    return;
                }
            };
            let strangers = self.entries.values().filter(|entry| entry.until.is_some());
            let near = strangers.clone().filter(|entry| network(entry.line.peer) == network(peer)).count();
            if self.entries.len() >= MOST || strangers.count() >= MOST_STRANGERS || near >= MOST_OF_A_NETWORK {
                tracing::debug!(%peer, "too many connections: one is refused");
                continue;
            }
            // A frame is to leave when it is written, not when more is there.
            let _ = SockRef::from(&stream).set_tcp_nodelay(true);
            self.add(now, Line::new(stream, peer, Deframer::default()));
        }
    }

    fn add(&mut self, now: Instant, mut line: Line) {
        let token = Token(self.next);
        self.next += 1;
        match self.registry.register(&mut line.stream, token, Interest::READABLE | Interest::WRITABLE) {
            Ok(()) => {
                self.entries.insert(token, Entry { line, until: Some(now + PATIENCE), is_ready: true });
                self.ready.push(token);
            }
            Err(error) => tracing::warn!(%error, "a connection can't be waited for"),
        }
    }

    /// Takes over a connection that another shard accepted.
    pub fn adopt(&mut self, now: Instant, accepted: Accepted) {
        let mut frames = Deframer::default();
        frames.push(&accepted.read);
        self.add(now, Line::new(TcpStream::from_std(accepted.stream), accepted.peer, frames));
    }

    /// Gives a connection away, with the frame that was read last.
    pub fn give(&mut self, token: Token, frame: &[u8]) -> Option<Accepted> {
        let Entry { mut line, .. } = self.entries.remove(&token)?;
        self.registry.deregister(&mut line.stream).ok()?;
        let length = u16::try_from(frame.len()).ok()?;
        let read = [&length.to_be_bytes()[..], frame, line.frames.rest()].concat();
        Some(Accepted { stream: line.stream.into(), peer: line.peer, read })
    }

    /// Reads what the connections have, frame by frame into `frame`. `None`: nothing is there for now.
    pub fn read(&mut self, frame: &mut Vec<u8>) -> Option<Frame> {
        loop {
            let token = *self.ready.last()?;
            let Some(entry) = self.entries.get_mut(&token) else {
                self.ready.pop();
                continue;
            };
            let ended = match entry.line.frames.pop() {
                Ok(Some(bytes)) => {
                    frame.clear();
                    frame.extend_from_slice(bytes);
                    return Some(Frame { token, source: entry.line.peer, is_known: entry.until.is_none() });
                }
                Ok(None) => match entry.line.read(&mut self.scratch) {
                    Found::Bytes => continue,
                    Found::Nothing => false,
                    Found::End => true,
                },
                Err(TooLong(length)) => {
                    tracing::debug!(peer = %entry.line.peer, length, "a frame is too long: the connection is closed");
                    true
                }
            };
            entry.is_ready = false;
            self.ready.pop();
            if ended {
                self.end(token);
            }
        }
    }

    /// Lets the others have their turn.
    pub fn rotate(&mut self) {
        if !self.ready.is_empty() {
            self.ready.rotate_right(1);
        }
    }

    /// A frame proved the connection to be a session's. `false`: its address is another's, and it is closed.
    pub fn know(&mut self, token: Token) -> bool {
        let Some(entry) = self.entries.get_mut(&token) else { return false };
        let peer = entry.line.peer;
        if self.peers.get(&peer).is_some_and(|other| other.is_some_and(|other| other != token)) {
            self.end(token);
            return false;
        }
        entry.until = None;
        self.peers.insert(peer, Some(token));
        true
    }

    /// Closes a connection. Its address stays one of TCP until [`Lines::forget`].
    pub fn end(&mut self, token: Token) {
        let Some(Entry { mut line, .. }) = self.entries.remove(&token) else { return };
        let _ = self.registry.deregister(&mut line.stream);
        self.ended.add(&line);
        if let Some(known) = self.peers.get_mut(&line.peer)
            && *known == Some(token)
        {
            *known = None;
        }
    }

    /// An address is nobody's any more: what was written leaves, and its connection is closed.
    pub fn forget(&mut self, peer: &SocketAddr) {
        if let Some(Some(token)) = self.peers.remove(peer) {
            if let Some(entry) = self.entries.get_mut(&token) {
                let _ = entry.line.flush();
            }
            self.end(token);
        }
    }

    /// Closes those that were nobody's for too long, and accepts those that could not be accepted when they came.
    pub fn tick(&mut self, now: Instant) {
        self.accept(now);
        let late = |entry: &Entry| entry.until.is_some_and(|until| until <= now);
        let late: Vec<Token> = self.entries.iter().filter(|(_, entry)| late(entry)).map(|(token, _)| *token).collect();
        late.into_iter().for_each(|token| self.end(token));
    }

    /// The buffer at whose end a frame for an address of TCP is to be written.
    pub fn begin(&mut self, peer: &SocketAddr) -> &mut Vec<u8> {
        self.current = self.peers.get(peer).copied().flatten();
        match self.current.and_then(|token| self.entries.get_mut(&token)) {
            Some(entry) => entry.line.begin(),
            None => {
                self.sink.clear();
                &mut self.sink
            }
        }
    }

    /// What was appended since is a frame.
    pub fn finish(&mut self) {
        let Some(token) = self.current.take() else { return };
        if let Some(entry) = self.entries.get_mut(&token) {
            entry.line.end();
            if self.written.last() != Some(&token) {
                self.written.push(token);
            }
        }
    }

    /// Gives the kernel what was written.
    pub fn flush(&mut self) {
        while let Some(token) = self.written.pop() {
            if let Some(entry) = self.entries.get_mut(&token)
                && entry.line.flush().is_err()
            {
                self.end(token);
            }
        }
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { connections: self.entries.len() as u64, ..self.ended };
        self.entries.values().for_each(|entry| counts.add(&entry.line));
        counts
    }
}

/// What is taken for one host: an IPv4 address, an IPv6 /64.
fn network(peer: SocketAddr) -> u64 {
    match peer.ip().to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)),
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}
