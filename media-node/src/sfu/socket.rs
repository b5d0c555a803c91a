//! The UDP socket of a shard: datagrams in and out in batches, by the kernel's segmentation offloads where it has them.

use super::{engine::Exit, fault::EgressLoss};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
};

/// Socket buffers, in bytes: 50 ms of a gigabit.
const SOCKET_BUFFER: usize = 6 * 1024 * 1024;
/// Most bytes of a batch: the largest UDP payload, less a datagram.
const MAX_SEND: usize = 63_500;

/// Opens a shard's socket; several may share the address.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What went through a socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Datagrams received.
    pub received: u64,
    /// Bytes of those.
    pub received_bytes: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// Datagrams that the kernel didn't take.
    pub refused: u64,
    /// Datagrams dropped by the injected loss.
    pub injected: u64,
}

/// A socket with its batches.
pub struct BatchSocket {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    buffers: Vec<Vec<u8>>,
    segments: usize,
    out: Vec<u8>,
    out_to: Option<SocketAddr>,
    /// Where the datagram begins that is being written.
    out_begin: usize,
    out_segment: usize,
    out_count: usize,
    /// A shorter datagram ends a batch.
    out_ended: bool,
    loss: Option<EgressLoss>,
    /// Counts.
    pub traffic: Traffic,
}

impl BatchSocket {
    /// Takes over a socket.
    pub fn new(socket: std::net::UdpSocket, loss: Option<EgressLoss>) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // What the kernel doesn't grant it cuts; that isn't an error.
        let _ = state.set_send_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&socket), SOCKET_BUFFER);
        let granted = SockRef::from(&socket).recv_buffer_size().unwrap_or_default();
        // Linux counts its own bookkeeping in, and so grants twice what it allows.
        if granted < SOCKET_BUFFER {
            tracing::warn!(
                granted,
                wanted = SOCKET_BUFFER,
                "the kernel's receive buffer is small, and bursts may be lost on a busy machine: raise net.core.rmem_max"
            );
        }
        let size = state.gro_segments() * 1_500;
        let segments = state.max_gso_segments();
        Ok(Self {
            socket: mio::net::UdpSocket::from_std(socket),
            state,
            buffers: vec![vec![0; size.max(2_048)]; BATCH_SIZE],
            segments,
            out: Vec::with_capacity(MAX_SEND),
            out_to: None,
            out_begin: 0,
            out_segment: 0,
            out_count: 0,
            out_ended: false,
            loss,
            traffic: Traffic::default(),
        })
    }

    /// The socket, to be registered for readiness.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket
    }

    /// Receives a batch. `None`: nothing is there.
    pub fn receive(&mut self) -> io::Result<Option<Received>> {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut buffers = std::mem::take(&mut self.buffers);
        let result = {
            let mut slices: Vec<IoSliceMut<'_>> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
            self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut metas)
        };
        match result {
            Ok(count) => Ok(Some(Received { buffers, metas, count })),
            Err(error) => {
                self.buffers = buffers;
                match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(None),
                    // A peer's port is closed (ICMP): no matter of the socket.
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
                        Ok(Some(Received { buffers: Vec::new(), metas, count: 0 }))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    /// Gives a batch's buffers back.
    pub fn recycle(&mut self, received: Received) {
        if !received.buffers.is_empty() {
            self.buffers = received.buffers;
        }
    }

    /// Sends a datagram, at the latest on [`BatchSocket::flush`].
    pub fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.begin(to).extend_from_slice(datagram);
        self.end();
    }

    /// Hands what is batched to the kernel.
    pub fn flush(&mut self) {
        let whole = self.out.len();
        self.transmit(whole);
        self.out.clear();
        self.out_to = None;
    }

    /// Hands the first `length` bytes to the kernel: the datagrams that are counted.
    fn transmit(&mut self, length: usize) {
        let count = std::mem::take(&mut self.out_count);
        self.out_ended = false;
        let (Some(destination), Some(contents)) = (self.out_to, self.out.get(..length)) else { return };
        if count == 0 {
            return;
        }
        let segment_size = (count > 1).then_some(self.out_segment);
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
            Ok(()) => {
                self.traffic.sent += count as u64;
                self.traffic.sent_bytes += length as u64;
            }
            // Some devices cannot segment; quinn-udp notes it, and the batch goes out one by one.
            Err(_) if count > self.state.max_gso_segments() => {
                self.segments = self.state.max_gso_segments();
                self.send_singly(destination, length);
            }
            Err(error) => {
                self.traffic.refused += count as u64;
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::debug!(%error, "datagrams refused by the kernel");
                }
            }
        }
    }
}

