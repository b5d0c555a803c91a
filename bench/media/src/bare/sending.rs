//! What both bare loops do: headers, a copy of the shared payload, one pass of the cipher, and the burst handed to the kernel as one segmented send.

use super::BareError;
use crate::{
    client::{
        address::{ClientId, Subnet},
        publication::HEAD,
    },
    wire::{
        rtp::Fields,
        srtp::{Profile, Srtp},
    },
};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Largest batch, in bytes: what fits into a UDP datagram's length.
const MAX_BATCH: usize = 65_000;
/// The first receiver's number; real clients have lower ones.
const FIRST: u32 = 100_000;
/// Longest payload.
const MAX_PAYLOAD: usize = 2_000;

/// Who gets packets: a key and an address.
pub struct Receiver {
    keys: Srtp,
    address: SocketAddr,
}

impl Receiver {
    /// The receiver of this number.
    pub fn new(number: u32, subnet: Subnet, ports: &[u16], profile: Profile) -> Result<Self, BareError> {
        let material: Vec<u8> = (0..96u32).flat_map(|at| (at ^ number).to_be_bytes()).collect();
        let (keys, _) = Srtp::pair(profile, &material)?;
        Ok(Self { keys, address: subnet.address(ClientId(FIRST + number), ports) })
    }
}

/// What one receiver gets of one source: its numbers.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    ssrc: u32,
    next: u64,
}

impl Stream {
    /// A stream that nothing was sent on.
    pub fn new(ssrc: u32) -> Self {
        Self { ssrc, next: 1 }
    }
}

/// The socket, and what was sent.
pub struct Sending {
    socket: UdpSocket,
    state: UdpSocketState,
    payload: Vec<u8>,
    batch: Vec<u8>,
    /// Packets that the kernel took.
    pub packets: u64,
    /// Packets that it didn't.
    pub refused: u64,
}

impl Sending {
    /// With a socket of its own.
    pub fn new() -> Result<Self, BareError> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let (payload, batch) = (vec![0xA5; MAX_PAYLOAD], Vec::with_capacity(MAX_BATCH));
        Ok(Self { socket, state, payload, batch, packets: 0, refused: 0 })
    }

    /// Seals and sends payloads of these sizes, of which only the last may be shorter.
    pub fn burst(
        &mut self,
        receiver: &Receiver,
        stream: &mut Stream,
        timestamp: u32,
        sizes: &[usize],
    ) -> Result<(), BareError> {
        for part in sizes.chunks(self.state.max_gso_segments().max(1)) {
            self.batch.clear();
            let mut segment = 0;
            for size in part {
                let at = self.batch.len();
                let payload = self.payload.get(..*size).unwrap_or(&self.payload);
                write(&mut self.batch, receiver, stream, timestamp, payload)?;
                segment = segment.max(self.batch.len() - at);
            }
            let transmit = Transmit {
                destination: receiver.address,
                ecn: None,
                contents: &self.batch,
                segment_size: (part.len() > 1).then_some(segment),
                src_ip: None,
            };
            match self.state.try_send(UdpSockRef::from(&self.socket), &transmit) {
                Ok(()) => self.packets += part.len() as u64,
                Err(_) => self.refused += part.len() as u64,
            }
        }
        Ok(())
    }
}

/// Header as the node's receivers get it, payload copied from the shared one, sealed in place.
fn write(
    batch: &mut Vec<u8>,
    receiver: &Receiver,
    stream: &mut Stream,
    timestamp: u32,
    payload: &[u8],
) -> Result<(), BareError> {
    let begin = batch.len();
    let index = stream.next;
    stream.next += 1;
    let seq = index as u16;
    let fields = Fields {
        payload_type: 96,
        marker: false,
        seq,
        timestamp,
        ssrc: stream.ssrc,
        extensions: &[(3, &seq.to_be_bytes()), (4, b"0")],
    };
    let header = fields.write(batch);
    batch.extend_from_slice(payload);
    // The picture id is the receiver's own.
    if let Some(head) = batch.get_mut(begin + header..begin + header + HEAD.min(4)) {
        head.iter_mut().zip(timestamp.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
    Ok(receiver.keys.protect_last(batch, begin, header, stream.ssrc, index)?)
}
