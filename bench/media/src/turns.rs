//! The generator's thread: all clients, their timers and their sockets.
//!
//! It never waits on a socket. It sleeps by the clock, half a millisecond at most, and then takes whatever came: an SFU that sends to it
//! thus pays for no wake-up of another thread, as it wouldn't for clients behind a network card, and the generator gets its datagrams in batches.

use crate::{
    client::{
        Client, News,
        address::ClientId,
        handshake::Identity,
        source::Sources,
        world::{World, wall},
    },
    counts::Counts,
    generator::{Observed, Order},
    path::Path,
    sockets::Sockets,
};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::mpsc::{Receiver, Sender, TryRecvError},
    time::{Duration, Instant},
};

/// Longest sleep.
const NAP: Duration = Duration::from_micros(500);
/// Batches that are read from a socket before timers get their turn.
const BATCHES: usize = 16;

struct Slot {
    client: Client,
    path: Option<Path>,
    scheduled: Instant,
}

/// The thread's state.
pub(crate) struct Turns {
    origin: Instant,
    sockets: Sockets,
    clients: Vec<Option<Slot>>,
    /// Clients with a path of their own.
    paths: Vec<u32>,
    timers: BinaryHeap<Reverse<(Instant, u32)>>,
    identity: Identity,
    sources: Sources,
    counts: Counts,
    random: StdRng,
    packet: Vec<u8>,
    longest_turn: Duration,
    news: Sender<(ClientId, News)>,
}

impl Turns {
    pub(crate) fn new(
        origin: Instant,
        sockets: Sockets,
        identity: Identity,
        seed: u64,
        news: Sender<(ClientId, News)>,
    ) -> Self {
        Self {
            origin,
            sockets,
            clients: Vec::new(),
            paths: Vec::new(),
            timers: BinaryHeap::new(),
            identity,
            sources: Sources::default(),
            counts: Counts::default(),
            random: StdRng::seed_from_u64(seed),
            packet: Vec::with_capacity(2_048),
            longest_turn: Duration::ZERO,
            news,
        }
    }