impl Exit for BatchSocket {
    fn begin(&mut self, to: SocketAddr) -> &mut Vec<u8> {
        let joins =
            self.out_to == Some(to) && !self.out_ended && self.out_count < self.segments && self.out.len() <= MAX_SEND;
        if !joins {
            self.flush();
            self.out_to = Some(to);
        }
        self.out_begin = self.out.len();
        &mut self.out
    }

    fn end(&mut self) {
        let begin = self.out_begin;
        let datagram = self.out.get(begin..).unwrap_or_default();
        let length = datagram.len();
        if length == 0 {
            return;
        }
        if self.loss.as_mut().is_some_and(|loss| loss.drops(datagram)) {
            self.traffic.injected += 1;
            self.out.truncate(begin);
            return;
        }
        if self.out_count > 0 && length > self.out_segment {
            // Segments of one send are of one size: those before leave first.
            self.transmit(begin);
            self.out.drain(..begin);
        }
        if self.out_count == 0 {
            self.out_segment = length;
        }
        self.out_ended = length < self.out_segment;
        self.out_count += 1;
    }
}

impl BatchSocket {
    fn send_singly(&mut self, destination: SocketAddr, length: usize) {
        for datagram in self.out.get(..length).unwrap_or_default().chunks(self.out_segment.max(1)) {
            let transmit = Transmit { destination, ecn: None, contents: datagram, segment_size: None, src_ip: None };
            match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                Ok(()) => {
                    self.traffic.sent += 1;
                    self.traffic.sent_bytes += datagram.len() as u64;
                }
                Err(error) => {
                    self.traffic.refused += 1;
                    tracing::debug!(%error, "a datagram refused by the kernel");
                }
            }
        }
    }
}

/// A received batch.
pub struct Received {
    buffers: Vec<Vec<u8>>,
    metas: [RecvMeta; BATCH_SIZE],
    count: usize,
}

impl Received {
    /// The datagrams with their senders.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.buffers.iter().zip(&self.metas).take(self.count).flat_map(|(buffer, meta)| {
            let bytes = buffer.get(..meta.len).unwrap_or_default();
            bytes.chunks(meta.stride.max(1)).map(|datagram| (meta.addr, datagram))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_arrive_as_the_datagrams_that_were_sent() {
        let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (bind(local, false).unwrap(), bind(local, false).unwrap());
        let (from, to) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let mut sender = BatchSocket::new(a, None).unwrap();
        let mut receiver = BatchSocket::new(b, None).unwrap();
        let sizes = [1_000, 1_000, 1_000, 700, 900, 900, 20, 30, 40];
        for (index, size) in sizes.iter().enumerate() {
            sender.send(to, &vec![index as u8; *size]);
        }
        sender.flush();
        let mut got = Vec::new();
        while got.len() < sizes.len() {
            if let Some(received) = receiver.receive().unwrap() {
                got.extend(received.datagrams().map(|(source, bytes)| {
                    assert_eq!(source, from);
                    (bytes[0], bytes.len())
                }));
                receiver.recycle(received);
            }
        }
        let expected: Vec<_> = sizes.iter().enumerate().map(|(index, size)| (index as u8, *size)).collect();
        assert_eq!(got, expected);
        assert_eq!(sender.traffic.sent, 9);
    }
}
