//! Links to media nodes.

use super::{
    liveness::{Liveness, Verdict},
    messages,
};
use crate::{
    index::Index,
    session::{Command, Failure, Input, OPENED_ANEW, OperationId, Outcome, RoomId, SessionId},
    time::now_ms,
};
use chroom_primitives::{NodeId, Role};
use chroom_rpc::{MAX_MESSAGE, channel, media::MediaClient, tls::Identity, v1};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, transport::Channel};
use tracing::{debug, info, warn};

/// How long a node may take to connect and begin its events.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a command waits for the link.
const WAIT_FOR_LINK: Duration = Duration::from_secs(4);
/// How long a node may take for a command, and for an offer.
const COMMAND: Duration = Duration::from_secs(5);
const OFFER: Duration = Duration::from_secs(10);
/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(150);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Commands that wait in one link.
const BACKLOG: usize = 4_096;

/// What the session core wants of the links.
pub enum Links {
    /// Keep a link to this node.
    Watch(NodeId),
    /// It is no longer needed.
    Unwatch(NodeId),
    /// Send a command.
    Command {
        /// To whom.
        node: NodeId,
        /// By which the outcome is told.
        operation: OperationId,
        /// What.
        command: Command,
    },
}

struct Link {
    commands: mpsc::Sender<(OperationId, Command)>,
    stop: CancellationToken,
}

/// Keeps the links until cancelled.
pub async fn run(
    identity: Identity,
    index: Arc<Index>,
    mut wanted: mpsc::Receiver<Links>,
    core: mpsc::Sender<Input>,
    stop: CancellationToken,
) {
    let mut links: BTreeMap<NodeId, Link> = BTreeMap::new();
    loop {
        let wish = tokio::select! {
            wish = wanted.recv() => wish,
            () = stop.cancelled() => None,
        };
        let Some(wish) = wish else { break };
        match wish {
            Links::Watch(node) => {
                links.entry(node).or_insert_with(|| open(node, &identity, &index, &core, &stop));
            }
            Links::Unwatch(node) => {
                if let Some(link) = links.remove(&node) {
                    link.stop.cancel();
                }
            }
            Links::Command { node, operation, command } => {
                let link = links.entry(node).or_insert_with(|| open(node, &identity, &index, &core, &stop));
                if link.commands.try_send((operation, command)).is_err() {
                    let failure = Failure::Unreachable("too many commands wait for this node".to_owned());
                    let core = core.clone();
                    tokio::spawn(async move {
                        let _ = core.send(Input::Completed { operation, result: Err(failure) }).await;
                    });
                }
            }
        }
    }
    for link in links.values() {
        link.stop.cancel();
    }
}

fn open(
    node: NodeId,
    identity: &Identity,
    index: &Arc<Index>,
    core: &mpsc::Sender<Input>,
    stop: &CancellationToken,
) -> Link {
    let (commands, receiver) = mpsc::channel(BACKLOG);
    let stop = stop.child_token();
    let (ready, is_ready) = watch::channel(None);
    let contact = Contact { node, identity: identity.clone(), index: index.clone(), core: core.clone(), ready };
    tokio::spawn({
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = contact.keep() => {}
                () = stop.cancelled() => {}
            }
        }
    });
    tokio::spawn(pass_on(receiver, is_ready, core.clone(), stop.clone()));
    Link { commands, stop }
}

/// A node's client, once its events are listened to.
type Ready = Option<MediaClient<Channel>>;

/// Keeps contact with one node: its events, its heartbeats.
struct Contact {
    node: NodeId,
    identity: Identity,
    index: Arc<Index>,
    core: mpsc::Sender<Input>,
    ready: watch::Sender<Ready>,
}

impl Contact {
    async fn keep(self) {
        let mut liveness = Liveness::new(now_ms());
        let mut pause = FIRST_PAUSE;
        loop {
            let patience = Duration::from_millis(liveness.patience_ms(now_ms()).max(100));
            let reason = match tokio::time::timeout(CONNECT.min(patience), self.subscribe()).await {
                Ok(Ok((client, stream, sessions))) => {
                    pause = FIRST_PAUSE;
                    liveness.heard(now_ms());
                    self.tell(Input::NodeReached { node: self.node, sessions }).await;
                    self.ready.send_replace(Some(client));
                    let reason = self.listen(stream, &mut liveness).await;
                    self.ready.send_replace(None);
                    reason
                }
                Ok(Err(reason)) => reason,
                Err(_) => "no answer".to_owned(),
            };
            debug!(node = %self.node, reason, "no contact with a media node");
            self.judge(&mut liveness, &reason).await;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.judge(&mut liveness, &reason).await;
        }
    }

