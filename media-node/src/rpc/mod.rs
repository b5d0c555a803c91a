//! The control interface for orchestrators: gRPC over mutual TLS (rpc/proto/chroom/v1/media.proto).

pub mod admission;
pub mod directory;
pub mod events;
mod recording;
mod request;

pub use admission::Admission;
pub use directory::Directory;

use crate::{
    cascade::{
        hub::{self, PeerFigures},
        quic::{Cascade, CascadeError},
    },
    health::Health,
    processing::studio::Studio,
    qos::scores,
    sfu::{
        Sfu,
        command::NegotiateError,
        event::{CloseReason, Occurrence},
        id::{RoomId, SessionId},
        resident,
        router::{Opening, RouteError, Subscribe},
        shard::ShardError,
        stats::SessionStats,
    },
};
use chroom_primitives::NodeId;
use chroom_rpc::{
    media::{Media, MediaServer},
    v1,
};
use events::Owned;
use futures::Stream;
use parking_lot::Mutex;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, service::Routes};

/// Longest reason for closing that is passed on, in bytes.
const MAX_REASON: usize = 200;
/// Streams of events at once.
const MAX_STREAMS: usize = 256;

/// The service.
pub struct MediaService {
    sfu: Arc<Sfu>,
    health: Arc<Health>,
    admission: Admission,
    directory: Arc<Mutex<Directory>>,
    events: broadcast::Sender<Owned>,
    /// All that happened before the stop was passed on.
    told: CancellationToken,
    cascade: Option<Arc<Cascade>>,
    studio: Option<Arc<Studio>>,
}

impl MediaService {
    /// A service for `sfu`. It must be made inside a tokio runtime: a task of its own keeps the directory in step with the SFU's events
    /// until `stop`.
    pub fn new(sfu: Arc<Sfu>, health: Arc<Health>, admission: Admission, stop: CancellationToken) -> Self {
        let directory = Arc::new(Mutex::new(Directory::default()));
        let (events, _) = broadcast::channel(4_096);
        let told = CancellationToken::new();
        tokio::spawn(follow(sfu.events(), directory.clone(), events.clone(), stop, told.clone()));
        Self { sfu, health, admission, directory, events, told, cascade: None, studio: None }
    }

    /// With pipes to other nodes.
    pub fn with_cascade(self, cascade: Arc<Cascade>) -> Self {
        Self { cascade: Some(cascade), ..self }
    }

    /// With processing of media.
    pub fn with_studio(self, studio: Arc<Studio>) -> Self {
        Self { studio: Some(studio), ..self }
    }

    fn studio(&self) -> Result<&Studio, Status> {
        self.studio.as_deref().ok_or_else(|| Status::unimplemented("this node processes no media"))
    }

    /// Admits a command on what is processed in a room.
    fn processing<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
        room: &str,
        fence: u64,
        opens: bool,
    ) -> Result<RoomId, Status> {
        let caller = self.admission.admit(request, method, opens)?;
        let room = request::room(room)?;
        let mut directory = self.directory.lock();
        if opens && !directory.has_sessions(&room) {
            return Err(route(&RouteError::NoRoom));
        }
        fence_room(&mut directory, &room, fence, caller, method)?;
        Ok(room)
    }

    /// Lets a room be mixed, if that is wanted.
    async fn with_mix(&self, room: &RoomId, wishes: &[Subscribe]) -> Result<(), Status> {
        let mix = resident::mix();
        if wishes.iter().any(|wish| wish.track.as_ref() == Some(&mix)) {
            self.studio()?.mix(room).await.map_err(recording::refused)?;
        }
        Ok(())
    }

    fn cascade(&self) -> Result<&Cascade, Status> {
        self.cascade.as_deref().ok_or_else(|| Status::unimplemented("this node has no pipes"))
    }

    /// The service as routes of a server.
    pub fn routes(self) -> Routes {
        Routes::new(MediaServer::new(self).max_decoding_message_size(chroom_rpc::MAX_MESSAGE))
    }

    /// Admits a command on a session: the caller by the chain, its epoch by the room's.
    fn session<T>(
        &self,
        request: &Request<T>,
        method: &'static str,
        session: &[u8],
        fence: u64,
    ) -> Result<(SessionId, RoomId), Status> {
        let caller = self.admission.admit(request, method, false)?;
        let session = request::session(session)?;
        let mut directory = self.directory.lock();
        let room = directory.room(&session).ok_or_else(|| route(&RouteError::NoSession))?;
        fence_room(&mut directory, &room, fence, caller, method)?;
        Ok((session, room))
    }
}

