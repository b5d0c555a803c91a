//! The bare loop: what one core encrypts and sends if it does nothing else. The same packets as a scenario's, each receiver with
//! its own key and address, bursts handed to the kernel at once as the node does it.

use crate::{
    client::{
        address::{ClientId, Subnet},
        publication::HEAD,
    },
    sockets::Sockets,
    wire::{
        rtp::Fields,
        srtp::{Profile, Srtp},
    },
};
use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// Largest batch, in bytes: what fits into a UDP datagram's length.
const MAX_BATCH: usize = 65_000;
/// The first receiver's number; real clients have lower ones.
const FIRST: u32 = 100_000;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The receivers' addresses.
    pub subnet: Subnet,
    /// Ports of the sink.
    pub ports: Vec<u16>,
    /// Receivers.
    pub receivers: u32,
    /// Bursts of payload sizes, sent in turn, each to all receivers.
    pub bursts: Vec<Vec<usize>>,
    /// How long.
    pub time: Duration,
    /// The protection.
    pub profile: Profile,
}

/// The loop failed.
#[derive(Debug, thiserror::Error)]
pub enum BareError {
    /// No socket.
    #[error("the bare loop can't send: {0}")]
    Io(#[from] io::Error),
    /// No keys.
    #[error("the bare loop has no keys: {0}")]
    Keys(#[from] crate::wire::srtp::SrtpError),
}

/// What the loop did.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Sent {
    /// Packets that the kernel took.
    pub packets: u64,
    /// Packets that it didn't.
    pub refused: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
}

struct Receiver {
    keys: Srtp,
    address: SocketAddr,
    ssrc: u32,
    next: u64,
}

/// Runs the loop.
pub fn run(plan: &Plan) -> Result<Sent, BareError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let segments = state.max_gso_segments();
    let mut receivers = Vec::with_capacity(plan.receivers as usize);
    for number in 0..plan.receivers {
        let material: Vec<u8> = (0..96u32).flat_map(|at| (at ^ number).to_be_bytes()).collect();
        let (keys, _) = Srtp::pair(plan.profile, &material)?;
        let address = plan.subnet.address(ClientId(FIRST + number), &plan.ports);
        receivers.push(Receiver { keys, address, ssrc: number, next: 1 });
    }
    let payload = vec![0xA5; 2_000];
    let mut batch: Vec<u8> = Vec::with_capacity(MAX_BATCH);
    let (mut packets, mut refused) = (0, 0);
    let begun = Instant::now();
    let mut timestamp = 0;
    while begun.elapsed() < plan.time {
        for burst in &plan.bursts {
            timestamp += 3_000;
            for receiver in &mut receivers {
                for part in burst.chunks(segments.max(1)) {
                    batch.clear();
                    let mut segment = 0;
                    for size in part {
                        let at = batch.len();
                        write(&mut batch, receiver, timestamp, payload.get(..*size).unwrap_or(&payload))?;
                        segment = segment.max(batch.len() - at);
                    }
                    let transmit = Transmit {
                        destination: receiver.address,
                        ecn: None,
                        contents: &batch,
                        segment_size: (part.len() > 1).then_some(segment),
                        src_ip: None,
                    };
                    match state.try_send(UdpSockRef::from(&socket), &transmit) {
                        Ok(()) => packets += part.len() as u64,
                        Err(_) => refused += part.len() as u64,
                    }
                }
            }
        }
    }
    Ok(Sent { packets, refused, seconds: begun.elapsed().as_secs_f64() })
}

/// Header as the node's receivers get it, payload copied from the shared one, sealed in place.
fn write(batch: &mut Vec<u8>, receiver: &mut Receiver, timestamp: u32, payload: &[u8]) -> Result<(), BareError> {
    let begin = batch.len();
    let index = receiver.next;
    receiver.next += 1;
    let seq = index as u16;
    let fields = Fields {
        payload_type: 96,
        marker: false,
        seq,
        timestamp,
        ssrc: receiver.ssrc,
        extensions: &[(3, &seq.to_be_bytes()), (4, b"0")],
    };
    let header = fields.write(batch);
    batch.extend_from_slice(payload);
    // The picture id is the receiver's own.
    if let Some(head) = batch.get_mut(begin + header..begin + header + HEAD.min(4)) {
        head.iter_mut().zip(timestamp.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
    Ok(receiver.keys.protect_last(batch, begin, header, receiver.ssrc, index)?)
}

/// Takes what the loop sends, for as long as `alive`; returns how many datagrams came.
pub fn sink(sockets: &mut Sockets, mut alive: impl FnMut() -> bool) -> io::Result<u64> {
    let mut count = 0;
    while alive() {
        for index in 0..sockets.out.sockets() {
            while sockets.receive(index, |_, _, bytes, stride, _| count += bytes.len().div_ceil(stride) as u64)? {}
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::line::{Delay, Loss};

    #[test]
    fn what_the_kernel_took_arrives() {
        let mut sockets =
            Sockets::open(2, Subnet::LOOPBACK, Instant::now(), (Loss::None, Delay::default()), 1).unwrap();
        let plan = Plan {
            subnet: Subnet::LOOPBACK,
            ports: sockets.ports().unwrap(),
            receivers: 3,
            bursts: vec![vec![1_100, 1_100, 300], vec![80]],
            time: Duration::ZERO,
            profile: Profile::Gcm128,
        };
        // No time at all: the loop doesn't begin. Then one round.
        assert_eq!(run(&plan).unwrap().packets, 0);
        let sent = run(&Plan { time: Duration::from_micros(1), ..plan }).unwrap();
        assert!(sent.packets >= 12 && sent.packets.is_multiple_of(12) && sent.refused == 0, "{sent:?}");
        let mut turns = 0;
        let came = sink(&mut sockets, || {
            turns += 1;
            turns < 10
        });
        assert_eq!(came.unwrap(), sent.packets);
    }
}