    async fn tell(&self, input: Input) {
        let _ = self.core.send(input).await;
    }

    async fn judge(&self, liveness: &mut Liveness, reason: &str) {
        if liveness.check(now_ms()) == Some(Verdict::Lost) {
            self.tell(Input::NodeLost { node: self.node, reason: reason.to_owned() }).await;
        }
    }

    /// Connects, begins to listen, and asks which sessions the node has: in this order, so that nothing is missed.
    async fn subscribe(
        &self,
    ) -> Result<(MediaClient<Channel>, Streaming<v1::MediaEvent>, BTreeMap<SessionId, RoomId>), String> {
        let endpoint = self.index.endpoint(&self.node, Role::Media).map_err(|outsider| outsider.to_string())?;
        let channel =
            channel::connect(&self.identity, &endpoint, Some(self.node)).map_err(|error| error.to_string())?;
        let mut client = MediaClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let message = |status: Status| status.message().to_owned();
        let stream = client.events(v1::EventsRequest {}).await.map_err(message)?.into_inner();
        let stats = client.stats(v1::StatsRequest::default()).await.map_err(message)?.into_inner();
        let sessions = stats
            .session_stats
            .into_iter()
            .filter_map(|stats| {
                let id = <[u8; 16]>::try_from(stats.session.as_slice()).ok()?;
                Some((SessionId(id), RoomId::from_wire(&stats.room)))
            })
            .collect();
        Ok((client, stream, sessions))
    }

    /// Takes events until the stream breaks or falls silent.
    async fn listen(&self, mut stream: Streaming<v1::MediaEvent>, liveness: &mut Liveness) -> String {
        loop {
            let patience = Duration::from_millis(liveness.patience_ms(now_ms()));
            match tokio::time::timeout(patience, stream.message()).await {
                Ok(Ok(Some(event))) => {
                    liveness.heard(now_ms());
                    if let Some(input) = messages::input(self.node, event) {
                        self.tell(input).await;
                    }
                }
                Ok(Ok(None)) => return "it ended its events".to_owned(),
                Ok(Err(status)) => return format!("its events broke: {}", status.message()),
                Err(_) => return "no heartbeat for 3 s".to_owned(),
            }
        }
    }
}

/// Passes commands on: those of one session, and those of one room, one after the other; others side by side.
async fn pass_on(
    mut commands: mpsc::Receiver<(OperationId, Command)>,
    ready: watch::Receiver<Ready>,
    core: mpsc::Sender<Input>,
    stop: CancellationToken,
) {
    let mut last: HashMap<Lane, oneshot::Receiver<()>> = HashMap::new();
    loop {
        let next = tokio::select! {
            next = commands.recv() => next,
            () = stop.cancelled() => None,
        };
        let Some((operation, command)) = next else { return };
        if last.len() > BACKLOG {
            last.retain(|_, done| matches!(done.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        }
        let (done, is_done) = oneshot::channel();
        let before = last.insert(lane(&command), is_done);
        let (mut ready, core) = (ready.clone(), core.clone());
        tokio::spawn(async move {
            if let Some(before) = before {
                // An error means that it is over, too.
                let _ = before.await;
            }
            let result = match linked(&mut ready).await {
                Some(client) => execute(client, command).await,
                None => Err(Failure::Unreachable("no contact with the node".to_owned())),
            };
            drop(done);
            let _ = core.send(Input::Completed { operation, result }).await;
        });
    }
}

/// The client, once the node's events are listened to.
async fn linked(ready: &mut watch::Receiver<Ready>) -> Ready {
    match tokio::time::timeout(WAIT_FOR_LINK, ready.wait_for(Option::is_some)).await {
        Ok(Ok(client)) => client.clone(),
        _ => None,
    }
}

/// Commands that keep their order.
#[derive(PartialEq, Eq, Hash)]
enum Lane {
    Session(SessionId),
    /// Those that concern a room as a whole: a place in its tree that came after its end would stay.
    Room(RoomId),
}

fn lane(command: &Command) -> Lane {
    match command {
        Command::Open { session, .. }
        | Command::Negotiate { session, .. }
        | Command::Subscribe { session, .. }
        | Command::CloseSession { session, .. } => Lane::Session(*session),
        Command::CloseRoom { room, .. } | Command::SetRoute { room, .. } | Command::ClearRoute { room, .. } => {
            Lane::Room(room.clone())
        }
    }
}

async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result,
        Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", limit.as_secs()))),
    }
}