    /// Takes turns until nobody gives orders any more.
    pub(crate) fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            let begun = Instant::now();
            for index in 0..self.sockets.out.sockets() {
                for _ in 0..BATCHES {
                    if !self.receive(index) {
                        break;
                    }
                    // A camera doesn't wait for what others receive: late ones would send their frames one upon the other.
                    self.expire();
                }
            }
            self.deliver();
            self.sockets.out.deliver(Instant::now());
            self.expire();
            loop {
                match orders.try_recv() {
                    Ok(order) => self.take(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            let now = Instant::now();
            self.longest_turn = self.longest_turn.max(now.saturating_duration_since(begun));
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let wake = timer.into_iter().chain(self.sockets.out.due()).fold(now + NAP, Instant::min);
            let nap = wake.saturating_duration_since(now);
            if !nap.is_zero() {
                std::thread::sleep(nap);
            }
        }
    }

    fn receive(&mut self, index: usize) -> bool {
        let Self { origin, sockets, clients, timers, sources, counts, random, packet, news, .. } = self;
        let (now, wall) = (Instant::now(), wall());
        let since = now.saturating_duration_since(*origin);
        let received = sockets.receive(index, |out, id, bytes, stride, arrived| {
            let Some(slot) = clients.get_mut(id.0 as usize).and_then(Option::as_mut) else {
                counts.unknown += 1;
                return;
            };
            let mut world = World { now, since, wall, random, sources, counts, out, packet };
            if let Some(path) = &mut slot.path {
                let at = world.at(arrived.unwrap_or(wall));
                bytes.chunks(stride).for_each(|datagram| path.take(at, datagram, world.random));
                return;
            }
            for datagram in bytes.chunks_mut(stride) {
                slot.client.receive(datagram, arrived.unwrap_or(wall), &mut world);
            }
            settle(slot, id, *origin, timers, sources, news);
        });
        received.unwrap_or_else(|error| {
            eprintln!("receiving failed: {error}");
            false
        })
    }

    /// Gives clients what has come to the end of their paths.
    fn deliver(&mut self) {
        let Self { origin, sockets, clients, paths, timers, sources, counts, random, packet, news, .. } = self;
        let (now, wall) = (Instant::now(), wall());
        let since = now.saturating_duration_since(*origin);
        for number in paths {
            let Some(slot) = clients.get_mut(*number as usize).and_then(Option::as_mut) else { continue };
            let Slot { client, path: Some(path), .. } = slot else { continue };
            let out = &mut sockets.out;
            let mut world = World { now, since, wall, random, sources, counts, out, packet };
            while let Some((at, mut datagram)) = path.next(since) {
                let ago = u64::try_from(since.saturating_sub(at).as_nanos()).unwrap_or(u64::MAX);
                client.receive(&mut datagram, wall.saturating_sub(ago), &mut world);
            }
            settle(slot, ClientId(*number), *origin, timers, sources, news);
        }
    }

    fn expire(&mut self) {
        let Self { origin, sockets, clients, timers, sources, counts, random, packet, news, .. } = self;
        loop {
            let now = Instant::now();
            let Some(Reverse((at, number))) = timers.peek().copied() else { return };
            if at > now {
                return;
            }
            timers.pop();
            let Some(slot) = clients.get_mut(number as usize).and_then(Option::as_mut) else { continue };
            if slot.scheduled != at {
                continue;
            }
            let since = now.saturating_duration_since(*origin);
            let out = &mut sockets.out;
            let mut world = World { now, since, wall: wall(), random, sources, counts, out, packet };
            slot.client.tick(&mut world);
            // The timer is gone: whatever comes next is scheduled anew.
            slot.scheduled = now + Duration::from_secs(86_400);
            settle(slot, ClientId(number), *origin, timers, sources, news);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Join(plan) => {
                let (id, now) = (plan.id, Instant::now());
                let at = id.0 as usize;
                if self.clients.len() <= at {
                    self.clients.resize_with(at + 1, || None);
                }
                let since = now.saturating_duration_since(self.origin);
                let mut plan = *plan;
                let path = plan.path.take().map(|path| {
                    self.sockets.out.set_line(id, path.up);
                    self.paths.push(id.0);
                    Path::new(path.down, since)
                });
                let client = Client::new(plan, &self.identity, now, since);
                self.timers.push(Reverse((now, id.0)));
                if let Some(slot) = self.clients.get_mut(at) {
                    *slot = Some(Slot { client, path, scheduled: now });
                }
            }
            Order::Leave(id) => {
                self.sockets.out.forget(id);
                self.paths.retain(|other| *other != id.0);
                if let Some(slot) = self.clients.get_mut(id.0 as usize).and_then(Option::take)
                    && slot.client.is_up()
                {
                    subscribe(&slot.client, &mut self.sources, false);
                }
            }
            Order::Activate(source, active) => {
                if let Some(source) = self.sources.get_mut(source) {
                    source.active = active;
                }
            }
            Order::Observe(id, reply) => {
                let slot = self.clients.get(id.0 as usize).and_then(Option::as_ref);
                let observed = slot.and_then(|slot| {
                    let timeline = slot.client.timeline()?.clone();
                    Some(Observed { timeline, traffic: slot.path.as_ref().map(Path::traffic) })
                });
                let _ = reply.send(observed);
            }
            Order::Counts(reply) => {
                self.counts.refused = self.sockets.out.refused;
                let delays = std::mem::take(&mut self.counts.delays);
                let counts = Counts { delays, ..self.counts.clone() };
                let _ = reply.send((counts, std::mem::take(&mut self.longest_turn)));
            }
        }
    }
}

/// After a client's turn: its news go out, and its timer is set.
fn settle(
    slot: &mut Slot,
    id: ClientId,
    origin: Instant,
    timers: &mut BinaryHeap<Reverse<(Instant, u32)>>,
    sources: &mut Sources,
    news: &Sender<(ClientId, News)>,
) {
    for heard in slot.client.take_news() {
        if matches!(heard, News::Up(_)) {
            subscribe(&slot.client, sources, true);
        }
        let _ = news.send((id, heard));
    }
    let deadline = slot.client.deadline(origin);
    if deadline < slot.scheduled {
        slot.scheduled = deadline;
        timers.push(Reverse((deadline, id.0)));
    }
}

/// From now on, or no longer, what the client's sources send is due to it.
fn subscribe(client: &Client, sources: &mut Sources, on: bool) {
    for source in &client.subscribe {
        if let Some(source) = sources.get_mut(*source) {
            source.subscribers = if on { source.subscribers + 1 } else { source.subscribers.saturating_sub(1) };
        }
    }
}
