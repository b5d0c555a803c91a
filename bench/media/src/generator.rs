//! The generator's thread: all clients, their timers and their sockets.
//!
//! It never waits on a socket. It sleeps by the clock, half a millisecond at most, and then takes whatever came: an SFU that sends to it
//! thus pays for no wake-up of another thread, as it wouldn't for clients behind a network card, and the generator gets its datagrams in batches.

use crate::{
    client::{
        Client, News, Plan, World,
        address::{ClientId, Subnet},
        handshake::{HandshakeError, Identity},
        source::Sources,
        wall,
    },
    counts::Counts,
    model::line::{Delay, Loss},
    sockets::Sockets,
};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io,
    sync::mpsc::{Receiver, Sender, TryRecvError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Longest sleep.
const NAP: Duration = Duration::from_micros(500);
/// Batches that are read from a socket before timers get their turn.
const BATCHES: usize = 16;

/// How the generator works.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The clients' addresses.
    pub subnet: Subnet,
    /// Sockets; each has its own buffer in the kernel.
    pub sockets: usize,
    /// Whether a burst's packets are handed to the kernel together.
    pub batches: bool,
    /// Clients' lines to the SFU.
    pub uplink: (Loss, Delay),
    /// Randomness begins with this.
    pub seed: u64,
}

enum Order {
    Join(Box<Plan>),
    Leave(ClientId),
    Activate(u32, bool),
    Counts(Sender<(Counts, Duration)>),
}

/// The generator is gone.
#[derive(Debug, thiserror::Error)]
#[error("the load generator's thread ended")]
pub struct Gone;

/// The running generator.
pub struct Generator {
    orders: Sender<Order>,
    news: Receiver<(ClientId, News)>,
    thread: Option<JoinHandle<()>>,
    ports: Vec<u16>,
    subnet: Subnet,
    identity: Identity,
}

/// It can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No sockets or thread.
    #[error("the load generator can't start: {0}")]
    Io(#[from] io::Error),
    /// No certificate.
    #[error("the load generator has no certificate: {0}")]
    Certificate(#[from] HandshakeError),
}

impl Generator {
    /// Opens the sockets and starts the thread.
    pub fn start(setup: &Setup) -> Result<Self, StartError> {
        let identity = Identity::new()?;
        let origin = Instant::now();
        let mut sockets = Sockets::open(setup.sockets, setup.subnet, origin, setup.uplink, setup.seed)?;
        sockets.out.batch(setup.batches);
        let ports = sockets.ports()?;
        let (orders, received) = channel();
        let (news, heard) = channel();
        let mut turns = Turns {
            origin,
            sockets,
            clients: Vec::new(),
            timers: BinaryHeap::new(),
            identity: identity.clone(),
            sources: Sources::default(),
            counts: Counts::default(),
            random: StdRng::seed_from_u64(setup.seed),
            packet: Vec::with_capacity(2_048),
            longest_turn: Duration::ZERO,
            news,
        };
        let thread = std::thread::Builder::new().name("generator".into()).spawn(move || turns.run(&received))?;
        Ok(Self { orders, news: heard, thread: Some(thread), ports, subnet: setup.subnet, identity })
    }

    /// Ports of the sockets.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The clients' addresses.
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The clients' certificate.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn order(&self, order: Order) -> Result<(), Gone> {
        self.orders.send(order).map_err(|_| Gone)
    }

    /// Has a client connect.
    pub fn join(&self, plan: Plan) -> Result<(), Gone> {
        self.order(Order::Join(Box::new(plan)))
    }

    /// Forgets a client.
    pub fn leave(&self, client: ClientId) -> Result<(), Gone> {
        self.order(Order::Leave(client))
    }

    /// Lets a source send or not.
    pub fn activate(&self, source: u32, active: bool) -> Result<(), Gone> {
        self.order(Order::Activate(source, active))
    }

    /// The counts so far, and the longest turn since this was last asked.
    pub fn counts(&self) -> Result<(Counts, Duration), Gone> {
        let (reply, answer) = channel();
        self.order(Order::Counts(reply))?;
        answer.recv().map_err(|_| Gone)
    }

    /// The next news, waiting up to `patience`.
    pub fn news(&self, patience: Duration) -> Option<(ClientId, News)> {
        self.news.recv_timeout(patience).ok()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let (orders, _) = channel();
        self.orders = orders;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Slot {
    client: Client,
    scheduled: Instant,
}

struct Turns {
    origin: Instant,
    sockets: Sockets,
    clients: Vec<Option<Slot>>,
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
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            let begun = Instant::now();
            for index in 0..self.sockets.out.sockets() {
                for _ in 0..BATCHES {
                    if !self.receive(index) {
                        break;
                    }
                }
            }
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
                let client = Client::new(*plan, &self.identity, now);
                self.timers.push(Reverse((now, id.0)));
                if let Some(slot) = self.clients.get_mut(at) {
                    *slot = Some(Slot { client, scheduled: now });
                }
            }
            Order::Leave(id) => {
                self.sockets.out.forget(id);
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
