//! The thread's loop.

use super::{
    Gate, Order, Rooms, hub,
    running::Running,
    settings::{self, SettingsError},
    wires::Wires,
};
use crate::{
    cascade::{limits, link::FromRoom},
    sfu::socket::BatchSocket,
};
use chroom_rpc::tls::Identity;
use mio::{Events, Interest, Poll, Token, Waker};
use quinn_proto::{Endpoint, EndpointConfig};
use std::{
    io,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

const SOCKET: Token = Token(0);
const WAKE: Token = Token(1);
/// Packets of rooms that are taken in before timers get their turn.
const PACKETS_PER_TURN: usize = 2_048;
/// Pause between ticks while nothing is to be done.
const IDLE_TICK: Duration = Duration::from_millis(100);
/// How often pipes are compared with the register.
const GATE_INTERVAL: Duration = Duration::from_secs(1);

/// What the shell begins with.
pub struct Parts {
    pub socket: BatchSocket,
    pub identity: Identity,
    pub gate: Gate,
    pub command_queue: Receiver<Order>,
    pub told_queue: Receiver<FromRoom>,
    pub packet_queue: Receiver<FromRoom>,
}

/// The shell can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// The kernel.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// The thread's state before it runs.
pub struct Shell {
    parts: Parts,
    endpoint: Endpoint,
    poll: Poll,
}

impl Shell {
    pub fn new(mut parts: Parts) -> Result<(Self, Waker), ShellError> {
        let poll = Poll::new()?;
        poll.registry().register(parts.socket.source(), SOCKET, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let server = settings::server(&parts.identity)?;
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), Some(server), true, None);
        Ok((Self { parts, endpoint, poll }, waker))
    }

    /// Runs until it is stopped.
    pub fn run(self, rooms: Box<dyn Rooms>) {
        let Self { parts, endpoint, mut poll } = self;
        let Parts { socket, identity, gate, command_queue, told_queue, packet_queue } = parts;
        let hub = hub(&identity);
        let wires = Wires::new(rooms);
        let mut running =
            Running { socket, identity, gate, endpoint, hub, wires, scratch: Vec::new(), refused: 0, dropped: 0 };
        let mut events = Events::with_capacity(16);
        let (mut next_tick, mut next_gate) = (Instant::now(), Instant::now());
        let mut busy = true;
        loop {
            let now = Instant::now();
            let wake = running.wires.links.values().filter_map(|link| link.timeout).min();
            let until = wake.map_or(next_tick, |wake| wake.min(next_tick));
            let wait = if busy { Duration::ZERO } else { until.saturating_duration_since(now) };
            if let Err(error) = poll.poll(&mut events, Some(wait))
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "waiting for pipes failed");
                return;
            }
            let now = Instant::now();
            while let Ok(order) = command_queue.try_recv() {
                match order {
                    Order::Set(route, reply) => {
                        let _ = reply.send(running.hub.set_route(now, &route, &mut running.wires));
                    }
                    Order::Clear(room, fence, reply) => {
                        let _ = reply.send(running.hub.clear_route(now, &room, fence, &mut running.wires));
                    }
                    Order::Figures(reply) => drop(reply.send(running.figures(now))),
                    Order::Stop(reply) => {
                        running.good_bye(now);
                        let _ = reply.send(());
                        return;
                    }
                    Order::Die => return,
                }
            }
            while let Ok(told) = told_queue.try_recv() {
                running.hub.from_room(now, told, &mut running.wires);
            }
            busy = running.receive();
            let now = Instant::now();
            let packets = packet_queue.try_iter().take(PACKETS_PER_TURN).fold(0, |count, packet| {
                running.hub.from_room(now, packet, &mut running.wires);
                count + 1
            });
            busy |= packets == PACKETS_PER_TURN;
            running.expire(now);
            if now >= next_tick {
                next_tick = now + if running.hub.is_idle() { IDLE_TICK } else { limits::TICK };
                running.hub.tick(now, &mut running.wires);
            }
            if now >= next_gate {
                next_gate = now + GATE_INTERVAL;
                running.judge(now);
            }
            running.dial(now);
            running.drive_dirty(now);
            running.socket.flush();
            running.wires.flush();
        }
    }
}
