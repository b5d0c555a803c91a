//! The generator as others use it: orders go to its thread, news and counts come back.

use crate::{
    client::{
        News, Plan,
        address::{ClientId, Subnet},
        handshake::{HandshakeError, Identity},
        watch::Timeline,
    },
    counts::Counts,
    model::line::{Delay, Loss},
    path::Traffic,
    sockets::Sockets,
    turns::Turns,
};
use std::{
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

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

/// What the thread is told.
pub(crate) enum Order {
    /// Have a client connect.
    Join(Box<Plan>),
    /// Forget a client.
    Leave(ClientId),
    /// Let a source send or not.
    Activate(u32, bool),
    /// Say what was noted of a client.
    Observe(ClientId, Sender<Option<Observed>>),
    /// Say what was counted, and the longest turn.
    Counts(Sender<(Counts, Duration)>),
}

/// What was noted of a watched client.
#[derive(Clone, PartialEq, Debug)]
pub struct Observed {
    /// What came and could be shown.
    pub timeline: Timeline,
    /// What its way did to it; `None` without one.
    pub traffic: Option<Traffic>,
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
        let mut turns = Turns::new(origin, sockets, identity.clone(), setup.seed, news);
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

    /// What was noted of a client so far; `None` if it isn't watched.
    pub fn observe(&self, client: ClientId) -> Result<Option<Observed>, Gone> {
        let (reply, answer) = channel();
        self.order(Order::Observe(client, reply))?;
        answer.recv().map_err(|_| Gone)
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
