//! The JSON-RPC methods.

use super::{
    errors::{error_object, slug},
    limits::{RateLimit, ServerLimits},
    params::{
        JoinParams, KickParams, MuteParams, NegotiateParams, ReceiptParams, ResumeParams, SubscribeParams,
        UnpublishParams,
    },
};
use crate::{
    access::{Apps, CheckedToken, TokenError, verify},
    chain::Chain,
    ice::IceServers,
    index::Index,
    metrics::{Metrics, Reason},
    receipts::{Queue, QueueError},
    session::{ConnectionId, Event, Handle, Join, Notifications, Refusal, Reply, Request, Rights},
    time::now_ms,
    whip::Resources,
};
use chroom_primitives::{H3Cell, score::score};
use jsonrpsee::{
    Extensions, RpcModule,
    server::{PendingSubscriptionSink, ResponsePayload},
    types::Params,
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

/// Longest time that a join waits for the chain to say what its application can pay, after the start.
const BUDGET_WAIT: Duration = Duration::from_secs(5);

/// All that the methods work with.
pub struct Service {
    /// The sessions.
    pub sessions: Handle,
    /// The applications.
    pub apps: Apps,
    /// The network.
    pub index: Arc<Index>,
    /// The chain.
    pub chain: Arc<dyn Chain>,
    /// Receipts.
    pub receipts: Queue,
    /// Figures.
    pub metrics: Metrics,
    /// STUN and TURN servers that clients are told of.
    pub ice: IceServers,
    /// WHIP's and WHEP's resources.
    pub resources: Resources,
    /// Bounds.
    pub limits: ServerLimits,
}

/// One client's connection.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    rate: Mutex<RateLimit>,
    /// The events, until the client subscribes.
    events: Mutex<Option<Notifications>>,
    /// Closed while the answer to join or resume is on its way: its snapshot must come before the events that follow it.
    gate: watch::Sender<bool>,
    /// Ends the connection.
    pub(super) stop: CancellationToken,
    /// Whether a session was ever entered.
    pub(super) entered: watch::Sender<bool>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, events: Notifications, limits: &ServerLimits, stop: CancellationToken) -> Self {
        Self {
            id,
            rate: Mutex::new(RateLimit::new(limits.requests_per_s, limits.burst, now_ms())),
            events: Mutex::new(Some(events)),
            gate: watch::Sender::new(true),
            stop,
            entered: watch::Sender::new(false),
        }
    }
}

type Answer = ResponsePayload<'static, Value>;

fn connection(extensions: &Extensions) -> Result<Arc<Connection>, Refusal> {
    extensions.get::<Arc<Connection>>().cloned().ok_or(Refusal::Internal("the connection is not known"))
}

fn parse<T: DeserializeOwned>(params: &Params<'_>) -> Result<T, Refusal> {
    params.parse().map_err(|error| {
        let text = error.data().map_or_else(|| error.message().to_owned(), |data| data.get().to_owned());
        Refusal::InvalidParams(text.chars().take(200).collect())
    })
}

fn value<T: Serialize>(value: &T) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|_| Refusal::Internal("an answer cannot be encoded"))
}

fn encode(reply: Reply) -> Result<Value, Refusal> {
    match reply {
        Reply::Session(session) => value(&session),
        Reply::Node(node) => value(&node),
        Reply::Negotiated { sdp, publish } => {
            let publish: Vec<Value> =
                publish.into_iter().map(|(mid, track)| json!({ "mid": mid, "track": track })).collect();
            Ok(json!({ "sdp": sdp, "publish": publish }))
        }
        Reply::Ticket(_) | Reply::Done => Ok(json!({})),
    }
}

impl Service {
    /// Counts a request, and refuses it if there are too many.
    fn admit(&self, connection: &Connection) -> Result<(), Refusal> {
        self.metrics.requests.inc();
        if connection.rate.lock().take(now_ms()) {
            Ok(())
        } else {
            Err(Refusal::TooManyRequests("this connection has used up its share"))
        }
    }