fn fence_room(
    directory: &mut Directory,
    room: &RoomId,
    fence: u64,
    caller: NodeId,
    method: &'static str,
) -> Result<(), Status> {
    directory.admit(room, fence, caller).map_err(|fenced| {
        tracing::warn!(%caller, %room, method, given = fenced.given, greatest = fenced.greatest, "fenced call refused");
        Status::failed_precondition(fenced.to_string())
    })
}

/// Joins each event to its room's orchestrator, and forgets sessions that are over.
async fn follow(
    mut from: broadcast::Receiver<crate::sfu::event::Event>,
    directory: Arc<Mutex<Directory>>,
    to: broadcast::Sender<Owned>,
    stop: CancellationToken,
    told: CancellationToken,
) {
    let _told = told.drop_guard();
    loop {
        let event = tokio::select! {
            biased;
            event = from.recv() => event,
            () = stop.cancelled() => return,
        };
        match event {
            Ok(event) => {
                let owner = {
                    let mut directory = directory.lock();
                    if let (Some(session), Occurrence::Closed(_)) = (&event.session, &event.occurrence) {
                        directory.closed(session);
                    }
                    directory.owner(&event.room)
                };
                if let Some(owner) = owner {
                    // Nobody may be listening.
                    let _ = to.send((owner, event));
                }
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => tracing::error!(lost, "events of the SFU were lost"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn route(error: &RouteError) -> Status {
    let message = error.to_string();
    match error {
        RouteError::NoSession | RouteError::NoRoom => Status::not_found(message),
        RouteError::SessionTaken => Status::already_exists(message),
        RouteError::RoomFull | RouteError::TooManyTracks => Status::resource_exhausted(message),
        RouteError::MayNotPublish | RouteError::MayNotSubscribe => Status::permission_denied(message),
        RouteError::TrackTaken(_) => Status::already_exists(message),
        RouteError::WrongLine(..) => Status::invalid_argument(message),
    }
}

fn shard(error: ShardError) -> Status {
    match error {
        ShardError::Busy => Status::resource_exhausted(error.to_string()),
        ShardError::Gone => Status::unavailable(error.to_string()),
    }
}

fn negotiate(error: NegotiateError) -> Status {
    match error {
        NegotiateError::Route(error) => route(&error),
        NegotiateError::Offer(error) => Status::invalid_argument(error.to_string()),
        NegotiateError::Crowded(error) => Status::resource_exhausted(error.to_string()),
        NegotiateError::Replaced => Status::not_found(error.to_string()),
    }
}

fn requested(reason: String) -> CloseReason {
    let mut reason = if reason.is_empty() { "closed".to_owned() } else { reason };
    let end = (0..=MAX_REASON.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
    reason.truncate(end);
    CloseReason::Requested(reason)
}

fn milliseconds(duration: Option<Duration>) -> u32 {
    duration.map_or(0, |duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX))
}

fn figures(stats: SessionStats) -> v1::SessionStats {
    let (rtt_ms, jitter_ms) = (milliseconds(stats.rtt), milliseconds(stats.jitter));
    v1::SessionStats {
        session: stats.session.0.to_vec(),
        room: stats.room.to_string(),
        participant: stats.participant.to_string(),
        connected: stats.connected,
        sent_packets: stats.sent_packets,
        sent_bytes: stats.sent_bytes,
        received_packets: stats.received_packets,
        received_bytes: stats.received_bytes,
        loss: stats.loss.into(),
        rtt_ms,
        jitter_ms,
        score: (stats.expected > 0).then(|| scores::of_figures(stats.loss, rtt_ms, jitter_ms).0.into()),
        send_estimate_kbps: stats.estimate_kbps.into(),
        uplink_loss: stats.uplink_loss.into(),
        uplink_jitter_ms: milliseconds(stats.uplink.jitter),
    }
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn pipe(peer: PeerFigures) -> v1::PipeStats {
    let figures = peer.pipe;
    v1::PipeStats {
        node: peer.node.0.to_vec(),
        up: peer.up,
        rooms: peer.rooms,
        streams_in: figures.streams_in,
        streams_out: figures.streams_out,
        sent_packets: figures.sent_packets,
        sent_bytes: figures.sent_bytes,
        received_packets: figures.received_packets,
        received_bytes: figures.received_bytes,
        resent_packets: figures.resent_packets,
        loss_in: figures.loss_in.into(),
        residual_in: figures.residual_in.into(),
        loss_out: figures.loss_out.into(),
        residual_out: figures.residual_out.into(),
        rtt_us: microseconds(figures.rtt),
        jitter_us: microseconds(figures.jitter),
        kbps_in: figures.kbps_in,
        kbps_out: figures.kbps_out,
        dropped_packets: peer.dropped,
    }
}

fn unavailable(error: CascadeError) -> Status {
    match error {
        CascadeError::Busy => Status::resource_exhausted(error.to_string()),
        CascadeError::Gone => Status::unavailable(error.to_string()),
    }
}

fn tree(error: hub::RouteError) -> Status {
    match error {
        hub::RouteError::Fenced { .. } => Status::failed_precondition(error.to_string()),
        hub::RouteError::Twice(_) => Status::invalid_argument(error.to_string()),
        hub::RouteError::TooMany(_) => Status::resource_exhausted(error.to_string()),
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Media for MediaService {
    async fn open_session(&self, request: Request<v1::OpenSessionRequest>) -> Answer<v1::OpenSessionResponse> {
        let caller = self.admission.admit(&request, "OpenSession", true)?;
        let request = request.into_inner();
        let fence = request.fence;
        let opening: Opening = request::opening(request)?;
        if let Some(closed) = self.health.closed() {
            tracing::info!(%caller, session = %opening.session, reason = closed.as_str(), "session refused");
            return Err(Status::resource_exhausted(format!("{}: use another node", closed.as_str())));
        }
        let (session, room, participant) = (opening.session, opening.room.clone(), opening.participant.clone());
        let pending = {
            // Under the lock, so that commands reach the room's shard in the order of their epochs.
            let mut directory = self.directory.lock();
            fence_room(&mut directory, &opening.room, fence, caller, "OpenSession")?;
            if directory.room(&opening.session).is_some_and(|room| room != opening.room) {
                return Err(route(&RouteError::SessionTaken));
            }
            let pending = self.sfu.open(opening).map_err(shard)?;
            directory.opened(session, &room);
            pending
        };
        let opened = pending.done().await.map_err(shard)?;
        if let Err(error) = &opened {
            // A session that exists goes on.
            if *error != RouteError::SessionTaken {
                self.directory.lock().closed(&session);
            }
            return Err(route(error));
        }
        tracing::info!(%session, %room, %participant, orchestrator = %caller, "session opened");
        Ok(Response::new(v1::OpenSessionResponse { candidates: vec![self.sfu.candidate().to_string()] }))
    }

    async fn negotiate(&self, request: Request<v1::NegotiateRequest>) -> Answer<v1::NegotiateResponse> {
        let body = request.get_ref();
        let (session, room) = self.session(&request, "Negotiate", &body.session, body.fence)?;
        let (offer, publish, subscribe) = request::negotiation(request.into_inner())?;
        self.with_mix(&room, &subscribe).await?;
        let pending = self.sfu.negotiate(&room, session, offer, publish, subscribe).map_err(shard)?;
        let answer = pending.done().await.map_err(shard)?.map_err(|error| {
            tracing::info!(%session, %error, "offer refused");
            negotiate(error)
        })?;
        Ok(Response::new(v1::NegotiateResponse { answer_sdp: answer }))
    }

    async fn subscribe(&self, request: Request<v1::SubscribeRequest>) -> Answer<v1::SubscribeResponse> {
        let body = request.get_ref();
        let (session, room) = self.session(&request, "Subscribe", &body.session, body.fence)?;
        let wishes = request::subscriptions(request.into_inner().subscriptions)?;
        self.with_mix(&room, &wishes).await?;
        let pending = self.sfu.subscribe(&room, session, wishes).map_err(shard)?;
        pending.done().await.map_err(shard)?.map_err(|error| route(&error))?;
        Ok(Response::new(v1::SubscribeResponse {}))
    }

    async fn close_session(&self, request: Request<v1::CloseSessionRequest>) -> Answer<v1::CloseSessionResponse> {
        let body = request.get_ref();
        let (session, room) = self.session(&request, "CloseSession", &body.session, body.fence)?;
        let reason = requested(request.into_inner().reason);
        let found = self.sfu.close(&room, session, reason).map_err(shard)?.done().await.map_err(shard)?;
        if found { Ok(Response::new(v1::CloseSessionResponse {})) } else { Err(route(&RouteError::NoSession)) }
    }

    async fn close_room(&self, request: Request<v1::CloseRoomRequest>) -> Answer<v1::CloseRoomResponse> {
        let caller = self.admission.admit(&request, "CloseRoom", false)?;
        let request = request.into_inner();
        let room = request::room(&request.room)?;
        let pending = {
            let mut directory = self.directory.lock();
            fence_room(&mut directory, &room, request.fence, caller, "CloseRoom")?;
            self.sfu.close_room(room.clone(), requested(request.reason)).map_err(shard)?
        };
        let sessions = pending.done().await.map_err(shard)?;
        if let Some(cascade) = &self.cascade {
            let cleared = cascade.clear_route(room.clone(), request.fence).map_err(unavailable)?;
            cleared.done().await.map_err(unavailable)?.map_err(tree)?;
        }
        tracing::info!(%room, sessions, orchestrator = %caller, "room closed");
        Ok(Response::new(v1::CloseRoomResponse {}))
    }

    type EventsStream = Pin<Box<dyn Stream<Item = Result<v1::MediaEvent, Status>> + Send>>;

    async fn events(&self, request: Request<v1::EventsRequest>) -> Answer<Self::EventsStream> {
        let caller = self.admission.admit(&request, "Events", false)?;
        if self.events.receiver_count() >= MAX_STREAMS {
            return Err(Status::resource_exhausted("too many streams of events are open"));
        }
        let (sender, receiver) = mpsc::channel(events::QUEUE);
        tokio::spawn(events::pump(
            caller,
            self.admission.clone(),
            self.health.clone(),
            self.events.subscribe(),
            sender,
            self.told.clone(),
        ));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn stats(&self, request: Request<v1::StatsRequest>) -> Answer<v1::StatsResponse> {
        self.admission.admit(&request, "Stats", false)?;
        let wanted = &request.get_ref().session;
        let only = if wanted.is_empty() { None } else { Some(request::session(wanted)?) };
        let (totals, sessions) = self.sfu.stats(only).await.map_err(shard)?;
        if only.is_some() && sessions.is_empty() {
            return Err(route(&RouteError::NoSession));
        }
        let load = self.health.load();
        Ok(Response::new(v1::StatsResponse {
            rooms: totals.rooms,
            sessions: totals.sessions,
            cpu: load.cpu.into(),
            egress_kbps: load.egress_kbps.into(),
            ingress_kbps: load.ingress_kbps.into(),
            session_stats: sessions.into_iter().map(figures).collect(),
        }))
    }

    async fn set_route(&self, request: Request<v1::SetRouteRequest>) -> Answer<v1::SetRouteResponse> {
        let caller = self.admission.admit(&request, "SetRoute", true)?;
        let route = request::route(request.into_inner())?;
        let cascade = self.cascade()?;
        let pending = {
            let mut directory = self.directory.lock();
            fence_room(&mut directory, &route.room, route.fence, caller, "SetRoute")?;
            tracing::info!(room = %route.room, orchestrator = %caller, parent = ?route.parent, "route set");
            cascade.set_route(route).map_err(unavailable)?
        };
        pending.done().await.map_err(unavailable)?.map_err(tree)?;
        Ok(Response::new(v1::SetRouteResponse { address: cascade.address().to_string() }))
    }

    async fn clear_route(&self, request: Request<v1::ClearRouteRequest>) -> Answer<v1::ClearRouteResponse> {
        let caller = self.admission.admit(&request, "ClearRoute", false)?;
        let request = request.into_inner();
        let room = request::room(&request.room)?;
        let cascade = self.cascade()?;
        let pending = {
            let mut directory = self.directory.lock();
            fence_room(&mut directory, &room, request.fence, caller, "ClearRoute")?;
            cascade.clear_route(room, request.fence).map_err(unavailable)?
        };
        pending.done().await.map_err(unavailable)?.map_err(tree)?;
        Ok(Response::new(v1::ClearRouteResponse {}))
    }

    async fn pipes(&self, request: Request<v1::PipesRequest>) -> Answer<v1::PipesResponse> {
        self.admission.admit(&request, "Pipes", false)?;
        let cascade = self.cascade()?;
        let figures = cascade.figures().await.map_err(unavailable)?;
        Ok(Response::new(v1::PipesResponse {
            address: cascade.address().to_string(),
            pipes: figures.peers.into_iter().map(pipe).collect(),
        }))
    }

    async fn start_recording(&self, request: Request<v1::StartRecordingRequest>) -> Answer<v1::StartRecordingResponse> {
        let body = request.get_ref();
        let room = self.processing(&request, "StartRecording", &body.room, body.fence, true)?;
        recording::start(self.studio()?, &room, request.into_inner()).await
    }

    async fn stop_recording(&self, request: Request<v1::StopRecordingRequest>) -> Answer<v1::StopRecordingResponse> {
        let body = request.get_ref();
        let room = self.processing(&request, "StopRecording", &body.room, body.fence, false)?;
        recording::stop(self.studio()?, &room, &body.recording).await
    }

    async fn thumbnail(&self, request: Request<v1::ThumbnailRequest>) -> Answer<v1::ThumbnailResponse> {
        let body = request.get_ref();
        let room = self.processing(&request, "Thumbnail", &body.room, body.fence, true)?;
        recording::thumbnail(self.studio()?, &room, request.into_inner()).await
    }
}
