//! One QUIC connection: its control stream and its queues.

use crate::cascade::{
    control::{self, Control, ControlError},
    hub::PeerKey,
    limits,
};
use bytes::{Bytes, BytesMut};
use chroom_primitives::NodeId;
use quinn_proto::{Connection, Dir, ReadError, StreamId, WriteError};
use std::{collections::VecDeque, time::Instant};

/// The control stream can't go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StreamError {
    /// What came can't be read.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The peer ended or reset it.
    #[error("the control stream ended")]
    Ended,
    /// The peer doesn't read.
    #[error("{0} bytes of control wait for the peer")]
    Backlog(usize),
}

/// A connection.
pub struct Link {
    /// The QUIC connection.
    pub quic: Connection,
    /// Whether this node made it.
    pub dialled: Option<PeerKey>,
    /// Who is at the other end, once that is proven and admitted.
    pub node: Option<NodeId>,
    /// Its place in the hub.
    pub peer: Option<PeerKey>,
    /// When it wants to be woken.
    pub timeout: Option<Instant>,
    /// Whether it has something to send or tell.
    pub dirty: bool,
    /// Largest datagram.
    pub max_datagram: usize,
    /// Datagrams that its queue dropped.
    pub dropped: u64,
    stream: Option<StreamId>,
    inbound: BytesMut,
    outbound: VecDeque<Bytes>,
    waiting: usize,
}

/// Datagrams are cut to this before the path is known: QUIC's smallest path less its overhead.
const SMALLEST: usize = 1_100;

impl Link {
    /// A connection in its handshake.
    pub fn new(quic: Connection, dialled: Option<PeerKey>) -> Self {
        Self {
            quic,
            dialled,
            node: None,
            peer: None,
            timeout: None,
            dirty: true,
            max_datagram: SMALLEST,
            dropped: 0,
            stream: None,
            inbound: BytesMut::new(),
            outbound: VecDeque::new(),
            waiting: 0,
        }
    }

    /// Opens the control stream; the one who dialled does.
    pub fn open_stream(&mut self) {
        if self.stream.is_none() {
            self.stream = self.quic.streams().open(Dir::Bi);
        }
    }

    /// Takes the control stream that the other end opened.
    pub fn accept_stream(&mut self) {
        if let Some(id) = self.quic.streams().accept(Dir::Bi)
            && self.stream.is_none()
        {
            self.stream = Some(id);
        }
    }

    /// Sends a datagram; the oldest ones make room.
    pub fn datagram(&mut self, datagram: Bytes) {
        let mut datagrams = self.quic.datagrams();
        let full = datagrams.send_buffer_space() < datagram.len();
        if datagrams.send(datagram, true).is_err() || full {
            self.dropped += 1;
        }
    }

    /// Queues a control message.
    pub fn control(&mut self, message: Bytes) {
        self.waiting += message.len();
        self.outbound.push_back(message);
    }

    /// Writes what the stream takes.
    pub fn write(&mut self) -> Result<(), StreamError> {
        let Some(id) = self.stream else { return Ok(()) };
        while let Some(front) = self.outbound.front_mut() {
            match self.quic.send_stream(id).write(front) {
                Ok(count) => {
                    self.waiting -= count;
                    bytes::Buf::advance(front, count);
                    if front.is_empty() {
                        self.outbound.pop_front();
                    }
                }
                Err(WriteError::Blocked) => break,
                Err(_) => return Err(StreamError::Ended),
            }
        }
        if self.waiting > limits::MAX_CONTROL_BACKLOG { Err(StreamError::Backlog(self.waiting)) } else { Ok(()) }
    }

    /// Reads the messages that are there.
    pub fn read(&mut self) -> Result<Vec<Control>, StreamError> {
        let Some(id) = self.stream else { return Ok(Vec::new()) };
        let mut messages = Vec::new();
        let mut ended = false;
        {
            let mut stream = self.quic.recv_stream(id);
            let Ok(mut chunks) = stream.read(true) else { return Ok(messages) };
            loop {
                match chunks.next(limits::MAX_CONTROL) {
                    Ok(Some(chunk)) => self.inbound.extend_from_slice(&chunk.bytes),
                    Ok(None) | Err(ReadError::Reset(_)) => {
                        ended = true;
                        break;
                    }
                    Err(ReadError::Blocked) => break,
                }
            }
            // Credit for more goes out with the next packets.
            let _ = chunks.finalize();
        }
        while let Some(message) = control::take(&mut self.inbound) {
            messages.extend(message?);
        }
        if ended && messages.is_empty() { Err(StreamError::Ended) } else { Ok(messages) }
    }
}