    fn answer(&self, result: Result<Value, Refusal>) -> Answer {
        match result {
            Ok(value) => ResponsePayload::success(value),
            Err(refusal) => {
                self.metrics.refused.get_or_create(&Reason { reason: slug(&refusal) }).inc();
                debug!(reason = slug(&refusal), %refusal, "a request is refused");
                ResponsePayload::error(error_object(&refusal))
            }
        }
    }

    async fn ask(&self, connection: &Connection, request: Result<Request, Refusal>) -> Result<Value, Refusal> {
        let mut reply = self.sessions.request(connection.id, request?).await?;
        if let Reply::Session(session) = &mut reply {
            session.ice_servers = self.ice.for_client(session.participant.as_str(), now_ms() / 1_000);
        }
        encode(reply)
    }

    /// Checks an access token, and that it lets its bearer join.
    pub(crate) fn check_token(&self, token: &str) -> Result<CheckedToken, Refusal> {
        let token = verify(&self.apps, token, now_ms() / 1_000).map_err(|error| match error {
            TokenError::Invalid(why) => Refusal::TokenInvalid(why),
            late => Refusal::TokenExpired(late.to_string()),
        });
        let token = token.inspect_err(|refusal| info!(%refusal, "a token is refused"))?;
        if !token.grants.join {
            info!(application = token.application, "a token without the right to join is refused");
            return Err(Refusal::NotPermitted { needs: "join" });
        }
        Ok(token)
    }

    async fn join_request(&self, params: JoinParams) -> Result<Request, Refusal> {
        let token = self.check_token(&params.token)?;
        let join = self.join(token, params.receipt_key()?, params.cell()?).await?;
        Ok(Request::Join(Box::new(join)))
    }

    /// What the bearer of a good token joins with.
    pub(crate) async fn join(
        &self,
        token: CheckedToken,
        receipt_key: [u8; 33],
        cell: Option<H3Cell>,
    ) -> Result<Join, Refusal> {
        let app = self.apps.get(&token.application).ok_or(Refusal::Internal("the application vanished"))?;
        // It was asked for when this orchestrator started: only who comes in that very moment waits. Deciding never does.
        let _ = tokio::time::timeout(BUDGET_WAIT, self.index.budget_known(&token.application)).await;
        Ok(Join {
            application: token.application,
            account: app.account.clone(),
            room: token.grants.room,
            name: if token.grants.name.is_empty() { token.identity.clone() } else { token.grants.name },
            identity: token.identity,
            rights: Rights {
                publish: token.grants.publish,
                subscribe: token.grants.subscribe,
                admin: token.grants.admin,
            },
            receipt_key,
            cell,
        })
    }

    async fn receipt(&self, connection: &Connection, params: ReceiptParams) -> Result<Value, Refusal> {
        let receipt = params.receipt()?;
        let Reply::Ticket(ticket) = self.sessions.request(connection.id, Request::Ticket).await? else {
            return Err(Refusal::Internal("no ticket"));
        };
        // A task of its own: this call is dropped when the client's WebSocket closes, and a receipt whose write has begun
        // must be handed on all the same.
        let queue = self.receipts.clone();
        let taking = tokio::spawn(async move { queue.take(&ticket, receipt).await });
        match taking.await.map_err(|_| Refusal::Internal("the receipt could not be kept"))? {
            Ok(body) => {
                self.index.caller(body.node, body.session.0, score(&body.observation()), now_ms());
                Ok(json!({}))
            }
            Err(QueueError::Full) => Err(Refusal::TooManyRequests("too many receipts wait for the committees")),
            Err(QueueError::Store(_)) => Err(Refusal::Internal("the receipt could not be kept")),
            Err(refused) => Err(Refusal::ReceiptRefused(refused.to_string())),
        }
    }

    /// Enters a session: the events wait until the answer is on its way.
    async fn enter(&self, connection: &Arc<Connection>, request: Result<Request, Refusal>) -> Answer {
        connection.gate.send_replace(false);
        let result = self.ask(connection, request).await;
        if result.is_ok() {
            connection.entered.send_replace(true);
        }
        let (answer, sent) = self.answer(result).notify_on_completion();
        let connection = connection.clone();
        tokio::spawn(async move {
            // Sent, refused or cut off: the events may follow.
            let _ = sent.await;
            connection.gate.send_replace(true);
        });
        answer
    }

