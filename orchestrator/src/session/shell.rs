//! The tokio shell of the session core: one task owns the core; everybody else sends it inputs.

use super::{
    core::{Core, Env},
    error::Refusal,
    exchange::{Effect, Input, Reply, Request},
    ids::{CallId, ConnectionId},
    wire::Event,
};
use crate::{
    index::Index,
    media_rpc::Links,
    metrics::Metrics,
    store::{Changes, Store},
    time::now_ms,
};
use rand::{SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Messages that wait for the core.
const BACKLOG: usize = 8_192;
/// Events that wait for one client. Who lags further behind is disconnected, and resumes.
const EVENTS: usize = 1_024;
/// Messages that one commit to disk covers.
const BATCH: usize = 256;
/// How often the core is told that time passes.
const TICK: Duration = Duration::from_secs(1);

/// A connection's events.
pub type Notifications = mpsc::Receiver<Event>;

enum Message {
    Attach { connection: ConnectionId, events: mpsc::Sender<Event> },
    Request { connection: ConnectionId, request: Request, reply: oneshot::Sender<Result<Reply, Refusal>> },
    Detach { connection: ConnectionId },
}

/// Speaks to the core. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    next_connection: Arc<AtomicU64>,
}

impl Handle {
    /// Announces a client's connection; its events come out of the receiver, whose end means that the connection must end.
    pub async fn attach(&self) -> Option<(ConnectionId, Notifications)> {
        let connection = ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed));
        let (events, receiver) = mpsc::channel(EVENTS);
        self.messages.send(Message::Attach { connection, events }).await.ok()?;
        Some((connection, receiver))
    }

    /// Asks on behalf of a client.
    pub async fn request(&self, connection: ConnectionId, request: Request) -> Result<Reply, Refusal> {
        let (reply, answer) = oneshot::channel();
        if self.messages.send(Message::Request { connection, request, reply }).await.is_err() {
            return Err(Refusal::Internal("this orchestrator is ending"));
        }
        answer.await.unwrap_or(Err(Refusal::Internal("this orchestrator is ending")))
    }

    /// Says that a client's connection ended.
    pub async fn detach(&self, connection: ConnectionId) {
        let _ = self.messages.send(Message::Detach { connection }).await;
    }
}

/// The task that owns the core.
pub struct Shell {
    core: Core,
    store: Store,
    index: Arc<Index>,
    links: mpsc::Sender<Links>,
    metrics: Metrics,
    messages: mpsc::Receiver<Message>,
    inputs: mpsc::Receiver<Input>,
    rng: StdRng,
    connections: BTreeMap<ConnectionId, mpsc::Sender<Event>>,
    calls: BTreeMap<CallId, oneshot::Sender<Result<Reply, Refusal>>>,
    next_call: u64,
}

impl Shell {
    /// A shell around `core`, the handle to speak to it, and where media nodes' news go in.
    pub fn new(
        core: Core,
        store: Store,
        index: Arc<Index>,
        links: mpsc::Sender<Links>,
        metrics: Metrics,
    ) -> (Self, Handle, mpsc::Sender<Input>) {
        let (sender, messages) = mpsc::channel(BACKLOG);
        let (input, inputs) = mpsc::channel(BACKLOG);
        let shell = Self {
            core,
            store,
            index,
            links,
            metrics,
            messages,
            inputs,
            rng: StdRng::from_os_rng(),
            connections: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_call: 0,
        };
        (shell, Handle { messages: sender, next_connection: Arc::new(AtomicU64::new(1)) }, input)
    }

    /// Restores what an earlier run stored, then serves until cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        match self.store.rooms_and_sessions() {
            Ok((rooms, sessions)) => {
                let env = Env { now: now_ms(), rng: &mut self.rng, nodes: &*self.index };
                let effects = self.core.restore(rooms, sessions, env);
                let (sessions, rooms) = self.core.sizes();
                tracing::info!(sessions, rooms, "sessions of an earlier run are restored");
                self.carry_out(effects).await;
            }
            Err(error) => error!(%error, "the sessions of an earlier run cannot be read"),
        }
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut messages = Vec::with_capacity(BATCH);
        let mut inputs = Vec::with_capacity(BATCH);
        loop {
            let mut effects = Vec::new();
            tokio::select! {
                count = self.messages.recv_many(&mut messages, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    for message in messages.drain(..) {
                        self.message(message, &mut effects);
                    }
                }
                count = self.inputs.recv_many(&mut inputs, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    for input in inputs.drain(..) {
                        effects.extend(self.handle(input));
                    }
                }
                _ = ticks.tick() => effects.extend(self.handle(Input::Tick)),
                () = stop.cancelled() => return,
            }
            self.carry_out(effects).await;
            let (sessions, rooms) = self.core.sizes();
            self.metrics.sessions.set(sessions as i64);
            self.metrics.rooms.set(rooms as i64);
            self.metrics.spanning.set(self.core.spanning() as i64);
            self.metrics.connections.set(self.connections.len() as i64);
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Effect> {
        if let Input::NodeLost { .. } = input {
            self.metrics.nodes_lost.inc();
        }
        let env = Env { now: now_ms(), rng: &mut self.rng, nodes: &*self.index };
        self.core.handle(input, env)
    }

    fn message(&mut self, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Attach { connection, events } => {
                self.connections.insert(connection, events);
                effects.extend(self.handle(Input::Connected(connection)));
            }
            Message::Detach { connection } => {
                self.connections.remove(&connection);
                effects.extend(self.handle(Input::Disconnected(connection)));
            }
            Message::Request { connection, request, reply } => {
                self.next_call += 1;
                let call = CallId(self.next_call);
                self.calls.insert(call, reply);
                effects.extend(self.handle(Input::Request { connection, call, request }));
            }
        }
    }

    /// First to disk, then to everybody else.
    async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut changes = Changes::default();
        let mut others = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Store { rooms, sessions } => {
                    changes.rooms.extend(rooms);
                    changes.sessions.extend(sessions);
                }
                other => others.push(other),
            }
        }
        if !changes.is_empty()
            && let Err(error) = self.store.keep(changes).await
        {
            // The call can go on; only a restart would not find it.
            error!(%error, "sessions cannot be stored");
            self.metrics.store_failures.inc();
        }
        for effect in others {
            match effect {
                Effect::Store { .. } => {}
                Effect::Reply { call, result } => {
                    if let Some(reply) = self.calls.remove(&call) {
                        let _ = reply.send(*result);
                    }
                }
                Effect::Notify { connection, event } => self.notify(connection, *event),
                Effect::Command { node, operation, command } => {
                    self.link(Links::Command { node, operation, command }).await;
                }
                Effect::Watch(node) => self.link(Links::Watch(node)).await,
                Effect::Unwatch(node) => self.link(Links::Unwatch(node)).await,
            }
        }
    }

    fn notify(&mut self, connection: ConnectionId, event: Event) {
        if let Event::Moved { .. } = event {
            self.metrics.moves.inc();
        }
        let Some(events) = self.connections.get(&connection) else { return };
        if events.try_send(event).is_err() {
            warn!(connection = connection.0, "a client does not take its events; it is disconnected");
            self.connections.remove(&connection);
        }
    }

    async fn link(&self, wish: Links) {
        let _ = self.links.send(wish).await;
    }
}
