//! The bare loops: what one core encrypts and sends if it does nothing else. The same packets as a scenario's, each receiver with
//! its own key and address, bursts handed to the kernel at once as the node does it. [`run`] never waits; [`timed`] is held to the limits of servers.

mod sending;
pub mod timed;

use crate::{client::address::Subnet, sockets::Sockets, wire::srtp::Profile};
use sending::{Receiver, Sending, Stream};
use std::{
    io,
    time::{Duration, Instant},
};

/// How often the sink looks: its sockets' queues hold some twenty times what comes meanwhile.
const LOOK: Duration = Duration::from_micros(500);

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

/// Runs the loop.
pub fn run(plan: &Plan) -> Result<Sent, BareError> {
    let mut sending = Sending::new()?;
    let mut receivers = Vec::with_capacity(plan.receivers as usize);
    for number in 0..plan.receivers {
        receivers.push((Receiver::new(number, plan.subnet, &plan.ports, plan.profile)?, Stream::new(number)));
    }
    let begun = Instant::now();
    let mut timestamp = 0;
    while begun.elapsed() < plan.time {
        for burst in &plan.bursts {
            timestamp += 3_000;
            for (receiver, stream) in &mut receivers {
                sending.burst(receiver, stream, timestamp, burst)?;
            }
        }
    }
    Ok(Sent { packets: sending.packets, refused: sending.refused, seconds: begun.elapsed().as_secs_f64() })
}

/// Takes what the loop sends, for as long as `alive`; returns how many datagrams came.
pub fn sink(sockets: &mut Sockets, mut alive: impl FnMut() -> bool) -> io::Result<u64> {
    let mut count = 0;
    while alive() {
        for index in 0..sockets.out.sockets() {
            while sockets.receive(index, |_, _, bytes, stride, _| count += bytes.len().div_ceil(stride) as u64)? {}
        }
        std::thread::sleep(LOOK);
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