    /// The methods.
    pub(super) fn module(self: Arc<Self>) -> Result<RpcModule<Arc<Service>>, jsonrpsee::core::RegisterMethodError> {
        let mut module = RpcModule::new(self);

        module.register_async_method("session.join", |params, service, extensions| async move {
            let service: &Service = &service;
            let connection = match connection(&extensions).and_then(|c| service.admit(&c).map(|()| c)) {
                Ok(connection) => connection,
                Err(refusal) => return service.answer(Err(refusal)),
            };
            let request = match parse(&params) {
                Ok(params) => service.join_request(params).await,
                Err(refusal) => Err(refusal),
            };
            service.enter(&connection, request).await
        })?;
        module.register_async_method("session.resume", |params, service, extensions| async move {
            let service: &Service = &service;
            let connection = match connection(&extensions).and_then(|c| service.admit(&c).map(|()| c)) {
                Ok(connection) => connection,
                Err(refusal) => return service.answer(Err(refusal)),
            };
            let request = parse(&params).and_then(ResumeParams::request);
            service.enter(&connection, request).await
        })?;

        macro_rules! plain {
            ($name:literal, $request:expr) => {
                module.register_async_method($name, |params, service, extensions| async move {
                    let service: &Service = &service;
                    let result = match connection(&extensions).and_then(|c| service.admit(&c).map(|()| c)) {
                        Ok(connection) => {
                            let request: Result<Request, Refusal> = $request(&params);
                            service.ask(&connection, request).await
                        }
                        Err(refusal) => Err(refusal),
                    };
                    service.answer(result)
                })?;
            };
        }
        plain!("session.negotiate", |params: &Params<'_>| parse(params).and_then(NegotiateParams::request));
        plain!("session.subscribe", |params: &Params<'_>| parse(params).and_then(SubscribeParams::request));
        plain!("session.mute", |params: &Params<'_>| parse(params).and_then(MuteParams::request));
        plain!("session.unpublish", |params: &Params<'_>| parse(params).and_then(UnpublishParams::request));
        plain!("room.kick", |params: &Params<'_>| parse(params).and_then(KickParams::request));
        plain!("session.leave", |_: &Params<'_>| Ok(Request::Leave));
        plain!("node.info", |_: &Params<'_>| Ok(Request::NodeInfo));

        module.register_async_method("session.receipt", |params, service, extensions| async move {
            let service: &Service = &service;
            let result = match connection(&extensions).and_then(|c| service.admit(&c).map(|()| c)) {
                Ok(connection) => match parse(&params) {
                    Ok(params) => service.receipt(&connection, params).await,
                    Err(refusal) => Err(refusal),
                },
                Err(refusal) => Err(refusal),
            };
            service.answer(result)
        })?;
        module.register_subscription(
            "session.events",
            "session.event",
            "session.unsubscribe",
            |_, pending, _, extensions| async move {
                events(pending, &extensions).await;
            },
        )?;
        Ok(module)
    }
}

/// Passes a connection's events on, until either side ends.
async fn events(pending: PendingSubscriptionSink, extensions: &Extensions) {
    let taken = connection(extensions).ok().and_then(|c| c.events.lock().take().map(|events| (c.clone(), events)));
    let Some((connection, mut events)) = taken else {
        let refusal = Refusal::InvalidParams("this connection is subscribed already".to_owned());
        pending.reject(error_object(&refusal)).await;
        return;
    };
    let Ok(sink) = pending.accept().await else { return };
    let mut gate = connection.gate.subscribe();
    loop {
        let event: Option<Event> = tokio::select! {
            event = events.recv() => event,
            () = sink.closed() => {
                // Unsubscribed: the events are kept for the next time.
                *connection.events.lock() = Some(events);
                return;
            }
        };
        let Some(event) = event else {
            // The sessions gave this client up: it did not take its events.
            connection.stop.cancel();
            return;
        };
        if gate.wait_for(|open| *open).await.is_err() {
            return;
        }
        let Ok(message) = serde_json::value::to_raw_value(&event) else { continue };
        if sink.send(message).await.is_err() {
            return;
        }
    }
}