async fn execute(mut client: MediaClient<Channel>, command: Command) -> Result<Outcome, Failure> {
    let result = match command {
        Command::Open { session, room, fence, participant, rights, stale } => {
            let close =
                v1::CloseSessionRequest { session: session.0.to_vec(), fence: fence.0, reason: OPENED_ANEW.to_owned() };
            if stale {
                // Whether it was there does not matter.
                let _ = within(COMMAND, client.close_session(close.clone())).await;
            }
            let request = v1::OpenSessionRequest {
                room: room.as_str().to_owned(),
                fence: fence.0,
                session: session.0.to_vec(),
                participant: participant.0,
                can_publish: rights.publish,
                can_subscribe: rights.subscribe,
                max_uplink_kbps: 0,
            };
            match within(COMMAND, client.open_session(request.clone())).await {
                Err(status) if status.code() == Code::AlreadyExists => {
                    info!(%session, "a media node has an older session of this id; it is opened anew");
                    let _ = within(COMMAND, client.close_session(close)).await;
                    within(COMMAND, client.open_session(request)).await.map(|_| Outcome::Done)
                }
                other => other.map(|_| Outcome::Done),
            }
        }
        Command::Negotiate { session, fence, offer, publish, subscribe } => {
            let publish = publish
                .into_iter()
                .map(|(mid, track, source)| v1::PublishedTrack {
                    mid,
                    track: track.0,
                    source: source.as_str().to_owned(),
                })
                .collect();
            let request = v1::NegotiateRequest {
                session: session.0.to_vec(),
                fence: fence.0,
                offer_sdp: offer,
                publish,
                subscribe: messages::subscriptions(subscribe),
            };
            within(OFFER, client.negotiate(request)).await.map(|answer| Outcome::Answer(answer.into_inner().answer_sdp))
        }
        Command::Subscribe { session, fence, subscribe } => {
            let request = v1::SubscribeRequest {
                session: session.0.to_vec(),
                fence: fence.0,
                subscriptions: messages::subscriptions(subscribe),
            };
            within(COMMAND, client.subscribe(request)).await.map(|_| Outcome::Done)
        }
        Command::CloseSession { session, fence, reason } => {
            let request = v1::CloseSessionRequest { session: session.0.to_vec(), fence: fence.0, reason };
            within(COMMAND, client.close_session(request)).await.map(|_| Outcome::Done)
        }
        Command::CloseRoom { room, fence, reason } => {
            let request = v1::CloseRoomRequest { room: room.as_str().to_owned(), fence: fence.0, reason };
            within(COMMAND, client.close_room(request)).await.map(|_| Outcome::Done)
        }
        Command::SetRoute { room, fence, route } => {
            let request = messages::route(&room, fence, route);
            match within(COMMAND, client.set_route(request)).await {
                Ok(answer) => messages::address(&answer.into_inner().address).map(Outcome::Routed),
                Err(status) => Err(status),
            }
        }
        Command::ClearRoute { room, fence } => {
            let request = v1::ClearRouteRequest { room: room.as_str().to_owned(), fence: fence.0 };
            within(COMMAND, client.clear_route(request)).await.map(|_| Outcome::Done)
        }
    };
    result.map_err(|status| {
        let failure = messages::failure(&status);
        if matches!(failure, Failure::Refused(_)) && status.code() != Code::NotFound {
            warn!(code = ?status.code(), message = status.message(), "a media node refuses a command");
        }
        failure
    })
}
